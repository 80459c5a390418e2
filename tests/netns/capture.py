# SPDX-License-Identifier: GPL-2.0-or-later
"""An independent witness on a wire: whole packets by AF_PACKET, told apart by what they are.

It shares no code with the product: a packet is what its octets say, and anything that is not ESP, IKE, ARP, neighbour
or group discovery, or an ICMP error about one of the former, is plaintext.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.netns.lab import Host

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_STATISTICS = 6
SO_RCVBUFFORCE = 33

QUIET = frozenset({"esp", "esp-udp", "ike", "keepalive", "arp", "nd", "mld", "icmp-outer"})
"""What may be seen on a wire between two gateways whose every packet is protected."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One packet."""

    when: float
    """time.monotonic()"""
    kind: str
    src: str
    dst: str
    protocol: int
    data: bytes
    """The whole frame."""

    def __str__(self) -> str:
        head = self.data[14:90].hex()
        return f"{self.kind} {self.src} > {self.dst} proto {self.protocol} length {len(self.data)}: {head}"


def classify(frame: bytes) -> tuple[str, str, str, int]:
    """(kind, source, destination, protocol) of an Ethernet frame."""
    if len(frame) < 14:
        return "runt", "", "", 0
    ethertype = int.from_bytes(frame[12:14], "big")
    if ethertype == 0x0806:
        return "arp", "", "", 0
    if ethertype == 0x0800:
        return _ipv4(frame[14:])
    if ethertype == 0x86DD:
        return _ipv6(frame[14:])
    return f"ether-{ethertype:04x}", "", "", 0


def datagram(frame: bytes) -> bytes | None:
    """What all fragments of one datagram have in common: protocol and identification; None: no fragment."""
    ethertype = frame[12:14]
    if ethertype == b"\x08\x00" and len(frame) >= 34 and int.from_bytes(frame[20:22], "big") & 0x3FFF:
        # Without the addresses: a router at the wire's other end may have translated them in the very same buffer.
        return frame[23:24] + frame[18:20]
    if ethertype == b"\x86\xdd" and len(frame) >= 62 and frame[20] == 44:
        return frame[54:55] + frame[58:62]
    return None


def _ipv4(p: bytes) -> tuple[str, str, str, int]:
    if len(p) < 20:
        return "short", "", "", 0
    protocol, head = p[9], (p[0] & 15) * 4
    src, dst = str(ipaddress.ip_address(p[12:16])), str(ipaddress.ip_address(p[16:20]))
    if int.from_bytes(p[6:8], "big") & 0x1FFF:
        return f"fragment-{protocol}", src, dst, protocol
    return _transport(protocol, p[head:]), src, dst, protocol


def _ipv6(p: bytes) -> tuple[str, str, str, int]:
    if len(p) < 40:
        return "short", "", "", 0
    protocol, at = p[6], 40
    src, dst = str(ipaddress.ip_address(p[8:24])), str(ipaddress.ip_address(p[24:40]))
    while protocol in (0, 43, 60, 44) and len(p) >= at + 8:
        if protocol == 44:
            if int.from_bytes(p[at + 2 : at + 4], "big") & 0xFFF8:
                return f"fragment-{p[at]}", src, dst, p[at]
            protocol, at = p[at], at + 8
        else:
            protocol, at = p[at], at + 8 * (p[at + 1] + 1)
    return _transport(protocol, p[at:]), src, dst, protocol


def _transport(protocol: int, body: bytes) -> str:
    if protocol == 50:
        return "esp"
    if protocol == 17 and len(body) >= 8:
        ports = struct.unpack_from("!HH", body)
        payload = body[8:]
        if 500 in ports and 4500 not in ports:
            return "ike" if _looks_like_ike(payload) else "udp"
        if 4500 in ports:
            if payload == b"\xff":
                return "keepalive"
            if payload[:4] == bytes(4):
                return "ike" if _looks_like_ike(payload[4:]) else "udp"
            return "esp-udp" if len(payload) >= 16 else "udp"
        return "udp"
    if protocol == 58 and body:
        if 133 <= body[0] <= 137:
            return "nd"
        if body[0] in (130, 131, 132, 143):
            return "mld"
        if body[0] < 128 and len(body) > 48:
            # A neighbour that asks for an address which has just gone is told so.
            return "icmp-outer" if _ipv6(body[8:])[0] in ("esp", "esp-udp", "ike", "keepalive", "nd") else "icmp"
        return "icmp"
    if protocol == 1 and body:
        if body[0] in (3, 4, 5, 11, 12) and len(body) >= 28:
            return "icmp-outer" if _ipv4(body[8:])[0] in ("esp", "esp-udp", "ike", "keepalive") else "icmp"
        return "icmp"
    if protocol == 2:
        return "mld"
    return {6: "tcp"}.get(protocol, f"proto-{protocol}")


def _looks_like_ike(message: bytes) -> bool:
    """Version octet 0x10 or 0x20; an ICMP quote may cut the message short."""
    return len(message) < 18 or message[17] in (0x10, 0x20)


class Capture:
    """Records every frame that passes a device, in both directions, until closed; a context manager."""

    def __init__(self, host: Host, device: str = "wan") -> None:
        self.where = f"{host.name}:{device}"
        self.frames: list[tuple[float, bytes]] = []
        with host.inside():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # nothing before bind says where
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 128 << 20)
        self._socket.bind((device, ETH_P_ALL))
        self._socket.settimeout(0.1)
        self._layer2 = host.ip("-o", "link", "show", device).find("link/ether") >= 0
        self._stop = threading.Event()
        self.lost = 0
        self._thread = threading.Thread(target=self._read, name=f"capture {self.where}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> None:
        while True:
            try:
                frame = self._socket.recv(1 << 17)
            except TimeoutError:
                if self._stop.is_set():
                    return
                continue
            except OSError:
                if self._stop.is_set():  # ENETDOWN comes when the device goes down; keep listening
                    return
                time.sleep(0.01)
                continue
            if not self._layer2:
                frame = bytes(12) + (b"\x86\xdd" if frame[:1] and frame[0] >> 4 == 6 else b"\x08\x00") + frame
            self.frames.append((time.monotonic(), frame))

    def close(self) -> None:
        """Read what is still queued and stop; AssertionError when the witness itself lost packets."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join(10)
        self.lost += struct.unpack("II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
        self._socket.close()
        assert not self.lost, f"the capture on {self.where} itself lost {self.lost} packets: it proves nothing"

    def clear(self) -> None:
        """Forget what was seen so far."""
        self.frames = []

    def packets(self, keep: Callable[[Seen], bool] = lambda s: True) -> list[Seen]:
        """What was seen so far and passes `keep`."""
        return [s for s in self._told_apart() if keep(s)]

    def _told_apart(self) -> Iterator[Seen]:
        """Later fragments are of the kind their first one was; without a first one they stay what they are."""
        kinds: dict[bytes, str] = {}
        for when, frame in list(self.frames):
            kind, *rest = classify(frame)
            if key := datagram(frame):
                if kind.startswith("fragment-"):
                    kind = kinds.get(key, kind)
                else:
                    kinds[key] = kind
            yield Seen(when, kind, *rest, frame)

    def count(self) -> Counter[str]:
        """How many packets of each kind."""
        return Counter(seen.kind for seen in self._told_apart())

    def leaks(self, inner: Iterable[str] = (), markers: Iterable[bytes] = ()) -> list[Seen]:
        """Packets that should not be on a protected wire.

        That is any packet of a kind outside QUIET, any packet to or from one of the `inner` networks whatever its
        kind, and any frame with one of the `markers` anywhere in its octets (fragments, ICMP quotes, ESP alike).
        """
        nets = [ipaddress.ip_network(n) for n in inner]
        marks = list(markers)

        def leaked(s: Seen) -> bool:
            if s.kind not in QUIET:
                return True
            if any(m in s.data for m in marks):
                return True
            if s.kind == "nd" or not s.src:
                return False
            return any(ipaddress.ip_address(a) in n for a in (s.src, s.dst) for n in nets)

        return self.packets(leaked)

    def save(self, path: Path) -> Path:
        """Write a pcap file (link type Ethernet) for people to look at."""
        with path.open("wb") as out:
            out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 1))
            for when, frame in list(self.frames):
                out.write(struct.pack("<IIII", int(when), int(when % 1 * 1e6), len(frame), len(frame)) + frame)
        return path


def assert_quiet(capture: Capture, inner: Iterable[str] = (), markers: Iterable[bytes] = ()) -> None:
    """Fail with the first few plaintext packets when there are any."""
    leaks = capture.leaks(inner, markers)
    if leaks:
        kept = capture.save(Path(f"/tmp/leak-{capture.where.replace(':', '-')}.pcap"))
        first = capture.frames[0][0]
        shown = "\n".join(f"  +{s.when - first:.3f} s {s}" for s in leaks[:12])
        raise AssertionError(f"{len(leaks)} plaintext packets on {capture.where} (all frames in {kept}):\n{shown}")
