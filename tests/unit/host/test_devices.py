# SPDX-License-Identifier: GPL-2.0-or-later
"""interfaces= against what a host has."""

from __future__ import annotations

from ipaddress import ip_address

from openswan.engine.events import DefaultRoute, Interface
from openswan.host.devices import assign
from openswan.host.tun import Plan


def interface(name: str, *addresses: str, mtu: int = 1500) -> Interface:
    return Interface(name, "", tuple((ip_address(address), 24) for address in addresses), True, mtu)


ETH0 = interface("eth0", "10.1.0.1")
ETH1 = interface("eth1", "192.0.2.1", mtu=1400)
OURS = interface("ipsec0", "10.1.0.1")
DEFAULT = DefaultRoute("eth1", ip_address("192.0.2.1"), ip_address("192.0.2.254"))


def virtuals(wanted: list[str], *args: object, **kwargs: object) -> dict[str, str]:
    result = assign(wanted, (ETH0, ETH1, OURS), *args, **kwargs)  # type: ignore[arg-type]
    return {each.name: each.virtual for each in result.interfaces}


def test_by_default_one_ipsec0_serves_all_and_stands_on_the_default_route() -> None:
    for wanted in ([], ["%defaultroute"], ["%none"]):
        result = assign(wanted, (ETH0, ETH1, OURS), (DEFAULT,))
        assert result.plans == (Plan("ipsec0", "eth1", 1400),)
        assert virtuals(wanted, (DEFAULT,)) == {"eth0": "ipsec0", "eth1": "ipsec0"}
        assert result.complaints == ()


def test_without_default_route_a_conns_address_decides_then_the_first_address() -> None:
    assert assign([], (ETH0, ETH1), (), [ip_address("192.0.2.1")]).plans == (Plan("ipsec0", "eth1", 1400),)
    assert assign([], (interface("eth9"), ETH0, ETH1), ()).plans == (Plan("ipsec0", "eth0", 1500),)
    assert assign([], (), ()).plans == ()
    assert assign([], (interface("eth9"),), ()).interfaces[0].virtual == ""


def test_named_interfaces_are_the_only_ones() -> None:
    result = assign(["ipsec1=eth0"], (ETH0, ETH1, OURS), (DEFAULT,))
    assert result.plans == (Plan("ipsec1", "eth0", 1500),)
    assert virtuals(["ipsec1=eth0"], (DEFAULT,)) == {"eth0": "ipsec1", "eth1": ""}
    assert virtuals(["ipsec0=eth0", "ipsec1=eth1"], ()) == {"eth0": "ipsec0", "eth1": "ipsec1"}


def test_words_that_make_no_sense_are_named() -> None:
    bad = ["eth0", "ipsec0=eth7", "%foo", "ipsec0=eth0", "ipsec0=eth1", "ipsecx=eth1"]
    result = assign(bad, (ETH0, ETH1), (DEFAULT,))
    assert result.complaints == (
        "interface `eth0' not understood: write ipsec0=eth0",
        "interfaces=ipsec0=eth7: there is no interface eth7",
        "interface `%foo' not understood",
        "interfaces=ipsec0=eth1: ipsec0 or eth1 is taken already",
        "interface `ipsecx=eth1' not understood: write ipsec0=eth0",
    )
    assert result.plans == (Plan("ipsec0", "eth0", 1500),)
    nothing = assign(["ipsec0=eth7"], (ETH0,), (DEFAULT,))
    assert nothing.plans == () and nothing.interfaces[0].virtual == ""
    assert assign(["ipsec0=eth9"], (interface("eth9"),), ()).complaints == ("unable to determine address of `eth9'",)
