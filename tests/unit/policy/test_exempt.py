# SPDX-License-Identifier: GPL-2.0-or-later
"""What no policy group touches, and that nothing else slips through."""

from ipaddress import ip_address

import pytest

from openswan.policy.exempt import Place, exempt, resolver_rules
from openswan.policy.flowtable import Flow, FlowTable, Standing

HERE = Place(
    frozenset(map(ip_address, ("192.0.2.1", "2001:db8::1"))),
    frozenset({ip_address("192.0.2.255")}),
)


def why(src: str, dst: str, protocol: int = 0, src_port: int = 0, dst_port: int = 0) -> str:
    return exempt(Flow(ip_address(src), ip_address(dst), protocol, src_port, dst_port), HERE)


@pytest.mark.parametrize(
    ("flow", "want"),
    [
        (("127.0.0.1", "127.0.0.9"), "to ourselves"),
        (("::1", "::1"), "to ourselves"),
        (("192.0.2.1", "192.0.2.1"), "to ourselves"),
        (("198.51.100.1", "2001:db8::1"), "to ourselves"),
        (("10.0.0.1", "10.0.0.1"), "to ourselves"),
        (("192.0.2.1", "224.0.0.5", 89), "multicast"),
        (("fe80::1", "ff02::1"), "multicast"),
        (("192.0.2.1", "255.255.255.255"), "broadcast"),
        (("192.0.2.1", "192.0.2.255"), "broadcast"),
        (("169.254.1.1", "192.0.2.7"), "link-local"),
        (("2001:db8::1", "fe80::7"), "link-local"),
        (("::", "2001:db8::7"), "no address yet"),
        (("0.0.0.0", "192.0.2.7"), "no address yet"),
        (("2001:db8::1", "2001:db8::7", 58, 135), "neighbour discovery"),
        (("192.0.2.1", "192.0.2.7", 17, 68, 67), "our own DHCP"),
        (("2001:db8::1", "2001:db8::7", 17, 547, 546), "our own DHCP"),
        (("192.0.2.1", "192.0.2.7", 50), "our own ESP and AH"),
        (("192.0.2.1", "192.0.2.7", 51), "our own ESP and AH"),
        (("192.0.2.1", "192.0.2.7", 17, 500, 500), "our own IKE"),
        (("192.0.2.1", "192.0.2.7", 17, 4500, 61000), "our own IKE"),
    ],
)
def test_exempt(flow: tuple[object, ...], want: str) -> None:
    assert why(*flow) == want  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "flow",
    [
        ("192.0.2.1", "192.0.2.7"),
        ("192.0.2.1", "192.0.2.7", 17, 999, 500),  # somebody's packet to a port 500 is not our IKE
        ("10.0.0.9", "192.0.2.7", 17, 500, 500),  # nor is a LAN host's
        ("10.0.0.9", "192.0.2.7", 50),
        ("10.0.0.9", "192.0.2.7", 17, 68, 67),
        ("2001:db8::1", "2001:db8::7", 58, 128),  # ping
        ("192.0.2.1", "192.0.2.7", 1, 135),  # not ICMPv6
        ("192.0.2.1", "192.0.2.7", 17, 68, 53),
        ("192.0.2.1", "192.0.2.7", 17, 546, 547),
        ("192.0.2.1", "192.0.2.7", 6, 999, 53),
    ],
)
def test_not_exempt(flow: tuple[object, ...]) -> None:
    assert why(*flow) == ""  # type: ignore[arg-type]


def test_only_this_hosts_queries_to_its_own_resolvers() -> None:
    rules = list(resolver_rules(HERE.own, map(ip_address, ("10.0.0.53", "2001:db8::53", "10.0.0.53"))))
    assert len(rules) == 8 and {rule.standing for rule in rules} == {Standing.EXEMPT}
    table = FlowTable()
    assert not list(table.extend(rules))

    def match(src: str, dst: str, protocol: int, port: int) -> bool:
        return table.match(Flow(ip_address(src), ip_address(dst), protocol, 999, port)) is not None

    assert match("192.0.2.1", "10.0.0.53", 17, 53) and match("192.0.2.1", "10.0.0.53", 6, 853)
    assert match("2001:db8::1", "2001:db8::53", 17, 53)
    assert not match("192.0.2.1", "10.0.0.53", 17, 54) and not match("192.0.2.1", "10.0.0.54", 17, 53)
    assert not match("192.0.2.9", "10.0.0.53", 17, 53) and not match("192.0.2.1", "10.0.0.53", 132, 53)
