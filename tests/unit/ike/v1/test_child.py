# SPDX-License-Identifier: GPL-2.0-or-later
"""Pairs of IPsec SAs: which is which."""

from __future__ import annotations

from typing import Any

from openswan.ike.policy import NO_EXTRAS, ChosenChild
from openswan.ike.v1.child import Child, by_spi_out, newest_like
from openswan.policy.proposal import Transform
from openswan.wire.v2.numbers import ProtocolId
from tests.unit.ike.v1.pair import quick

CHOSEN = ChosenChild(Transform("aes_cbc", 128), Transform("hmac_sha1_96"), esn=False)


def child(spi_in: int, at: float, mine: str = "10.1.0.0/16", **more: Any) -> Child:
    policy = quick(mine)
    values = {"chosen": CHOSEN, "mine": policy.mine, "theirs": policy.theirs, "initiator": True, "extras": NO_EXTRAS}
    return Child(policy, spi_in, spi_in + 1000, established=at, **{**values, **more})


def test_a_pair_is_found_by_the_peers_number_and_protocol() -> None:
    one, ah = child(300, 1.0), child(301, 1.0, chosen=ChosenChild(None, Transform("hmac_sha1_96"), esn=False))
    assert by_spi_out([one, ah], 3, 1300) is one and by_spi_out([one, ah], 2, 1301) is ah
    assert by_spi_out([one, ah], 2, 1300) is None and ah.protocol == ProtocolId.AH


def test_the_newest_pair_for_the_same_clients() -> None:
    new = child(310, 9.0)
    rows = [child(300, 1.0), child(301, 3.0), child(302, 5.0, replaced_by=301), child(303, 7.0, "10.9.0.0/16"), new]
    assert newest_like(rows, new) is rows[1]
    assert newest_like([new], new) is None
