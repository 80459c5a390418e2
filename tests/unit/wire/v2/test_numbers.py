# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v2.numbers promises."""

from __future__ import annotations

import re

import pytest

from openswan.wire.v2.numbers import (
    AuthMethod,
    CfgAttribute,
    EncrId,
    ExchangeType,
    IdType,
    IntegId,
    NotifyType,
    PayloadType,
    PrfId,
    TransformType,
    TsType,
)
from tests.shareddata import DATA

RFC = DATA / "rfc" / "rfc7296.txt"


def test_unknown_values_travel_with_their_number() -> None:
    assert PayloadType(200) == 200
    assert str(NotifyType(40000)) == "NotifyType(40000)"


def test_errors_end_at_16383() -> None:
    assert NotifyType.TS_UNACCEPTABLE.is_error
    assert NotifyType(16383).is_error
    assert not NotifyType.INITIAL_CONTACT.is_error


@pytest.mark.parametrize(
    ("enum", "names"),
    [
        (NotifyType, ("INVALID_SYNTAX", "NO_PROPOSAL_CHOSEN", "INVALID_KE_PAYLOAD", "TEMPORARY_FAILURE", "COOKIE",
                      "AUTHENTICATION_FAILED", "NAT_DETECTION_SOURCE_IP", "REKEY_SA", "CHILD_SA_NOT_FOUND",
                      "UNSUPPORTED_CRITICAL_PAYLOAD", "INVALID_SELECTORS", "USE_TRANSPORT_MODE", "SET_WINDOW_SIZE")),
        (ExchangeType, ("IKE_SA_INIT", "IKE_AUTH", "CREATE_CHILD_SA", "INFORMATIONAL")),
    ],
)  # fmt: skip
def test_numbers_are_those_of_the_rfc(enum: type[NotifyType | ExchangeType], names: tuple[str, ...]) -> None:
    text = RFC.read_text(errors="replace")
    for name in names:
        number = re.search(rf"^ +{name}\s+(\d+)\s*$", text, re.MULTILINE)
        assert number is not None, name
        assert enum[name] == int(number[1])


def test_a_few_by_hand() -> None:
    assert (EncrId.AES_GCM_16, EncrId.CHACHA20_POLY1305, PrfId.HMAC_SHA2_512, IntegId.HMAC_SHA2_512_256) == (
        20,
        28,
        7,
        14,
    )
    assert (TransformType.ESN, IdType.DER_ASN1_DN, AuthMethod.DIGITAL_SIGNATURE, TsType.IPV6_ADDR_RANGE) == (
        5,
        9,
        14,
        8,
    )
    assert CfgAttribute.INTERNAL_IP6_DNS == 10
