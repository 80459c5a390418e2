# SPDX-License-Identifier: GPL-2.0-or-later
"""The slow twin of AH by itself, against a calculation written out by hand."""

from __future__ import annotations

import hmac

from openswan.base.drops import Drop
from openswan.klips.slow.ah import Ah, front, mask, set_length
from tests.fast.rig import ip, udp

KEY = bytes(range(20))


def test_one_packet_by_hand() -> None:
    packet = udp("192.0.2.1", "192.0.2.2", 1, 2, tos=0x10)
    why, made = Ah("hmac_sha1_96", KEY).seal(0x100, 7, packet)
    assert why is Drop.NONE
    fixed = bytes.fromhex("11 04 0000 00000100 00000007")
    covered = bytearray(packet[:20])
    covered[1:4] = b"\0" + (len(packet) + 24).to_bytes(2, "big")
    covered[6:9] = b"\0\0\0"
    covered[9:12] = b"\x33\0\0"
    icv = hmac.digest(KEY, bytes(covered) + fixed + bytes(12) + packet[20:], "sha1")[:12]
    assert made[20:] == fixed + icv + packet[20:]
    assert Ah("hmac_sha1_96", KEY).open(made) == (Drop.NONE, packet, 7)


def test_headers_and_masks() -> None:
    six = ip("2001:db8::1", "2001:db8::2", 0, b"\x11\0\x3e\4abcd" + b"u" * 8)
    assert front(six) == (48, 40, Drop.NONE)
    assert mask(six[:48]) == b"\x60\0\0\0" + six[4:7] + b"\0" + six[8:40] + b"\x11\0\x3e\4\0\0\0\0"
    head = bytearray(ip("192.0.2.1", "192.0.2.2", 17, b"")[:20])
    before = bytes(head)
    set_length(head, 20)
    assert bytes(head) == before
