# SPDX-License-Identifier: GPL-2.0-or-later
"""`make soak-sim`: the simulation's stories over many more seeds than the tests take.

`python -m tests.soak.sim [HANDSHAKES [REKEYINGS [COLLISIONS]]]`, 20,000, 400 and 5,000 by default. The first seed that
breaks a promise ends the run with its number and what happened in it.
"""

from __future__ import annotations

import sys
import time

from tests.sim import test_collisions, test_handshake, test_rekey


def main(argv: list[str]) -> int:
    """Run both stories and say how many seeds held and in what time."""
    handshakes = int(argv[0]) if argv else 20_000
    rekeyings = int(argv[1]) if len(argv) > 1 else 400
    start = time.monotonic()
    up = sum(test_handshake.check(test_handshake.story(seed), seed) for seed in range(handshakes))
    print(f"{handshakes} handshakes: {up} up on both sides, {handshakes - up} gone from both", flush=True)
    chunks = range(0, rekeyings, test_rekey.CHUNK)
    for first in chunks:
        test_rekey.test_no_packet_is_lost_while_everything_is_rekeyed(first)
    print(f"{len(chunks) * test_rekey.CHUNK} lives of 400 s with rekeyings: no packet lost")
    lives = int(argv[2]) if len(argv) > 2 else 5_000
    results = [test_collisions.check(seed) for seed in range(lives)]
    collisions, dead = sum(c for c, _ in results), sum(d for _, d in results)
    print(f"{lives} lives with {collisions} collisions: both ends agree; {dead} with an end that lost patience")
    print(f"{time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
