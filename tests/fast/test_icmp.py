# SPDX-License-Identifier: GPL-2.0-or-later
"""The errors the engine writes, and those it must not."""

from __future__ import annotations

from _fast.icmp import answer

from tests.fast.rig import HERE, THERE, checksum, icmp_error, ip, pseudo, udp

HERE6, THERE6 = "fd01::5", "fd02::7"


def test_ipv4_too_big_and_prohibited() -> None:
    packet = udp(HERE, THERE, 1, 2, b"x" * 1400)
    for mtu, word in ((1400, b"\x03\x04"), (0, b"\x03\x0d")):
        error = answer(packet, mtu)
        assert error is not None and len(error) == 576
        assert checksum(error[:20]) == 0 and checksum(error[20:]) == 0
        assert error[12:20] == packet[16:20] + packet[12:16] and error[9] == 1
        assert error[20:22] == word and int.from_bytes(error[26:28], "big") == mtu
        assert error[28:] == packet[:548] and int.from_bytes(error[2:4], "big") == 576


def test_ipv6_too_big_and_prohibited() -> None:
    packet = udp(HERE6, THERE6, 1, 2, b"x" * 1400)
    for mtu, word in ((1400, b"\x02\x00"), (0, b"\x01\x01")):
        error = answer(packet, mtu)
        assert error is not None and len(error) == 1280
        assert checksum(pseudo(THERE6, HERE6, 58, 1240) + error[40:]) == 0
        assert error[40:42] == word and int.from_bytes(error[44:48], "big") == mtu
        assert error[48:] == packet[: 1280 - 48]


def test_a_short_packet_is_quoted_whole() -> None:
    packet = udp(HERE, THERE, 1, 2)
    error = answer(packet, 0)
    assert error is not None and error[28:] == packet


def test_what_must_not_be_answered() -> None:
    unanswerable = [
        icmp_error(HERE, THERE, udp(THERE, HERE, 1, 2)),
        icmp_error(HERE6, THERE6, udp(THERE6, HERE6, 1, 2), 1, 0),
        ip(HERE, THERE, 17, b"x" * 16, df=False, frag=3),
        udp("224.0.0.1", THERE, 1, 2),
        udp(HERE, "224.0.0.1", 1, 2),
        udp("0.0.0.0", THERE, 1, 2),
        udp("127.0.0.1", THERE, 1, 2),
        udp("::", THERE6, 1, 2),
        udp(HERE6, "ff02::1", 1, 2),
        b"garbage",
    ]
    for packet in unanswerable:
        assert answer(packet, 0) is None and answer(packet, 1400) is None
