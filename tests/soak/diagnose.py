# SPDX-License-Identifier: GPL-2.0-or-later
"""`make soak-diagnose`: every fault brought about, every healthy set-up looked at; how often `ipsec diagnose` is right.

`python -m tests.soak.diagnose [PATTERN [FIRST [LAST]]]`: those whose name fits a pattern, numbers FIRST to LAST of the
faults with the set-ups behind them, in SOAK_JOBS processes (default 1).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import lru_cache

from tests.netns.diagnosing import Fault, Outcome, inject
from tests.netns.faults import FAULTS
from tests.netns.healthy import HEALTHY, look
from tests.netns.keys import Authority
from tests.netns.lab import LabError

BROKEN = (LabError, subprocess.SubprocessError)
EMPTY = Fault("", "", "")


@lru_cache
def authority() -> Authority:
    """One for all."""
    return Authority("rsa")


def one_fault(number: int) -> Outcome:
    """Bring it about. Its steps do not travel between processes."""
    try:
        return replace(inject(FAULTS[number], authority), fault=EMPTY)
    except BROKEN as why:
        return Outcome(EMPTY, -1, 0.0, (), f"could not be brought about: {why}")


def one_set_up(number: int) -> list[str]:
    """What is said although nothing is wrong."""
    try:
        return list(look(HEALTHY[number], authority))
    except BROKEN as why:
        return [f"could not be brought about: {why}"]


def verdict(outcome: Outcome) -> str:
    """One line."""
    word = "right" if outcome.right_remedy else "CAUSE ONLY" if outcome.right_cause else "WRONG"
    first = outcome.first
    said = f"{first['code']}: {first['remedy']}" if first else outcome.text.strip()[-200:] or "nothing"
    return f"{word:<10} {outcome.seconds:.1f} s  {outcome.fault.name}: {said}"


def chosen(argv: list[str]) -> tuple[list[int], list[int]]:
    """Which faults and which healthy set-ups."""
    word = argv[0] if argv else ""
    first, last = (int(argv[place]) if len(argv) > place else most for place, most in ((1, 0), (2, 1 << 20)))
    every = enumerate((*FAULTS, *HEALTHY))
    wanted = [number for number, one in every if first <= number <= last and re.search(word, one.name)]
    return [n for n in wanted if n < len(FAULTS)], [n - len(FAULTS) for n in wanted if n >= len(FAULTS)]


def main(argv: list[str]) -> int:
    """Bring about, ask, count; 1 when too much is wrong."""
    begin = time.monotonic()
    faults, set_ups = chosen(argv)
    outcomes, alarms = [], 0
    with ProcessPoolExecutor(int(os.environ.get("SOAK_JOBS", "1"))) as pool:
        for number, outcome in zip(faults, pool.map(one_fault, faults), strict=True):
            outcomes.append(replace(outcome, fault=FAULTS[number]))
            print(verdict(outcomes[-1]), flush=True)
        for number, wrong in zip(set_ups, pool.map(one_set_up, set_ups), strict=True):
            alarms += len(wrong)
            said = "; ".join((HEALTHY[number].name, *wrong))
            print(f"{'ALARM' if wrong else 'silent':<10} {said}", flush=True)
    causes, remedies = (sum(getattr(one, name) for one in outcomes) for name in ("right_cause", "right_remedy"))
    slow = max((one.seconds for one in outcomes), default=0.0)
    print(f"{len(outcomes)} faults: right cause first for {causes}, right remedy for {remedies}; slowest {slow:.1f} s")
    print(
        f"{len(set_ups)} healthy set-ups, each from both ends: {alarms} alarms; {time.monotonic() - begin:.0f} s in all"
    )
    good = causes >= 0.9 * len(outcomes) and remedies >= 0.85 * len(outcomes) and not alarms
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
