# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines of policy groups as connections: they follow their files, the names in them, and their group."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from openswan.base.said import Shunt
from openswan.engine import groups
from openswan.engine.events import GroupFile, GroupsRead, HostResolved
from openswan.policy.connection import Auth, Connection, End, Host, HostKind, ShuntPolicy
from tests.sim.net import Net
from tests.sim.pair import WEST, SimHost, conn, end


def group(name: str, shunt: ShuntPolicy, **more: Any) -> Connection:
    """A group that looks for nobody."""
    here = End(Host(HostKind.DEFAULTROUTE))
    return conn(name, here, End(Host(HostKind.GROUP)), auth=Auth.NEVER, prospective=shunt, **more)


def host(**files: str) -> SimHost:
    """West, listening, with the groups clear and block in force."""
    it = SimHost(Net(0), "west", WEST)
    it.policies = files
    it.load(group("clear", ShuntPolicy.PASS), group("block", ShuntPolicy.REJECT))
    for name in ("clear", "block"):
        assert it.say("route", name=name) == []
    return it


def eroutes(it: SimHost) -> dict[str, Shunt]:
    """What packets to each net meet."""
    return {str(key.dst): each.target for key, each in it.klips.eroutes.items()}  # type: ignore[misc]


def test_each_line_is_an_eroute_and_what_is_closed_is_guarded() -> None:
    it = host(block="10.0.0.0/8\n10.9.0.0/16 tcp 25\n", clear="198.18.0.0/15\n")
    assert eroutes(it) == {"10.0.0.0/8": Shunt.REJECT, "10.9.0.0/16": Shunt.REJECT, "198.18.0.0/15": Shunt.PASS}
    assert len(it.klips.eroutes) == 4
    assert set(it.guards) == {
        "block#10.0.0.0/8",
        "block#10.9.0.0/16-(6-0-25)",
        "block#10.9.0.0/16-(6-25-0)",
    }
    assert all(str(key.src) == f"{WEST}/32" for key in it.klips.eroutes)
    it.sane()


def test_what_stays_open_inside_is_left_out_of_the_guard() -> None:
    it = host(block="10.0.0.0/8\n", clear="10.0.0.0/9\n10.128.0.0/10\n")
    [entry] = it.guards["block#10.0.0.0/8"].entries
    assert str(entry.key.dst) == "10.192.0.0/10"
    it.policies["clear"] = ""
    it.say("rereadgroups")
    [entry] = it.guards["block#10.0.0.0/8"].entries
    assert str(entry.key.dst) == "10.0.0.0/8"


def test_a_line_that_moves_to_another_file_is_never_in_neither() -> None:
    it = host(block="10.0.0.1\n")
    it.policies.update(block="", clear="10.0.0.1\n")
    assert it.say("rereadgroups") == []
    assert eroutes(it) == {"10.0.0.1/32": Shunt.PASS} and it.guards == {}
    it.policies.update(block="10.0.0.1\n", clear="")
    it.say("rereadall")
    assert eroutes(it) == {"10.0.0.1/32": Shunt.REJECT}


def test_the_same_line_in_two_groups_belongs_to_the_first_until_it_goes() -> None:
    it = host(block="10.0.0.1\n", clear="10.0.0.1\n")
    [line] = [line for line in it.lines if "in use for" in line]
    assert line.startswith('"block#10.0.0.1/32": cannot install eroute')
    first = next(iter(eroutes(it).values()))
    it.policies["block" if first is Shunt.REJECT else "clear"] = ""
    it.say("rereadgroups")
    assert next(iter(eroutes(it).values())) is not first


def test_a_line_that_cannot_be_read_is_told_and_a_file_that_cannot_changes_nothing() -> None:
    it = host(block="10.0.0.1\n")
    it.policies["block"] = "10.0.0.1\n10.0.0.400\n"
    [(_, text)] = it.say("rereadgroups")
    assert text.startswith("policies/block:2: ") and "10.0.0.400" in text
    it.post(GroupsRead((GroupFile("block", "policies/block", None, "cannot read it"),)))
    assert eroutes(it) == {"10.0.0.1/32": Shunt.REJECT}
    assert any("cannot read it; group block stays as it was" in line for line in it.lines)


def test_names_are_looked_up_and_followed() -> None:
    it = SimHost(Net(0), "west", WEST)
    it.names["mail.example.org"] = (ip_address("198.18.0.1"),)
    it.policies = {"block": "mail.example.org\n"}
    it.load(group("block", ShuntPolicy.REJECT))
    it.say("route", name="block")
    assert eroutes(it) == {"198.18.0.1/32": Shunt.REJECT}
    it.post(HostResolved("mail.example.org", (ip_address("198.18.0.2"),)))
    assert eroutes(it) == {"198.18.0.2/32": Shunt.REJECT}
    it.policies["block"] = ""
    it.say("rereadgroups")
    assert eroutes(it) == {} and it.pluto.core.names == {} and it.pluto.brain.groups.names == set()


def test_a_group_is_routed_unrouted_replaced_and_deleted_with_its_lines() -> None:
    it = host(block="10.0.0.1\n10.0.0.2\n")
    it.say("unroute", name="block")
    assert eroutes(it) == {} and it.guards == {}
    it.say("route", name="block")
    assert len(eroutes(it)) == 2 == len(it.guards)
    assert it.pluto.brain.groups.decides(ip_address(WEST), ip_address("10.0.0.2")).name == "block#10.0.0.2/32"  # type: ignore[union-attr]
    assert it.pluto.brain.groups.decides(ip_address(WEST), ip_address("10.0.0.3")) is None
    assert it.say("initiate", name="block")[-1][0] == 30
    assert it.say("terminate", name="block")[-1][0] == 2
    it.say("delete", name="block")
    assert eroutes(it) == {} and it.guards == {} and set(it.pluto.core.conns.named) == {"clear"}
    it.sane()


def test_lines_follow_an_address_change() -> None:
    it = host(block="10.0.0.1\n2001:db8::1\n")
    assert len(eroutes(it)) == 1, "no IPv6 here"
    it.address = ip_address("192.0.2.77")
    it.post(it.network())
    [key] = it.klips.eroutes
    assert key.src == ip_network("192.0.2.77/32") and it.klips.eroutes[key].target is Shunt.REJECT


def test_lines_are_bounded(monkeypatch: Any) -> None:
    monkeypatch.setattr(groups, "MOST_LINES", 3)
    it = host(block="".join(f"10.0.0.{n}\n" for n in range(9)))
    assert len(eroutes(it)) == 3
    assert any("policies/block:4: more than 3 lines" in line for line in it.lines)


def test_a_conn_with_a_lines_name_keeps_it() -> None:
    it = SimHost(Net(0), "west", WEST)
    it.policies = {"block": "10.0.0.1\n"}
    it.load(conn("block#10.0.0.1/32", end(WEST), end("198.51.100.7")), group("block", ShuntPolicy.REJECT))
    it.say("route", name="block")
    assert any('there is another conn "block#10.0.0.1/32"' in line for line in it.lines)
