# SPDX-License-Identifier: GPL-2.0-or-later
"""A sample of the pairs of make soak-oe: a network that loses, peers that will not or cannot, a DNS that lies."""

from __future__ import annotations

import pytest

from tests.netns.crowd import EACH, World
from tests.soak.oe import meet

WORLDS = (World(11, 0.1, "", 2, 25.0), World(12, 0.0, "lying", 2, 25.0))


@pytest.mark.matrix
@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_who_may_not_be_seen_in_clear_is_not(world: World) -> None:
    found = meet(world)
    said = "\n".join(found.lines())
    assert not found.faults and not found.missing and not found.errors, said
    assert found.pairs == 2 * EACH and found.encrypted > (6 if world.manners else 28), said
