# SPDX-License-Identifier: GPL-2.0-or-later
"""The header raw ESP gets when it is put on a link; who gets one is seen in tests/netns/test_rawpath.py."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from _fast.link import head
from tests.fast.rig import ip


@pytest.mark.parametrize("tos", [0, 1, 3, 0xB8, 0xFF])
@pytest.mark.parametrize("length", [8, 64, 1480, 65515])
def test_an_ipv4_packet_is_what_the_kernel_would_have_made_of_it(tos: int, length: int) -> None:
    a, b = "192.0.2.1", "203.0.113.9"
    made = head(4, ip_address(a).packed, ip_address(b).packed, tos, length, 0xBEEF)
    assert made == ip(a, b, 50, bytes(length), df=False, tos=tos, ident=0xBEEF)[:20]


@pytest.mark.parametrize("tos", [0, 1, 3, 0xB8, 0xFF])
def test_an_ipv6_packet_too(tos: int) -> None:
    a, b = "2001:db8::1", "2001:db8:9::2"
    made = head(6, ip_address(a).packed, ip_address(b).packed, tos, 1400, 1)
    assert made == ip(a, b, 50, bytes(1400), tos=tos)[:40]
