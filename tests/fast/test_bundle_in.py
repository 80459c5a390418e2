# SPDX-License-Identifier: GPL-2.0-or-later
"""Bad input to AH, IPComp and bundles over loopback: each packet a named, counted drop, and none stops the next."""

from __future__ import annotations

import random
import socket
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from _fast.ah import Ah
from openswan.base.drops import Drop
from openswan.base.numbers import IpProtocol
from openswan.klips.slow.esp import Esp
from openswan.plane.commands import DelSa, Mode
from tests.fast.pairrig import KEYS, Member, PairRig
from tests.fast.rig import eventually, ip, udp
from tests.fast.test_bundle_out import in_namespace

ESP, AH, COMP, IPIP = IpProtocol.ESP, IpProtocol.AH, IpProtocol.COMP, IpProtocol.IPIP
WEST, EAST = "127.0.0.1", "127.0.0.2"
Namespace = Callable[[Callable[[], Any]], Any]


class Wire:
    """Packets of our own making to east."""

    def __init__(self, rig: PairRig) -> None:
        self.rig = rig
        self.raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.ah = Ah("hmac_sha2_256_128", bytes(range(32)))
        self.esp = Esp("aes_gcm_16", bytes(range(20)))

    def dropped(self, packet: bytes, *reasons: Drop) -> None:
        """East drops it for one of these reasons and counts it once."""
        before = self.rig.east.klips.drops()
        self.raw.sendto(packet, (EAST, 0))
        eventually(
            lambda: sum(self.rig.east.klips.drops().values()) == sum(before.values()) + 1,
            3,
            lambda: f"{packet.hex()} {self.rig.told()}",
        )
        after = self.rig.east.klips.drops()
        assert next(reason for reason in after if after[reason] != before[reason]) in reasons

    def sealed(self, payload: bytes, kind: int, sequence: int, spi: int = 0x1001) -> bytes:
        """An ESP packet."""
        return ip(WEST, EAST, 50, self.esp.seal(spi, sequence, payload, kind, sequence.to_bytes(8, "big")), df=False)


@pytest.mark.parametrize("mode", list(Mode))
def test_ah_cut_short_bent_replayed_and_unknown(namespace: Namespace, mode: Mode) -> None:
    def work(rig: PairRig) -> None:
        rig.bundle((Member(AH, mode),), 4, 4)
        wire = Wire(rig)
        inner = udp("10.1.0.5", "10.2.0.7", 1, 2) if mode is Mode.TUNNEL else udp(WEST, EAST, 1, 2)
        packet = ip(WEST, EAST, 4, inner, df=False) if mode is Mode.TUNNEL else inner
        whole = wire.ah.seal(0x1001, 5, packet)[1]
        for cut in range(20, len(whole)):
            wire.dropped(ip(WEST, EAST, 51, whole[20:cut], df=False), Drop.MALFORMED, Drop.AUTH_FAILED)
        for at in range(20, len(whole)):
            bent = whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :]
            wire.dropped(bent, Drop.MALFORMED, Drop.AUTH_FAILED, Drop.NO_SA)
        assert rig.through(inner) == inner
        wire.raw.sendto(whole, (EAST, 0))
        assert rig.east.host.recv(2000)[10:] == inner
        wire.dropped(whole, Drop.REPLAY)
        if mode is Mode.TUNNEL:
            wire.dropped(wire.ah.seal(0x1001, 6, udp(WEST, EAST, 1, 2))[1], Drop.MODE_MISMATCH)
        assert rig.through(inner) == inner

    in_namespace(namespace, work)


def test_compression_that_lies_and_bombs(namespace: Namespace) -> None:
    def work(rig: PairRig) -> None:
        rig.bundle((Member(COMP),), 4, 4)
        wire = Wire(rig)
        stream = zlib.compressobj(9, zlib.DEFLATED, -15)
        bomb = stream.compress(bytes(4 << 20)) + stream.flush()
        head = bytes([17, 0, 0x10, 0x01])
        good = udp(WEST, EAST, 1, 2, b"z" * 500)
        wire.dropped(ip(WEST, EAST, 108, head + bomb, df=False), Drop.BAD_COMPRESSION)
        rng = random.Random(3173)
        for _ in range(50):
            wire.dropped(ip(WEST, EAST, 108, head + rng.randbytes(60), df=False), Drop.BAD_COMPRESSION)
        for n in range(5):
            wire.dropped(ip(WEST, EAST, 108, (head + b"\0")[:n], df=False), Drop.MALFORMED)
        wire.dropped(ip(WEST, EAST, 108, b"\x11\0\x10\x02" + bomb[:40], df=False), Drop.NO_SA)
        assert rig.through(good) == good

    in_namespace(namespace, work)


@pytest.mark.parametrize(("outer", "inner"), [(4, 4), (4, 6), (6, 4), (6, 6)])
def test_compression_alone_takes_what_would_not_shrink_as_ip_in_ip(
    namespace: Namespace, outer: int, inner: int
) -> None:
    src, dst = ("10.1.0.5", "10.2.0.7") if inner == 4 else ("fd01::5", "fd02::7")

    def work(rig: PairRig) -> None:
        (said,) = rig.bundle((Member(COMP, Mode.TUNNEL),), outer, inner)
        rng = random.Random(4)
        sent = 0
        for size in (1, 200, 1200, 1400):
            for body in (rng.randbytes(size), bytes(size)):
                packet = udp(src, dst, 1, 2, body)
                assert rig.through(packet) == packet
                sent += 1
        eventually(lambda: [view.packets for view in rig.east.klips.sas()] == [sent])
        # Only from its peer, only within its selectors, and only as long as it stands alone or is there at all.
        bare = udp("10.1.0.5", "10.2.0.7", 1, 2)
        if (outer, inner) == (4, 4):
            wire = Wire(rig)
            wire.dropped(ip("127.0.0.9", EAST, 4, bare, df=False), Drop.NO_SA)
            wire.dropped(ip(WEST, EAST, 4, udp("10.9.0.5", "10.2.0.7", 1, 2), df=False), Drop.SELECTOR_MISMATCH)
            wire.dropped(ip(WEST, EAST, 4, bare[:-1], df=False), Drop.MALFORMED)
            rig.east.klips.execute(DelSa(said))
            wire.dropped(ip(WEST, EAST, 4, bare, df=False), Drop.NO_SA)

    in_namespace(namespace, work)


def test_compression_inside_esp_takes_no_ip_in_ip(namespace: Namespace) -> None:
    def work(rig: PairRig) -> None:
        rig.bundle((Member(COMP, Mode.TUNNEL), Member(ESP)), 4, 4)
        Wire(rig).dropped(ip(WEST, EAST, 4, udp("10.1.0.5", "10.2.0.7", 1, 2), df=False), Drop.NO_SA)

    in_namespace(namespace, work)


def test_a_bundle_takes_what_belongs_there_and_nothing_else(namespace: Namespace) -> None:
    def work(rig: PairRig) -> None:
        rig.bundle((Member(IPIP), Member(ESP), Member(AH)), 4, 4)
        wire = Wire(rig)
        inner = udp("10.1.0.5", "10.2.0.7", 1, 2)
        under = wire.sealed(inner, 4, 1, 0x1002)
        # ESP without its AH; AH with something else inside; ESP with another than the IPIP SA inside.
        wire.dropped(under, Drop.UNEXPECTED_SA)
        wire.dropped(wire.ah.seal(0x1003, 1, ip(WEST, EAST, 4, inner))[1], Drop.UNEXPECTED_SA)
        wire.dropped(wire.ah.seal(0x1003, 2, udp(WEST, EAST, 1, 2))[1], Drop.UNEXPECTED_SA)
        twice = wire.ah.seal(0x1003, 3, wire.ah.seal(0x1003, 4, under)[1])[1]
        wire.dropped(twice, Drop.UNEXPECTED_SA)
        wire.dropped(wire.ah.seal(0x1003, 5, wire.sealed(inner[20:], 17, 2, 0x1002))[1], Drop.UNEXPECTED_SA)
        wire.dropped(wire.ah.seal(0x1003, 6, wire.sealed(b"", 59, 3, 0x1002))[1], Drop.DUMMY)
        wire.dropped(wire.ah.seal(0x1003, 7, wire.sealed(inner, 41, 4, 0x1002))[1], Drop.MALFORMED)
        wire.dropped(wire.ah.seal(0x1003, 8, wire.sealed(inner[:19], 4, 5, 0x1002))[1], Drop.MALFORMED)
        stranger = udp("10.9.0.5", "10.2.0.7", 1, 2)
        wire.dropped(wire.ah.seal(0x1003, 9, wire.sealed(stranger, 4, 6, 0x1002))[1], Drop.SELECTOR_MISMATCH)
        wire.raw.sendto(wire.ah.seal(0x1003, 10, wire.sealed(inner, 4, 7, 0x1002))[1], (EAST, 0))
        assert rig.east.host.recv(2000)[10:] == inner

    in_namespace(namespace, work)


def test_transport_mode_takes_no_tunnel_and_only_its_own_ends(namespace: Namespace) -> None:
    def work(rig: PairRig) -> None:
        rig.bundle((Member(ESP),), 4, 4)
        wire = Wire(rig)
        inner = udp("10.1.0.5", "10.2.0.7", 1, 2)
        # IPIP inside transport mode is a payload like any other: with the header it came under, between the ends.
        wire.raw.sendto(wire.sealed(inner, 4, 1), (EAST, 0))
        came = rig.east.host.recv(2000)[10:]
        assert came[9] == 4 and came[12:20] == bytes([127, 0, 0, 1, 127, 0, 0, 2]) and came[20:] == inner
        for kind in (50, 51, 108):
            wire.dropped(wire.sealed(inner, kind, 10 + kind), Drop.UNEXPECTED_SA)
        wire.dropped(wire.sealed(b"", 59, 2), Drop.DUMMY)
        wire.dropped(wire.sealed(b"", 17, 3), Drop.MALFORMED)
        spare = wire.sealed(b"payload", 47, 4)
        wire.raw.sendto(spare, (EAST, 0))
        assert rig.east.host.recv(2000)[30:] == b"payload"

    in_namespace(namespace, work)


def test_keys_of_the_rig_are_what_the_wire_seals_with() -> None:
    assert KEYS[ESP]["enc_key"] == bytes(range(20)) and KEYS[AH]["auth_key"] == bytes(range(32))
