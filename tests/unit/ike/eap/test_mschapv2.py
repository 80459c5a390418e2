# SPDX-License-Identifier: GPL-2.0-or-later
"""EAP-MSCHAPv2: both sides together, wrong passwords, and every packet out of place or cut."""

from __future__ import annotations

import pytest

from openswan.base.entropy import SeededRng
from openswan.base.errors import WireError
from openswan.ike.eap.method import EapError
from openswan.ike.eap.mschapv2 import MschapPeer, MschapServer, Op, Packet, same_user

USERS = {"joe": "secret", "ann": "other"}


def server(expected: str = "") -> MschapServer:
    return MschapServer("gateway", USERS.get, SeededRng("server"), expected)


def peer(user: str = "joe", password: str = "secret") -> MschapPeer:
    return MschapPeer(user, password, SeededRng("peer"))


def test_both_prove_themselves() -> None:
    s, p = server(), peer()
    success = s.take(p.take(s.begin()))
    assert success is not None and not s.done and not p.done
    assert s.take(p.take(success)) is None
    assert s.done and p.done and s.msk == p.msk and len(s.msk) == 64 and s.user == "joe"


def test_a_domain_in_front() -> None:
    s, p = MschapServer("g", lambda user: "secret", SeededRng(1)), peer("CORP\\joe")
    success = s.take(p.take(s.begin()))
    assert success is not None and s.take(p.take(success)) is None and s.user == "CORP\\joe"
    assert same_user("CORP\\joe", "joe") and not same_user("joe", "ann")


@pytest.mark.parametrize(("user", "password"), [("joe", "wrong"), ("nobody", "secret"), ("", "")])
def test_a_wrong_password_is_told_and_ends_it(user: str, password: str) -> None:
    s, p = server(), peer(user, password)
    failure = s.take(p.take(s.begin()))
    assert failure is not None and Packet.parse(failure).op == Op.FAILURE
    assert p.take(failure) == bytes([Op.FAILURE])
    assert "refuses our user name or password: 'E=691 R=0" in p.failure
    with pytest.raises(EapError, match="out of place"):
        p.take(failure)
    with pytest.raises(EapError, match=f"wrong password of '{user}'"):
        s.take(bytes([Op.FAILURE]))
    assert not s.done and not s.msk and not p.done and not p.msk


def test_only_the_user_that_is_expected() -> None:
    s = server("ann")
    failure = s.take(peer().take(s.begin()))
    assert failure is not None and Packet.parse(failure).op == Op.FAILURE


def test_a_server_that_does_not_know_the_password() -> None:
    p = peer()
    p.take(server().begin())
    proof = Packet(Op.SUCCESS, 1, text="S=" + "0" * 40 + " M=Welcome").emit()
    with pytest.raises(EapError, match="does not know our password"):
        p.take(proof)
    assert not p.msk


def test_success_before_the_challenge_is_none() -> None:
    """As in a server that skips its own proof (CVE-2015-8023, CVE-2021-45079)."""
    with pytest.raises(EapError, match="out of place"):
        peer().take(Packet(Op.SUCCESS, 1, text="S=" + "0" * 40).emit())
    s = server()
    s.begin()
    with pytest.raises(EapError):
        s.take(bytes([Op.SUCCESS]))
    assert not s.done


@pytest.mark.parametrize("data", ["04", "0401", "040100", "04010003", "0401000345", "04010006", "0401ffff", ""])
def test_a_short_failure(data: str) -> None:
    """CVE-2025-62291: a failure request with a length shorter than its own header."""
    p = peer()
    p.take(server().begin())
    with pytest.raises(EapError):
        p.take(bytes.fromhex(data))


def test_every_truncation() -> None:
    s, p = server(), peer()
    challenge = s.begin()
    for cut in range(len(challenge)):
        with pytest.raises(EapError):
            peer().take(challenge[:cut])
    response = p.take(challenge)
    for cut in range(len(response)):
        with pytest.raises(EapError):
            server().take(response[:cut])


@pytest.mark.parametrize(
    "packet",
    [
        Packet(Op.CHALLENGE, 1, bytes(15), "x"),
        Packet(Op.CHALLENGE, 1, bytes(255), "x"),
        Packet(Op.RESPONSE, 1, bytes(49), "x"),
        Packet(Op(7), 1),
    ],
)
def test_no_challenge(packet: Packet) -> None:
    with pytest.raises(EapError):
        peer().take(packet.emit())


@pytest.mark.parametrize("change", [{"number": 999}, {"value": bytes(48)}, {"op": Op.CHALLENGE}])
def test_no_response(change: dict[str, object]) -> None:
    s = server()
    right = Packet.parse(peer().take(s.begin()))
    values = {"op": right.op, "number": right.number, "value": right.value, "text": right.text}
    values |= change
    if values["number"] == 999:
        values["number"] = (right.number + 1) % 256
    with pytest.raises(EapError, match="does not answer"):
        s.take(Packet(**values).emit())  # type: ignore[arg-type]


def test_long_names() -> None:
    with pytest.raises(WireError, match="name of 257 octets"):
        Packet.parse(Packet(Op.RESPONSE, 1, bytes(49), "x" * 257).emit())
