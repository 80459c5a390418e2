# SPDX-License-Identifier: GPL-2.0-or-later
"""Underlays that are narrow in the middle, where no router says so: everything arrives, and the size is found.

sunset ---- west ====9216==== r1 ====narrow, ICMP dropped==== r2 ====9216==== east ---- sunrise
"""

from __future__ import annotations

import socket
import struct
import time

import pytest

from tests.fast.rig import ip
from tests.netns.conns import conn
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.pair import Pair, pair
from tests.netns.traffic import assert_ping, internet_checksum, transfer

OUTER = {4: ("192.0.2.1", "198.51.100.2"), 6: ("2001:db8::1", "2001:db8:9::2")}
SUBNETS = {4: ("10.1.0.0/24", "10.2.0.0/24"), 6: ("2001:db8:1::/64", "2001:db8:2::/64")}
SUNRISE = {4: "10.2.0.2", 6: "2001:db8:2::2"}
SUNSET = {4: "10.1.0.2", 6: "2001:db8:1::2"}
MEGABYTE = 1 << 20
WIDE = 9216


def deaf(router: Host) -> None:
    """No ICMP leaves this router or passes it; IPv6 keeps only what finds neighbours."""
    for chain in ("OUTPUT", "FORWARD"):
        router.run("iptables", "-A", chain, "-p", "icmp", "-j", "DROP")
        for kind in ("1", "2", "3", "4", "128", "129"):
            router.run("ip6tables", "-A", chain, "-p", "icmpv6", "--icmpv6-type", kind, "-j", "DROP")


def widen(lab: Lab, middle: int) -> None:
    """Give the link between the routers another MTU."""
    for router in (lab.r1, lab.r2):
        router.ip("link", "set", "mid", "mtu", str(middle))


def narrow_lab(middle: int) -> Lab:
    """Gateways with wide interfaces, and a link of that MTU between."""
    lab = Lab("routed", WIDE)
    widen(lab, middle)
    deaf(lab.r1)
    deaf(lab.r2)
    return lab


def conf(inside: int, outside: int, **more: str) -> str:
    """conn `net` of those families."""
    base = {
        "left": OUTER[outside][0],
        "leftsubnet": SUBNETS[inside][0],
        "right": OUTER[outside][1],
        "rightsubnet": SUBNETS[inside][1],
        "authby": "secret",
        "auto": "add",
    }
    return conn("net", base, **more)


def path_mtu(both: Pair) -> int:
    """What west believes of the path."""
    return max((row.get("path_mtu", 0) for row in both.west.json("spi") if row["direction"] == "out"), default=0)


CASES = [(4, 576), (4, 1280), (4, 1400), (4, 1500), (4, 9000), (6, 1280), (6, 1400), (6, 1500), (6, 9000)]


@pytest.mark.matrix
@pytest.mark.parametrize("encapsulation", ["yes", "no"], ids=["udp4500", "raw50"])
@pytest.mark.parametrize(("outside", "middle"), CASES)
def test_a_megabyte_arrives_with_nothing_set_by_hand(outside: int, middle: int, encapsulation: str) -> None:
    with narrow_lab(middle) as lab:
        both = pair(lab, conf(outside, outside, encapsulation=encapsulation))
        both.up("net")
        begin = time.monotonic()
        assert transfer(lab.sunset, lab.sunrise, SUNRISE[outside], MEGABYTE).intact
        took = time.monotonic() - begin
        assert took < 5, f"{took:.1f} s\n{both.logs()}"
        # And in the end nothing needs fragments any more.
        wait_for("the path's MTU", lambda: middle - 32 <= path_mtu(both) <= middle, 15, 0.25)
        assert transfer(lab.sunrise, lab.sunset, SUNSET[outside], MEGABYTE).intact


@pytest.mark.matrix
@pytest.mark.parametrize("outside", [4, 6])
def test_routers_that_speak_are_heard_and_strangers_are_not(outside: int) -> None:
    with Lab("routed", WIDE) as lab:
        widen(lab, WIDE)
        both = pair(lab, conf(outside, outside, encapsulation="no"))
        both.up("net")
        wait_for("the path's MTU", lambda: WIDE - 32 <= path_mtu(both) <= WIDE, 10, 0.1)
        spi = next(row["spi"] for row in both.west.json("spi") if row["direction"] == "out")
        # From beyond the tunnel, about an SPI that is not in use: nothing changes.
        forge(lab.r2, outside, spi ^ 1, 1300)
        time.sleep(0.5)
        assert path_mtu(both) >= WIDE - 32
        # The true SPI, as only a router on the path could know it: lower at once, and back when probed to be a lie.
        forge(lab.r1, outside, spi, 1300)
        wait_for("the lie to be undone", lambda: "takes packets of 1300" in both.west.log(), 5, 0.05)
        wait_for("the lie to be undone", lambda: path_mtu(both) >= WIDE - 32, 5, 0.05)


@pytest.mark.parametrize("inside", [4, 6])
def test_a_tunnel_is_one_hop(inside: int) -> None:
    with Lab("routed") as lab:
        both = pair(lab, conf(inside, 4))
        both.up("net")
        assert_ping(lab.sunset, SUNRISE[inside])
        hops = [hop(lab.sunset, SUNRISE[inside], ttl) for ttl in (1, 2, 3)]
        assert hops[0] == {4: "10.1.0.1", 6: "2001:db8:1::1"}[inside]
        assert hops[1] in {4: ("10.2.0.1", "198.51.100.2"), 6: ("2001:db8:2::1", "2001:db8:9::2")}[inside], hops
        assert hops[2] == SUNRISE[inside]


def hop(host: Host, target: str, ttl: int) -> str:
    """Who answers an echo request of that TTL."""
    done = host.run("ping", "-n", "-c", "1", "-W", "2", "-t", str(ttl), target, check=False).stdout
    lines = [line for line in done.splitlines() if line.startswith("From ") or "bytes from" in line]
    assert lines, done
    word = lines[0].split()[1] if lines[0].startswith("From ") else lines[0].split("from ")[1].split()[0]
    return word.rstrip(":")


def forge(router: Host, version: int, spi: int, mtu: int) -> None:
    """Send west an ICMP too-big about an ESP packet of that SPI to east."""
    src, dst = OUTER[version]
    quoted = ip(src, dst, 50, spi.to_bytes(4, "big") + bytes(60))
    kind, code = (3, 4) if version == 4 else (2, 0)
    body = struct.pack("!BBHI", kind, code, 0, mtu) + quoted
    if version == 4:
        body = body[:2] + internet_checksum(body).to_bytes(2, "big") + body[4:]
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with router.inside(), socket.socket(family, socket.SOCK_RAW, 1 if version == 4 else 58) as raw:
        raw.sendto(body, (src, 0))
