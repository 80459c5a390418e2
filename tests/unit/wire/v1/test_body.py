# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v1.body promises."""

from __future__ import annotations

import pytest

from openswan.base.errors import WireError
from openswan.wire.cursor import Reader
from openswan.wire.v1.body import Payload, reserved, told
from openswan.wire.v1.nonce import Nonce
from openswan.wire.v1.numbers import NotifyType, PayloadType


def test_a_payload_knows_its_type() -> None:
    assert Nonce(bytes(8)).type is PayloadType.NONCE


def test_a_body_without_parse_and_emit_is_no_payload() -> None:
    with pytest.raises(TypeError):
        Payload()  # type: ignore[abstract]


def test_reserved_octets_are_zero() -> None:
    reader = Reader(b"\0\0\0\1")
    reserved(reader, 3)
    with pytest.raises(WireError, match="offset 3"):
        reserved(reader, 1)
    with pytest.raises(WireError, match="truncated"):
        reserved(reader, 1)


@pytest.mark.parametrize(
    ("raised", "notify"),
    [
        (WireError("short"), NotifyType.PAYLOAD_MALFORMED),  # 7 is INVALID_SYNTAX of IKEv2
        (WireError("mute", None), None),
        (WireError("other", NotifyType.INVALID_EXCHANGE_TYPE), NotifyType.INVALID_EXCHANGE_TYPE),
    ],
)
def test_errors_carry_a_notification_of_this_version(raised: WireError, notify: int | None) -> None:
    with pytest.raises(WireError, match=f"^here: {raised}") as caught, told("here", NotifyType.PAYLOAD_MALFORMED):
        raise raised
    assert caught.value.notify == notify
