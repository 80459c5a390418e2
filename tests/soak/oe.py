# SPDX-License-Identifier: GPL-2.0-or-later
"""`make soak-oe`: twenty thousand pairs of hosts meet for the first time; who may not be seen in clear is not.

`python -m tests.soak.oe [ROUNDS [SEED [FIRST [PACE]]]]`, as root; 20 rounds of 1,024 pairs unless told otherwise, from
round FIRST on, PACE pairs a second (60; fewer on a busy machine, whose answers come late otherwise). ROUNDS is where it
ends: `20 7`, or `10 7` and then `20 7 10` are the same rounds. Each round has a
network and daemons of its own (tests/netns/crowd.py): 0 to 30% loss, null authentication or keys from a DNS that is
good, slow, failing or lying; peers that can, refuse, are deaf or know nothing of it.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator

from tests.netns.crowd import Crowd, Verdict, World
from tests.netns.lab import Lab

MANNERS = ("", "good", "slow", "failing", "lying")
LOSSES = (0.0, 0.1, 0.2, 0.3)
MOST_MISSING = 0.0001


def worlds(rounds: int, seed: int, pace: float) -> list[World]:
    """All manners with all losses, again and again."""
    dice = random.Random(seed)
    every = [(loss, manners) for loss in LOSSES for manners in MANNERS]
    seeds = [dice.randrange(1 << 32) for _ in range(rounds)]
    return [World(each, *every[number % len(every)], pace=pace) for number, each in enumerate(seeds)]


def meet(world: World) -> Verdict:
    """One round."""
    with Lab("empty") as lab:
        crowd = Crowd(lab, world)
        crowd.run()
        return crowd.verdict()


def main(argv: list[str]) -> int:
    """Run it and say what was seen; 1 when anything was that may not be."""
    numbers = [int(each) for each in argv]
    rounds = numbers[0] if numbers else 20
    seed = numbers[1] if len(numbers) > 1 else random.randrange(1 << 32)
    first = numbers[2] if len(numbers) > 2 else 0
    pace = float(numbers[3]) if len(numbers) > 3 else 60.0
    print(f"{rounds} rounds, seed {seed}", flush=True)
    verdicts: list[Verdict] = []
    begun = time.monotonic()
    for number, world in enumerate(worlds(rounds, seed, pace)[first:], first):
        verdicts.append(meet(world))
        print(f"[{number} {time.monotonic() - begun:.0f} s]", "\n".join(verdicts[-1].lines()), flush=True)
        print(f"  rounds {first} to {number}:", *total(verdicts), flush=True)
    return int(bad(verdicts))


def bad(verdicts: list[Verdict]) -> bool:
    """Was anything seen that may not be?"""
    owed, missing = sum(each.owed for each in verdicts), sum(len(each.missing) for each in verdicts)
    return any(each.faults or each.errors for each in verdicts) or missing > MOST_MISSING * owed


def total(verdicts: list[Verdict]) -> Iterator[str]:
    """All rounds of this piece; pieces are added up by hand."""
    yield f"{sum(each.pairs for each in verdicts)} pairs, {sum(each.encrypted for each in verdicts)} encrypted,"
    yield f"{sum(len(each.missing) for each in verdicts)} of {sum(each.owed for each in verdicts)} that had a way"
    yield f"did not all arrive, {sum(len(each.faults) for each in verdicts)} faults,"
    yield f"{sum(sum(each.errors.values()) for each in verdicts)} errors told to applications"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
