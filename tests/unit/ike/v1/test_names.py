# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers by pluto's names."""

from __future__ import annotations

import pytest

from openswan.base.numbers import OpenIntEnum
from openswan.ike.v1 import names
from openswan.wire.v1.numbers import AuthMethod, OakleyAttribute, OakleyEncr, OakleyHash, ProtocolId


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (OakleyEncr.DES_CBC, "OAKLEY_DES_CBC"),
        (OakleyEncr.DES3_CBC, "OAKLEY_3DES_CBC"),
        (OakleyEncr(99), "99??"),
        (OakleyHash.SHA, "OAKLEY_SHA1"),
        (OakleyHash.SHA2_256, "OAKLEY_SHA2_256"),
        (AuthMethod.PRE_SHARED_KEY, "OAKLEY_PRESHARED_KEY"),
        (AuthMethod.RSA_SIG, "OAKLEY_RSA_SIG"),
        (OakleyAttribute.LIFE_DURATION, "OAKLEY_LIFE_DURATION"),
    ],
)
def test_oakley(value: OpenIntEnum, want: str) -> None:
    assert names.oakley(value) == want


def test_the_others() -> None:
    assert [names.group(number) for number in (14, 2, 1)] == [
        "OAKLEY_GROUP_MODP2048",
        "OAKLEY_GROUP_MODP1024",
        "OAKLEY_GROUP 1",
    ]
    assert [names.esp(number) for number in (2, 3, 12, 77)] == ["ESP_DES", "ESP_3DES", "ESP_AES", "77??"]
    assert [names.auth(number) for number in (0, 2, 5)] == [
        "AUTH_ALGORITHM_NONE",
        "AUTH_ALGORITHM_HMAC_SHA1",
        "AUTH_ALGORITHM_HMAC_SHA2_256",
    ]
    assert names.is_known(OakleyHash.SHA) and not names.is_known(OakleyHash(99))
    assert names.classic(ProtocolId.ESP, "PROTO_") == "PROTO_ESP"
