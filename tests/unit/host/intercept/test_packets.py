# SPDX-License-Identifier: GPL-2.0-or-later
"""Where addresses stand in a packet, and how a pair is written in the sets."""

from __future__ import annotations

from ipaddress import ip_address

from openswan.host.intercept.packets import Addressing


def test_pairs_are_seen_outbound_whichever_way_a_packet_goes() -> None:
    at = Addressing(4)
    assert at.outward() != at.inward() and at.after == 10 and Addressing(6).after == 16
    assert at.key((ip_address("10.1.0.2"), ip_address("192.0.2.2"))) == bytes((10, 1, 0, 2, 192, 0, 2, 2))
