# SPDX-License-Identifier: GPL-2.0-or-later
"""PROTO/PORT: what is read, what is refused."""

import json
from pathlib import Path

import pytest

from openswan.base.errors import ConfigError
from openswan.base.protoport import parse_protoport, protoport_text

TABLES = Path(__file__).parents[4] / "shared/data/vectors/openswan-tables"


def test_the_classic_table() -> None:
    document = json.loads((TABLES / "ttoprotoport.json").read_text())
    [rows] = [value for value in document.values() if isinstance(value, list)]
    for row in rows[0]["cases"]:
        assert parse_protoport(row["ascii"]) == (row["wild"], 0, True)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("tcp/80", (6, 80, False)),
        ("17/1701", (17, 1701, False)),
        ("UDP/l2tp", (17, 1701, False)),
        ("gre", (47, 0, False)),
        ("47", (47, 0, False)),
        ("%any", (0, 0, False)),
        ("0/0", (0, 0, False)),
        ("icmp/8", (1, 8, False)),
        ("6/%any", (6, 0, True)),
    ],
)
def test_good(text: str, want: tuple[int, int, bool]) -> None:
    assert parse_protoport(text) == want


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "'' is not a protocol"),
        ("tpc", "'tpc' is not a protocol"),
        ("256", "'256' is not a protocol"),
        ("tcp/", "'' is not a port"),
        ("tcp/65536", "'65536' is not a port"),
        ("tcp/-1", "'-1' is not a port"),
        ("tcp/80/1", "'80/1' is not a port"),
        ("gre/5", "protocol 47 has no ports"),
        ("%any/80", "protocol 0 has no ports"),
        ("tcp/٣", "is not a port"),
    ],
)
def test_bad(text: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_protoport(text)
    assert why in str(caught.value)


def test_text() -> None:
    assert protoport_text(6, 80) == "tcp/80"
    assert protoport_text(47, 0) == "gre"
    assert protoport_text(200, 0) == "200"
    assert protoport_text(0, 0) == "%any"
