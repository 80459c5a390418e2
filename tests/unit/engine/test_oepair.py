# SPDX-License-Identifier: GPL-2.0-or-later
"""What is remembered of peers, and how long pauses are."""

from ipaddress import ip_address

import pytest

from openswan.engine.oepair import LOOKED_AT, Peers, pause, round_pause
from openswan.policy.grade import Grade


def test_pauses_double_up_to_a_limit() -> None:
    assert [pause(n) for n in (1, 2, 3, 4, 5, 6, 1000)] == [60, 120, 240, 480, 900, 900, 900]
    assert [round_pause(n) for n in (1, 2, 3, 7, 8, 1000)] == [5, 10, 20, 300, 300, 300]


def test_peers_are_bounded_and_the_one_not_looked_at_goes_first() -> None:
    peers = Peers(3)
    a, b, c, d = (ip_address(f"192.0.2.{n}") for n in range(4))
    for each in (a, b, c):
        peers.note(each)
    assert peers.get(a) is peers.note(a)
    peers.note(d)
    assert len(peers) == 3 and peers.get(b) is None and peers.get(a) is not None


@pytest.mark.parametrize("flood", [None, Grade.NULL])
def test_peers_that_had_a_tunnel_are_forgotten_last(flood: Grade | None) -> None:
    """The better its grade the later: a tunnel that proves nothing is soon had."""
    peers = Peers(LOOKED_AT)
    once = ip_address("198.51.100.1")
    peers.note(once).best = Grade.DNSSEC
    for n in range(5000):
        peers.note(ip_address(0x0A000000 + n)).best = flood
    found = peers.known.get(once)
    assert len(peers) == LOOKED_AT and found is not None and found.best is Grade.DNSSEC
