# SPDX-License-Identifier: GPL-2.0-or-later
"""First inputs for the coverage-guided fuzzers: one good specimen of each kind, so that they need not guess formats."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

from _fast.fragment import cut
from tests.fast.rig import icmp_error, ip, mss_option, tcp, udp, vnet
from tests.fuzz.world import BUNDLE_SPI, BUNDLES, FIRST_SPI, KINDS

HERE, HERE6 = "10.1.0.5", "fd01::5"
NONE = bytes(10)


def pieces(*parts: tuple[int, bytes]) -> bytes:
    """The list of (control, octets) that tests/fuzz/paths.pyx reads."""
    return b"".join(struct.pack("<BH", control, len(data)) + data for control, data in parts)


def there(n: int, v6: bool = False) -> str:
    """A host behind SA n, or behind the shunt eroute n from 20 on."""
    n += 2 if n < 20 else 0
    return f"fd{n:02}::7" if v6 else f"10.{n}.0.7"


def extended(src: str, dst: str) -> Iterable[bytes]:
    """IPv6 with every extension header, a fragment and a later fragment."""
    last = struct.pack("!HHHH", 1000, 2000, 12, 0) + b"four"
    yield ip(src, dst, 0, b"\x3c\0\x01\x04\0\0\0\0" + b"\x2b\0\x01\x04\0\0\0\0" + b"\x11\0\0\0\0\0\0\0" + last)
    yield ip(src, dst, 44, b"\x11\0\0\x01\0\0\0\x09" + last)
    yield ip(src, dst, 44, b"\x11\0\x05\x39\0\0\0\x09" + last)
    yield ip(src, dst, 135, b"\x3b\0\0\0\0\0\0\0")


def packets(src: str, dst: str) -> list[bytes]:
    """Specimens of one pair of hosts."""
    data = bytes(range(60))
    syn = tcp(src, dst, 1000, 2000, flags=2, options=mss_option(1460) + b"\x01\x01\x04\x02")
    found = [
        udp(src, dst, 1000, 2000, data),
        tcp(src, dst, 1000, 2000, data, seq=1),
        tcp(src, dst, 1000, 2000, data, seq=61, flags=0x18),
        tcp(src, dst, 1000, 2000, data, options=b"\x01\x01\x08\x0a" + bytes(8)),
        syn,
        tcp(src, dst, 1000, 2000, flags=0x11),
    ]
    if "." in src:
        echo = b"\x08\0\xf7\xff\0\0\0\0"
        found += [
            ip(src, dst, 1, echo),
            icmp_error(src, dst, udp(dst, src, 2000, 1000)[:28], 3, 4),
            ip(src, dst, 17, data, df=False, frag=0x2000),
            ip(src, dst, 17, data, df=False, frag=0x10),
            ip(src, dst, 17, data[:8], ttl=1),
            ip(src, dst, 47, data),
            ip(src, dst, 50, data),
            ip(src, dst, 51, bytes(24)),
            ip(src, dst, 108, b"\x06\0\0\x02" + data),
        ]
    else:
        found += [icmp_error(src, dst, udp(dst, src, 2000, 1000)[:48], 2, 0), ip(src, dst, 58, b"\x80\0\0\0\0\0\0\0")]
        found += extended(src, dst)
    return found


def supers(src: str, dst: str) -> list[bytes]:
    """Frames with a TSO or USO super-packet, and one that only wants its checksum."""
    v6 = ":" in src
    head = 40 if v6 else 20
    stream = tcp(src, dst, 1000, 2000, bytes(700))
    datagrams = udp(src, dst, 1000, 2000, bytes(500))
    return [
        vnet(4 if v6 else 1, head + 20, 200, head, 16) + stream,
        vnet((4 if v6 else 1) | 0x80, head + 20, 200, head, 16) + stream,
        vnet(5, head + 8, 100, head, 6) + datagrams,
        vnet(0, 0, 0, head, 6) + datagrams,
    ]


def deflated(data: bytes) -> bytes:
    """A raw deflate stream."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return stream.compress(data) + stream.flush()


def ah(spi: bytes = b"\0\0\x20\0") -> bytes:
    """An AH with a wrong ICV and nothing in it."""
    return b"\x3b\x05\0\0" + spi + bytes(3) + b"\1" + bytes(16)


def optioned() -> bytes:
    """IPv4 with options that AH leaves alone, that it zeros, and a source route at its end."""
    options = bytes([0x94, 4, 0, 0, 7, 7, 4, 0, 0, 0, 0, 131, 7, 8, 10, 0, 0, 1, 0, 0])
    whole = udp("127.0.0.1", "127.0.0.1", 1, 2, bytes(30))
    return bytes([0x4A]) + whole[1:2] + struct.pack("!H", len(whole) + 20) + whole[4:20] + options + whole[20:]


def seeds(target: str) -> list[bytes]:
    """What to begin with for one target."""
    out, back = [], []
    for n in [*range(len(KINDS)), *range(20, 25)]:
        for here, far in ((HERE, there(n)), (HERE6, there(n, True))):
            out.append((packets(here, far), supers(here, far)))
            back.append((n, packets(far, here)))
    match target:
        case "tun":
            whole = [pieces(*((i & 1, NONE + p) for i, p in enumerate(some))) for some, _ in out]
            return whole + [pieces(*((0, frame) for frame in some)) for _, some in out]
        case "inside":
            batches = [pieces(*((n & 7 | (n & 8) << 4, p) for p in some)) for n, some in back if n < 20]
            odd = [
                (0x20, b"\x01\x02\x02\x04"),
                (0x20, b"\0\0\xff\x04"),
                (0x40, b""),
                (0x20, b"\x01\x01\x3b"),
                (0x18, b""),
            ]
            return [*batches, pieces(*odd)]
        case "wire":
            text = bytes(64)
            shapes = [(0x80 | n << 2, bytes(8) + text) for n in range(min(8, len(KINDS)))]
            header = ip("127.0.0.1", "127.0.0.1", 50, FIRST_SPI.to_bytes(4, "big") + bytes(4) + text)
            return [
                pieces(*shapes, (0, b"\xff"), (0, bytes(4) + bytes(28)), (1, header), (2, bytes(28))),
                pieces((3, b"\x40\0" + text * 6 + bytes(20)), (0x83, b"\x40\0" + text), (1, header[:19]), (0, b"")),
            ]
        case "intake":
            plain = ip("127.0.0.1", "127.0.0.1", 50, FIRST_SPI.to_bytes(4, "big") + bytes(4) + bytes(64))
            six = ip("::1", "::1", 50, FIRST_SPI.to_bytes(4, "big") + bytes(68))
            shapes = [(0x81 | n << 2, plain) for n in range(min(8, len(KINDS)))]
            return [
                pieces(*shapes, (0, plain), (0, six), (1, optioned()), (0, optioned()), (0, b""), (0, plain[:27])),
                pieces(*((0x81 | n << 2, plain + bytes(n)) for n in range(8)), (0, six[:40]), (0, six + b"after")),
            ]
        case "merge":
            rows = [
                [tcp(HERE, far, 1, 2, bytes(100), seq=1 + 100 * i, flags=0x18 if i == 5 else 0x10) for i in range(6)]
                + [udp(HERE, far, 1, 2, bytes(100)) for _ in range(6)]
                + packets(HERE, far)
                for far in ("10.2.0.7", "10.2.0.8")
            ]
            rows.append([tcp(HERE6, "fd02::7", 1, 2, bytes(100), seq=1 + 100 * i) for i in range(6)])
            rows.append([udp(HERE6, "fd02::7", 1, 2, bytes(100)) for _ in range(6)] + packets(HERE6, "fd02::7"))
            return [pieces(*((2, p) for p in row)) for row in rows]
        case "policy":
            trap = bytes([0, 0, 0, 4, 1, 5, 6, 0, 1, 5, 6, 1, 0, 16, 16, 0, 4, 0, 0, 4])
            hold = bytes([0, 0, 0, 3, 1, 0x85, 6, 2, 1, 0x85, 6, 2, 0, 5, 6, 0, 0x40, 0, 0, 1, 4, 0, 0, 3])
            return [trap, hold, trap + hold]
        case "headers":
            return [b"\0\5" + p for some, _ in out[:2] for p in some]
        case "segment":
            return [limit + frame for limit in (b"\0\0", b"\xc8\0") for _, some in out[:2] for frame in some]
        case "fragment":
            options = bytes([0x94, 4, 0, 0, 7, 7, 4, 0, 0, 0, 0, 0])
            long = ip(HERE, "10.2.0.7", 17, bytes(range(200)), df=False)
            routed = bytes([0x48]) + long[1:2] + struct.pack("!H", len(long) + 12) + long[4:20] + options + long[20:]
            rows = [long, routed, long[:6] + b"\x20\x05" + long[8:], ip(HERE6, "fd02::7", 17, bytes(range(200)))]
            return [mtu + row for mtu in (b"\x44\0", b"\x98\0") for row in [*rows, *extended(HERE6, "fd02::7")]]
        case "join":
            rows = []
            for whole in (
                ip(HERE, "10.2.0.7", 17, b"\0\1\0\2\0\xc8\0\0" + bytes(192), df=False),
                ip(HERE6, "fd02::7", 17, b"\0\1\0\2\0\xc8\0\0" + bytes(192)),
            ):
                _, parts = cut(whole, 120, 9)
                rows += [parts, parts[::-1], [parts[0], *parts, parts[1]], [parts[0], parts[0][:-1] + b"x", *parts]]
            return [pieces(*((n & 1, part) for n, part in enumerate(row))) for row in rows]
        case "replay":
            steps = [
                (1, 1, 2),
                (2, 2, 2),
                (3, 5, 4),
                (4, 70, 4),
                (0, 1 << 33, 8),
                (2, 64, 2),
                (1, 0, 2),
                (3, 1 << 31, 4),
            ]
            body = b"".join(bytes([op]) + value.to_bytes(size, "big") + bytes(8 - size) for op, value, size in steps)
            return [struct.pack("<H", window) + body * 3 for window in (0, 1, 32, 64, 128, 4096)]
        case "eroutes":
            sets = [bytes([0, 6, n, n + 1, 8 * (n % 5), 8 * (n % 4)]) for n in range(12)]
            matches = [bytes([4 + n % 4, 6, n, n + 1, 6, n]) for n in range(12)]
            return [b"".join(sets + matches), b"".join(sets + [b"\3" + s[1:] for s in sets] + matches)]
        case "ah":
            some = [*packets("127.0.0.1", "127.0.0.1"), *packets("::1", "::1"), optioned(), ip("::1", "::1", 51, ah())]
            return [
                bytes([n]) + struct.pack("<H", 77 * n) + p for n, p in enumerate([*some, ip("::1", "::1", 59, b"")])
            ]
        case "ipcomp":
            bomb = deflated(bytes(65536))
            good = [deflated(bytes(range(256))), deflated(b"abc" * 100), bomb, deflated(b""), bytes(range(90))]
            return [struct.pack("<HB", room, 3) + data for room in (7, 299, 65534) for data in [*good, bomb[:-3]]]
        case "outward" | "inward":
            found = []
            for n in range(2 * len(BUNDLES) + 1):
                ends = ("::1", "::1") if len(BUNDLES) <= n < 2 * len(BUNDLES) else ("127.0.0.1", "127.0.0.1")
                some = [*packets(*ends), udp(*ends, 1000, 2000, bytes(900))]
                if target == "outward":
                    found.append(
                        pieces(*((n | 0x20, p) for p in [*some, optioned()]), (n, udp(HERE6, "fd02::7", 1, 2)))
                    )
                    found.append(pieces(*((n | 0x60, p) for p in supers(*ends)), (n | 0x80, some[0])))
                    continue
                spis = [struct.pack("!I", BUNDLE_SPI + 4 * n + at) for at in range(4)]
                comp = b"".join(b"\x6c\x11\0" + spi[2:] + deflated(bytes(65000)) for spi in spis[:1])
                kinds = [
                    b"\x32" + spis[0] + bytes(40),
                    b"\x33" + ah(spis[0]),
                    comp,
                    comp[:60],
                    b"\x3b",
                    b"\x04" + some[0],
                ]
                kinds += [b"\x11" + some[0][20:], b"\x29" + udp(HERE6, "fd02::7", 1, 2), b"\x04\x45", b"\x6c\x11"]
                found.append(pieces(*((n | k << 5, each) for k in range(3) for each in kinds)))
                found.append(pieces(*((n | 0x80, p) for p in some)))
            return found
        case "expect":
            early = bytes([0, 1, 0, 0]) + bytes([1, 1, 9, 0]) * 70 + bytes([6, 1, 0, 0])
            late = bytes(
                [0, 2, 0, 0, 2, 2, 200, 200, 7, 0, 0, 0, 7, 0, 0, 0, 7, 0, 0, 0, 6, 2, 0, 0, 0, 3, 0, 0, 5, 3, 0, 0]
            )
            return [early, late, early + late, b"".join(bytes([0, n, 0, 0, 1, n, 0, 255]) for n in range(64)) * 3]
        case "handoff":
            return [
                bytes([1, 0, 255]) * 20 + bytes([7, 0, 0]),
                bytes([2, 5, 0, 9, 100, 3, 5, 1, 0]) * 40,
                bytes(3) * 90,
            ]
        case "stream":
            said = [b"", bytes(4) + b"\x21" * 28, b"\xff", bytes(range(1, 90)), b"\1" * 300]
            octets = b"".join(struct.pack("!H", 2 + len(each)) + each for each in said)
            rows = [octets, octets[:-40], octets + b"\0\1" + octets, octets + b"\xff\xff" + bytes(90)]
            first = [b"", b"IKETCP", b"IKETLS"]
            return [
                bytes([bool(prefix), step, times]) + prefix + row
                for prefix in first for row in rows for step, times in ((0, 0), (7, 1), (1, 127))
            ]  # fmt: skip
    return []
