# SPDX-License-Identifier: GPL-2.0-or-later
"""This host's queries under groups over everything: what is exempt, what comes before that, and how it follows."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from openswan.base.said import Shunt
from openswan.engine.exemptions import MOST_RESOLVERS, OWNER
from openswan.policy.connection import Auth, Connection, ShuntPolicy, Startup
from tests.sim.pair import EAST, WEST, Pair, SimHost, conn, end, make_pair
from tests.sim.test_groups import BLOCK, CLEAR_OR_PRIVATE, PERMISSIVE, PRIVATE, both, ready

QUERIES = [(6, 0, 53), (6, 0, 853), (17, 0, 53), (17, 0, 853)]
DHCP = [(17, 67, 68), (17, 68, 67)]


def exempt(host: SimHost) -> list[tuple[str, int, int, int]]:
    """Destination, protocol and ports of the eroutes, which have to let pass."""
    rows = [each for each in host.klips.eroutes.values() if each.owner == OWNER]
    assert all(each.target is Shunt.PASS and each.device in ("ipsec0", "ipsec1") for each in rows)
    assert all(each.key.src == ip_network(WEST) for each in rows)
    opened = {each.key for each in rows if each.key.dst.prefixlen}
    assert opened == set(host.open)
    return sorted((str(e.key.dst), e.key.protocol, e.key.src_port, e.key.dst_port) for e in rows)


def asks(server: str) -> list[tuple[str, int, int, int]]:
    return [(f"{server}/32", *each) for each in QUERIES]


def west(*groups: Connection, resolvers: tuple[str, ...] = (EAST,), **files: str) -> Pair:
    pair = make_pair()
    pair.west.resolvers = tuple(map(ip_address, resolvers))
    pair.west.post(pair.west.network())
    ready(pair.west, *groups, **files)
    return pair


@pytest.mark.parametrize("group", [PRIVATE, PERMISSIVE, BLOCK], ids=lambda each: each.name)
def test_whatever_the_group_over_everything_is(group: Connection) -> None:
    host = west(group, **{group.name.replace("-", "_"): "0.0.0.0/0\n"}).west
    assert exempt(host) == [*(("0.0.0.0/0", *each) for each in DHCP), *asks(EAST)]
    assert host.pluto.brain.exemptions.open_to() == (ip_address(EAST),)
    host.say("unroute", name=group.name)
    assert exempt(host) == []
    host.say("route", name=group.name)
    assert len(exempt(host)) == 6
    host.sane()


def test_nothing_where_no_group_takes_it() -> None:
    assert exempt(west(PRIVATE, private="203.0.113.0/24\n").west) == []
    assert exempt(west(CLEAR_OR_PRIVATE, clear_or_private="0.0.0.0/0\n").west) == []
    own = west(PRIVATE, private="0.0.0.0/0\n", resolvers=("127.0.0.1", WEST, "2001:db8::53")).west
    assert exempt(own) == [("0.0.0.0/0", *each) for each in DHCP]


@pytest.mark.parametrize("line", [f"{EAST}\n", f"{EAST} tcp 0 53\n"], ids=["host", "service"])
def test_a_line_that_names_the_host_or_the_service_counts(line: str) -> None:
    host = west(PRIVATE, BLOCK, private="0.0.0.0/0\n", block=line).west
    left = [] if "tcp" not in line else [each for each in asks(EAST) if each[1:] != (6, 0, 53)]
    assert [each for each in exempt(host) if each[0] != "0.0.0.0/0"] == left
    host.policies["block"] = "198.51.100.0/24\n"
    host.say("rereadgroups")
    assert [each for each in exempt(host) if each[0] != "0.0.0.0/0"] == asks(EAST), "a net is not the host"
    host.sane()


@pytest.mark.parametrize("startup", [Startup.ROUTE, Startup.START], ids=lambda each: each.name)
def test_a_conn_that_covers_it_counts(startup: Startup) -> None:
    """Guarded or routed, whether or not it has a tunnel; and no longer when it goes."""
    host = west(PRIVATE, private="0.0.0.0/0\n").west
    host.load_one(conn("corp", end(WEST), end("203.0.113.9", "198.51.100.0/24"), keying_tries=1))
    assert len(exempt(host)) == 6
    host.request("route" if startup is Startup.ROUTE else "initiate", name="corp")
    assert [each for each in exempt(host) if each[0] != "0.0.0.0/0"] == []
    host.say("delete", name="corp")
    assert len(exempt(host)) == 6
    everything = conn("all", end(WEST), end("203.0.113.9", "0.0.0.0/0"), auth=Auth.NEVER, prospective=ShuntPolicy.DROP)
    host.load_one(everything)
    host.request("route", name="all")
    assert exempt(host) == []
    host.sane()


def test_a_tunnel_with_the_resolver_takes_its_queries_too() -> None:
    pair = both(PRIVATE, PRIVATE)
    pair.west.resolvers = (ip_address(EAST),)
    pair.west.post(pair.west.network())
    assert exempt(pair.west) == asks(EAST)
    pair.west.resolvers = ()  # the simulated engine has no ports: its packet must not meet the exemption
    pair.west.post(pair.west.network())
    pair.send(pair.west, WEST, EAST)
    assert pair.run(3.0, lambda: not pair.missing())
    pair.west.resolvers = (ip_address(EAST),)
    pair.west.post(pair.west.network())
    assert exempt(pair.west) == []
    pair.west.say("terminate", name="private")
    pair.run(2.0)
    assert exempt(pair.west) == asks(EAST)


def test_resolvers_and_addresses_are_followed() -> None:
    host = west(PRIVATE, private="0.0.0.0/0\n").west
    host.resolvers = (ip_address("203.0.113.53"),)
    host.post(host.network())
    assert [each for each in exempt(host) if each[0] != "0.0.0.0/0"] == asks("203.0.113.53")
    host.resolvers = tuple(ip_address(f"203.0.113.{number}") for number in range(1, 40))
    host.post(host.network())
    assert len(exempt(host)) == 2 + 4 * MOST_RESOLVERS
