# SPDX-License-Identifier: GPL-2.0-or-later
"""Every mode and bundle from one engine to another: what goes in comes out, whatever it is and however long."""

from __future__ import annotations

import random
import select
import subprocess
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import pytest

from openswan.base.drops import Drop
from openswan.base.numbers import IpProtocol
from openswan.base.said import Shunt
from openswan.klips.slow.ah import set_length
from openswan.plane.commands import DelSa, Direction, ExpectSpi, GroupSas, Mode, SetEroute
from openswan.policy.selector import FlowKey
from tests.fast.pairrig import ADDRESSES, Member, PairRig, tunnelled
from tests.fast.rig import checksums_right, eventually, ip, tcp, udp, vnet

ESP, AH, COMP, IPIP = IpProtocol.ESP, IpProtocol.AH, IpProtocol.COMP, IpProtocol.IPIP
T = Mode.TUNNEL
SHAPES = {
    "esp": (Member(ESP),),
    "esp-cbc": (
        Member(
            ESP,
            more=(
                ("cipher", "aes_cbc"),
                ("enc_key", bytes(16)),
                ("integ", "hmac_sha1_96"),
                ("auth_key", bytes(20)),
                ("esn", True),
            ),
        ),
    ),
    "ah": (Member(AH),),
    "ah-esn": (Member(AH, more=(("esn", True),)),),
    "ah-tunnel": (Member(AH, T),),
    "comp": (Member(COMP),),
    "comp-esp": (Member(COMP), Member(ESP)),
    "esp-ah": (Member(ESP), Member(AH)),
    "ah-in-esp": (Member(AH), Member(ESP, T)),
    "comp-tunnel-esp": (Member(COMP, T), Member(ESP)),
    "esp-tunnel-ah": (Member(ESP, T), Member(AH)),
    "tun": (Member(IPIP), Member(ESP)),
    "tun-comp-esp": (Member(IPIP), Member(COMP), Member(ESP)),
    "all": (Member(IPIP), Member(COMP), Member(ESP), Member(AH)),
}
Namespace = Callable[[Callable[[], Any]], Any]


def in_namespace(namespace: Namespace, work: Callable[[PairRig], None], mtu: int = 1500) -> None:
    def inside() -> None:
        for address in ("fd00::1", "fd00::2"):
            subprocess.run(["ip", "addr", "add", f"{address}/128", "dev", "lo", "nodad"], check=True)
        # The kernel makes their routes when it gets round to it.
        listing = ["ip", "-6", "route", "show", "table", "local"]
        eventually(lambda: subprocess.run(listing, check=True, capture_output=True).stdout.count(b"local fd00::") == 2)
        rig = PairRig(mtu)
        try:
            work(rig)
        finally:
            rig.close()

    namespace(inside)


def ends(shape: str, outer: int, inner: int) -> tuple[str, str]:
    if tunnelled(SHAPES[shape]):
        return ("10.1.0.5", "10.2.0.7") if inner == 4 else ("fd01::5", "fd02::7")
    a, b = ADDRESSES[outer]
    return str(a), str(b)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("outer", "inner"), [(4, 4), (6, 6), (4, 6), (6, 4)])
def test_packets_of_every_size_arrive_as_they_were(namespace: Namespace, shape: str, outer: int, inner: int) -> None:
    # Transport mode has one family only.
    src, dst = ends(shape, outer, inner)
    inner = 6 if ":" in src else 4

    def work(rig: PairRig) -> None:
        saids = rig.bundle(SHAPES[shape], outer, inner)
        rng = random.Random(1)
        count = octets = 0
        for n in (0, 1, 60, 90, 300, 1200, 1300):
            for body in (b"abcdefgh" * 200, rng.randbytes(1600)):
                if shape == "comp" and (n < 90 or body[:2] != b"ab"):
                    continue  # what does not shrink goes as it is, which without ESP is in clear (RFC 3173 2.2)
                packet = udp(src, dst, 1000, 2000, body[:n], tos=0xB8)
                assert rig.through(packet) == packet
                count, octets = count + 1, octets + len(packet)
        out = {view.said: view for view in rig.west.klips.sas()}
        came = {view.said: view for view in rig.east.klips.sas()}
        eventually(lambda: [came_in.packets for came_in in rig.east.klips.sas()] == [count] * len(saids))
        assert [out[said].packets for said in saids] == [count] * len(saids) and set(came) == set(saids)
        assert out[saids[0]].octets == octets
        assert out[saids[-1]].sequence == (count if saids[-1].proto in (ESP, AH) else 0)
        assert not sum(rig.east.klips.drops().values()), rig.told()

    in_namespace(namespace, work)


@pytest.mark.parametrize("shape", ["esp", "ah", "all", "comp-esp"])
@pytest.mark.parametrize("version", [4, 6])
def test_super_packets_are_cut_first(namespace: Namespace, shape: str, version: int) -> None:
    def work(rig: PairRig) -> None:
        rig.bundle(SHAPES[shape], version, version)
        src, dst = ends(shape, version, version)
        data = random.Random(2).randbytes(9000)
        head = 40 if version == 4 else 60
        kind = 1 if version == 4 else 4
        rig.west.host.send(vnet(kind, head, 1448, head - 20, 16) + tcp(src, dst, 5, 6, data))
        got = b""
        rig.east.host.settimeout(3)
        while len(got) < len(data):
            packet = rig.east.host.recv(70000)[10:]
            assert checksums_right(packet)
            got += packet[head:]
        assert got == data

    in_namespace(namespace, work)


@pytest.mark.parametrize("shape", ["ah", "esp-ah", "esp", "all", "tun"])
@pytest.mark.parametrize("version", [4, 6])
def test_what_is_too_long_leaves_in_fragments(namespace: Namespace, shape: str, version: int) -> None:
    def work(rig: PairRig) -> None:
        rig.bundle(SHAPES[shape], version, version)
        src, dst = ends(shape, version, version)
        # IPv6 up to 1280 has nowhere smaller to go; IPv4 without DF goes whole and is cut outside.
        body = random.Random(3).randbytes(1200 if version == 6 else 1400)
        packet = udp(src, dst, 1, 2, body, df=False)  # type: ignore[arg-type]
        assert rig.through(packet) == packet

    in_namespace(namespace, work, mtu=1280 if version == 6 else 700)


def test_fragments_stay_whole_when_the_outbox_is_emptied_between_them(namespace: Namespace) -> None:
    def work(rig: PairRig) -> None:
        west = rig.west
        rig.bundle((Member(AH, T),), 4, 4)
        rig.bundle((Member(ESP, T, (("unproven", True),)),), 6, 6)
        west.klips.execute(SetEroute(FlowKey(ip_network("10.1.0.0/16"), ip_network("10.3.0.0/16")), Shunt.PASS))
        large = [udp("10.1.0.5", "10.2.0.7", 1, n, bytes([n]) * 1400, df=False, ident=n) for n in range(14)]
        west.klips.stop()
        # One that leaves in outer fragments, a thousand small ones, and so the last places of the outbox (OUT_PACKETS)
        # for the first halves of some of the large ones.
        west.host.send(bytes(10) + udp("fd01::5", "fd02::7", 1, 2, bytes(1232)))
        west.host.send(vnet(1, 40, 65, 20, 16) + tcp("10.1.0.5", "10.3.0.1", 5, 6, bytes(65 * 1000)))
        for packet in large:
            west.host.send(bytes(10) + packet)
        west.klips.start()
        came = []
        rig.east.host.settimeout(3)
        while len(came) < len(large) + 1:
            came.append(rig.east.host.recv(70000)[10:])
        assert [packet for packet in came if packet[0] >> 4 == 4] == large, rig.told()

    in_namespace(namespace, work, mtu=1300)


def test_too_big_with_df_is_answered_with_what_the_whole_bundle_leaves(namespace: Namespace) -> None:
    def work(rig: PairRig) -> None:
        rig.bundle(SHAPES["all"], 4, 4)
        big = udp("10.1.0.5", "10.2.0.7", 1, 2, random.Random(4).randbytes(1460))
        rig.refused(big, Drop.TOO_BIG, at_west=True)
        answer = rig.west.host.recv(2000)[10:]
        room = int.from_bytes(answer[26:28], "big")
        fits = udp("10.1.0.5", "10.2.0.7", 1, 2, random.Random(4).randbytes(room - 28))
        assert answer[20:22] == b"\x03\x04" and rig.through(fits) == fits
        # IP 20, AH 28, ESP 8 + 8 + 2 + 16 in whole words; IPComp need not shrink anything.
        assert room == 1500 - 20 - 28 - 8 - 8 - 2 - 16

    in_namespace(namespace, work)


def test_options_stay_in_front_and_destination_options_inside(namespace: Namespace) -> None:
    def four(rig: PairRig) -> None:
        rig.bundle(SHAPES["ah"], 4, 4)
        plain = bytearray(udp("127.0.0.1", "127.0.0.2", 1, 2))
        head = bytearray(plain[:20] + b"\x94\x04\0\0")
        head[0] = 0x46
        set_length(head, len(plain) + 4)
        packet = bytes(head) + bytes(plain[20:])
        assert rig.through(packet) == packet

    def six(rig: PairRig) -> None:
        rig.bundle(SHAPES["ah"], 6, 6)
        for first, chain in ((60, b"\x11\0\1\4\0\0\0\0"), (0, b"\x11\0\1\4\0\0\0\0")):
            inside = udp("fd00::1", "fd00::2", 1, 2)[40:]
            packet = ip("fd00::1", "fd00::2", first, chain + inside)
            assert rig.through(packet) == packet

    in_namespace(namespace, four)
    in_namespace(namespace, six)


def test_transport_mode_is_for_whole_packets_between_its_ends(namespace: Namespace) -> None:
    def work(rig: PairRig) -> None:
        rig.bundle(SHAPES["esp"], 4, 4)
        rig.west.host.send(bytes(10) + ip("127.0.0.1", "127.0.0.2", 17, bytes(64), df=False, frag=0x2000))
        said = next(view.said for view in rig.west.klips.sas())
        rig.west.klips.execute(SetEroute(FlowKey(ip_network("10.0.0.0/8"), ip_network("10.0.0.0/8")), said))
        rig.refused(udp("10.1.0.5", "10.2.0.7", 1, 2), Drop.MODE_MISMATCH, at_west=True)
        # Nothing of a datagram that is not complete has left.
        assert not any(view.packets for end in (rig.west, rig.east) for view in end.klips.sas())

    in_namespace(namespace, work)


def test_a_bundle_that_lost_a_member_carries_nothing(namespace: Namespace) -> None:
    def work(rig: PairRig) -> None:
        saids = rig.bundle(SHAPES["esp-ah"], 4, 4)
        packet = udp("127.0.0.1", "127.0.0.2", 1, 2)
        assert rig.through(packet) == packet
        rig.west.klips.execute(DelSa(saids[1]))
        rig.refused(packet, Drop.NO_SA, at_west=True)
        # Alone again by command: then it goes, and east wants more than that.
        rig.west.klips.execute(GroupSas((saids[0],)))
        rig.refused(packet, Drop.UNEXPECTED_SA)

    in_namespace(namespace, work)


def test_what_comes_before_its_bundle_is_there_waits_for_all_of_it(namespace: Namespace) -> None:
    """Compressed, and too short for that, which then says no more than that a packet is in it."""

    def work(rig: PairRig) -> None:
        members = SHAPES["comp-tunnel-esp"]
        saids = rig.bundle(members, 4, 4, ends=[Direction.OUT])
        rig.east.klips.execute(ExpectSpi(saids[1]))
        early = [udp("10.1.0.5", "10.2.0.7", 1, n + 1, b"x" * (800 * (n % 2))) for n in range(20)]
        for packet in early:
            rig.west.host.send(bytes(10) + packet)
        assert not select.select([rig.east.host], [], [], 0.1)[0]
        rig.bundle(members, 4, 4, ends=[Direction.IN])
        came = []
        while select.select([rig.east.host], [], [], 0.3)[0]:
            came.append(rig.east.host.recv(70000)[10:])
        assert came == early, rig.told()

    in_namespace(namespace, work)
