# SPDX-License-Identifier: GPL-2.0-or-later
"""`make soak-badinput`: a million bad packets of each kind, with flat memory, while a good flow loses nothing.

`python -m tests.soak.badinput [COUNT [WORD]]`: so many of each kind whose name holds WORD. Every few hundred of them a
good packet goes each way through the same socket and device; it must come out, and soon, and every bad one must be
counted, by the name of its kind's drop and no other.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import socket
import struct
import sys
import time
import zlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from statistics import median

from _fast.esp import Esp as FastEsp
from _fast.fragment import cut
from openswan.base.drops import Drop
from openswan.base.numbers import IpProtocol
from openswan.base.said import Said, Shunt
from openswan.plane.commands import AddSa, Direction, Encap, ExpectSpi, GroupSas, Mode
from openswan.policy.selector import Selector
from tests.fast.rig import HERE, IN_SPI, KEYS, THERE, VNET, Rig, icmp_error, ip, tcp, udp, vnet

BAD, NARROW, BUNDLE, CPI, PROMISED = 0x3003, 0x3004, 0x3005, 0x3006, 0x3007
HERE6, THERE6 = "fd01::5", "fd02::7"
GROWTH = 2 << 20
"""Octets of resident memory that may be added after the first tenth."""
WAIT = 0.1
"""Seconds a good pair may take in the median, behind the bad ones that were sent just before it."""


def resident() -> int:
    """Octets of this process in memory; with a sanitizer, which keeps what was freed for a while, those in use."""
    if in_use := getattr(ctypes.CDLL(None), "__sanitizer_get_current_allocated_bytes", None):
        in_use.restype = ctypes.c_size_t
        return int(in_use())
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class World(Rig):
    """The rig with SAs of the same keys for what is bad."""

    def __init__(self) -> None:
        super().__init__()
        self.tunnel()
        key, integ, auth = KEYS[self.cipher]
        self.sealer = FastEsp(self.cipher, key, integ, auth)
        self.sequences: dict[int, Iterator[int]] = {}
        here, there = ip_network("10.1.0.0/16"), ip_network("10.2.0.0/16")
        self.do(self.sa(Direction.IN, self.said(BAD)))
        ported = (Selector.of(there, 17), Selector.of(here, 17, 2000))
        self.do(self.sa(Direction.IN, self.said(NARROW), selectors=(ported,)))
        self.do(self.sa(Direction.IN, self.said(BUNDLE), mode=Mode.TRANSPORT))
        comp = AddSa(
            Said(IpProtocol.COMP, CPI, self.local.address),
            self.remote.address,
            Direction.IN,
            "deflate",
            b"",
            device="ipsec0",
            selectors=((Selector.of(there), Selector.of(here)),),
        )
        self.do(comp)
        self.do(GroupSas((comp.said, self.said(BUNDLE))))
        for shunt, number in ((Shunt.DROP, 3), (Shunt.REJECT, 4), (Shunt.TRAP, 5)):
            self.eroute(shunt, dst=f"10.{number}.0.0/16")
        self.do(ExpectSpi(self.said(PROMISED)))
        self.encap = Encap(self.remote.port, self.local.port)

    def said(self, spi: int) -> Said:
        """An inbound ESP SA's name."""
        return Said(IpProtocol.ESP, spi, self.local.address)

    def inside(self, spi: int, payload: bytes, next_header: int = 0) -> bytes:
        """A packet of the valid peer with this in it."""
        sequence = next(self.sequences.setdefault(spi, itertools.count(1)))
        return self.sealer.seal(spi, sequence, payload, next_header or (41 if payload[:1] >= b"\x60" else 4))

    def text(self, text: bytes) -> bytes:
        """The same with its own trailer."""
        sequence = next(self.sequences.setdefault(BAD, itertools.count(1)))
        head = struct.pack("!II", BAD, sequence)
        iv = struct.pack("!Q", sequence)
        return head + iv + self.to_engine.seal_aead(iv, bytes(-len(text) % 4) + text, head)

    def good(self, n: int) -> None:
        """A packet each way, whatever else comes out meanwhile; AssertionError when one does not."""
        number = struct.pack("!I", n)
        self.send(udp(HERE, THERE, 7, 8, number))
        self.arrive(self.inside(IN_SPI, udp(THERE, HERE, 8, 7, number)))
        while self.opened(60)[28:] != number:
            pass
        while self.received(60)[28:] != number:
            pass


Making = Callable[[World], Iterator[bytes]]


@dataclass(frozen=True)
class Kind:
    """One kind of bad packets, endlessly many."""

    name: str
    make: Making
    reasons: tuple[Drop, ...]
    outbound: bool = False
    """Frames for ipsec0, not datagrams from the peer."""
    kept: int = 0
    """So many are kept at most, for something that may still come."""
    tos: int = 0
    chunk: int = 256
    """Bad packets between two good ones: what the socket's buffer surely takes."""


# --- from the peer ------------------------------------------------------------------------------------------------


def truncated(w: World) -> Iterator[bytes]:
    for n in itertools.count():
        whole = w.inside(BAD, udp(THERE, HERE, 1, 2, bytes(100)))
        yield whole[: 1 + n % (len(whole) - 1)]


def inner_truncated(w: World) -> Iterator[bytes]:
    for packet in itertools.cycle((tcp(THERE, HERE, 1, 2, b"data"), udp(THERE6, HERE6, 1, 2, b"data"))):
        for n in range(1, len(packet)):
            yield w.inside(BAD, packet[:n], 4 if packet[0] >> 4 == 4 else 41)


def lying_lengths(w: World) -> Iterator[bytes]:
    four, six = udp(THERE, HERE, 1, 2, bytes(20)), udp(THERE6, HERE6, 1, 2, bytes(20))
    lies = [four[:2] + struct.pack("!H", n) + four[4:] for n in (0, 19, len(four) + 1, 65535)]
    lies += [bytes([first]) + four[1:] for first in (0x40, 0x44, 0x4F, 0x55, 0x05)]
    lies += [six[:4] + struct.pack("!H", n) + six[6:] for n in (len(six) - 39, 65535)]
    lies += [six[:6] + bytes([kind]) + six[7:40] + bytes([17, 255]) + six[42:] for kind in (0, 43, 60, 135)]
    for lie in itertools.cycle(lies):
        yield w.inside(BAD, lie, 4 if lie in lies[:9] else 41)


def absurd_padding(w: World) -> Iterator[bytes]:
    for n in itertools.count():
        yield w.text(bytes(n % 60) + bytes(range(1, 6)) + bytes([70 + n % 186, 4]))


def replays(w: World) -> Iterator[bytes]:
    packet = w.inside(BAD, udp(THERE, HERE, 1, 2))
    w.arrive(packet)
    assert w.received() == udp(THERE, HERE, 1, 2)
    return itertools.repeat(packet)


def forgeries(w: World) -> Iterator[bytes]:
    packet = w.inside(BAD, udp(THERE, HERE, 1, 2, bytes(1200)))
    for n in itertools.count():
        at = 8 + n % (len(packet) - 8)
        yield packet[:at] + bytes([packet[at] ^ 1 << n % 8]) + packet[at + 1 :]


def strangers(w: World) -> Iterator[bytes]:
    for n in itertools.count(0x77000000):
        yield struct.pack("!I", n & 0xFFFFFFFF | 0x70000000) + bytes(60)


def early(w: World) -> Iterator[bytes]:
    return itertools.repeat(struct.pack("!I", PROMISED) + bytes(1200))


def intruders(w: World) -> Iterator[bytes]:
    for n in itertools.count():
        yield w.inside(BAD, udp(f"10.66.{n >> 8 & 255}.{n & 255}", HERE, 1, 2))


def ports(w: World) -> Iterator[bytes]:
    for n in itertools.count():
        yield w.inside(NARROW, udp(THERE, HERE, 1, 2001 + n % 60000))


def foreign_errors(w: World) -> Iterator[bytes]:
    about = udp("10.9.9.9", "10.8.8.8", 1, 2)
    forged = [icmp_error("192.168.9.9", HERE, about[:28], 3, 4), icmp_error("192.168.9.9", HERE, about[:20], 3, 4)]
    forged += [icmp_error("192.168.9.9", HERE, b"\x45" * n, 3, 4) for n in (0, 1, 19, 20)]
    forged += [icmp_error("fe80::1", HERE6, udp("fd09::1", "fd08::1", 1, 2)[:48], 2, 0)]
    for packet in itertools.cycle(forged):
        yield w.inside(BAD, packet)


def overlaps(w: World) -> Iterator[bytes]:
    for n in itertools.count():
        first = udp(THERE, HERE, 1, 2000, bytes(64))[20:]
        yield w.inside(NARROW, ip(THERE, HERE, 17, first[:48], df=False, frag=0x2000, ident=n & 0xFFFF))
        yield w.inside(NARROW, ip(THERE, HERE, 17, b"x" * 24, df=False, frag=1 + n % 5, ident=n & 0xFFFF))


def overlaps6(w: World) -> Iterator[bytes]:
    here, there = ip_network("fd01::/16"), ip_network("fd02::/16")
    ported = (Selector.of(there, 17), Selector.of(here, 17, 2000))
    w.do(w.sa(Direction.IN, w.said(NARROW + 0x100), selectors=(ported,)))
    for n in itertools.count():
        _, (first, *_) = cut(udp(THERE6, HERE6, 1, 2000, bytes(200)), 120, n & 0xFFFFFFFF)
        yield w.inside(NARROW + 0x100, first)
        yield w.inside(NARROW + 0x100, first[:42] + struct.pack("!H", 8) + first[44:48] + b"x" * (len(first) - 48))


def endless(w: World) -> Iterator[bytes]:
    for n in itertools.count():
        yield w.inside(NARROW, ip(THERE, HERE, 17, bytes(1200), df=False, frag=0x2000 | n % 7 * 150, ident=n & 0xFFFF))


def bombs(w: World) -> Iterator[bytes]:
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = stream.compress(bytes(1 << 20)) + stream.flush()
    tails = [bomb, bomb[:-3], b"\x07" + bomb, bytes(range(90)), bomb[: len(bomb) // 2]]
    for tail in itertools.cycle(tails):
        yield w.inside(BUNDLE, struct.pack("!BBH", 4, 0, CPI) + tail, 108)


def stray_members(w: World) -> Iterator[bytes]:
    inner = udp(THERE, HERE, 1, 2)
    rows = [(50, struct.pack("!II", BAD, 9) + bytes(40)), (51, bytes(24)), (108, struct.pack("!BBH", 4, 0, 9) + inner)]
    for kind, payload in itertools.cycle(rows):
        yield w.inside(BUNDLE, payload, kind)


def dummies(w: World) -> Iterator[bytes]:
    for n in itertools.count():
        yield w.inside(BAD, bytes(n % 1200), 59)


def unknown(w: World) -> Iterator[bytes]:
    for n in itertools.count():
        kind = n % 255
        yield w.inside(BAD, bytes(64), 61 if kind in (0, 4, 41, 59) else kind)


def marked(w: World) -> Iterator[bytes]:
    for _ in itertools.count():
        yield w.inside(BAD, udp(THERE, HERE, 1, 2))


def keepalives(w: World) -> Iterator[bytes]:
    return itertools.repeat(b"\xff")


def ike(w: World) -> Iterator[bytes]:
    for n in itertools.count():
        yield bytes(4) + os.urandom(8) + bytes(n % 1200)


# --- from the host ------------------------------------------------------------------------------------------------


def frames_truncated(w: World) -> Iterator[bytes]:
    for packet in itertools.cycle((tcp(HERE, THERE, 1, 2, b"data"), udp(HERE6, THERE6, 1, 2, b"data"))):
        for n in range(1, len(packet) + 10):
            yield (VNET + packet)[:n]


def lying_supers(w: World) -> Iterator[bytes]:
    stream, datagrams = tcp(HERE, THERE, 1, 2, bytes(300)), udp(HERE, THERE, 1, 2, bytes(300))
    return itertools.cycle(
        [
            vnet(1, 40, 0, 20, 16) + stream,
            vnet(4, 40, 100, 20, 16) + stream,
            vnet(5, 28, 100, 20, 6) + stream,
            vnet(3, 28, 100, 20, 6) + datagrams,
            vnet(0, 0, 0, 65535, 65535) + datagrams,
            vnet(0, 0, 0, 0, 10) + datagrams,
            vnet(1, 40, 100, 20, 16) + stream[:32] + b"\xf0" + stream[33:60],
        ]
    )


def too_big(w: World) -> Iterator[bytes]:
    return itertools.cycle([VNET + udp(HERE, THERE, 1, 2, bytes(1472)), VNET + udp(HERE6, THERE6, 1, 2, bytes(1452))])


def nowhere(w: World) -> Iterator[bytes]:
    for n in itertools.count():
        yield VNET + udp(HERE, f"10.77.{n >> 8 & 255}.{n & 255}", 1, 2)


def shunted(w: World) -> Iterator[bytes]:
    return itertools.cycle([VNET + udp(HERE, "10.3.0.1", 1, 2), VNET + udp(HERE, "10.4.0.1", 1, 2)])


def trapped(w: World) -> Iterator[bytes]:
    for n in itertools.count():
        yield VNET + udp(f"10.1.{n >> 16 & 255}.9", f"10.5.{n >> 8 & 255}.{n & 255}", 1, 2, bytes(200))


KINDS = (
    Kind("datagrams truncated at every octet", truncated, (Drop.MALFORMED, Drop.AUTH_FAILED)),
    Kind("inner packets truncated at every octet", inner_truncated, (Drop.MALFORMED,)),
    Kind("inner lengths and versions that lie", lying_lengths, (Drop.MALFORMED,)),
    Kind("absurd padding", absurd_padding, (Drop.BAD_PADDING,)),
    Kind("replays", replays, (Drop.REPLAY,)),
    Kind("forgeries of a valid SA", forgeries, (Drop.AUTH_FAILED,)),
    Kind("unknown SPIs", strangers, (Drop.NO_SA,)),
    Kind("an SPI whose SA never comes", early, (Drop.NO_SA,), kept=1024),
    Kind("addresses outside the selectors", intruders, (Drop.SELECTOR_MISMATCH,)),
    Kind("ports outside the selectors", ports, (Drop.SELECTOR_MISMATCH,)),
    Kind("forged too-bigs inside a valid SA", foreign_errors, (Drop.ICMP_ERROR_FOREIGN, Drop.SELECTOR_MISMATCH)),
    Kind("fragments that overlap", overlaps, (Drop.FRAGMENT_OVERLAP,), kept=1),
    Kind("IPv6 fragments that overlap", overlaps6, (Drop.FRAGMENT_OVERLAP,), kept=1),
    Kind("fragments of datagrams without an end", endless, (Drop.FRAGMENT_LOST,), kept=64),
    Kind("decompression bombs and broken streams", bombs, (Drop.BAD_COMPRESSION,), chunk=64),
    Kind("headers that do not belong in the bundle", stray_members, (Drop.UNEXPECTED_SA,)),
    Kind("dummy packets", dummies, (Drop.DUMMY,)),
    Kind("unknown next headers", unknown, (Drop.UNKNOWN_NEXT_HEADER,)),
    Kind("congestion marks on deaf transports", marked, (Drop.CONGESTED,), tos=3),
    Kind("keepalives", keepalives, (Drop.KEEPALIVE,)),
    Kind("IKE that nobody reads", ike, (Drop.IKE_OVERFLOW,), kept=8192),
    Kind("frames truncated at every octet", frames_truncated, (Drop.MALFORMED,), outbound=True),
    Kind("super-packets whose header lies", lying_supers, (Drop.MALFORMED,), outbound=True),
    Kind("packets too big for the path", too_big, (Drop.TOO_BIG,), outbound=True),
    Kind("packets no eroute covers", nowhere, (Drop.NO_EROUTE,), outbound=True),
    Kind("packets a shunt refuses", shunted, (Drop.SHUNT_DROP, Drop.SHUNT_REJECT), outbound=True),
    Kind("held packets to ever new hosts", trapped, (Drop.HOLD_OVERFLOW,), outbound=True, kept=70000),
)


@dataclass(frozen=True)
class Result:
    """What one flood came to."""

    kind: Kind
    count: int
    counted: dict[Drop, int]
    good: int
    growth: int
    seconds: float
    usual: float
    """Seconds of a good pair, the median; and of the slowest."""
    slowest: float

    def __str__(self) -> str:
        drops = ", ".join(f"{n:,} {reason.name}" for reason, n in self.counted.items())
        pair = f"a pair in {1000 * self.usual:.1f} ms, {1000 * self.slowest:.0f} at most"
        return (
            f"{self.kind.name}: {self.count:,} in {self.seconds:.0f} s: {drops}; {2 * self.good:,} good packets, all "
            f"arrived, {pair}; {self.growth / 1024:+.0f} KB"
        )


def flood(kind: Kind, count: int) -> Result:
    """Let them come; AssertionError when one is not counted as it should, or a good packet is lost."""
    w = World()
    try:
        bad = kind.make(w)
        w.peer.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0)
        before = start = resident()
        began, waits = time.monotonic(), array("d")
        for at in range(0, count, kind.chunk):
            if kind.tos:
                w.peer.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, kind.tos)
            put = w.host.send if kind.outbound else w.arrive
            for each in itertools.islice(bad, min(kind.chunk, count - at)):
                put(each)
            if kind.tos:
                w.peer.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0)
            asked = time.monotonic()
            w.good(len(waits))
            waits.append(time.monotonic() - asked)
            if kind.kept < 2048:
                w.klips.poll_events()
            if at <= count // 10:
                before = resident()
        counted = {reason: n for reason, n in w.klips.drops().items() if n}
        growth = resident() - (before if count >= 100_000 else start)
        assert set(counted) <= set(kind.reasons), f"{kind.name}: {counted}"
        total = sum(counted.values())
        assert count - kind.kept <= total <= count, f"{kind.name}: {count} sent, {counted}"
        seconds = time.monotonic() - began
        return Result(kind, count, counted, len(waits), growth, seconds, median(waits), max(waits))
    finally:
        w.close()


def main(argv: list[str]) -> int:
    """Run all kinds and say what became of them."""
    count = int(argv[0]) if argv else 1_000_000
    failed = 0
    for kind in KINDS:
        if len(argv) > 1 and argv[1] not in kind.name:
            continue
        try:
            result = flood(kind, count)
        except (AssertionError, OSError) as why:
            failed += 1
            print(f"FAILED {kind.name}: {why or 'a good packet did not arrive'}", flush=True)
            continue
        faults = [word for word, true in (("GREW", result.growth > GROWTH), ("SLOW", result.usual >= WAIT)) if true]
        failed += bool(faults)
        print(*faults, result, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
