# SPDX-License-Identifier: GPL-2.0-or-later
"""interfaces= against what a host has."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from openswan.engine.events import DefaultRoute, Interface
from openswan.host.devices import Assignment, assign
from openswan.host.tun import Plan


def interface(name: str, *addresses: str, mtu: int = 1500) -> Interface:
    return Interface(name, "", tuple((ip_address(address), 24) for address in addresses), True, mtu)


ETH0 = interface("eth0", "10.1.0.1")
ETH1 = interface("eth1", "192.0.2.1", mtu=1400)
OURS = interface("ipsec0", "10.1.0.1")
DEFAULT = DefaultRoute("eth1", ip_address("192.0.2.1"), ip_address("192.0.2.254"))


FOLLOW = [("ipsec0", "%defaultroute")]


def virtuals(result: Assignment) -> dict[str, str]:
    return {each.name: each.virtual for each in result.interfaces}


@pytest.mark.parametrize("wanted", [[], FOLLOW])
def test_by_default_one_ipsec0_serves_all_and_stands_on_the_default_route(wanted: list[tuple[str, str]]) -> None:
    result = assign(wanted, (ETH0, ETH1, OURS), (DEFAULT,))
    assert result.plans == (Plan("ipsec0", "eth1", 1400),)
    assert virtuals(result) == {"eth0": "ipsec0", "eth1": "ipsec0"}
    assert result.complaints == ()


def test_without_default_route_a_conns_address_decides_then_the_first_address() -> None:
    assert assign(FOLLOW, (ETH0, ETH1), (), [ip_address("192.0.2.1")]).plans == (Plan("ipsec0", "eth1", 1400),)
    assert assign(FOLLOW, (interface("eth9"), ETH0, ETH1), ()).plans == (Plan("ipsec0", "eth0", 1500),)
    assert assign(FOLLOW, (), ()).plans == ()
    assert assign(FOLLOW, (interface("eth9"),), ()).interfaces[0].virtual == ""


def test_named_interfaces_are_the_only_ones() -> None:
    result = assign([("ipsec1", "eth0")], (ETH0, ETH1, OURS), (DEFAULT,))
    assert result.plans == (Plan("ipsec1", "eth0", 1500),)
    assert virtuals(result) == {"eth0": "ipsec1", "eth1": ""}
    both = assign([("ipsec0", "eth0"), ("ipsec1", "%defaultroute")], (ETH0, ETH1), (DEFAULT,))
    assert virtuals(both) == {"eth0": "ipsec0", "eth1": "ipsec1"}


def test_what_cannot_be_is_named() -> None:
    bad = [("ipsec0", "eth7"), ("ipsec1", "eth0"), ("ipsec2", "eth0"), ("ipsec3", "%defaultroute")]
    result = assign(bad, (ETH0, ETH1), ())
    assert result.complaints == (
        "interfaces=ipsec0=eth7: there is no interface eth7",
        "interfaces=ipsec2=eth0: ipsec1 stands on eth0 already",
        "no default route, %defaultroute cannot cope!!!",
    )
    assert result.plans == (Plan("ipsec1", "eth0", 1500),)
    nothing = assign([("ipsec0", "eth7")], (ETH0,), (DEFAULT,))
    assert nothing.plans == () and nothing.interfaces[0].virtual == ""
    alone = assign([("ipsec0", "eth9")], (interface("eth9"),), ())
    assert alone.complaints == ("unable to determine address of `eth9'",)


PPP = interface("ppp0", "198.51.100.1", mtu=1492)


def test_what_tncfg_says_wins() -> None:
    every = (ETH0, ETH1, PPP, OURS)
    result = assign(FOLLOW, every, (DEFAULT,), by_hand={"ipsec1": "ppp0"})
    assert set(result.plans) == {Plan("ipsec0", "eth1", 1400), Plan("ipsec1", "ppp0", 1492)}
    assert virtuals(result) == {"eth0": "ipsec0", "eth1": "ipsec0", "ppp0": "ipsec1"}
    # The one that serves all goes on doing so from elsewhere; detached it serves none.
    result = assign(FOLLOW, every, (DEFAULT,), by_hand={"ipsec0": "ppp0"})
    assert result.plans == (Plan("ipsec0", "ppp0", 1492),) and set(virtuals(result).values()) == {"ipsec0"}
    result = assign(FOLLOW, every, (DEFAULT,), by_hand={"ipsec0": ""})
    assert result.plans == (Plan("ipsec0", "", 0),) and set(virtuals(result).values()) == {""}
    # Named ones leave the interface they stood on.
    result = assign([("ipsec0", "eth0")], every, (DEFAULT,), by_hand={"ipsec0": "ppp0", "ipsec5": ""})
    assert set(result.plans) == {Plan("ipsec0", "ppp0", 1492), Plan("ipsec5", "", 0)}
    assert virtuals(result) == {"eth0": "", "eth1": "", "ppp0": "ipsec0"}


def test_an_interface_that_goes_away_is_waited_for() -> None:
    result = assign(FOLLOW, (ETH0, OURS), (), by_hand={"ipsec1": "ppp0"})
    assert Plan("ipsec1", "", 0) in result.plans
    result = assign(FOLLOW, (ETH0, PPP, OURS), (), by_hand={"ipsec1": "ppp0"})
    assert Plan("ipsec1", "ppp0", 1492) in result.plans and virtuals(result)["ppp0"] == "ipsec1"
