# SPDX-License-Identifier: GPL-2.0-or-later
"""`make conformance`: load what Openswan and libreswan ship and test with, and print the figures.

`python -m tests.conformance [DIRECTORY [ROOT]]`: any other tree of configuration files, as a checkout of libreswan's;
ROOT (DIRECTORY itself when not given) is put before absolute includes.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from tests.conformance.recorded import ORACLE, SAMPLES, policies, recorded, secrets
from tests.conformance.survey import Outcome, Survey, configurations, survey
from tests.shareddata import DATA


def show(found: Survey, expected: dict[str, bool], every: bool) -> bool:
    """Print the figures; are they good enough?"""
    right = sum(parsed == expected.get(name, True) for name, parsed in found.files.items())
    files = right / len(found.files)
    print(f"{right} of {len(found.files)} files parse as their own parser says ({files:.1%})")
    for name, why in found.why_not.items():
        if expected.get(name, True):
            print(f"  {name}: {why}")
    whole = found.count(Outcome.LOADED, Outcome.PARTLY, Outcome.REFUSED)
    print(f"{found.count(Outcome.LOADED)} of {whole} conns load with every keyword acted on ({found.share:.1%})")
    for outcome in (Outcome.PARTLY, Outcome.REFUSED, Outcome.TEMPLATE):
        results = [one for one in found.results if one.outcome is outcome]
        print(f"{len(results)} {outcome.value}")
        if every:
            for one in results:
                print(f"  {one.file}: conn {one.name}: {one.reason}".rstrip(": "))
        else:
            for reason, count in Counter(one.reason[:100] for one in results).most_common(25):
                print(f"  {count:5} {reason}")
    return files >= 0.99 and found.share >= 0.9


def main(argv: list[str]) -> int:
    """Figures of the shared samples, or of a tree; 1 when they are not what is wanted."""
    if argv:
        base = Path(argv[0]).resolve()
        return 0 if show(survey(configurations(base), base, argv[1] if argv[1:] else str(base)), {}, every=False) else 1
    good = show(survey([DATA / name for name in SAMPLES], DATA), ORACLE, every=True)
    for title, outcomes in (("readwriteconf outputs reproduced", recorded()), ("ipsec.secrets load", secrets()),
                            ("policy group files load", policies())):  # fmt: skip
        print(f"{sum(not why for why in outcomes.values())} of {len(outcomes)} {title}")
        for name, why in outcomes.items():
            if why:
                print(f"  {name}: {why}")
        good &= not any(outcomes.values())
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
