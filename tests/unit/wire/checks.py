# SPDX-License-Identifier: GPL-2.0-or-later
"""What every parser of a body must do with good, cut and lengthened input."""

from __future__ import annotations

from typing import Any

import pytest

from openswan.base.errors import WireError
from openswan.wire.cursor import Reader
from openswan.wire.v1 import body as v1
from openswan.wire.v2 import body as v2

Payload = v1.Payload | v2.Payload


def whole(cls: type[Any], data: bytes) -> Any:
    """Parse a body the way the payload chain does: to its very end."""
    reader = Reader(data)
    payload = cls.parse(reader)
    reader.expect_end()
    return payload


def survives(cls: type[Any], data: bytes) -> bool:
    """Does it parse? Anything but WireError escapes and fails the test."""
    try:
        whole(cls, data)
    except WireError:
        return False
    return True


def round_trip(payload: Payload) -> bytes:
    """emit() then parse() gives the payload back."""
    data = payload.emit()
    assert whole(type(payload), data) == payload
    return data


def refuses_every_cut(payload: Payload, keep: int = 0) -> None:
    """Cut short anywhere from `keep` octets on, the body is refused."""
    data = payload.emit()
    for end in range(keep, len(data)):
        with pytest.raises(WireError):
            whole(type(payload), data[:end])
