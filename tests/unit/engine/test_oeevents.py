# SPDX-License-Identifier: GPL-2.0-or-later
"""Pairs and terms: plain, frozen, hashable."""

from ipaddress import ip_address

from openswan.engine.oeevents import Pair, Terms
from openswan.policy.groups import Stance


def test_a_pair_is_a_key() -> None:
    one, two = (Pair(ip_address("192.0.2.1"), ip_address("192.0.2.7")) for _ in range(2))
    assert one == two and hash(one) == hash(two) and str(one) == "192.0.2.1 -> 192.0.2.7"
    assert one != Pair(one.dst, one.src)


def test_terms_fail_closed_unless_told_otherwise() -> None:
    terms = Terms("private", Stance.PRIVATE)
    assert terms.failure.meets == "%drop" and str(terms.negotiation) == "%hold" and terms.hold_timeout == 3.0
