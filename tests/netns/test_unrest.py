# SPDX-License-Identifier: GPL-2.0-or-later
"""A sample of what happens to gateways in make soak-unrest: each time nothing is seen in clear and all is back soon."""

from __future__ import annotations

import random

from tests.netns.lab import Lab
from tests.netns.unrest import WAN, Unrest

SEED, CAUSES = 7, ("kill", "reboot", "flap", "table deleted")


def test_whatever_happens_nothing_leaks_and_all_is_back() -> None:
    dice = random.Random(SEED)
    with Lab("empty") as lab:
        unrest = Unrest(lab)
        unrest.back(30)
        for cause in dice.sample(CAUSES, len(CAUSES)):
            unrest.disturb(cause, dice.choice(list(WAN)), dice)
            unrest.back(20)
        unrest.witness.close()
        unrest.sound()
        assert unrest.witness.kinds["esp-udp"] > 100
