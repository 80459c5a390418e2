# SPDX-License-Identifier: GPL-2.0-or-later
"""Groups' files, conns and exemptions together: the same files on every host, and what each flow falls under."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from openswan.config.groupfile import SINGLE_SERVICE, read_groups
from openswan.config.load import load_text
from openswan.engine.events import DefaultRoute, Interface, NetworkState
from openswan.engine.oepolicy import MOST_PIECES, OePolicy, nets_behind, outer_interfaces, own_addresses
from openswan.engine.orient import Plugs
from openswan.policy.connection import End, Host, HostKind
from openswan.policy.flowtable import Flow
from openswan.policy.groups import Stance
from openswan.policy.selector import FlowKey

FILES = {
    "private-or-clear": "0.0.0.0/0\n::/0\n",
    "private": "10.1.0.0/16   # the fleet, all of it\n2001:db8:1::/48\nfiles.example.org tcp 445\n",
    "clear": "10.1.0.53\n10.1.0.0/16 tcp ssh\n",
    "block": "10.1.66.0/24\n",
}
NAMES = {"files.example.org": (ip_address("198.51.100.9"), ip_address("2001:db8:9::9"))}


def plugs(number: int) -> Plugs:
    """Host N of the fleet: 10.1.0.N and 2001:db8:1::N by eth0, 192.168.N.1 toward a LAN by eth1."""
    four, six = ip_address(f"10.1.0.{number}"), ip_address(f"2001:db8:1::{number:x}")
    eth0 = Interface("eth0", "ipsec0", ((four, 16), (six, 64)))
    eth1 = Interface("eth1", "", ((ip_address(f"192.168.{number}.1"), 24),))
    defaults = (DefaultRoute("eth0", four, ip_address("10.1.255.254")), DefaultRoute("eth0", six, None))
    return Plugs.of(NetworkState((eth0, eth1), defaults))


def policy(number: int, extra: str = "", **more: object) -> OePolicy:
    loaded = load_text(f"config setup\n\toe=yes\n{extra}", "f", lambda pattern, directory: [], lambda name: ())
    groups, complaints = read_groups(loaded.opportunistic, lambda name: (name, FILES[name]) if name in FILES else None)
    assert [(each.where, each.text) for each in complaints] == [("private:3", SINGLE_SERVICE)]
    return OePolicy(loaded.opportunistic, groups, plugs(number), NAMES, **more)  # type: ignore[arg-type]


def owner(made: OePolicy, src: str, dst: str, protocol: int = 0, sport: int = 0, dport: int = 0) -> str:
    found = made.decide(Flow(ip_address(src), ip_address(dst), protocol, sport, dport))
    return found.owner if found else ""


def test_the_same_files_on_every_host() -> None:
    for me, peer in ((1, 2), (2, 1)):
        made = policy(me)
        here, there = f"10.1.0.{me}", f"10.1.0.{peer}"
        assert owner(made, here, there) == owner(made, f"2001:db8:1::{me}", f"2001:db8:1::{peer}") == "private"
        assert owner(made, here, here) == "to ourselves", "it finds itself in the file"
        assert owner(made, here, "8.8.8.8") == owner(made, f"2001:db8:1::{me}", "2001:4860::8") == "private-or-clear"
        # A service, whichever end it is at.
        assert owner(made, here, there, 6, 999, 22) == owner(made, here, there, 6, 22, 999) == "clear"
        assert owner(made, here, "10.1.66.7") == "block" and owner(made, here, "10.1.0.53") == "clear"


def test_names_cover_both_families() -> None:
    made = policy(1)
    assert made.names == ("files.example.org",)
    assert owner(made, "10.1.0.1", "198.51.100.9", 6, 999, 445) == "private"
    assert owner(made, "2001:db8:1::1", "2001:db8:9::9", 6, 999, 445) == "private"
    assert owner(made, "10.1.0.1", "198.51.100.9", 6, 999, 80) == "private-or-clear"


def test_what_is_behind_us_is_packetdefaults() -> None:
    made = policy(1)
    assert owner(made, "192.168.1.7", "8.8.8.8") == "packetdefault"
    assert owner(made, "192.168.1.7", "10.1.0.2") == "packetdefault", "the groups are the host's own"
    behind = policy(1, "conn private-behind\n\tleftsubnet=192.168.1.0/24\n\talso=private\n")
    assert owner(behind, "192.168.1.7", "10.1.0.2") == "packetdefault", "its file is its own, and empty"


def test_the_same_line_in_two_groups_belongs_to_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert policy(1).complaints == ()
    monkeypatch.setitem(FILES, "clear-or-private", "10.2.0.0/16\n10.1.0.0/16\n")
    made = policy(1)
    assert made.complaints == (
        'private:1: subnet "10.1.0.0/16", source 10.1.0.1/32, already "clear-or-private": it stays there',
    )
    assert owner(made, "10.1.0.1", "10.1.0.2") == "clear-or-private"


def test_terms_come_with_the_group() -> None:
    found = policy(1).decide(Flow(ip_address("10.1.0.1"), ip_address("10.1.66.1")))
    assert found is not None and found.terms is not None and found.terms.stance is Stance.BLOCK
    assert found.where == "block:1" and not found.exempt


def test_conns_of_the_configuration_stand_in_the_same_order() -> None:
    host, wide, narrow = (ip_network(each) for each in ("10.1.0.1/32", "10.1.0.0/16", "10.1.0.0/17"))
    made = policy(1, ordinary=[("corp", FlowKey(host, wide))])
    assert owner(made, "10.1.0.1", "10.1.200.1") == "corp", "it comes before a line that is just as specific"
    assert owner(made, "10.1.0.1", "10.1.66.1") == "block", "a narrower line comes before it"
    made = policy(1, ordinary=[("corp", FlowKey(host, narrow))])
    assert owner(made, "10.1.0.1", "10.1.0.9") == "corp" and owner(made, "10.1.0.1", "10.1.200.1") == "private"
    found = made.decide(Flow(ip_address("10.1.0.1"), ip_address("10.1.0.9")))
    assert found is not None and found.terms is None and not found.exempt


def test_queries_to_our_resolvers() -> None:
    resolver = ip_address("10.1.0.54")
    made = policy(1, resolvers=[resolver])
    found = made.decide(Flow(ip_address("10.1.0.1"), resolver, 17, 999, 53))
    assert found is not None and found.exempt and found.owner == "DNS queries to 10.1.0.54"
    assert owner(made, "10.1.0.1", "10.1.0.54", 17, 999, 123) == "private"
    assert owner(made, "192.168.1.7", "10.1.0.54", 17, 999, 53) == "packetdefault", "not those of others"
    key = FlowKey(ip_network("10.1.0.1"), ip_network("10.1.0.0/16"))
    assert (
        owner(policy(1, resolvers=[resolver], ordinary=[("corp", key)]), "10.1.0.1", "10.1.0.54", 17, 9, 53) == "corp"
    )


def test_what_no_group_touches() -> None:
    made = policy(1)
    assert owner(made, "10.1.0.1", "10.1.255.255") == owner(made, "10.1.0.1", "192.168.1.255") == "broadcast"
    assert owner(made, "10.1.0.1", "10.1.0.2", 17, 500, 500) == "our own IKE"


def test_our_end() -> None:
    here = plugs(1)
    assert [str(each) for each in own_addresses(End(Host(HostKind.DEFAULTROUTE)), here)] == [
        "10.1.0.1",
        "2001:db8:1::1",
    ]
    assert [str(each) for each in own_addresses(End(Host(HostKind.INTERFACE, name="eth1")), here)] == ["192.168.1.1"]
    assert own_addresses(End(Host(HostKind.INTERFACE, name="eth9")), here) == ()
    mine, other = (End(Host(HostKind.ADDRESS, ip_address(each))) for each in ("192.168.1.1", "192.168.9.1"))
    assert [str(each) for each in own_addresses(mine, here)] == ["192.168.1.1"] and own_addresses(other, here) == ()
    assert {str(each) for each in here.place.broadcasts} == {"10.1.255.255", "192.168.1.255"}


def test_a_host_without_a_network_has_no_rules_of_its_own() -> None:
    loaded = load_text("config setup\n\toe=yes\n", "f", lambda pattern, directory: [], lambda name: ())
    made = OePolicy(loaded.opportunistic, {}, Plugs())
    assert owner(made, "10.0.0.1", "10.0.0.2") == "packetdefault"


def test_those_behind_us_live_where_no_outer_interface_leads() -> None:
    """Another router's net too; what lies in it and is led out is not behind us."""
    outer = outer_interfaces(End(Host(HostKind.DEFAULTROUTE)), plugs(1))
    assert outer == {"eth0"} and outer_interfaces(End(Host(HostKind.INTERFACE, name="eth1")), plugs(1)) == {
        "eth0",
        "eth1",
    }
    homes = [
        ("10.1.0.0/16", "eth0"), ("192.168.1.0/24", "eth1"), ("172.16.0.0/12", "eth1"), ("172.16.0.0/13", "eth0"),
        ("172.16.5.0/24", "eth2"), ("fe80::/64", "eth1"), ("2001:db8:7::/64", "eth1"), ("2001:db8::/32", "eth0"),
    ]  # fmt: skip
    found = nets_behind([(ip_network(net), device) for net, device in homes], outer)
    assert list(map(str, found)) == ["172.16.5.0/24", "172.24.0.0/13", "192.168.1.0/24", "2001:db8:7::/64"]
    assert nets_behind([], outer) == ()


def test_half_of_everything_lies_outside() -> None:
    """As other VPNs route it past the default route, or routers all IPv6 that is in use."""
    lan = ("192.168.1.0/24", "eth1"), ("2001:db8:7::/64", "eth1")
    vpn = ("0.0.0.0/1", "tun0"), ("128.0.0.0/1", "tun0"), ("10.8.0.0/24", "tun0"), ("2000::/3", "eth2")
    homes = [(ip_network(net), device) for net, device in (*lan, *vpn, ("2001:db8:8::/48", "eth2"))]
    assert nets_behind(homes, {"eth0"}) == tuple(ip_network(net) for net, _ in lan)


def test_a_net_that_would_be_cut_to_pieces_is_cut_no_further() -> None:
    """It stays behind this host, without the widest of what is led out; the order of routes changes nothing."""
    whole, wide = ip_network("10.0.0.0/8"), ip_network("10.128.0.0/9")
    homes = [(ip_network(f"10.{number}.1.0/24"), "eth0") for number in range(MOST_PIECES)]
    homes += [(whole, "eth1"), (wide, "eth0")]
    found = nets_behind(homes, {"eth0"})
    assert 0.9 * MOST_PIECES < len(found) <= MOST_PIECES and not any(wide.overlaps(net) for net in found)
    assert ip_network("10.64.0.0/10") in found and not any(net.overlaps(homes[0][0]) for net in found)
    assert found == nets_behind(reversed(homes), {"eth0"})
