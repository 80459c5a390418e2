# SPDX-License-Identifier: GPL-2.0-or-later
"""`make soak-sim`: the simulation's stories over many more seeds than the tests take.

`python -m tests.soak.sim [HANDSHAKES [REKEYINGS [COLLISIONS [UNREST]]]]`, 20,000, 400, 5,000 and 5,000 by default, in
SOAK_JOBS processes (default 1). The first seed that breaks a promise ends the run with its number and what happened.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.sim import test_collisions, test_handshake, test_oeunrest, test_rekey

TOGETHER = 20
"""Seeds that a process takes at a time."""


def handshake(seed: int) -> bool:
    """One handshake; whether the tunnel came up."""
    return test_handshake.check(test_handshake.story(seed), seed)


def unrest(seed: int) -> None:
    """Two gateways that lose what they know."""
    test_oeunrest.story(seed)


def main(argv: list[str]) -> int:
    """Run all stories and say how many seeds held and in what time."""
    handshakes = int(argv[0]) if argv else 20_000
    rekeyings = int(argv[1]) if len(argv) > 1 else 400
    lives = int(argv[2]) if len(argv) > 2 else 5_000
    losses = int(argv[3]) if len(argv) > 3 else 5_000
    start = time.monotonic()
    with ProcessPoolExecutor(int(os.environ.get("SOAK_JOBS", "1"))) as pool:
        up = sum(pool.map(handshake, range(handshakes), chunksize=TOGETHER))
        print(f"{handshakes} handshakes: {up} up on both sides, {handshakes - up} gone from both", flush=True)
        chunks = range(0, rekeyings, test_rekey.CHUNK)
        list(pool.map(test_rekey.test_no_packet_is_lost_while_everything_is_rekeyed, chunks))
        print(f"{len(chunks) * test_rekey.CHUNK} lives of 400 s with rekeyings: no packet lost", flush=True)
        results = list(pool.map(test_collisions.check, range(lives), chunksize=TOGETHER))
        list(pool.map(unrest, range(losses), chunksize=TOGETHER))
        print(f"{losses} lives of gateways that lose lines and memory: all flows back in {test_oeunrest.SOON:g} s")
    collisions, excuses = sum(c for c, _ in results), Counter(reasons[0] for _, reasons in results if reasons)
    print(f"{lives} lives with {collisions} collisions: both ends agree; no packet lost but where one may be:")
    for why, count in excuses.most_common():
        print(f"    {count} {why}")
    print(f"{time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
