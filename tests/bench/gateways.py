# SPDX-License-Identifier: GPL-2.0-or-later
"""The gateways that are measured, each kind a lab ready for traffic from sunset to sunrise.

sunset ----lan---- west =======wan======= east ----lan---- sunrise
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.netns.conns import NET4, conn
from tests.netns.lab import Lab, wait_for
from tests.netns.pair import pair
from tests.netns.strongswan import SECRET, StrongSwan
from tests.netns.traffic import assert_ping

FAR4, FAR6 = "10.2.0.2", "2001:db8:2::2"
NET6 = {**NET4, "leftsubnet": "2001:db8:1::/64", "rightsubnet": "2001:db8:2::/64"}


@contextmanager
def plain() -> Iterator[Lab]:
    """No IPsec at all."""
    with Lab() as lab:
        assert_ping(lab.sunset, FAR4)
        yield lab


@contextmanager
def ours(others: int = 0, six: bool = False, **keywords: str) -> Iterator[Lab]:
    """Two of our gateways; `others` conns to the same peer beside the one measured, each routed and guarded."""
    with Lab() as lab:
        both = pair(lab, conn("net", NET6 if six else NET4, auto="add", **keywords) + beside(others))
        for each in (both.west, both.east) if others else ():
            wait_for("all traps", lambda each=each: each.ipsec("eroute").stdout.count("%trap") >= others, 240, 1)
        both.up("net")
        assert_ping(lab.sunset, FAR6 if six else FAR4)
        yield lab


def beside(count: int) -> str:
    """That many conns between nets of their own."""
    return "".join(
        conn(
            f"other{n}",
            NET4,
            leftsubnet=f"172.{16 + (n >> 12)}.{n >> 4 & 255}.{(n & 15) << 4}/28",
            rightsubnet=f"172.{24 + (n >> 12)}.{n >> 4 & 255}.{(n & 15) << 4}/28",
            auto="route",
        )
        for n in range(count)
    )


@contextmanager
def strongswan(proposal: str = "aes128gcm16") -> Iterator[Lab]:
    """charon with kernel-libipsec on both sides."""

    def text(me: str, him: str, mine: str, his: str) -> str:
        child = f"net {{ local_ts = {mine}\n remote_ts = {his}\n esp_proposals = {proposal}\n }}"
        return (
            f"connections {{ lab {{\n version = 2\n local_addrs = {me}\n remote_addrs = {him}\n"
            f" local {{ auth = psk\n }}\n remote {{ auth = psk\n }}\n children {{ {child} }}\n }} }}\n{SECRET}"
        )

    with Lab() as lab:
        west = StrongSwan(lab.west, text("192.0.2.1", "192.0.2.2", "10.1.0.0/24", "10.2.0.0/24"))
        StrongSwan(lab.east, text("192.0.2.2", "192.0.2.1", "10.2.0.0/24", "10.1.0.0/24"))
        west.initiate("net")
        assert_ping(lab.sunset, FAR4)
        yield lab
