# SPDX-License-Identifier: GPL-2.0-or-later
"""The peer: what it answers, and what it does not believe."""

from __future__ import annotations

import pytest

from openswan.ike.eap.method import MOST_ROUNDS, EapError, PeerMethod
from openswan.ike.eap.peer import EapPeer
from openswan.wire.v2.eap import Eap, EapCode, EapType

REQUEST, RESPONSE = EapCode.REQUEST, EapCode.RESPONSE


class Counting(PeerMethod):
    """Ready after two questions."""

    kind = EapType.MSCHAPV2

    def __init__(self) -> None:
        self.asked = 0

    def take(self, data: bytes) -> bytes:
        self.asked += 1
        if self.asked == 2:
            self.done, self.msk = True, b"key"
        return b"answer to " + data


def peer() -> EapPeer:
    return EapPeer({EapType.MSCHAPV2: Counting, EapType.TLS: Counting}, "joe")


def ask(it: EapPeer, kind: EapType, data: bytes = b"", number: int = 5) -> Eap:
    answer = it.take(Eap(REQUEST, number, kind, data))
    assert answer is not None and answer.code == RESPONSE and answer.identifier == number
    return answer


def test_a_whole_conversation() -> None:
    it = peer()
    assert ask(it, EapType.IDENTITY).data == b"joe"
    assert ask(it, EapType.NOTIFICATION, b"hello").kind == EapType.NOTIFICATION
    nak = ask(it, EapType.MD5, b"challenge", 6)
    assert nak.kind == EapType.NAK and nak.data == bytes([26, 13])
    assert ask(it, EapType.MSCHAPV2, b"one").data == b"answer to one" and it.kind == EapType.MSCHAPV2
    ask(it, EapType.MSCHAPV2, b"two")
    assert it.msk == b"", "the server has not said so yet"
    assert it.take(Eap(EapCode.SUCCESS, 7)) is None and it.msk == b"key"
    with pytest.raises(EapError, match="after the end"):
        it.take(Eap(EapCode.SUCCESS, 7))


@pytest.mark.parametrize("questions", [0, 1])
def test_success_too_early_is_no_success(questions: int) -> None:
    """CVE-2015-8023, CVE-2021-45079: anybody can say success."""
    it = peer()
    for _ in range(questions):
        ask(it, EapType.MSCHAPV2)
    with pytest.raises(EapError, match="success before the method has ended"):
        it.take(Eap(EapCode.SUCCESS, 1))
    assert it.msk == b""


def test_failure_and_what_a_server_does_not_say() -> None:
    with pytest.raises(EapError, match="says EAP failure"):
        peer().take(Eap(EapCode.FAILURE, 1))
    with pytest.raises(EapError, match="RESPONSE from the server"):
        peer().take(Eap(RESPONSE, 1, EapType.IDENTITY))


def test_the_method_does_not_change() -> None:
    it = peer()
    ask(it, EapType.MSCHAPV2)
    for kind in (EapType.TLS, EapType.IDENTITY):
        with pytest.raises(EapError, match="changes from"):
            it.take(Eap(REQUEST, 1, kind))


def test_no_end() -> None:
    it = peer()
    with pytest.raises(EapError, match="no end"):
        for _ in range(MOST_ROUNDS + 1):
            ask(it, EapType.IDENTITY)
