# SPDX-License-Identifier: GPL-2.0-or-later
"""The ear on every device, on loopback; on other devices in tests/netns/test_leakcheck.py."""

from __future__ import annotations

import os
from ipaddress import ip_address

import pytest

from openswan.host.leakear import Ear, ear_program, marked, send_packet
from openswan.wire.probe import PLACES, probe_packet

HERE = {4: ip_address("127.0.0.1"), 6: ip_address("::1")}


def test_the_filter_looks_at_each_place() -> None:
    program = ear_program(0x01020304)
    assert [operand for code, _, _, operand in program if code == 0x20][1:] == list(PLACES)
    assert program[-1][3] == 0 and all(0 <= away <= 255 for _, yes, no, _ in program for away in (yes, no))


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("protocol", [17, 6, 1, 58, 47])
def test_marked_packets_are_heard_and_no_others(version: int, protocol: int) -> None:
    here, mark = HERE[version], os.urandom(12)
    with Ear(mark) as ear:
        for number in (7, 8):
            packet = probe_packet(here, here, protocol, (33434, 33434), marked(mark, number))
            assert send_packet(here, here, packet) == ""
        other = probe_packet(here, here, protocol, (33434, 33434), marked(os.urandom(12), 9))
        assert send_packet(here, here, other) == ""
        heard = ear.listen(0.2)
        assert ear.lost() == 0
    # An echo brings the mark back.
    assert [one.number for one in heard][:1] == [7] and {one.number for one in heard} == {7, 8}
    assert {(one.device, one.src, one.dst) for one in heard} == {("lo", here, here)}


def test_what_cannot_be_sent_says_why() -> None:
    packet = probe_packet(ip_address("192.0.2.1"), ip_address("0.0.0.0"), 17, (1, 9), b"x" * 65000)
    assert send_packet(ip_address("192.0.2.1"), ip_address("255.255.255.255"), packet)
