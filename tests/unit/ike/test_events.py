# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests are plain frozen values with a token."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from typing import get_args

import pytest

from openswan.ike.events import DeleteChild, Probe, Request


def test_every_request_carries_a_token_that_defaults_to_nobody() -> None:
    for kind in get_args(Request):
        token = next(f for f in fields(kind) if f.name == "token")
        assert token.default == 0


def test_requests_are_frozen_and_equal_by_value() -> None:
    assert DeleteChild(256, 3) == DeleteChild(256, 3)
    with pytest.raises(FrozenInstanceError):
        Probe().token = 1  # type: ignore[misc]
