# SPDX-License-Identifier: GPL-2.0-or-later
"""Openings to test with."""

from __future__ import annotations

from ipaddress import ip_network

from openswan.host.openings.model import Opening
from openswan.policy.selector import FlowKey

LAN, FAR = ip_network("10.1.0.0/24"), ip_network("10.2.0.0/24")


def opening(
    name: str = "net", peer: str = "192.0.2.2", forward: bool = True, host: bool = False, **key: int
) -> Opening:
    return Opening(name, peer, "ipsec0", (FlowKey(LAN, FAR, **key),), forward, host)
