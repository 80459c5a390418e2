# SPDX-License-Identifier: GPL-2.0-or-later
"""What ISAKMP SAs alone tell."""

from __future__ import annotations

from openswan.ike.effects import IkeGone
from openswan.ike.v1.effects import IsakmpEstablished
from tests.unit.ike.v1.pair import Pair


def test_each_end_tells_once_that_it_stands_and_whom_it_talks_to() -> None:
    pair = Pair().up()
    for end, peer in ((pair.a, "@b"), (pair.b, "@a")):
        [told] = end.seen(IsakmpEstablished)
        assert str(told.peer_id) == peer and told.policy is end.sa.policy and not end.seen(IkeGone)
