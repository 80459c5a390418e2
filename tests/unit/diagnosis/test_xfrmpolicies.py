# SPDX-License-Identifier: GPL-2.0-or-later
"""IPsec policies of the kernel's own, as ip(8) prints them."""

from ipaddress import ip_network

from openswan.diagnosis.xfrmpolicies import read_policies

PRINTED = """\
src 10.1.0.0/24 dst 10.2.0.0/24
\tdir out priority 375423 ptype main
\ttmpl src 192.0.2.1 dst 192.0.2.2
\t\tproto esp reqid 1 mode tunnel
src 10.2.0.0/24 dst 10.1.0.0/24
\tdir in priority 375423 ptype main
src 0.0.0.0/0 dst 0.0.0.0/0
\tsocket in priority 0 ptype main
src junk dst 10.0.0.0/8
\tdir out priority 1
"""
WEST, EAST, OTHER = (ip_network(f"10.{number}.0.0/24") for number in (1, 2, 3))


def test_those_of_sockets_and_junk_are_left_out() -> None:
    out, back = read_policies(PRINTED)
    assert (out.direction, back.direction) == ("out", "in") and read_policies("") == ()
    assert out.remove == "ip xfrm policy delete src 10.1.0.0/24 dst 10.2.0.0/24 dir out"


def test_either_direction_takes_the_pair() -> None:
    for policy in read_policies(PRINTED):
        assert policy.takes(WEST, EAST) and not policy.takes(EAST, WEST) and not policy.takes(WEST, OTHER)
    assert not read_policies(PRINTED)[0].takes(WEST, ip_network("2001:db8::/32"))
