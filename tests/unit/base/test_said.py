# SPDX-License-Identifier: GPL-2.0-or-later
"""SA identifiers in all their forms, held against Openswan's own table."""

import json
from ipaddress import ip_address
from pathlib import Path

import pytest

from openswan.base.errors import ConfigError
from openswan.base.numbers import IpProtocol
from openswan.base.said import Said, Shunt, parse_said

TABLES = Path(__file__).parents[4] / "shared/data/vectors/openswan-tables"


def test_the_classic_table() -> None:
    document = json.loads((TABLES / "ttosa.json").read_text())
    [rows] = [value for value in document.values() if isinstance(value, list)]
    seen = 0
    for row in rows[0]["cases"]:
        text, want = row["input"], row["output"]
        # Macros, print formats and a shunt of a later system are not text forms of ours.
        if row["format"] != 0 or "PASSTHROUGH" in text or "trapsubnet" in (want or ""):
            continue
        if want is None:
            with pytest.raises(ConfigError):
                parse_said(text)
        else:
            assert str(parse_said(text)) == want
            assert parse_said(want) == parse_said(text)
        seen += 1
    assert seen == 37


def test_forms() -> None:
    v4, v6 = Said(IpProtocol.ESP, 0x1234, ip_address("192.0.2.1")), Said(IpProtocol.AH, 1, ip_address("2001:db8::1"))
    for said in (v4, v6):
        assert parse_said(str(said)) == said
        assert parse_said(said.hex()) == said
    assert v4.hex() == "esp0x1234@192.0.2.1"
    assert v6.hex() == "ah:0x1@2001:db8::1"
    assert str(Said(IpProtocol(77), 9, ip_address("1.2.3.4"))) == "unk77.9@1.2.3.4"
    assert [str(shunt) for shunt in Shunt] == ["%pass", "%drop", "%reject", "%hold", "%trap"]


@pytest.mark.parametrize(
    "text", ["%nothing", "esp4294967296@1.2.3.4", "esp.1@2001:db8::1", "esp.123456789@1.2.3.4", "esp.1@"]
)
def test_bad(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_said(text)
