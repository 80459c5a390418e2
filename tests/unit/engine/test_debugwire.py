# SPDX-License-Identifier: GPL-2.0-or-later
"""IKE messages in words and in hexadecimal."""

from openswan.engine.debugwire import chain_lines, clear_lines, hex_lines
from openswan.wire.attribute import Attribute
from openswan.wire.header import Flags, Header
from openswan.wire.message import Message
from openswan.wire.v1 import header as v1header
from openswan.wire.v1.message import Message as MessageV1
from openswan.wire.v1.modecfg import Attributes
from openswan.wire.v1.numbers import CfgType
from openswan.wire.v1.numbers import ExchangeType as ExchangeTypeV1
from openswan.wire.v2.auth import Auth
from openswan.wire.v2.ke import Ke
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import AuthMethod, DhId, ExchangeType, NotifyType

HEADER = Header(b"\1" * 8, b"\2" * 8, ExchangeType.IKE_SA_INIT, Flags.RESPONSE)


def test_octets() -> None:
    assert list(hex_lines(bytes(range(18)))) == ["  00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f", "  10 11"]
    assert list(hex_lines(b"")) == []


def test_a_message_in_clear() -> None:
    payloads = (Ke(DhId.X25519, bytes(32)), Notify(NotifyType.COOKIE, b"c" * 16))
    lines = list(clear_lines("parse", Message(HEADER, payloads).emit()))
    assert lines == [
        f"parse IKE_SA_INIT response 0, SPIs {'01' * 8} {'02' * 8}",
        "parse   KE: group X25519, 32 octets",
        "parse   NOTIFY: COOKIE, 20 octets",
    ]


def test_a_proof_is_a_kind_and_a_length() -> None:
    lines = list(chain_lines("emit", HEADER, (Auth(AuthMethod.SHARED_KEY, b"proof"),)))
    assert lines[1].endswith("9 octets") and b"proof".hex() not in " ".join(lines) and "proof" not in " ".join(lines)


def test_an_ikev1_message() -> None:
    header = v1header.Header(b"\1" * 8, b"\2" * 8, ExchangeTypeV1.TRANSACTION, message_id=7)
    asked = Attributes(CfgType.REPLY, 1, (Attribute(16524, b"secret word"),))
    lines = list(clear_lines("emit", MessageV1.clear(header, [asked]).emit()))
    assert lines[0].startswith("emit TRANSACTION message, msgid:00000007") and "types 16524" in lines[1]
    assert "secret" not in " ".join(lines)


def test_what_cannot_be_read() -> None:
    assert next(clear_lines("parse", b"x")).startswith("parse 1 octets that are no message: ")
