# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients of both ends paired: names, families, ports."""

from ipaddress import ip_network

import pytest

from tests.unit.config.conn import load, one


@pytest.mark.parametrize(
    ("body", "left", "right"),
    [
        ("leftprotoport=tcp/80;rightprotoport=tcp", (6, 80), (6, 0)),
        ("leftprotoport=17/1701;rightprotoport=17/%any", (17, 1701), (17, 0)),
        ("leftprotoport=gre", (47, 0), (47, 0)),
        ("rightprotoport=udp/53", (17, 0), (17, 53)),
        ("leftprotoport=%any;rightprotoport=udp/53", (17, 0), (17, 53)),
    ],
)
def test_protocols_and_ports(body: str, left: tuple[int, int], right: tuple[int, int]) -> None:
    made = one(body)
    assert (made.left.protocol, made.left.port) == left and (made.right.protocol, made.right.port) == right


def test_subnets_make_a_conn_a_pair() -> None:
    loaded = load("leftsubnets={10.1.0.0/16 10.2.0.0/16};rightsubnets=10.3.0.0/16,10.4.0.0/16;connalias=y")
    assert loaded.complaints == ()
    assert [(conn.name, str(conn.left.subnet), str(conn.right.subnet)) for conn in loaded.connections] == [
        ("x/1x1", "10.1.0.0/16", "10.3.0.0/16"),
        ("x/1x2", "10.1.0.0/16", "10.4.0.0/16"),
        ("x/2x1", "10.2.0.0/16", "10.3.0.0/16"),
        ("x/2x2", "10.2.0.0/16", "10.4.0.0/16"),
    ]
    assert all(conn.aliases == ("x", "y") for conn in loaded.connections)
    assert loaded.named("x") == loaded.connections == loaded.named("Y")
    assert loaded.named("x/2x1") == loaded.connections[2:3]


def test_a_list_in_subnet_is_subnets() -> None:
    loaded = load("leftsubnet=10.1.0.0/16,fd01::/64;rightsubnet=fd02::/64,10.2.0.0/16")
    assert loaded.complaints == ()
    assert [(conn.name, str(conn.left.subnet), str(conn.right.subnet)) for conn in loaded.connections] == [
        ("x/1x2", "10.1.0.0/16", "10.2.0.0/16"),
        ("x/2x1", "fd01::/64", "fd02::/64"),
    ]
    [fault] = load("leftsubnet=10.1.0.0/16,10.2.0.0/16;leftsubnets={10.3.0.0/16}").complaints
    assert "leftsubnet= and leftsubnets= both have lists" in str(fault)


def test_subnet_beside_subnets_has_index_0() -> None:
    loaded = load("leftsubnet=10.0.0.0/16;leftsubnets={10.1.0.0/16};rightsubnet=10.3.0.0/16")
    assert [(conn.name, str(conn.left.subnet)) for conn in loaded.connections] == [
        ("x/0x0", "10.0.0.0/16"),
        ("x/1x0", "10.1.0.0/16"),
    ]
    assert [conn.name for conn in load("rightsubnets={10.1.0.0/16}").connections] == ["x/0x1"]


def test_only_pairs_of_one_family_are_made() -> None:
    loaded = load("leftsubnets={10.1.0.0/16 2001:db8:1::/48};rightsubnets={10.3.0.0/16 2001:db8:3::/48}")
    assert [conn.name for conn in loaded.connections] == ["x/1x1", "x/2x2"]


def test_families() -> None:
    made = one("left=2001:db8::1;right=2001:db8::2;leftsubnet=10.1.0.0/16;rightsubnet=10.2.0.0/16;connaddrfamily=ipv4")
    assert made.left.subnet == ip_network("10.1.0.0/16")
    assert one("leftsubnet=%default;rightsubnet=%default;connaddrfamily=ipv6").left.subnet == ip_network("::/0")
    assert one("right=%any;leftsubnet=%default;endaddrfamily=ipv4").left.subnet == ip_network("0.0.0.0/0")
