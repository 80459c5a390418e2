# SPDX-License-Identifier: GPL-2.0-or-later
"""Which SAs may stand together, and what the packet engine is told of it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import NamedTuple

import pytest

from openswan.base.errors import KlipsError
from openswan.base.numbers import IpProtocol
from openswan.base.said import Said
from openswan.klips.bundles import Bundles, check_kind
from openswan.plane.commands import AddSa, Direction, Encap, Mode

HERE, THERE = ip_address("192.0.2.1"), ip_address("192.0.2.2")
ESP, AH, COMP, IPIP = IpProtocol.ESP, IpProtocol.AH, IpProtocol.COMP, IpProtocol.IPIP
MORE: dict[IpProtocol, tuple[str, str]] = {
    ESP: ("aes_gcm_16", ""),
    AH: ("", "hmac_sha1_96"),
    COMP: ("deflate", ""),
    IPIP: ("", ""),
}


def sa(proto: IpProtocol, mode: Mode = Mode.TRANSPORT, direction: Direction = Direction.OUT) -> AddSa:
    cipher, integ = MORE[proto]
    return AddSa(Said(proto, 0x1000, THERE), HERE, direction, cipher, b"", integ, mode=mode)


class Row(NamedTuple):
    cookie: int
    said: Said
    direction: Direction
    mode: Mode
    encap: bool


class Told(list[tuple[int, int, int, bool]]):
    def __call__(self, cookie: int, following: int, chained: int, enclosed: bool) -> None:
        self.append((cookie, following, chained, enclosed))


def made(*members: AddSa) -> tuple[Bundles, Told]:
    told = Told()
    rows = {
        cookie: Row(cookie, each.said, each.direction, each.mode, each.encap is not None)
        for cookie, each in enumerate(members, 1)
    }
    return Bundles(told, rows.__getitem__), told


def test_out_is_linked_outermost_first_so_that_no_packet_meets_half_a_bundle() -> None:
    bundles, told = made(sa(IPIP), sa(COMP), sa(ESP), sa(AH))
    bundles.group((1, 2, 3, 4))
    assert told == [(4, 0, 1, False), (3, 4, 1, False), (2, 3, 1, False), (1, 2, 1, False)]


def test_in_only_the_outermost_is_taken_from_outside() -> None:
    bundles, told = made(*(sa(proto, direction=Direction.IN) for proto in (IPIP, ESP, AH)))
    bundles.group((1, 2, 3))
    assert told == [(1, 0, 1, True), (2, 1, 1, True), (3, 2, 1, False)]


def test_one_alone_leaves_and_the_rest_stops() -> None:
    bundles, told = made(sa(ESP, Mode.TUNNEL), sa(AH))
    bundles.group((1, 2))
    told.clear()
    bundles.group((1,))
    assert told == [(2, 0, 2, False), (1, 0, 0, False)]
    told.clear()
    bundles.group((2,))
    assert told == [(2, 0, 1, False)]


def test_removing_one_stops_the_others() -> None:
    bundles, told = made(sa(ESP), sa(AH))
    bundles.group((1, 2))
    told.clear()
    bundles.remove(2)
    bundles.remove(1)
    assert told == [(1, 0, 2, False)]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ((sa(AH), sa(ESP)), "from inside out it is IPIP, IPComp, ESP, AH"),
        ((sa(ESP), sa(COMP)), "from inside out"),
        ((sa(ESP), sa(ESP)), "from inside out"),
        ((sa(IPIP), sa(COMP), sa(ESP), sa(AH), sa(IPIP)), "1 to 4 SAs, not 5"),
        ((replace(sa(ESP), encap=Encap(4500, 4500)), sa(AH)), "so nothing goes round it"),
        ((sa(AH), replace(sa(ESP, Mode.TRANSPORT), encap=Encap(4500, 4500))), "from inside out"),
    ],
)
def test_what_does_not_fit_together_is_refused(members: tuple[AddSa, ...], words: str) -> None:
    bundles, told = made(*members)
    with pytest.raises(KlipsError, match=words):
        bundles.group(tuple(range(1, len(members) + 1)))
    assert told == []


def test_one_sa_cannot_be_in_it_twice() -> None:
    bundles, _ = made(sa(ESP, Mode.TUNNEL))
    with pytest.raises(KlipsError, match="named twice"):
        bundles.group((1, 1))


def test_a_tunnel_begins_a_header_of_its_own() -> None:
    bundles, told = made(sa(AH), sa(ESP, Mode.TUNNEL))
    bundles.group((1, 2))
    assert told == [(2, 0, 1, False), (1, 2, 1, False)]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (replace(sa(ESP), said=Said(IpProtocol.UDP, 0x1000, THERE)), "protocol 17 is none of ESP, AH, IPComp and IPIP"),
        (replace(sa(AH), encap=Encap(1, 2)), "only ESP travels in UDP"),
        (replace(sa(AH), integ=""), "AH needs an authentication algorithm"),
        (replace(sa(AH), cipher="aes_cbc"), "has no other"),
        (replace(sa(COMP), cipher="lzs"), "compression algorithm lzs is not available: use deflate"),
        (replace(sa(COMP), said=Said(COMP, 0x10000, THERE)), "has 16 bits"),
        (replace(sa(IPIP), integ="hmac_sha1_96"), "an IPIP SA has no algorithms"),
        (replace(sa(ESP), original=(ip_address("::1"), ip_address("::2"))), "of the other address family"),
    ],
)
def test_what_a_protocol_cannot_do_is_refused(command: AddSa, words: str) -> None:
    with pytest.raises(KlipsError, match=words):
        check_kind(command)


def test_all_that_is_in_order_passes() -> None:
    for proto in MORE:
        check_kind(sa(proto))
