# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v2.body promises."""

from __future__ import annotations

import pytest

from openswan.wire.v2.body import Payload
from openswan.wire.v2.numbers import PayloadType
from openswan.wire.v2.unknown import Unknown
from openswan.wire.v2.vendor import VendorId


def test_a_payload_knows_its_type() -> None:
    assert VendorId(b"").type is PayloadType.VENDOR
    assert Unknown(PayloadType(99), b"").type == 99


def test_a_body_without_parse_and_emit_is_no_payload() -> None:
    with pytest.raises(TypeError):
        Payload()  # type: ignore[abstract]
