# SPDX-License-Identifier: GPL-2.0-or-later
"""Group files: every form of a line, every fault with file, line, remedy and the group's fail mode."""

import random
from dataclasses import replace
from ipaddress import ip_network

import pytest

from openswan.base.errors import ConfigError
from openswan.config.groupfile import MOST_TARGETS, SINGLE_SERVICE, read_group, read_groups
from openswan.policy.connection import Auth, Connection, End, Host, HostKind, ShuntPolicy
from openswan.policy.groups import Target

HERE, THERE = End(Host(HostKind.DEFAULTROUTE)), End(Host(HostKind.OPPORTUNISTIC_GROUP))
PRIVATE = Connection("private", HERE, THERE, failure_shunt=ShuntPolicy.DROP)
PERMISSIVE = Connection("private-or-clear", HERE, THERE, failure_shunt=ShuntPolicy.PASS)
LEFT_OUT = "; the line is left out (group private: dropped where no tunnel can be had)"


def lines(text: str, conn: Connection = PRIVATE) -> list[Target]:
    targets, complaints = read_group(text, "f", conn)
    assert [str(one) for one in complaints] == []
    return list(targets)


def faults(text: str, conn: Connection = PRIVATE) -> list[str]:
    return [str(one) for one in read_group(text, "f", conn)[1]]


@pytest.mark.parametrize(
    ("line", "net"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10/8", "10.0.0.0/8"),
        ("5.6/24", "5.6.0.0/24"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("  192.0.2.7\t# a comment", "192.0.2.7/32"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("2001:db8::7#x", "2001:db8::7/128"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ],
)
def test_nets_and_addresses(line: str, net: str) -> None:
    assert lines(line, PERMISSIVE) == [Target(ip_network(net), where="f:1")]


def test_names() -> None:
    assert lines("Mail.Example.ORG.\n") == [Target(None, "mail.example.org", where="f:1")]


def test_comments_and_blanks() -> None:
    assert lines("# head\n\n   \n\t# more\n10/8\n") == [Target(ip_network("10.0.0.0/8"), where="f:5")]
    assert lines("") == []


def test_protocols_and_ports() -> None:
    net = ip_network("10.0.0.0/8")
    assert lines("10/8 icmp") == [Target(net, "", 1, 0, 0, "f:1")]
    assert lines("10/8 47") == [Target(net, "", 47, 0, 0, "f:1")]
    assert lines("10/8 tcp 0") == [Target(net, "", 6, 0, 0, "f:1")]
    # A service's port, whichever end it is at: the same line works on client and server.
    assert lines("10/8 tcp ssh") == [Target(net, "", 6, 0, 22, "f:1"), Target(net, "", 6, 22, 0, "f:1")]
    assert lines("10/8 udp 0 53") == [Target(net, "", 17, 0, 53, "f:1")]
    assert lines("10/8 udp 53 0") == [Target(net, "", 17, 53, 0, "f:1")]
    assert lines("10/8 tcp 1024 443") == [Target(net, "", 6, 1024, 443, "f:1")]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("10.0.0.0/33", "'10.0.0.0/33' is not a subnet: mask length over 32"),
        ("10.0.0.0/255.0.255.0", "'10.0.0.0/255.0.255.0' is not a subnet: mask has holes"),
        ("2001:db8::/129", "'2001:db8::/129' is not a subnet: mask length over 128"),
        ("10.0.0.0/8:22", "'10.0.0.0/8:22' has a port: write it behind the protocol, as in 10.0.0.0/8 tcp 22"),
        ("10.0.0", "'10.0.0' is neither a net nor an address nor a host name: write NET, ADDRESS or NAME"),
        ("-x", "'-x' is neither a net nor an address nor a host name"),
        ("a..b", "'a..b' is neither a net nor an address nor a host name"),
        ("%any", "'%any' stands for no net here: write 0.0.0.0/0 and ::/0 for everything"),
        ("fe80::1%eth0", "'fe80::1%eth0' has a scope"),
        ("10/8 tpc", "'tpc' is not a protocol"),
        ("10/8 tcp 70000", "'70000' is not a port"),
        ("10/8 icmp 8", "protocol 'icmp' has no ports: leave the port out, or write tcp, udp or sctp"),
        ("10/8 %any 22", "protocol '%any' has no ports"),
        ("10/8 tcp 1 2 3", "'3' is one word too many: write NET, ADDRESS or NAME, perhaps with PROTOCOL and PORT"),
        ("x" * 2000, "longer than 1024 characters"),
    ],
)
def test_a_bad_line_says_where_and_why_and_the_rest_goes_on(line: str, why: str) -> None:
    targets, complaints = read_group(f"10/8\n{line}\n11/8\n", "/etc/ipsec.d/policies/private", PRIVATE)
    assert [str(one.net) for one in targets] == ["10.0.0.0/8", "11.0.0.0/8"]
    [one] = complaints
    assert one.fatal and str(one).startswith(f"/etc/ipsec.d/policies/private:2: {why}") and str(one).endswith(LEFT_OUT)


def test_a_net_outside_the_conns_own_limit() -> None:
    limited = replace(PRIVATE, right=replace(THERE, subnet=ip_network("10.0.0.0/8")))
    assert faults("10.1/16\n11/8\n", limited) == [
        f"f:2: warning: 11.0.0.0/8 is outside 10.0.0.0/8 of the conn{LEFT_OUT}"
    ]


def test_a_closed_group_that_forgets_a_family_is_warned_about() -> None:
    assert faults("0.0.0.0/0") == [
        "f: warning: group private has 0.0.0.0/0 but nothing of IPv6, which goes in clear: add ::/0"
    ]
    assert faults("::/0") == [
        "f: warning: group private has ::/0 but nothing of IPv4, which goes in clear: add 0.0.0.0/0"
    ]
    assert faults("0.0.0.0/0\n::/0") == faults("0.0.0.0/0", PERMISSIVE) == []
    # A line that is left out covers nothing.
    assert faults("0.0.0.0/0\n::/0 tcp 25") == faults("0.0.0.0/0")
    blocks = replace(PRIVATE, name="block", prospective=ShuntPolicy.REJECT)
    assert faults("0.0.0.0/0\n::/0 tcp 25", blocks) == []


def test_what_a_file_may_hold_is_bounded() -> None:
    targets, complaints = read_group("10/8\n" * (MOST_TARGETS + 5), "f", PRIVATE)
    assert len(targets) == MOST_TARGETS
    assert [str(one) for one in complaints] == [
        f"f:{MOST_TARGETS + 1}: more than {MOST_TARGETS} lines{LEFT_OUT}, and so are all after it"
    ]


def test_random_text_never_raises() -> None:
    dice = random.Random(5)
    pieces = [
        "10/8",
        " ",
        "\t",
        "#",
        "tcp",
        "22",
        "a.b",
        "::",
        "/",
        "%",
        "\x00",
        "\udcff",
        "é",
        "\r",
        ":",
        "0x",
        "\x0b",
    ]
    for _ in range(3000):
        text = "".join(dice.choice(pieces) for _ in range(dice.randrange(9)))
        targets, complaints = read_group(text, "f", PRIVATE)
        assert all(str(one) for one in complaints) and all(one.net or one.name for one in targets)


def test_files_by_conn() -> None:
    files = {"private": ("/p/private", "10/8\nbad/\n"), "lan": ("/p/lan", "11/8\n")}
    conns = [
        PRIVATE,
        replace(PERMISSIVE, name="lan/1x0"),
        replace(PERMISSIVE, name="lan/2x0"),
        replace(PERMISSIVE, name="absent"),
        Connection("packetdefault", HERE, End(Host(HostKind.OPPORTUNISTIC))),
    ]
    groups, complaints = read_groups(conns, files.get)
    assert {name: [str(one.net) for one in found] for name, found in groups.items()} == {
        "private": ["10.0.0.0/8"],
        "lan": ["11.0.0.0/8"],
        "absent": [],
    }
    assert len(complaints) == 1 and str(complaints[0]).startswith("/p/private:2: 'bad/' is not a subnet")


def test_single_services_of_groups_that_look_for_tunnels_are_named_once_each() -> None:
    text = "10/8\n192.0.2.0/24 tcp 25\n2001:db8::/32 udp 0 53\n"
    conns = [
        PRIVATE,
        PERMISSIVE,
        replace(PERMISSIVE, name="clear-or-private", prospective=ShuntPolicy.PASS),
        replace(PRIVATE, name="clear", prospective=ShuntPolicy.PASS, auth=Auth.NEVER),
        replace(PRIVATE, name="block", prospective=ShuntPolicy.REJECT, auth=Auth.NEVER),
    ]
    _, complaints = read_groups(conns, lambda name: (name, text))
    tunnels = ("private", "private-or-clear", "clear-or-private")
    assert [str(one) for one in complaints] == [
        f"{name}:{line}: {SINGLE_SERVICE}" for name in tunnels for line in (2, 3)
    ]


def test_a_file_that_cannot_be_read() -> None:
    def read(name: str) -> tuple[str, str] | None:
        raise ConfigError(f"cannot read '/p/{name}': Permission denied")

    groups, [complaint] = read_groups([PRIVATE], read)
    assert groups == {"private": ()}
    assert str(complaint) == (
        "cannot read '/p/private': Permission denied; group private is empty (dropped where no tunnel can be had)"
    )
