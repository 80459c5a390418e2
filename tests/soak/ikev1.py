# SPDX-License-Identifier: GPL-2.0-or-later
"""`make soak-ikev1`: lives of IKEv1 tunnels with everything at once, over many more seeds than the tests take.

`python -m tests.soak.ikev1 [LIVES [FIRST]]`, 3,000 from 0 by default, in SOAK_JOBS processes (default 1). The first
seed that breaks a promise ends the run with its number.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.sim import test_ikev1_lives

TOGETHER = 20
"""Seeds that a process takes at a time."""


def main(argv: list[str]) -> int:
    """Run all lives and say how many held and in what time."""
    lives = int(argv[0]) if argv else 3_000
    first = int(argv[1]) if len(argv) > 1 else 0
    start = time.monotonic()
    with ProcessPoolExecutor(int(os.environ.get("SOAK_JOBS", "1"))) as pool:
        results = list(pool.map(test_ikev1_lives.check, range(first, first + lives), chunksize=TOGETHER))
    collisions, excused = sum(c for c, _ in results), Counter(bool(why) for _, why in results)[True]
    print(f"{lives} lives of IKEv1 with {collisions} collisions: both ends agree; {excused} lost packets and may have")
    print(f"{time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
