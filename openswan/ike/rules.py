# SPDX-License-Identifier: GPL-2.0-or-later
"""Which payloads a message may and must hold: a row per payload, a block per exchange and direction (RFC 7296, C).

A payload that has no row in a message's block is ignored (RFC 7296 2.5 leaves that to us for known payloads in odd
places); one that is missing or too frequent makes the message INVALID_SYNTAX. A response that holds an error
notification need not hold anything else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass
from enum import Enum

from openswan.base.errors import WireError
from openswan.wire.v2.body import Payload
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import ExchangeType, NotifyType, PayloadType

MANY = 64


class Shape(Enum):
    """Which kind of message, told by exchange, direction and (CREATE_CHILD_SA) what it is about."""

    INIT_REQUEST = "IKE_SA_INIT request"
    INIT_RESPONSE = "IKE_SA_INIT response"
    RESUME_REQUEST = "IKE_SESSION_RESUME request"
    RESUME_RESPONSE = "IKE_SESSION_RESUME response"
    AUTH_REQUEST = "IKE_AUTH request"
    AUTH_RESPONSE = "IKE_AUTH response"
    EAP_FIRST_REQUEST = "first IKE_AUTH request, for EAP"
    EAP_FIRST_RESPONSE = "first IKE_AUTH response, for EAP"
    EAP_REQUEST = "IKE_AUTH request with EAP"
    EAP_RESPONSE = "IKE_AUTH response with EAP"
    AUTH_LAST_REQUEST = "last IKE_AUTH request after EAP"
    AUTH_LAST_RESPONSE = "last IKE_AUTH response after EAP"
    CHILD_REQUEST = "CREATE_CHILD_SA request for a Child SA"
    CHILD_RESPONSE = "CREATE_CHILD_SA response for a Child SA"
    IKE_REQUEST = "CREATE_CHILD_SA request to rekey the IKE SA"
    IKE_RESPONSE = "CREATE_CHILD_SA response to rekey the IKE SA"
    INFO_REQUEST = "INFORMATIONAL request"
    INFO_RESPONSE = "INFORMATIONAL response"


@dataclass(frozen=True, slots=True)
class Row:
    """How often one payload may stand in one message, and whether inside the Encrypted payload."""

    shape: Shape
    payload: PayloadType
    least: int
    most: int
    encrypted: bool = True


P, S = PayloadType, Shape
RULES: tuple[Row, ...] = (
    Row(S.INIT_REQUEST, P.SA, 1, 1, False),
    Row(S.INIT_REQUEST, P.KE, 1, 1, False),
    Row(S.INIT_REQUEST, P.NONCE, 1, 1, False),
    Row(S.INIT_REQUEST, P.NOTIFY, 0, MANY, False),
    Row(S.INIT_REQUEST, P.VENDOR, 0, MANY, False),
    Row(S.INIT_RESPONSE, P.SA, 1, 1, False),
    Row(S.INIT_RESPONSE, P.KE, 1, 1, False),
    Row(S.INIT_RESPONSE, P.NONCE, 1, 1, False),
    Row(S.INIT_RESPONSE, P.CERTREQ, 0, MANY, False),
    Row(S.INIT_RESPONSE, P.NOTIFY, 0, MANY, False),
    Row(S.INIT_RESPONSE, P.VENDOR, 0, MANY, False),
    Row(S.RESUME_REQUEST, P.NONCE, 1, 1, False),
    Row(S.RESUME_REQUEST, P.NOTIFY, 1, MANY, False),
    Row(S.RESUME_RESPONSE, P.NONCE, 1, 1, False),
    Row(S.RESUME_RESPONSE, P.NOTIFY, 0, MANY, False),
    Row(S.AUTH_REQUEST, P.ID_I, 1, 1),
    Row(S.AUTH_REQUEST, P.CERT, 0, 10),
    Row(S.AUTH_REQUEST, P.CERTREQ, 0, MANY),
    Row(S.AUTH_REQUEST, P.ID_R, 0, 1),
    Row(S.AUTH_REQUEST, P.AUTH, 1, 1),
    Row(S.AUTH_REQUEST, P.CP, 0, 1),
    Row(S.AUTH_REQUEST, P.SA, 1, 1),
    Row(S.AUTH_REQUEST, P.TS_I, 1, 1),
    Row(S.AUTH_REQUEST, P.TS_R, 1, 1),
    Row(S.AUTH_REQUEST, P.NOTIFY, 0, MANY),
    Row(S.AUTH_REQUEST, P.VENDOR, 0, MANY),
    Row(S.AUTH_RESPONSE, P.ID_R, 1, 1),
    Row(S.AUTH_RESPONSE, P.CERT, 0, 10),
    Row(S.AUTH_RESPONSE, P.AUTH, 1, 1),
    Row(S.AUTH_RESPONSE, P.CP, 0, 1),
    Row(S.AUTH_RESPONSE, P.SA, 0, 1),
    Row(S.AUTH_RESPONSE, P.TS_I, 0, 1),
    Row(S.AUTH_RESPONSE, P.TS_R, 0, 1),
    Row(S.AUTH_RESPONSE, P.NOTIFY, 0, MANY),
    Row(S.AUTH_RESPONSE, P.VENDOR, 0, MANY),
    Row(S.EAP_FIRST_REQUEST, P.ID_I, 1, 1),
    Row(S.EAP_FIRST_REQUEST, P.CERTREQ, 0, MANY),
    Row(S.EAP_FIRST_REQUEST, P.ID_R, 0, 1),
    Row(S.EAP_FIRST_REQUEST, P.AUTH, 0, 0),
    Row(S.EAP_FIRST_REQUEST, P.SA, 1, 1),
    Row(S.EAP_FIRST_REQUEST, P.TS_I, 1, 1),
    Row(S.EAP_FIRST_REQUEST, P.TS_R, 1, 1),
    Row(S.EAP_FIRST_REQUEST, P.NOTIFY, 0, MANY),
    Row(S.EAP_FIRST_RESPONSE, P.ID_R, 1, 1),
    Row(S.EAP_FIRST_RESPONSE, P.CERT, 0, 10),
    Row(S.EAP_FIRST_RESPONSE, P.AUTH, 0, 1),
    Row(S.EAP_FIRST_RESPONSE, P.EAP, 1, 1),
    Row(S.EAP_REQUEST, P.EAP, 1, 1),
    Row(S.EAP_REQUEST, P.AUTH, 0, 0),
    Row(S.EAP_RESPONSE, P.EAP, 1, 1),
    Row(S.AUTH_LAST_REQUEST, P.AUTH, 1, 1),
    Row(S.AUTH_LAST_RESPONSE, P.AUTH, 1, 1),
    Row(S.AUTH_LAST_RESPONSE, P.SA, 0, 1),
    Row(S.AUTH_LAST_RESPONSE, P.TS_I, 0, 1),
    Row(S.AUTH_LAST_RESPONSE, P.TS_R, 0, 1),
    Row(S.CHILD_REQUEST, P.SA, 1, 1),
    Row(S.CHILD_REQUEST, P.NONCE, 1, 1),
    Row(S.CHILD_REQUEST, P.KE, 0, 1),
    Row(S.CHILD_REQUEST, P.TS_I, 1, 1),
    Row(S.CHILD_REQUEST, P.TS_R, 1, 1),
    Row(S.CHILD_REQUEST, P.NOTIFY, 0, MANY),
    Row(S.CHILD_RESPONSE, P.SA, 1, 1),
    Row(S.CHILD_RESPONSE, P.NONCE, 1, 1),
    Row(S.CHILD_RESPONSE, P.KE, 0, 1),
    Row(S.CHILD_RESPONSE, P.TS_I, 1, 1),
    Row(S.CHILD_RESPONSE, P.TS_R, 1, 1),
    Row(S.CHILD_RESPONSE, P.NOTIFY, 0, MANY),
    Row(S.IKE_REQUEST, P.SA, 1, 1),
    Row(S.IKE_REQUEST, P.NONCE, 1, 1),
    Row(S.IKE_REQUEST, P.KE, 1, 1),
    Row(S.IKE_REQUEST, P.NOTIFY, 0, MANY),
    Row(S.IKE_RESPONSE, P.SA, 1, 1),
    Row(S.IKE_RESPONSE, P.NONCE, 1, 1),
    Row(S.IKE_RESPONSE, P.KE, 1, 1),
    Row(S.IKE_RESPONSE, P.NOTIFY, 0, MANY),
    Row(S.INFO_REQUEST, P.NOTIFY, 0, MANY),
    Row(S.INFO_REQUEST, P.DELETE, 0, MANY),
    Row(S.INFO_REQUEST, P.CP, 0, 1),
    Row(S.INFO_RESPONSE, P.NOTIFY, 0, MANY),
    Row(S.INFO_RESPONSE, P.DELETE, 0, MANY),
)
BY_SHAPE = {shape: tuple(row for row in RULES if row.shape is shape) for shape in Shape}

EXCHANGES = {
    (ExchangeType.IKE_AUTH, False): S.AUTH_REQUEST,
    (ExchangeType.IKE_AUTH, True): S.AUTH_RESPONSE,
    (ExchangeType.INFORMATIONAL, False): S.INFO_REQUEST,
    (ExchangeType.INFORMATIONAL, True): S.INFO_RESPONSE,
}


CHILD = frozenset({PayloadType.SA, PayloadType.TS_I, PayloadType.TS_R})
"""What asks for a child SA; a childless IKE_AUTH request has none of it (RFC 6023 3)."""


def check(
    shape: Shape, payloads: Sequence[Payload], encrypted: bool, without: Container[PayloadType] = frozenset()
) -> None:
    """WireError (INVALID_SYNTAX) when a payload of the message is missing or stands there too often.

    `without`: payloads that must not be there, whatever the table says.
    """
    if shape in RESPONSES and any(isinstance(p, Notify) and p.is_error for p in payloads):
        return
    counts = Counter(payload.type for payload in payloads)
    for row in BY_SHAPE[shape]:
        if row.encrypted is not encrypted:
            raise WireError(f"{shape.value} must {'' if row.encrypted else 'not '}be encrypted", None)
        found = counts.get(row.payload, 0)
        if found and row.payload in without:
            raise WireError(f"{shape.value} with {row.payload.name} payload", NotifyType.INVALID_SYNTAX)
        if found < row.least and row.payload not in without:
            raise WireError(f"{shape.value} without {row.payload.name} payload", NotifyType.INVALID_SYNTAX)
        if found > row.most:
            raise WireError(f"{shape.value} with {found} {row.payload.name} payloads", NotifyType.INVALID_SYNTAX)


RESPONSES = frozenset(
    {S.INIT_RESPONSE, S.AUTH_RESPONSE, S.AUTH_LAST_RESPONSE, S.CHILD_RESPONSE, S.IKE_RESPONSE, S.INFO_RESPONSE}
)
