# SPDX-License-Identifier: GPL-2.0-or-later
"""What crypto.secret promises."""

from __future__ import annotations

import pytest

from openswan.base.errors import CryptoError
from openswan.crypto.secret import Secret, wipe


def test_a_secret_is_not_shown_and_goes_away() -> None:
    secret = Secret(b"hush")
    assert "hush" not in repr(secret)
    assert (len(secret), secret.data) == (4, b"hush")
    buffer = secret.data
    secret.wipe()
    assert buffer == bytes(4)
    with pytest.raises(CryptoError, match="wiped"):
        _ = secret.data


def test_wiping_a_buffer_keeps_it() -> None:
    buffer = bytearray(b"key")
    wipe(buffer)
    assert buffer == bytes(3)
