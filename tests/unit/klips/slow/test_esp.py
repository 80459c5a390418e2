# SPDX-License-Identifier: GPL-2.0-or-later
"""The oracle itself, on packets of others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openswan.base.drops import Drop
from openswan.klips.slow.esp import Esp
from tests.shareddata import DATA

CASES: list[dict[str, Any]] = json.loads((DATA / "vectors/esp/draft-mcgrew-gcm-1-7.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda c: str(c["case"]))
def test_gcm_packets(case: dict[str, Any]) -> None:
    plain, packet = bytes.fromhex(case["plaintext_with_esp_trailer"]), bytes.fromhex(case["esp_packet"])
    esp = Esp("aes_gcm_16", bytes.fromhex(case["key"] + case["salt"]), esn=case["esn"])
    payload = plain[: len(plain) - 2 - plain[-2]]
    spi, sequence = int(case["spi"], 16), int(case["seq"], 16)
    assert esp.seal(spi, sequence, payload, plain[-1], bytes.fromhex(case["iv"])) == packet


def test_hmac_and_its_refusals() -> None:
    esp = Esp("aes_cbc", bytes(16), "hmac_sha1_96", bytes(20), esn=True)
    packet = esp.seal(1, 2**32 + 5, b"payload", 4, bytes(16))
    assert esp.open(packet)[0] is Drop.AUTH_FAILED  # the upper half of the sequence number is covered
    near = esp.seal(1, 5, b"payload", 4, bytes(16))
    assert esp.open(near) == (Drop.NONE, b"payload", 4, 5)
    assert esp.open(near)[0] is Drop.REPLAY
    assert esp.open(near[:-1])[0] is Drop.MALFORMED
