# SPDX-License-Identifier: GPL-2.0-or-later
"""Captured IKEv1 messages of Openswan: decoded, decrypted where the key came along, emitted again."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from openswan.base.errors import WireError
from openswan.crypto.encr import Encr
from openswan.crypto.oakley import Oakley, Public, exchange_iv, first_iv
from openswan.wire.v1.auth import Hash, Sig
from openswan.wire.v1.body import Payload
from openswan.wire.v1.cert import Cert, CertReq
from openswan.wire.v1.ident import Id
from openswan.wire.v1.ke import Ke
from openswan.wire.v1.message import Content, Message, padded
from openswan.wire.v1.nonce import Nonce
from openswan.wire.v1.numbers import (
    CertEncoding,
    EspId,
    ExchangeType,
    IdType,
    OakleyAttribute,
    OakleyHash,
    ProtocolId,
)
from openswan.wire.v1.payload import emit_chain
from openswan.wire.v1.sa import Sa
from openswan.wire.v1.vendor import VendorId
from tests.shareddata import DATA, udp_payloads

PCAPS = DATA / "pcaps"
FIRST = sorted((PCAPS / "pluto" / "inputs").glob("*.pcap"))
CERTS = PCAPS / "ikev1-certs.pcap"
BLOCK = 8
HASHES = {OakleyHash.MD5: "md5", OakleyHash.SHA: "sha1"}


def datagrams(path: Path) -> list[bytes]:
    return [payload for _, _, payload in udp_payloads(path)]


@pytest.mark.parametrize("path", [*FIRST, CERTS], ids=lambda path: path.name)
def test_each_message_decodes_and_comes_out_again(path: Path) -> None:
    found = datagrams(path)
    assert found
    for data in found:
        message = Message.parse(data)
        assert message.emit() == data
        if not message.header.is_encrypted:
            assert Message.clear(message.header, message.content.payloads).emit() == data
        with pytest.raises(WireError):
            Message.parse(data[:-1])


@pytest.mark.parametrize("path", FIRST, ids=lambda path: path.name)
def test_first_messages_of_pluto(path: Path) -> None:
    for data in datagrams(path):
        message = Message.parse(data)
        assert message.header.exchange is ExchangeType.MAIN
        sa = message.content.first(Sa)
        assert sa is not None
        (proposal,) = sa.proposals
        assert proposal.protocol is ProtocolId.ISAKMP
        assert all(
            {attribute.type for attribute in one.attributes}
            >= {OakleyAttribute.ENCRYPTION_ALGORITHM, OakleyAttribute.HASH_ALGORITHM}
            for one in proposal.transforms
        )
        assert all(len(one.data) == 12 for one in message.content.all(VendorId)), "OE and ten of pluto's own"


def opened() -> list[tuple[Message, bytes, Content]]:
    """The encrypted messages of the capture with certificates, with their plaintext, each with the IV that is due."""
    messages = [Message.parse(data) for data in datagrams(CERTS)]
    with (PCAPS / "ikev1_decryption_table.tmpl").open() as table:
        rows = csv.reader(line for line in table if not line.startswith("#"))
        key = bytes.fromhex(dict(rows)[messages[0].header.cookie_i.hex()])  # type: ignore[arg-type]
    gxi, gxr = (ke.data for message in messages for ke in message.content.all(Ke))
    chosen = messages[1].content.all(Sa)[0].proposals[0].transforms[0].attributes
    oakley = Oakley(HASHES[next(one.value for one in chosen if one.type == OakleyAttribute.HASH_ALGORITHM)])
    public = Public(messages[1].header.cookie_i, messages[1].header.cookie_r, gxi, gxr)
    phase1, ivs, found = first_iv(oakley, public, BLOCK), {}, []
    seen: set[bytes] = set()
    for message in messages:
        number, sealed = message.header.message_id, message.sealed
        if not sealed or sealed in seen:
            continue
        seen.add(sealed)
        iv = phase1 if not number else ivs.get(number) or exchange_iv(oakley, phase1, number, len(phase1))
        plain = Encr("3des_cbc", key).decrypt(iv, sealed)
        if number:
            ivs[number] = sealed[-BLOCK:]
        else:
            phase1 = sealed[-BLOCK:]
        found.append((message, plain, Content.parse(message.first, plain)))
    return found


def test_encrypted_messages_open_with_their_key() -> None:
    phase1 = [content for message, _, content in opened() if message.header.exchange is ExchangeType.MAIN]
    assert len(phase1) == 2
    for content in phase1:
        identity, certificate, signature = content.first(Id), content.first(Cert), content.first(Sig)
        assert identity is not None
        assert certificate is not None
        assert signature is not None
        assert (identity.kind, certificate.encoding) == (IdType.IPV4_ADDR, CertEncoding.X509_SIGNATURE)
    assert any(b"OpenSwan" in content.all(Cert)[0].data for content in phase1)
    assert any(content.first(CertReq) for content in phase1)


def test_quick_mode_of_the_same_capture() -> None:
    quick = [content for message, _, content in opened() if message.header.exchange is ExchangeType.QUICK]
    kinds: list[list[type[Payload]]] = [[type(payload) for payload in content.payloads] for content in quick]
    assert kinds[0] == kinds[1] == [Hash, Sa, Nonce, Ke, Id, Id]
    assert kinds[2] == [Hash]
    sa = quick[0].first(Sa)
    assert sa is not None
    assert [proposal.protocol for proposal in sa.proposals] == [ProtocolId.ESP]
    assert sa.proposals[0].transforms[0].id == EspId.DES3
    for content in quick:
        digest, rest = content.hashed()
        assert len(digest) == 16
        assert content.octets.endswith(rest)


def test_what_was_opened_seals_to_the_same_plaintext() -> None:
    for message, plain, content in opened():
        assert padded(content.payloads, BLOCK) == (message.first, plain)
        assert emit_chain(content.payloads)[1] == content.octets


def test_a_wrong_key_is_noticed() -> None:
    message = next(one for one in map(Message.parse, datagrams(CERTS)) if one.sealed)
    plain = Encr("3des_cbc", bytes(range(24))).decrypt(bytes(BLOCK), message.sealed)
    with pytest.raises(WireError):
        Content.parse(message.first, plain)
