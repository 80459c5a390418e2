# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.esp promises."""

from __future__ import annotations

import json

import pytest

from openswan.base.errors import WireError
from openswan.crypto.encr import Encr
from openswan.wire.esp import EspPacket, add_trailer, aead_aad, integrity_input, strip_trailer
from tests.shareddata import DATA

GCM = json.loads((DATA / "vectors/esp/draft-mcgrew-gcm-1-7.json").read_text())["cases"]
CBC = json.loads((DATA / "vectors/esp/rfc3602-esp.json").read_text())["cases"]


@pytest.mark.parametrize("case", GCM, ids=lambda case: str(case["case"]))
def test_gcm_packets(case: dict[str, str]) -> None:
    key = bytes.fromhex(case["key"] + case["salt"])
    wire, plain = bytes.fromhex(case["esp_packet"]), bytes.fromhex(case["plaintext_with_esp_trailer"])
    sequence, esn = int(case["seq"], 16), bool(case["esn"])
    packet = EspPacket.parse(wire, 8, 16)
    assert packet.emit() == wire
    assert (packet.spi, packet.sequence) == (int(case["spi"], 16), sequence & 0xFFFFFFFF)
    aad = aead_aad(packet.spi, sequence, esn)
    assert aad == bytes.fromhex(case["aad"])
    cipher = Encr("aes_gcm_16", key)
    assert cipher.decrypt(packet.iv, packet.ciphertext + packet.icv, aad) == plain
    assert cipher.encrypt(packet.iv, plain, aad) == packet.ciphertext + packet.icv


@pytest.mark.parametrize("case", CBC, ids=lambda case: str(case["case"]))
def test_cbc_packets(case: dict[str, str]) -> None:
    full, plain = bytes.fromhex(case["full_packet"]), bytes.fromhex(case["plaintext_with_esp_trailer"])
    packet = EspPacket.parse(full[20:], 16, 0, 16)
    assert full[20:28] == bytes.fromhex(case["spi_seq"])
    cipher = Encr("aes_cbc", bytes.fromhex(case["key"]))
    assert cipher.decrypt(packet.iv, packet.ciphertext) == plain
    payload, following = strip_trailer(plain)
    original = bytes.fromhex(case["original_ip_packet"])
    assert payload == (original if case["mode"] == "tunnel" else original[20:])
    assert following == (4 if case["mode"] == "tunnel" else original[9])
    assert add_trailer(payload, following, 16) == plain


def test_too_short_for_its_parts() -> None:
    """CVE-2002-0666: shorter than header, IV and ICV together."""
    good = EspPacket(0x1234, 7, bytes(8), bytes(4), bytes(16)).emit()
    assert EspPacket.parse(good, 8, 16).sequence == 7
    for end in range(len(good)):
        with pytest.raises(WireError) as caught:
            EspPacket.parse(good[:end], 8, 16)
        assert caught.value.notify is None


def test_alignment() -> None:
    for octets in (5, 6, 7):
        with pytest.raises(WireError, match="does not fit"):
            EspPacket.parse(EspPacket(256, 1, bytes(8), bytes(octets), bytes(16)).emit(), 8, 16)
    with pytest.raises(WireError, match="does not fit"):
        EspPacket.parse(EspPacket(256, 1, bytes(16), bytes(24), bytes(12)).emit(), 16, 12, 16)


@pytest.mark.parametrize("block", [1, 8, 16])
def test_trailers(block: int) -> None:
    for octets in range(70):
        text = add_trailer(bytes(octets), 4, block)
        assert len(text) % max(block, 4) == 0
        assert strip_trailer(text) == (bytes(octets), 4)


@pytest.mark.parametrize("text", [b"", b"\x04", b"\x01\x04", b"\x02\x01\x04", b"\x01\x03\x02\x04", b"\xff\x04"])
def test_bad_padding(text: bytes) -> None:
    with pytest.raises(WireError):
        strip_trailer(text)


def test_what_the_integrity_covers() -> None:
    assert integrity_input(b"packet", 0x1_0000_0002, True) == b"packet\0\0\0\1"
    assert integrity_input(b"packet", 2, False) == b"packet"
