# SPDX-License-Identifier: GPL-2.0-or-later
"""Instances of a template: what a peer gets and what it may not have."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from openswan.base.errors import ConfigError
from openswan.policy.connection import Connection, End, Host, HostKind
from openswan.policy.identity import parse_identity
from openswan.policy.instantiate import Side, instantiate, template_side

GATEWAY = End(Host(HostKind.ADDRESS, ip_address("192.0.2.1")), subnet=ip_network("10.1.0.0/16"))
ANYBODY = End(Host(HostKind.ANY), id=parse_identity("C=CA, CN=*"))
ROAD = Connection("road", GATEWAY, ANYBODY)
PEER = ip_address("203.0.113.9")
JOE = parse_identity("C=CA, CN=joe")


def test_template_side() -> None:
    assert template_side(ROAD) is Side.RIGHT
    assert template_side(replace(ROAD, left=ANYBODY, right=GATEWAY)) is Side.LEFT
    assert template_side(replace(ROAD, right=GATEWAY)) is None


@pytest.mark.parametrize("swap", [False, True])
def test_instance(swap: bool) -> None:
    template = replace(ROAD, left=ANYBODY, right=GATEWAY) if swap else ROAD
    made = instantiate(template, PEER, JOE)
    ours, theirs = (made.right, made.left) if swap else (made.left, made.right)
    assert ours == GATEWAY
    assert theirs == End(Host(HostKind.ADDRESS, PEER), id=JOE)
    assert made.name == "road"


def test_without_identity_the_templates_stays() -> None:
    assert instantiate(ROAD, PEER).right.id == ANYBODY.id


def test_client_is_narrowed() -> None:
    template = replace(ROAD, right=replace(ANYBODY, subnet=ip_network("10.2.0.0/16"), protocol=17))
    made = instantiate(template, PEER, JOE, ip_network("10.2.3.0/24"), 17, 1701)
    assert made.right.subnet == ip_network("10.2.3.0/24")
    assert (made.right.protocol, made.right.port) == (17, 1701)
    assert instantiate(template, PEER, JOE).right.subnet == ip_network("10.2.0.0/16")


def test_own_address_as_client() -> None:
    assert instantiate(ROAD, PEER, JOE, ip_network("203.0.113.9/32")).right.subnet is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"peer_id": parse_identity("C=US, CN=joe")}, "wants C=CA, CN=\\*, the peer is C=US, CN=joe"),
        ({"client": ip_network("10.3.0.0/24")}, "does not let a peer have 10.3.0.0/24"),
        ({"client": ip_network("10.0.0.0/8")}, "does not let a peer have 10.0.0.0/8"),
        ({"client": ip_network("::/0")}, "does not let a peer have ::/0"),
        ({"protocol": 6}, "has protocol 17, the peer has 6"),
        ({"port": 80}, "has port 1701, the peer has 80"),
    ],
)
def test_refused(change: dict[str, object], why: str) -> None:
    template = replace(ROAD, right=replace(ANYBODY, subnet=ip_network("10.2.0.0/16"), protocol=17, port=1701))
    with pytest.raises(ConfigError, match=why):
        instantiate(template, PEER, **change)  # type: ignore[arg-type]


def test_a_peer_may_not_claim_somebody_elses_address() -> None:
    with pytest.raises(ConfigError, match=r"does not let a peer have 203\.0\.113\.10/32"):
        instantiate(ROAD, PEER, JOE, ip_network("203.0.113.10/32"))


def test_not_a_template() -> None:
    with pytest.raises(ConfigError, match='"road" is no template: both ends are known'):
        instantiate(replace(ROAD, right=GATEWAY), PEER)
