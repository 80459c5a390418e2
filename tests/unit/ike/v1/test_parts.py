# SPDX-License-Identifier: GPL-2.0-or-later
"""What both phase 1 exchanges have in common: shapes of messages, public values, ports."""

from __future__ import annotations

import pytest

from openswan.base.errors import IkeError
from openswan.crypto import dh
from openswan.ike.v1 import parts
from openswan.ike.v1.parts import Shape
from openswan.wire.v1.auth import Hash, Sig
from openswan.wire.v1.body import Payload
from openswan.wire.v1.ke import Ke
from openswan.wire.v1.message import Content
from openswan.wire.v1.nonce import Nonce
from openswan.wire.v1.numbers import NotifyType
from openswan.wire.v1.vendor import OWN, VendorId
from tests.unit.ike.v1.pair import Pair, policy

KE, NONCE, HASH, SIG = Ke(b"k"), Nonce(bytes(8)), Hash(bytes(20)), Sig(b"s")


@pytest.mark.parametrize(
    ("payloads", "proof", "notify"),
    [
        ((KE, NONCE), None, None),
        ((NONCE, VendorId(b""), KE), None, None),
        ((KE, NONCE, HASH), Hash, None),
        ((KE,), None, NotifyType.PAYLOAD_MALFORMED),
        ((KE, KE, NONCE), None, NotifyType.PAYLOAD_MALFORMED),
        ((KE, NONCE, SIG), None, NotifyType.INVALID_PAYLOAD_TYPE),
        ((KE, NONCE), Hash, NotifyType.PAYLOAD_MALFORMED),
        ((KE, NONCE, HASH, SIG), Hash, NotifyType.INVALID_PAYLOAD_TYPE),
        ((KE, NONCE, HASH, HASH), Hash, NotifyType.PAYLOAD_MALFORMED),
    ],
)
def test_shapes(payloads: tuple[Payload, ...], proof: type[Payload] | None, notify: NotifyType | None) -> None:
    shape = Shape((Ke, Nonce), proof=True)
    if notify is None:
        shape.check(Content(payloads), proof)
        return
    with pytest.raises(IkeError) as caught:
        shape.check(Content(payloads), proof)
    assert caught.value.notify == notify


@pytest.mark.parametrize("theirs", [b"", b"\0", bytes(256), b"\0" * 255 + b"\1", b"\xff" * 256, b"\xff" * 255])
def test_public_values_of_no_group(theirs: bytes) -> None:
    """CVE-2015-3240, CVE-2023-41913."""
    with pytest.raises(IkeError) as caught:
        parts.shared_secret(dh.generate_ikev1("modp2048", Pair().a.sa.rng), theirs)
    assert caught.value.notify == NotifyType.INVALID_KEY_INFORMATION


def test_extensions_of_both_ends() -> None:
    assert parts.extensions(policy(nat_traversal=False, dpd=False, fragmentation=False)) == [VendorId(OWN)]
    pair = Pair(second=policy("@b", "@a", dpd=False, fragmentation=False)).up()
    assert len(parts.answered_extensions(pair.b.sa)) == 2
    pair.b.sa.announced.remove(OWN)
    assert len(parts.answered_extensions(pair.b.sa)) == 1, "who we are is told our own kind only"


def test_ports_stay_without_a_nat() -> None:
    pair = Pair().up()
    parts.float_ports(pair.a.sa)
    assert pair.a.sa.local.port == pair.a.sa.remote.port == 500
