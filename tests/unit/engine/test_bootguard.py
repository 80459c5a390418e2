# SPDX-License-Identifier: GPL-2.0-or-later
"""What is guarded before any address is known: by what ipsec.conf says alone."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from openswan.config.load import load_text
from openswan.engine.bootguard import group_guards, guards, manual_guards
from openswan.policy.groups import Target
from openswan.policy.manual import ManualConn
from tests.unit.config.conn import certs, load, one

NETS = "auto=start;leftsubnet=10.1.0.0/16;rightsubnet=10.2.0.0/16"


def flows(body: str) -> list[str]:
    """`src>dst` of everything guarded for a conn of these lines, and `!6` for a family blocked as a whole."""
    found = list(guards([one(body)]))
    assert len(found) <= 1 and all(each.connection == "x" for each in found)
    entries = [entry for each in found for entry in each.entries]
    assert {entry.device for entry in entries} <= {"ipsec0"}
    told = [
        f"{entry.key.src}>{entry.key.dst}"
        + (f" {entry.key.protocol}:{entry.key.dst_port}" if entry.key.protocol else "")
        for entry in entries
    ]
    return told + [f"!{version}" for each in found for version in each.block_families]


@pytest.mark.parametrize(
    ("body", "guarded"),
    [
        # Either end may be us.
        (NETS, ["10.1.0.0/16>10.2.0.0/16", "10.2.0.0/16>10.1.0.0/16"]),
        (NETS.replace("start", "route"), ["10.1.0.0/16>10.2.0.0/16", "10.2.0.0/16>10.1.0.0/16"]),
        ("auto=start", ["192.0.2.1/32>198.51.100.7/32", "198.51.100.7/32>192.0.2.1/32"]),
        # One says so.
        (f"{NETS};left=%defaultroute", ["10.1.0.0/16>10.2.0.0/16"]),
        (f"{NETS};right=%eth0", ["10.2.0.0/16>10.1.0.0/16"]),
        # Our own address will be known by then, the peer's net is: whatever goes there waits.
        ("auto=start;left=%defaultroute;rightsubnet=10.2.0.0/16", ["0.0.0.0/0>10.2.0.0/16"]),
        ("auto=start;left=%defaultroute;rightsubnet=0.0.0.0/0", ["0.0.0.0/0>0.0.0.0/0", "!6"]),
        ("auto=start;left=%defaultroute;rightsubnet=0.0.0.0/0;otherfamily=clear", ["0.0.0.0/0>0.0.0.0/0"]),
        (f"{NETS};left=%defaultroute;right=gw.example.org", ["10.1.0.0/16>10.2.0.0/16"]),
        (f"{NETS};left=a.example.org;right=b.example.org", ["10.1.0.0/16>10.2.0.0/16", "10.2.0.0/16>10.1.0.0/16"]),
        ("auto=start;left=%defaultroute;leftsubnet=10.1.0.0/16;right=gw.example.org", []),
        # An address that is handed out may be any.
        (
            "auto=start;left=%defaultroute;leftsourceip=%config;rightsubnet=10.2.0.0/16;narrowing=yes",
            ["0.0.0.0/0>10.2.0.0/16"],
        ),
        (f"{NETS};left=%defaultroute;rightprotoport=tcp/443", ["10.1.0.0/16>10.2.0.0/16 6:443"]),
        (
            "auto=start;left=%defaultroute;leftsubnet=fd01::/64;rightsubnet=fd02::/64",
            ["fd01::/64>fd02::/64"],
        ),
        # Nobody routes these by himself, or they are not to be guarded.
        (NETS.replace("start", "add"), []),
        (NETS.replace("start", "ignore"), []),
        (f"{NETS};leakguard=no", []),
        (f"{NETS};type=passthrough;authby=never", []),
        (f"{NETS};left=%defaultroute;type=drop;authby=never", ["10.1.0.0/16>10.2.0.0/16"]),
        ("auto=start;right=%any;rightsubnet=10.2.0.0/16", []),
    ],
)
def test_flows(body: str, guarded: list[str]) -> None:
    assert flows(body) == guarded


def test_conns_keyed_by_hand() -> None:
    key = "01" * 8 + "45" * 8 + "89" * 8
    manual = f"auto=manual;spi=0x200;esp=3des-md5-96;espenckey=0x{key};espauthkey=0x{'12' * 16}"
    [conn] = load(f"{manual};rightsubnet=10.2.0.0/16").manual
    [guard] = manual_guards([conn], "%manual/")
    assert guard.connection == "%manual/x"
    assert [(str(e.key.src), str(e.key.dst)) for e in guard.entries] == [
        ("192.0.2.1/32", "10.2.0.0/16"),
        ("10.2.0.0/16", "192.0.2.1/32"),
    ]
    idle = ManualConn("y", conn.left, conn.right)
    assert not list(manual_guards([idle], "%manual/"))


def group_flows(conf: str, **files: str) -> dict[str, list[str]]:
    """What is guarded for each line of groups with these files, the nets of a file apart by spaces."""
    loaded = load_text(conf, "f", lambda pattern, directory: [], certs)
    targets = {name: tuple(Target(ip_network(net)) for net in nets.split()) for name, nets in files.items()}
    found = group_guards(loaded.connections, targets)
    return {each.connection: [f"{entry.key.src}>{entry.key.dst}" for entry in each.entries] for each in found}


OUR_LAN = "conn lan\n\tleft=%defaultroute\n\tright=%opportunisticgroup\n\tauthby=secret\n\tauto=route\n"
CLEAR = "conn open\n\tleft=%defaultroute\n\tright=%group\n\ttype=passthrough\n\tauthby=never\n\tauto=route\n"


def test_lines_of_closed_groups_but_for_what_narrower_ones_let_go() -> None:
    closed = OUR_LAN + "\tfailureshunt=drop\n"
    assert group_flows(closed, lan="10.0.0.0/8 2001:db8::/32") == {
        "lan#10.0.0.0/8": ["0.0.0.0/0>10.0.0.0/8"],
        "lan#2001:db8::/32": ["::/0>2001:db8::/32"],
    }
    assert group_flows(closed + CLEAR, lan="10.0.0.0/30 10.9.0.0/16", open="10.0.0.1/32 10.0.0.0/8") == {
        "lan#10.0.0.0/30": ["0.0.0.0/0>10.0.0.0/32", "0.0.0.0/0>10.0.0.2/31"],
        "lan#10.9.0.0/16": ["0.0.0.0/0>10.9.0.0/16"],
    }
    assert group_flows(OUR_LAN + "\tfailureshunt=passthrough\n", lan="10.0.0.0/8") == {}
    assert group_flows(closed.replace("auto=route", "auto=add"), lan="10.0.0.0/8") == {}
    assert group_flows(closed) == {}


def test_groups_that_pluto_knows_are_left_to_it_and_their_open_nets_count() -> None:
    loaded = load_text(OUR_LAN + "\tfailureshunt=drop\n", "f", lambda pattern, directory: [], certs)
    files = {"lan": (Target(ip_network("10.0.0.0/8")),)}
    assert not list(group_guards(loaded.connections, files, known=lambda policy: True))
