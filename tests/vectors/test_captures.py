# SPDX-License-Identifier: GPL-2.0-or-later
"""Captured IKE messages of other implementations: decoded, decrypted with the keys that came along, emitted again."""

from __future__ import annotations

import csv
import hmac
import json
from pathlib import Path

import pytest

from openswan.base.errors import CryptoError, WireError
from openswan.crypto.encr import Encr
from openswan.crypto.sealing import Sealer
from openswan.wire.esp import EspPacket, aead_aad, strip_trailer
from openswan.wire.header import Header, Natt, classify_4500, strip_marker
from openswan.wire.message import Message, sk_prefix
from openswan.wire.payload import emit_chain, parse_chain
from openswan.wire.v2.auth import Auth
from openswan.wire.v2.body import Payload
from openswan.wire.v2.ident import IdI, IdR
from openswan.wire.v2.ke import Ke
from openswan.wire.v2.nonce import Nonce
from openswan.wire.v2.numbers import ExchangeType
from openswan.wire.v2.sa import Sa
from openswan.wire.v2.sk import unpad
from openswan.wire.v2.ts import TsI, TsR
from tests.shareddata import DATA, udp_payloads

PCAPS = DATA / "pcaps"
FILES = ("ikev2-decrypt-3des-sha1_160.pcap", "ikev2-decrypt-aes256cbc.pcapng", "ikev2-decrypt-aes256gcm16.pcap")
ENCR = {
    "3DES [RFC2451]": "3des_cbc",
    "AES-CBC-256 [RFC3602]": "aes_cbc",
    "AES-GCM-256 with 16 octet ICV [RFC5282]": "aes_gcm_16",
}
INTEG = {"HMAC_SHA2_256_128 [RFC4868]": "hmac_sha2_256_128", "NONE [RFC4306]": ""}


def messages(name: str) -> list[bytes]:
    """The IKE messages of a capture, markers removed."""
    found = []
    for src, dst, payload in udp_payloads(PCAPS / name):
        if 4500 in (src, dst):
            if classify_4500(payload) is Natt.IKE:
                found.append(strip_marker(payload))
        elif 500 in (src, dst):
            found.append(payload)
    return found


def keys() -> dict[str, list[str]]:
    """Rows of the key table by initiator's SPI."""
    lines = (PCAPS / "ikev2_decryption_table.tmpl").read_text().splitlines()
    return {row[0]: row for row in csv.reader(line for line in lines if not line.startswith("#"))}


def auth_of(name: str) -> bytes:
    cases = json.loads((PCAPS / "expected.json").read_text())["cases"]
    return bytes.fromhex(next(case["expect"] for case in cases if case["file"] == name).split()[-1])


def opened(message: Message, data: bytes, row: list[str]) -> tuple[bytes, list[Payload]]:
    """Decrypted octets and payloads; HMAC_SHA1_160 is not ours, so its ICV is only cut off."""
    sealed = message.encrypted
    assert sealed is not None
    key_e = bytes.fromhex(row[2 if message.header.from_initiator else 3])
    key_a = bytes.fromhex(row[5 if message.header.from_initiator else 6])
    encr, integ = ENCR[row[4]], INTEG.get(row[7])
    if integ is None:
        parts = sealed.split(8, 20, 8)
        assert hmac.digest(key_a, data[:-20], "sha1") == parts.icv
        plain = Encr(encr, key_e).decrypt(parts.iv, parts.ciphertext)
    else:
        plain = Sealer(encr, key_e, integ, key_a).open(message.associated(data), sealed.body)
    return plain, parse_chain(sealed.first_inner, unpad(plain))


@pytest.mark.parametrize("name", FILES)
def test_each_message_decodes_and_comes_out_again(name: str) -> None:
    found = messages(name)
    assert len(found) >= 4
    for data in found:
        message = Message.parse(data)
        assert message.emit() == data
    first = Message.parse(found[0])
    assert first.header.exchange is ExchangeType.IKE_SA_INIT
    assert all(first.first(cls) for cls in (Sa, Ke, Nonce))


@pytest.mark.parametrize("name", FILES)
def test_encrypted_messages_open_with_their_keys(name: str) -> None:
    table, seen = keys(), []
    for data in messages(name)[2:]:
        message = Message.parse(data)
        row = table[message.header.spi_i.hex()]
        assert message.header.spi_r.hex() == row[1]
        plain, inner = opened(message, data, row)
        first, chain = emit_chain(inner)
        assert message.encrypted is not None
        assert first == message.encrypted.first_inner
        assert chain == unpad(plain)
        assert sk_prefix(
            message.header, first, len(message.encrypted.body), message.payloads[:-1]
        ) == message.associated(data)
        seen.append([type(payload) for payload in inner])
        if any(isinstance(payload, Auth) and payload.data == auth_of(name) for payload in inner):
            seen.append(["AUTH as expected"])
    assert ["AUTH as expected"] in seen
    assert {IdI, Auth, Sa, TsI, TsR} <= set(seen[0])
    assert any({IdR, Auth, Sa, TsI, TsR} <= set(kinds) for kinds in seen[1:])


@pytest.mark.parametrize("name", FILES[1:])
def test_a_changed_octet_anywhere_is_refused(name: str) -> None:
    data = messages(name)[2]
    row = keys()[data[:8].hex()]
    for at in range(0, len(data), 3):
        wrong = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises((WireError, CryptoError)):
            opened(Message.parse(wrong), wrong, row)


FIRST = sorted((PCAPS / "pluto" / "inputs").glob("*.pcap"))


@pytest.mark.parametrize("path", FIRST, ids=lambda path: path.name)
def test_first_messages_of_ikev1_have_a_header_we_read_and_refuse(path: Path) -> None:
    found = [payload for _, _, payload in udp_payloads(path)]
    assert found
    for data in found:
        header = Header.parse(data)
        assert (header.major, header.minor) == (1, 0)
        assert header.length == len(data)
        with pytest.raises(WireError) as caught:
            Message.parse(data)
        assert caught.value.notify is None


def test_ikev1_with_certificates_too() -> None:
    found = messages("ikev1-certs.pcap")
    assert found
    assert {Header.parse(data).major for data in found} == {1}


def rfc7634_frames() -> list[bytes]:
    """Link-layer frames of the snoop file (RFC 1761)."""
    data, at, found = (PCAPS / "rfc7634-examples.snoop").read_bytes(), 16, []
    while at < len(data):
        included, record = int.from_bytes(data[at + 4 : at + 8], "big"), int.from_bytes(data[at + 8 : at + 12], "big")
        found.append(data[at + 24 : at + 24 + included])
        at += record
    return found


def test_the_packets_of_rfc_7634() -> None:
    """Appendices A (ESP) and B (IKE) of the RFC, with the keys printed there."""
    key = bytes.fromhex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3")
    kinds = set()
    for frame in rfc7634_frames():
        packet = frame[14:]
        header = (packet[0] & 15) * 4
        body = packet[header : int.from_bytes(packet[2:4], "big")]
        if packet[9] == 50:
            esp = EspPacket.parse(body, 8, 16)
            plain = Encr("chacha20_poly1305", key).decrypt(
                esp.iv, esp.ciphertext + esp.icv, aead_aad(esp.spi, esp.sequence, False)
            )
            inner, following = strip_trailer(plain)
            assert (following, inner[0] >> 4) == (4, 4)
            kinds.add("ESP")
        elif packet[9] == 17:
            message = Message.parse(body[8:])
            assert message.encrypted is not None
            text = Sealer("chacha20_poly1305", key).open(message.associated(body[8:]), message.encrypted.body)
            parse_chain(message.encrypted.first_inner, unpad(text))
            kinds.add("IKE")
    assert kinds == {"ESP", "IKE"}
