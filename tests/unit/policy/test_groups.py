# SPDX-License-Identifier: GPL-2.0-or-later
"""What a group's conn says about flows, and the rules that its targets make."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from openswan.base.address import ANY4, ANY6
from openswan.policy.connection import Auth, Connection, End, Host, HostKind, ShuntPolicy
from openswan.policy.flowtable import Flow, FlowTable
from openswan.policy.groups import (
    Stance,
    Target,
    clients_of,
    group_end,
    group_file,
    lines_of,
    named,
    of_strangers,
    open_family,
    outside,
    rules_of,
    settle,
    stance_of,
)

HERE = End(Host(HostKind.DEFAULTROUTE))
OWN = (ip_address("192.0.2.1"), ip_address("2001:db8::1"))


def conn(name: str, kind: HostKind = HostKind.OPPORTUNISTIC_GROUP, **more: object) -> Connection:
    return replace(Connection(name, HERE, End(Host(kind))), **more)  # type: ignore[arg-type]


PRIVATE = conn("private", failure_shunt=ShuntPolicy.DROP)
PERMISSIVE = conn("private-or-clear", failure_shunt=ShuntPolicy.PASS)
CLEAR = conn("clear", HostKind.GROUP, prospective=ShuntPolicy.PASS, auth=Auth.NEVER)


def test_whose_peers_may_be_strangers() -> None:
    """Those that prove nothing, or have their keys in the DNS; groups that look for nobody have no peers."""
    far = End(Host(HostKind.OPPORTUNISTIC_GROUP), dns_key=True)
    assert of_strangers(replace(PRIVATE, auth=Auth.NULL)) and of_strangers(replace(PRIVATE, right=far))
    assert not of_strangers(replace(PRIVATE, auth=Auth.PSK)) and not of_strangers(CLEAR)
    assert not of_strangers(replace(CLEAR, auth=Auth.NULL | Auth.NEVER))
    assert not of_strangers(Connection("x", HERE, HERE, auth=Auth.NULL))


def target(net: str, protocol: int = 0, ours: int = 0, theirs: int = 0) -> Target:
    return Target(ip_network(net), "", protocol, ours, theirs, "f:1")


@pytest.mark.parametrize(
    ("made", "want"),
    [
        (CLEAR, Stance.CLEAR),
        (conn("clear-or-private", prospective=ShuntPolicy.PASS), Stance.CLEAR_OR_PRIVATE),
        (PERMISSIVE, Stance.PRIVATE_OR_CLEAR),
        (PRIVATE, Stance.PRIVATE),
        (conn("x", failure_shunt=ShuntPolicy.REJECT), Stance.REFUSE),
        (conn("x", failure_shunt=ShuntPolicy.NONE), Stance.PRIVATE),
        (conn("x", failure_shunt=ShuntPolicy.HOLD), Stance.PRIVATE),
        (conn("block", HostKind.GROUP, prospective=ShuntPolicy.REJECT, auth=Auth.NEVER), Stance.BLOCK),
        (conn("x", HostKind.GROUP, prospective=ShuntPolicy.DROP, auth=Auth.NEVER), Stance.DROP),
        (conn("packetdefault", HostKind.OPPORTUNISTIC, failure_shunt=ShuntPolicy.PASS), Stance.PRIVATE_OR_CLEAR),
    ],
)
def test_stances(made: Connection, want: Stance) -> None:
    assert stance_of(made) is want


def test_who_asks_and_who_answers() -> None:
    assert [one for one in Stance if one.initiates] == [Stance.PRIVATE_OR_CLEAR, Stance.PRIVATE, Stance.REFUSE]
    assert [one for one in Stance if not one.responds] == [Stance.CLEAR, Stance.DROP, Stance.BLOCK]
    assert [one for one in Stance if one.permits_clear] == [
        Stance.CLEAR,
        Stance.CLEAR_OR_PRIVATE,
        Stance.PRIVATE_OR_CLEAR,
    ]


def test_the_file_has_the_conns_name() -> None:
    assert group_file(PRIVATE) == "private" and group_file(conn("lan/2x0")) == "lan"
    assert group_file(conn("packetdefault", HostKind.OPPORTUNISTIC)) == ""
    assert group_file(Connection("x", HERE, End(Host(HostKind.ANY)))) == ""
    for bad in ("../../etc/shadow", ".hidden", "a/b", "", "/etc/passwd", "a b"):
        assert group_file(conn(bad)) == ""


def test_either_end_may_be_the_one_that_is_found() -> None:
    flipped = Connection("x", End(Host(HostKind.OPPORTUNISTIC_GROUP)), HERE, failure_shunt=ShuntPolicy.DROP)
    assert group_end(flipped) is flipped.left and stance_of(flipped) is Stance.PRIVATE
    assert clients_of(flipped, OWN) == (ip_network("192.0.2.1"), ip_network("2001:db8::1"))
    [rule] = rules_of(flipped, clients_of(flipped, OWN), [target("10.0.0.0/8")])
    assert str(rule.key) == "192.0.2.1/32 -> 10.0.0.0/8" and rule.owner == "x" and rule.where == "f:1"


def test_clients() -> None:
    behind = replace(PRIVATE, left=replace(HERE, subnet=ip_network("10.1.0.0/16")))
    assert clients_of(behind, OWN) == (ip_network("10.1.0.0/16"),)
    for everything in (ANY4, ANY6):
        assert clients_of(replace(PRIVATE, left=replace(HERE, subnet=everything)), OWN) == (ANY4, ANY6)


def test_whoever_is_behind_us_has_a_line_for_each_of_their_nets() -> None:
    made = replace(PERMISSIVE, left=replace(HERE, subnet=ANY4))
    nets = (ip_network("10.1.0.0/24"), ip_network("10.3.0.0/24"), ip_network("2001:db8:1::/64"))
    [four, other] = lines_of(made, target("0.0.0.0/0"), nets)
    assert four.name == f"{made.name}#10.1.0.0/24===0.0.0.0/0" and four.left.subnet == nets[0]
    assert other.left.subnet == nets[1]
    assert [line.left.subnet for line in lines_of(made, target("::/0"), nets)] == [nets[2]]
    assert list(lines_of(made, target("0.0.0.0/0"), ())) == []
    [unknown] = lines_of(made, target("0.0.0.0/0"))
    assert unknown.name == f"{made.name}#0.0.0.0/0" and unknown.left.subnet == ANY4
    shut = replace(CLEAR, left=replace(HERE, subnet=ANY4))
    [line] = lines_of(shut, target("10.0.0.0/8"), nets)
    assert line.left.subnet == ANY4, "what looks for nobody is for all packets"


def test_opportunistic_alone_has_everything_or_its_subnet_as_target() -> None:
    default = conn("packetdefault", HostKind.OPPORTUNISTIC)
    assert [str(rule.key) for rule in rules_of(default, (ANY4, ANY6))] == ["0.0.0.0/0 -> 0.0.0.0/0", "::/0 -> ::/0"]
    limited = replace(default, right=replace(default.right, subnet=ip_network("10.0.0.0/8"), protocol=6, port=25))
    assert [str(rule.key) for rule in rules_of(limited, (ANY4, ANY6))] == ["0.0.0.0/0 -> 10.0.0.0/8:25 proto 6"]


def test_a_subnet_limits_what_lines_may_name() -> None:
    limited = replace(PRIVATE, right=replace(PRIVATE.right, subnet=ip_network("10.0.0.0/8")))
    targets = [target("10.1.0.0/16"), target("11.0.0.0/8"), target("0.0.0.0/0"), target("2001:db8::/32")]
    keys = [str(rule.key) for rule in rules_of(limited, clients_of(limited, OWN), targets)]
    assert keys == ["192.0.2.1/32 -> 10.1.0.0/16"]
    assert [outside(limited.right, one.net) for one in targets if one.net] == [False, True, True, True]


def test_ports_of_conn_and_line_go_together() -> None:
    tcp = replace(PRIVATE, right=replace(PRIVATE.right, protocol=6))
    targets = [target("10.0.0.0/8"), target("10.0.0.1/32", 6, 0, 25), target("10.0.0.2/32", 17)]
    keys = [str(rule.key) for rule in rules_of(tcp, clients_of(tcp, OWN), targets)]
    assert keys == ["192.0.2.1/32 -> 10.0.0.0/8 proto 6", "192.0.2.1/32 -> 10.0.0.1/32:25 proto 6"]


def test_a_name_covers_both_families_and_is_left_out_until_it_is_known() -> None:
    targets = [
        Target(None, "mail.example.org", 6, 0, 25, "f:2"),
        Target(None, "gone.example.org"),
        target("10.0.0.0/8"),
    ]
    assert named(targets) == ("mail.example.org", "gone.example.org")
    both = {"mail.example.org": (ip_address("198.51.100.7"), ip_address("2001:db8::7"))}
    assert [str(rule.key) for rule in rules_of(PRIVATE, clients_of(PRIVATE, OWN), settle(targets, both))] == [
        "192.0.2.1/32 -> 198.51.100.7/32:25 proto 6",
        "2001:db8::1/128 -> 2001:db8::7/128:25 proto 6",
        "192.0.2.1/32 -> 10.0.0.0/8",
    ]
    assert list(rules_of(PRIVATE, clients_of(PRIVATE, OWN), targets[:2])) == []


def test_several_groups_in_one_table_the_most_specific_line_wins() -> None:
    table = FlowTable()
    lines = {
        PERMISSIVE: [target("0.0.0.0/0"), target("::/0")],
        PRIVATE: [target("10.0.0.0/8"), target("2001:db8:1::/48")],
        CLEAR: [target("10.0.0.53/32"), target("10.0.0.0/8", 6, 0, 22)],
    }
    for made, targets in lines.items():
        assert not list(table.extend(rules_of(made, clients_of(made, OWN), targets)))

    def group(dst: str, protocol: int = 0, port: int = 0) -> str:
        address = ip_address(dst)
        src = next(each for each in OWN if each.version == address.version)
        found = table.match(Flow(src, address, protocol, 999, port))
        return found.owner if found else ""

    assert group("8.8.8.8") == group("2001:db8:2::1") == "private-or-clear"
    assert group("10.0.0.1") == group("2001:db8:1::1") == "private"
    assert group("10.0.0.53") == group("10.0.0.1", 6, 22) == "clear"
    # The same line in two groups: the first that was read has it.
    late = list(table.extend(rules_of(PRIVATE, clients_of(PRIVATE, OWN), [target("10.0.0.53/32")])))
    assert [(refused.owner, first.owner) for refused, first in late] == [("private", "clear")]


def test_a_closed_group_that_forgets_a_family() -> None:
    assert open_family(PRIVATE, [target("0.0.0.0/0")]) == 6
    assert open_family(PRIVATE, [target("::/0")]) == 4
    assert open_family(PRIVATE, [target("0.0.0.0/0"), target("::/0")]) == 0
    assert open_family(PRIVATE, [target("0.0.0.0/0"), target("2001:db8::/32")]) == 0
    assert open_family(PRIVATE, [target("10.0.0.0/8")]) == 0
    assert open_family(PRIVATE, [target("0.0.0.0/0", 6)]) == 0
    assert open_family(PERMISSIVE, [target("0.0.0.0/0")]) == 0


def test_a_line_is_a_conn_of_its_own() -> None:
    [line] = lines_of(PRIVATE, target("10.0.0.0/8"))
    assert line.name == "private#10.0.0.0/8" and line.right.host.kind is HostKind.OPPORTUNISTIC
    assert line.right.subnet == ip_network("10.0.0.0/8") and line.left == HERE
    [line] = lines_of(CLEAR, target("10.0.0.7/32", 6, 0, 22))
    assert line.name == "clear#10.0.0.7/32-(6-0-22)"
    assert (line.left.protocol, line.left.port, line.right.protocol, line.right.port) == (6, 0, 6, 22)
    assert stance_of(line) is Stance.CLEAR


def test_lines_stay_inside_the_conn_and_in_one_family() -> None:
    limited = replace(PRIVATE, right=replace(PRIVATE.right, subnet=ip_network("10.0.0.0/8")))
    assert not list(lines_of(limited, target("192.168.0.0/16")))
    behind = replace(PRIVATE, left=replace(HERE, subnet=ANY4))
    assert [line.left.subnet for line in lines_of(behind, target("2001:db8::/32"))] == [ANY6]
    behind = replace(PRIVATE, left=replace(HERE, subnet=ip_network("192.168.0.0/16")))
    assert not list(lines_of(behind, target("2001:db8::/32")))
