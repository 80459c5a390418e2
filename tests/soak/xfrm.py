# SPDX-License-Identifier: GPL-2.0-or-later
"""`make soak-xfrm`: every algorithm, family, sequence number size and window against a stock kernel (root).

`python -m tests.soak.xfrm [WORD]` takes only the cases whose names hold WORD. Failures are counted and shown, and do
not end the run.
"""

from __future__ import annotations

import sys
import time

from tests.netns.lab import Lab
from tests.netns.xfrm import KernelPeer, everything


def main(argv: list[str]) -> int:
    """Run all cases and say how many held."""
    start = time.monotonic()
    cases = [case for case in everything() if not argv or argv[0] in str(case)]
    failed = []
    with Lab("vm") as lab:
        peer = KernelPeer(lab)
        for case in cases:
            try:
                peer.install(case)
                peer.prove(case)
            except (AssertionError, OSError) as why:
                failed.append(str(case))
                print(f"FAILED {case}: {str(why)[:300]}\n{peer.state()}", flush=True)
    print(
        f"{len(cases)} cases, {len(cases) - len(failed)} passed, {len(failed)} failed; {time.monotonic() - start:.0f} s"
    )
    for name in failed:
        print(f"    {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
