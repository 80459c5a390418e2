# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers by the names pluto's lines have always given them, such as OAKLEY_3DES_CBC; unknown ones as `99??`."""

from __future__ import annotations

from openswan.base.numbers import OpenIntEnum
from openswan.crypto import registry
from openswan.crypto.registry import Kind
from openswan.wire.v1.numbers import AuthAlgorithm, EspId

CLASSIC = {
    "DES3_CBC": "3DES_CBC",
    "DES3": "3DES",
    "IDEA3": "3IDEA",
    "SHA": "SHA1",
    "PRE_SHARED_KEY": "PRESHARED_KEY",
    "RSA_ENC_REVISED": "RSA_REVISED_MODE",
}
"""What our enums call otherwise."""


def is_known(value: OpenIntEnum) -> bool:
    """Has the number a name?"""
    return value.name in type(value).__members__


def classic(value: OpenIntEnum, prefix: str = "") -> str:
    """The name of any number behind its kind's prefix."""
    if not is_known(value):
        return f"{int(value)}??"
    return prefix + CLASSIC.get(value.name, value.name)


def oakley(value: OpenIntEnum) -> str:
    """Of phase 1's numbers: OAKLEY_AES_CBC, OAKLEY_SHA1, OAKLEY_PRESHARED_KEY."""
    return classic(value, "OAKLEY_")


def group(number: int) -> str:
    """OAKLEY_GROUP_MODP2048; of a group nobody here has, its number."""
    row = registry.by_ikev1(Kind.DH, number)
    return f"OAKLEY_GROUP_{row.display}" if row else f"OAKLEY_GROUP {number}"


def esp(number: int) -> str:
    """ESP_AES, ESP_3DES."""
    return classic(EspId(number), "ESP_")


def auth(number: int) -> str:
    """AUTH_ALGORITHM_HMAC_SHA1, and AUTH_ALGORITHM_NONE for 0."""
    kind = AuthAlgorithm(number)
    return "AUTH_ALGORITHM_HMAC_SHA1" if kind == AuthAlgorithm.HMAC_SHA else classic(kind, "AUTH_ALGORITHM_")
