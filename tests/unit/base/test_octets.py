# SPDX-License-Identifier: GPL-2.0-or-later
"""Octets as text, held against Openswan's own tables."""

import json
from pathlib import Path
from typing import Any

import pytest

from openswan.base.errors import ConfigError
from openswan.base.octets import base64_text, hex_text, parse_octets

TABLES = Path(__file__).parents[4] / "shared/data/vectors/openswan-tables"


def table(name: str) -> list[dict[str, Any]]:
    document = json.loads((TABLES / "ttodata.json").read_text())
    [tables] = [value for value in document.values() if isinstance(value, list)]
    [rows] = [one["cases"] for one in tables if one["table"] == name]
    return list(rows)


def octets(value: Any) -> bytes:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else str(value).encode()


def test_reading_the_classic_table() -> None:
    seen = 0
    for row in table("atodatatab"):
        if row["base"] not in (0, "IGNORESPACE_BIAS + 0"):
            continue
        blanks = row["base"] != 0
        if row["data"] is None:
            with pytest.raises(ConfigError):
                parse_octets(row["ascii"])
        else:
            assert parse_octets(row["ascii"], blanks=blanks) == octets(row["data"])
        seen += 1
    assert seen > 40


def test_writing_the_classic_table() -> None:
    seen = 0
    for row in table("datatoatab"):
        if not row["data"] or not str(row["buflen"]).startswith("-"):
            continue
        data = octets(row["data"])
        if row["format"] in ("'x'", "'h'"):
            assert hex_text(data, groups=row["format"] == "'h'") == row["ascii"]
        elif row["format"] == "'s'":
            assert base64_text(data) == row["ascii"]
        else:
            continue
        seen += 1
    assert seen > 15


def test_blanks_only_when_asked() -> None:
    with pytest.raises(ConfigError):
        parse_octets("0sAbra Cadabra+")
    assert parse_octets("0t a b", blanks=True) == b" a b"


def test_secrets_are_never_repeated() -> None:
    for text in ("hunter2", "0xhunter2", "0shunter2!", "0x123"):
        with pytest.raises(ConfigError) as caught:
            parse_octets(text)
        assert "hunter2" not in str(caught.value) and "123" not in str(caught.value)
