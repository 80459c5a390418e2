# SPDX-License-Identifier: GPL-2.0-or-later
"""The authenticator: identity, agreement on a method, success and failure, packets out of place."""

from __future__ import annotations

import pytest

from openswan.base.errors import IkeError
from openswan.ike.eap.method import MOST_ROUNDS, EapError, ServerMethod
from openswan.ike.eap.server import EapServer
from openswan.wire.v2.eap import Eap, EapCode, EapType

RESPONSE = EapCode.RESPONSE


class Asking(ServerMethod):
    """Takes `yes` for an end, `no` for a failure, anything else for one more question."""

    def __init__(self, kind: EapType) -> None:
        self.kind = kind  # type: ignore[misc]

    def begin(self) -> bytes:
        return b"well?"

    def take(self, data: bytes) -> bytes | None:
        if data == b"no":
            raise EapError("it said no")
        if data == b"yes":
            self.user, self.msk, self.done = "joe", b"key", True
            return None
        return b"again?" if data else None


def server() -> EapServer:
    it = EapServer({kind: lambda user, kind=kind: Asking(kind) for kind in (EapType.TLS, EapType.MSCHAPV2)}, 200)  # type: ignore[misc]
    assert it.begin() == Eap(EapCode.REQUEST, 201, EapType.IDENTITY)
    return it


def say(it: EapServer, kind: EapType, data: bytes, identifier: int) -> Eap:
    return it.take(Eap(RESPONSE, identifier, kind, data))


def introduced() -> EapServer:
    it = server()
    assert say(it, EapType.IDENTITY, b"joe\0rubbish", 201) == Eap(EapCode.REQUEST, 202, EapType.TLS, b"well?")
    assert it.identity == "joe"
    return it


def test_success() -> None:
    it = introduced()
    assert say(it, EapType.TLS, b"hm", 202).data == b"again?"
    assert it.msk == b"" and it.user == ""
    assert say(it, EapType.TLS, b"yes", 203) == Eap(EapCode.SUCCESS, 203)
    assert (it.msk, it.user, it.kind) == (b"key", "joe", EapType.TLS) and not it.failure
    with pytest.raises(EapError, match="out of place"):
        say(it, EapType.TLS, b"yes", 203)


def test_another_method() -> None:
    it = introduced()
    assert say(it, EapType.NAK, bytes([4, 26]), 202) == Eap(EapCode.REQUEST, 203, EapType.MSCHAPV2, b"well?")
    assert say(it, EapType.NAK, bytes([13]), 203).code == EapCode.FAILURE, "once only"


@pytest.mark.parametrize(("wish", "named"), [(bytes([4, 25]), "MD5, PEAP"), (bytes([0]), "NONE"), (b"", "nothing")])
def test_a_method_that_is_not_allowed(wish: bytes, named: str) -> None:
    it = introduced()
    assert say(it, EapType.NAK, wish, 202) == Eap(EapCode.FAILURE, 202)
    assert f"wants to prove itself by {named}" in it.failure


@pytest.mark.parametrize(
    ("kind", "data", "why"),
    [
        (EapType.TLS, b"no", "it said no"),
        (EapType.TLS, b"", "without a key"),
        (EapType.MSCHAPV2, b"yes", "MSCHAPV2 in answer to TLS"),
        (EapType.IDENTITY, b"joe", "IDENTITY in answer to TLS"),
    ],
)
def test_failure(kind: EapType, data: bytes, why: str) -> None:
    it = introduced()
    assert say(it, kind, data, 202).code == EapCode.FAILURE
    assert why in it.failure and it.msk == b""


def test_no_identity() -> None:
    it = server()
    assert say(it, EapType.NAK, b"\x1a", 201).code == EapCode.FAILURE


@pytest.mark.parametrize(
    "packet",
    [
        Eap(RESPONSE, 203, EapType.TLS, b"yes"),
        Eap(RESPONSE, 201, EapType.TLS, b"yes"),
        Eap(EapCode.REQUEST, 202, EapType.TLS),
        Eap(EapCode.SUCCESS, 202),
        Eap(EapCode.FAILURE, 202),
    ],
)
def test_out_of_place(packet: Eap) -> None:
    with pytest.raises(EapError, match="out of place"):
        introduced().take(packet)


def test_no_end() -> None:
    it = introduced()
    identifier = 202
    for _ in range(MOST_ROUNDS):
        answer = say(it, EapType.TLS, b"hm", identifier)
        if answer.code == EapCode.FAILURE:
            break
        identifier = (identifier + 1) & 0xFF
    assert "no end" in it.failure


def test_a_method_we_cannot_run_is_a_failure() -> None:
    def broken(user: str) -> ServerMethod:
        raise IkeError("no key")

    it = EapServer({EapType.TLS: broken}, 0)
    it.begin()
    assert say(it, EapType.IDENTITY, b"joe", 1).code == EapCode.FAILURE and it.failure == "no key"
