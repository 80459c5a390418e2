# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v1.numbers promises."""

from __future__ import annotations

import re

import pytest

from openswan.base.numbers import OpenIntEnum
from openswan.wire.v1.numbers import (
    AhId,
    AuthMethod,
    Encapsulation,
    EspId,
    ExchangeType,
    IdType,
    IpsecAttribute,
    NotifyType,
    OakleyAttribute,
    OakleyEncr,
    PayloadType,
)
from tests.shareddata import DATA


def rfc(number: int) -> str:
    return (DATA / "rfc" / f"rfc{number}.txt").read_text(errors="replace")


def test_unknown_values_travel_with_their_number() -> None:
    assert PayloadType(200) == 200
    assert str(NotifyType(40000)) == "NotifyType(40000)"


def test_errors_end_at_16383() -> None:
    assert NotifyType.UNEQUAL_PAYLOAD_LENGTHS.is_error
    assert not NotifyType.CONNECTED.is_error
    assert not NotifyType.R_U_THERE.is_error


def test_every_error_of_rfc_2408() -> None:
    section = rfc(2408).split("NOTIFY MESSAGES - ERROR TYPES")[1].split("RESERVED (Future Use)")[0]
    found = {
        name.strip().replace("-", "_"): int(n) for name, n in re.findall(r"^ +([A-Z-]+) +(\d+)\s*$", section, re.M)
    }
    assert len(found) == 30
    assert {one.name: one.value for one in NotifyType if one.value <= 30} == found


@pytest.mark.parametrize(
    ("number", "enum", "names"),
    [
        (2407, EspId, {"ESP_DES_IV64": "DES_IV64", "ESP_3DES": "DES3", "ESP_BLOWFISH": "BLOWFISH", "ESP_NULL": "NULL"}),
        (2407, AhId, {"AH_MD5": "MD5", "AH_SHA": "SHA", "AH_DES": "DES"}),
        (2407, IdType, {"ID_IPV4_ADDR": "IPV4_ADDR", "ID_USER_FQDN": "USER_FQDN", "ID_IPV4_ADDR_SUBNET":
                        "IPV4_ADDR_SUBNET", "ID_IPV6_ADDR_RANGE": "IPV6_ADDR_RANGE", "ID_KEY_ID": "KEY_ID"}),
        (2407, NotifyType, {"RESPONDER-LIFETIME": "RESPONDER_LIFETIME", "REPLAY-STATUS": "REPLAY_STATUS",
                            "INITIAL-CONTACT": "INITIAL_CONTACT"}),
        (3706, NotifyType, {"R-U-THERE": "R_U_THERE", "R-U-THERE-ACK": "R_U_THERE_ACK"}),
        (3947, Encapsulation, {"UDP-Encapsulated-Tunnel": "UDP_TUNNEL", "UDP-Encapsulated-Transport": "UDP_TRANSPORT"}),
    ],
)  # fmt: skip
def test_numbers_are_those_of_the_rfc(number: int, enum: type[OpenIntEnum], names: dict[str, str]) -> None:
    text = rfc(number)
    for theirs, ours in names.items():
        found = re.search(rf"^ +{theirs}\s+(\d+)\s*$", text, re.MULTILINE)
        assert found is not None, theirs
        assert enum[ours] == int(found[1])


def test_a_few_by_hand() -> None:
    assert (ExchangeType.MAIN, ExchangeType.AGGRESSIVE, ExchangeType.TRANSACTION, ExchangeType.QUICK) == (2, 4, 6, 32)
    assert (OakleyAttribute.LIFE_DURATION, OakleyAttribute.KEY_LENGTH, IpsecAttribute.KEY_LENGTH) == (12, 14, 6)
    assert (OakleyEncr.DES3_CBC, OakleyEncr.AES_CBC, EspId.AES_GCM_16) == (5, 7, 20)
    assert (AuthMethod.RSA_SIG, AuthMethod.XAUTH_INIT_PRE_SHARED, AuthMethod.HYBRID_INIT_RSA) == (3, 65001, 64221)
    assert (PayloadType.ATTRIBUTES, PayloadType.NAT_D, PayloadType.NAT_D_DRAFT, PayloadType.FRAGMENT) == (
        14,
        20,
        130,
        132,
    )
