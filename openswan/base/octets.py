# SPDX-License-Identifier: GPL-2.0-or-later
"""Octets as text: `0x` hexadecimal, `0s` base64, `0t` plain text, as keys and secrets are written."""

from __future__ import annotations

import base64
import binascii
import re

from openswan.base.errors import ConfigError

HEX = re.compile(r"([0-9a-fA-F]{2})+(_([0-9a-fA-F]{2})+)*")
ODD_HEX = re.compile(r"[0-9a-fA-F_]+")


def parse_octets(text: str, *, blanks: bool = False) -> bytes:
    """Read `0x...` (an `_` may stand between octets), `0s...` or `0t...`; ConfigError never repeats the text.

    `blanks` ignores blanks, as a long key broken over lines needs. An empty value is an error.
    """
    kind, body = text[:2].lower(), text[2:]
    if blanks and kind != "0t":
        body = "".join(body.split())
    if kind == "0x":
        return _hex(body)
    if kind == "0s":
        return _base64(body)
    if kind == "0t":
        if not body:
            raise ConfigError("no data after 0t")
        return body.encode("utf-8", "surrogateescape")
    raise ConfigError("data must begin with 0x (hexadecimal), 0s (base64) or 0t (text)")


def _hex(body: str) -> bytes:
    if not HEX.fullmatch(body):
        odd = ODD_HEX.fullmatch(body) and "an odd number of digits, or an _ inside an octet"
        raise ConfigError(f"data after 0x has {odd}" if odd else "data after 0x is not hexadecimal")
    return bytes.fromhex(body.replace("_", ""))


def _base64(body: str) -> bytes:
    try:
        octets = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError("data after 0s is not base64") from None
    # Bits behind the last octet must be zero, else two texts would mean the same key (RFC 4648 3.5).
    if not octets or base64.b64encode(octets).decode() != body:
        raise ConfigError("data after 0s is not base64")
    return octets


def hex_text(octets: bytes, *, groups: bool = False) -> str:
    """`0x0102...`; `groups` puts an `_` after each four octets."""
    digits = octets.hex()
    if groups:
        digits = "_".join(digits[at : at + 8] for at in range(0, len(digits), 8))
    return "0x" + digits


def base64_text(octets: bytes) -> str:
    """`0sAQID...`."""
    return "0s" + base64.b64encode(octets).decode()
