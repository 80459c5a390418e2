# SPDX-License-Identifier: GPL-2.0-or-later
"""NAT traversal: choosing the dialect, finding NATs, what phase 2 has to say."""

from __future__ import annotations

import pytest

from openswan.base.address import Endpoint, parse_address
from openswan.crypto.oakley import Oakley
from openswan.ike.v1 import natt
from openswan.ike.v1.natt import METHODS, Cookies, Found, Method
from openswan.wire.v1.message import Content
from openswan.wire.v1.natd import NatD, NatDDraft
from openswan.wire.v1.numbers import Encapsulation
from openswan.wire.v1.vendor import DPD, NATT_DRAFT_02, NATT_DRAFT_03, NATT_RFC

OAKLEY = Oakley("sha1")
COOKIES = Cookies(b"I" * 8, b"R" * 8)
A, B = Endpoint(parse_address("192.0.2.1"), 500), Endpoint(parse_address("192.0.2.2"), 500)
BOX = Endpoint(parse_address("203.0.113.9"), 1024)


def seen(method: Method, local: Endpoint, remote: Endpoint, sender: tuple[Endpoint, Endpoint]) -> Found | None:
    said = natt.hashes(OAKLEY, method, COOKIES, *sender)
    return natt.detect(OAKLEY, method, Content(tuple(said)), COOKIES, local, remote)


def test_the_best_dialect_both_know() -> None:
    assert natt.agreed([DPD]) is None
    assert natt.agreed([NATT_DRAFT_02, NATT_RFC]) is METHODS[0]
    found = natt.agreed([NATT_DRAFT_02, NATT_DRAFT_03])
    assert found is not None and found.natd is NatDDraft


@pytest.mark.parametrize("method", METHODS)
def test_who_is_behind_a_nat(method: Method) -> None:
    assert seen(method, B, A, (A, B)) == Found(False, False)
    assert seen(method, B, BOX, (A, B)) == Found(False, True)
    assert seen(method, A, B, (B, BOX)) == Found(True, False)
    assert seen(method, A, Endpoint(B.address, 1024), (B, A)) == Found(False, True)
    assert [str(Found(*pair)) for pair in ((True, True), (True, False), (False, True), (False, False))] == [
        "both are NATed",
        "i am NATed",
        "peer is NATed",
        "no NAT detected",
    ]
    assert Found(False, True).any and not Found(False, False).any


def test_a_peer_of_several_addresses() -> None:
    first, own = natt.hashes(OAKLEY, METHODS[0], COOKIES, A, B)
    content = Content((first, NatD(b"x" * 20), own))
    assert natt.detect(OAKLEY, METHODS[0], content, COOKIES, B, A) == Found(False, False)


def test_too_few_hashes_or_those_of_another_dialect_say_nothing() -> None:
    said = natt.hashes(OAKLEY, METHODS[0], COOKIES, A, B)
    for content in (Content(), Content((said[0],))):
        assert natt.detect(OAKLEY, METHODS[0], content, COOKIES, B, A) is None
    assert natt.detect(OAKLEY, METHODS[1], Content(tuple(said)), COOKIES, B, A) is None
    short = Content((NatD(b"x" * 16), NatD(b"x" * 64)))
    assert natt.detect(OAKLEY, METHODS[0], short, COOKIES, B, A) == Found(True, True)


def test_modes_of_phase_2() -> None:
    assert natt.modes(None, udp=True, transport=False) == (Encapsulation.TUNNEL,)
    assert natt.modes(METHODS[0], udp=False, transport=True) == (Encapsulation.TRANSPORT,)
    assert natt.modes(METHODS[0], udp=True, transport=False) == (Encapsulation.UDP_TUNNEL,)
    assert natt.modes(METHODS[3], udp=True, transport=True) == (Encapsulation.UDP_TRANSPORT_DRAFT,)
