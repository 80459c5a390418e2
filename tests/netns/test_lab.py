# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab itself: wires carry, the witness tells plaintext from ciphertext, and nothing is left behind."""

from __future__ import annotations

import socket
import struct

from tests.netns.capture import Capture, classify
from tests.netns.lab import Lab, namespaces
from tests.netns.traffic import Flow, Receiver, Stream, assert_ping, ping, transfer, udp_socket


def ether(ethertype: int, rest: bytes) -> bytes:
    return bytes(12) + ethertype.to_bytes(2, "big") + rest


def ip4(protocol: int, rest: bytes, offset: int = 0) -> bytes:
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(rest), 1, offset, 64, protocol, 0, b"\n\1\0\1", b"\n\2\0\1")
    return head + rest


def ip6(protocol: int, rest: bytes) -> bytes:
    return struct.pack("!IHBB16s16s", 6 << 28, len(rest), protocol, 64, bytes(15) + b"\1", bytes(15) + b"\2") + rest


def udp(port: int, payload: bytes) -> bytes:
    return struct.pack("!HHHH", port, port, 8 + len(payload), 0) + payload


IKE = bytes(16) + b"\x21\x20\x22\x08" + bytes(8)


def test_the_witness_knows_what_it_sees() -> None:
    cases = {
        ether(0x0806, bytes(28)): "arp",
        ether(0x0800, ip4(50, bytes(40))): "esp",
        ether(0x86DD, ip6(50, bytes(40))): "esp",
        ether(0x0800, ip4(17, udp(4500, b"\1\2\3\4" + bytes(20)))): "esp-udp",
        ether(0x0800, ip4(17, udp(4500, bytes(4) + IKE))): "ike",
        ether(0x0800, ip4(17, udp(500, IKE))): "ike",
        ether(0x0800, ip4(17, udp(4500, b"\xff"))): "keepalive",
        ether(0x0800, ip4(17, udp(500, b"not an exchange at all"))): "udp",
        ether(0x0800, ip4(17, udp(53, b"query"))): "udp",
        ether(0x0800, ip4(17, bytes(40), offset=185)): "fragment-17",
        ether(0x0800, ip4(6, bytes(20))): "tcp",
        ether(0x0800, ip4(1, b"\x08" + bytes(20))): "icmp",
        ether(0x0800, ip4(1, b"\x03\x03" + bytes(6) + ip4(50, bytes(8)))): "icmp-outer",
        ether(0x0800, ip4(1, b"\x03\x03" + bytes(6) + ip4(17, udp(53, b"")))): "icmp",
        ether(0x86DD, ip6(58, b"\x87" + bytes(23))): "nd",
        ether(0x86DD, ip6(58, b"\x80" + bytes(23))): "icmp",
        ether(0x86DD, ip6(58, b"\1\3" + bytes(6) + ip6(58, b"\x87" + bytes(23)))): "icmp-outer",
        ether(0x86DD, ip6(58, b"\1\3" + bytes(6) + ip6(58, b"\x80" + bytes(23)))): "icmp",
        ether(0x86DD, ip6(44, b"\x11\0\0\x08" + bytes(4) + bytes(40))): "fragment-17",
        ether(0x86DD, ip6(44, b"\x11\0\0\x01" + bytes(4) + udp(53, b""))): "udp",
        ether(0x88CC, bytes(40)): "ether-88cc",
        b"short": "runt",
    }
    for frame, kind in cases.items():
        assert classify(frame)[0] == kind, frame.hex()


def test_wires_carry_and_the_witness_sees_every_kind_of_plaintext() -> None:
    marker = b"<<visible>>"
    with Lab() as lab, Capture(lab.west) as wire:
        for target in ("10.2.0.2", "2001:db8:2::2"):
            assert_ping(lab.sunset, target)
        assert transfer(lab.sunset, lab.sunrise, "10.2.0.2", 1 << 18).intact
        heard = Receiver(lab.sunrise, "10.2.0.2", 7001)
        whole = Flow(lab.sunset, "10.1.0.2", "10.2.0.2", 7001, marker, size=4000).start()
        stream = Stream(lab.sunset, lab.sunrise, "10.1.0.2", "10.2.0.2", 7002, marker)
        while stream.received < 60 or len(heard.got) < 5:
            pass
        whole.stop()
        stream.stop()
        wire.close()
        kinds = {s.kind for s in wire.leaks(["10.2.0.0/24"])}
        assert {"tcp", "udp", "icmp"} <= kinds
        assert wire.count()["fragment-17"] == 0, "every fragment has been given to its first one"
        assert sum(s.kind == "udp" and len(s.data) > 900 for s in wire.packets()) > 10
        assert any(s.kind == "tcp" for s in wire.leaks([], [marker]))
        assert heard.numbers(marker)[:3] == [0, 1, 2]


def test_a_marker_inside_an_icmp_quote_is_a_leak() -> None:
    with Lab() as lab, Capture(lab.west) as wire:
        s = udp_socket(lab.sunset, "10.1.0.2")
        s.settimeout(1)
        s.connect(("10.2.0.2", 9))
        s.send(b"<<quoted>>")
        try:
            s.recv(1)
        except ConnectionRefusedError:
            pass
        s.close()
        wire.close()
        assert {s.protocol for s in wire.leaks([], [b"<<quoted>>"])} == {socket.IPPROTO_UDP, socket.IPPROTO_ICMP}


def test_the_router_masquerades() -> None:
    with Lab("nat") as lab, Capture(lab.east) as wire:
        assert_ping(lab.west, "192.0.2.2")
        assert_ping(lab.road, "192.0.2.2")
        wire.close()
        assert {s.src for s in wire.packets(lambda s: s.kind == "icmp")} == {"192.0.2.1", "192.0.2.2"}
        assert ping(lab.east, "192.168.7.2", 1, wait=0.2).received == 0


def test_a_closed_lab_leaves_nothing() -> None:
    with Lab() as lab:
        names = [host.ns for host in lab.hosts.values()]
        sleeper = lab.west.start("sleep", "60")
        assert set(names) <= set(namespaces())
        directory = lab.dir
    assert sleeper.poll() is not None
    assert not set(names) & set(namespaces())
    assert not directory.exists()
