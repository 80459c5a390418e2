# SPDX-License-Identifier: GPL-2.0-or-later
"""`make soak-unrest`: two hundred things happen to two gateways with closed groups, one after the other, at random.

`python -m tests.soak.unrest [DISTURBANCES [SEED]]`, as root; pieces with seeds of their own add up. Daemons are killed,
hosts rebooted without a word, lines flap, rules are flushed, resolvers die (tests/netns/unrest.py). Fails at the first
plaintext or surprise, when a flow has not come back after a minute, and in the end when one took longer than three
seconds from the end of its cause.
"""

from __future__ import annotations

import random
import sys
import time

from tests.netns.lab import Lab
from tests.netns.unrest import WAN, Unrest

WANTED, PATIENCE = 3.0, 60.0
REST = (0.2, 2.0)
"""Seconds between two."""


def main(argv: list[str]) -> int:
    """Run it and say what was seen."""
    count = int(argv[0]) if argv else 200
    seed = int(argv[1]) if len(argv) > 1 else random.randrange(1 << 32)
    dice = random.Random(seed)
    print(f"{count} disturbances, seed {seed}", flush=True)
    took: dict[str, list[float]] = {}
    with Lab("empty") as lab:
        unrest = Unrest(lab)
        print(f"everything flows after {unrest.back(PATIENCE):.1f} s", flush=True)
        for number in range(count):
            cause, name = dice.choice(list(unrest.causes)), dice.choice(list(WAN))
            begun = time.monotonic()
            unrest.disturb(cause, name, dice)
            lasted = time.monotonic() - begun
            took.setdefault(cause, []).append(unrest.back(PATIENCE))
            unrest.sound()
            late = " LATE" if took[cause][-1] > WANTED else ""
            longest = max(max(times) for times in took.values())
            print(
                f"  {number} {cause} {name}: lasted {lasted:.2f} s, back after {took[cause][-1]:.2f} s{late};"
                f" {longest:.2f} s at most so far, {dict(unrest.witness.kinds)}",
                flush=True,
            )
            time.sleep(dice.uniform(*REST))
        unrest.witness.close()
        unrest.sound()
        for cause, times in took.items():
            late = sum(time > WANTED for time in times)
            print(f"{cause}: {len(times)}, back after {max(times):.2f} s at most, {late} after more than {WANTED:g} s")
        errors = {flow.name: dict(flow.errors) for flow in unrest.flows if flow.errors}
        print(f"on the wire: {dict(unrest.witness.kinds)}; told to applications: {errors or 'nothing'}")
    return int(any(time > WANTED for times in took.values() for time in times))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
