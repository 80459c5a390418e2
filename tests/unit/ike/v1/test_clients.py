# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients: selectors to identities and back, whose they are, and what a NAT makes of them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from random import Random

import pytest

from openswan.base.errors import IkeError, WireError
from openswan.ike.v1 import clients
from openswan.ike.v1.clients import Clients
from openswan.ike.v1.natt import Found
from openswan.policy.selector import Selector
from openswan.wire.v1.ident import Id
from openswan.wire.v1.message import Content
from openswan.wire.v1.natd import NatOa
from openswan.wire.v1.numbers import IdType
from tests.unit.ike.v1.pair import mirrored, net, quick

A, B, NAT = (ip_address(text) for text in ("192.0.2.1", "192.0.2.2", "203.0.113.9"))
PRIVATE = ip_address("10.0.0.5")


def test_any_selector_comes_back_as_it_was() -> None:
    random = Random(5)
    for _ in range(500):
        width = random.choice([32, 128])
        cls = ip_address(0).__class__ if width == 32 else ip_address("::").__class__
        low, high = sorted(random.getrandbits(random.choice([4, width])) for _ in range(2))
        protocol = random.choice([0, 6, 17])
        port = random.randrange(65536) if protocol else 0
        one = Selector(cls(low), cls(high), protocol, port, port or 65535)
        said = clients.to_id(one)
        assert clients.from_id(said) == one
        assert said.emit()[0] in (1, 4, 5, 6, 7, 8)


@pytest.mark.parametrize("kind", [kind for kind in IdType if kind not in (1, 4, 5, 6, 7, 8)])
def test_names_are_no_clients(kind: IdType) -> None:
    with pytest.raises(IkeError, match=f"unsupported ID type {kind} in Phase 2 ID Payload") as caught:
        clients.from_id(Id(kind, b"example.org"))
    assert caught.value.notify == 18


def test_masks_with_holes_and_ranges_upside_down() -> None:
    for kind, body in (
        (IdType.IPV4_ADDR_SUBNET, b"\x0a\0\0\0\xff\0\xff\0"),
        (IdType.IPV4_ADDR_RANGE, b"\2\0\0\0\1\0\0\0"),
    ):
        with pytest.raises(WireError) as caught:
            clients.from_id(Id(kind, body))
        assert caught.value.notify == 18


def test_a_policys_clients() -> None:
    ours = clients.of_policy(quick())
    assert str(ours) == "10.1.0.0/16 -> 10.2.0.0/16"
    clients.check_fit(quick(), ours)
    part = replace(ours, theirs=net("10.2.3.0/24", 6, 80))
    clients.check_fit(quick(narrowing=True), part)
    for policy, asked in ((quick(), part), (mirrored(quick(narrowing=True)), ours)):
        with pytest.raises(IkeError, match='are not those of "test"'):
            clients.check_fit(policy, asked)


def test_the_log_has_protocol_and_port_always() -> None:
    assert clients.words(net("10.1.0.0/16")) == "10.1.0.0/16:0/0"
    assert clients.words(net("10.1.0.1/32", 17, 1701)) == "10.1.0.1/32:17/1701"


def test_transport_mode_is_between_the_hosts_by_the_addresses_we_see() -> None:
    plain = Clients(clients.host(B), clients.host(A))
    assert clients.as_we_see(plain, None, B, A) == plain
    behind = Clients(clients.host(B), clients.host(PRIVATE))
    seen = clients.as_we_see(behind, Found(here=False, there=True), B, NAT)
    assert seen == Clients(clients.host(B), clients.host(NAT))
    own = clients.as_we_see(Clients(clients.host(NAT), clients.host(A)), Found(here=True, there=False), PRIVATE, A)
    assert own == Clients(clients.host(PRIVATE), clients.host(A))
    for bad in (behind, Clients(net("10.0.0.0/8"), clients.host(A))):
        with pytest.raises(IkeError, match="transport mode is between"):
            clients.as_we_see(bad, None, B, A)
    with pytest.raises(IkeError):
        clients.as_we_see(Clients(clients.host(B), net("10.0.0.0/8")), Found(here=False, there=True), B, NAT)


def test_addresses_as_the_peer_writes_them() -> None:
    behind, seen = Clients(clients.host(B), clients.host(PRIVATE)), Clients(clients.host(B), clients.host(NAT))
    both = Content((NatOa(PRIVATE), NatOa(B)))
    assert clients.originals(both, behind, seen, by_initiator=True) == (PRIVATE, B)
    assert clients.originals(both, behind, seen, by_initiator=False) == (B, PRIVATE)
    for content in (Content((NatOa(PRIVATE),)), Content()):
        assert clients.originals(content, behind, seen, by_initiator=True) == (PRIVATE, B)
    assert clients.originals(Content(), seen, seen, by_initiator=True) is None


def test_without_identities_the_hosts_are_meant() -> None:
    assert clients.proposed(Content(), B, A) == Clients(clients.host(B), clients.host(A))
