# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of payloads: each row is enforced both ways."""

from __future__ import annotations

import pytest

from openswan.base.errors import WireError
from openswan.ike.rules import BY_SHAPE, MANY, RESPONSES, RULES, Row, Shape, check
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType
from openswan.wire.v2.unknown import Unknown


def least(shape: Shape) -> list[Unknown]:
    return [Unknown(row.payload, b"") for row in BY_SHAPE[shape] for _ in range(row.least)]


@pytest.mark.parametrize("shape", Shape)
def test_the_least_message_passes(shape: Shape) -> None:
    encrypted = not shape.name.startswith(("INIT", "RESUME"))
    check(shape, least(shape), encrypted)
    if least(shape):
        with pytest.raises(WireError, match="be encrypted"):
            check(shape, least(shape), not encrypted)


@pytest.mark.parametrize("row", [row for row in RULES if row.least], ids=lambda r: f"{r.shape.name}-{r.payload.name}")
def test_a_missing_payload_is_named(row: Row) -> None:
    payloads = [p for p in least(row.shape) if p.number != row.payload]
    with pytest.raises(WireError, match=f"without {row.payload.name} payload") as caught:
        check(row.shape, payloads, row.encrypted)
    assert caught.value.notify == NotifyType.INVALID_SYNTAX


@pytest.mark.parametrize(
    "row", [row for row in RULES if row.most < MANY], ids=lambda r: f"{r.shape.name}-{r.payload.name}"
)
def test_one_payload_too_many_is_refused(row: Row) -> None:
    extra = [Unknown(row.payload, b"")] * (row.most + 1 - row.least)
    with pytest.raises(WireError, match=row.payload.name):
        check(row.shape, [*least(row.shape), *extra], row.encrypted)


def test_unknown_payloads_do_not_count() -> None:
    check(Shape.INFO_REQUEST, [Unknown(type(RULES[0].payload)(200), b"")] * 20, True)


@pytest.mark.parametrize("shape", Shape)
def test_an_error_alone_answers_anything(shape: Shape) -> None:
    error = [Notify(NotifyType.NO_PROPOSAL_CHOSEN)]
    if shape in RESPONSES:
        check(shape, error, True)
    elif least(shape):
        with pytest.raises(WireError):
            check(shape, error, not shape.name.startswith(("INIT", "RESUME")))
