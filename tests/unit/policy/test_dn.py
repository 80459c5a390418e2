# SPDX-License-Identifier: GPL-2.0-or-later
"""Distinguished names: text, DER, wildcards, damaged input."""

import json
import random
from pathlib import Path

import pytest
from cryptography import x509

from openswan.base.errors import ConfigError
from openswan.policy.dn import dn_matches, dn_text, looks_like_dn, parse_dn, read_dn, wildcards

TABLES = Path(__file__).parents[4] / "shared/data/vectors/openswan-tables"


def test_the_classic_table() -> None:
    document = json.loads((TABLES / "x509dn.json").read_text())
    [rows] = [value for value in document.values() if isinstance(value, list)]
    for row in rows[0]["cases"]:
        assert dn_text(parse_dn(row["input"])) == row["output"]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("C=CA, O=Example, CN=east", "C=CA, O=Example, CN=east"),
        ("/C=CA/O=Example/CN=east", "C=CA, O=Example, CN=east"),
        ('C=CA, O="Example, Inc", CN=east', "C=CA, O=Example\\, Inc, CN=east"),
        ("O=Example\\, Inc,CN=a=b", "O=Example\\, Inc, CN=a=b"),
        ("S=Ontario, Email=a@b.c", "ST=Ontario, E=a@b.c"),
        ("CN=east+OU=x", "OU=x+CN=east"),
        ("2.5.4.3=east, 1.3.6.1.4.1.99999.1=z", "CN=east, 1.3.6.1.4.1.99999.1=z"),
        ("CN=Zoë", "CN=Zoë"),
        ("CN = two  words ", "CN=two  words"),
        ("/CN=a\\/b/O=c", "CN=a/b, O=c"),
    ],
)
def test_text_there_and_back(text: str, want: str) -> None:
    der = parse_dn(text)
    assert dn_text(der) == want
    assert parse_dn(want) == der


def test_the_library_reads_the_same() -> None:
    der = parse_dn("C=CA, DC=example, O=Example Inc, CN=east+OU=x, E=a@b.c, serialNumber=7")
    name = x509.Name.from_bytes(der)
    assert name.public_bytes() == der
    assert [attribute.value for attribute in name][:3] == ["CA", "example", "Example Inc"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty distinguished name"),
        (" , ", "empty distinguished name"),
        ("C=CA, east", "'east' has no '='"),
        ("XX=1", "unknown attribute 'XX'"),
        ("CN=", "'CN' has no value"),
        ('CN="east', "ends inside a quotation"),
        ("CN=east\\", "ends inside a quotation"),
        ("9.9.9=x", "unknown attribute '9.9.9'"),
        ("CN=\udcff", "'CN' is not UTF-8 text"),
        ("CN=" + "x" * 5000, "longer than 4096 characters"),
    ],
)
def test_bad_text(text: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_dn(text)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("wanted", "got", "same"),
    [
        ("C=CA, CN=East", "c=ca, cn=east", True),
        ("O=Two  Words", "O=two words", True),
        ("C=CA, O=*, CN=*", "C=CA, O=x, CN=y", True),
        ("C=CA, CN=*", "C=CA, O=x, CN=y", False),
        ("C=CA, CN=*", "C=US, CN=y", False),
        ("CN=east, O=x, C=CA", "C=CA, O=x, CN=east", True),
        ("CN=a+OU=b", "OU=b+CN=a", True),
        ("CN=a", "OU=a", False),
        ("CN=east", "CN=*", False),
        ("CN=e*", "CN=east", False),
    ],
)
def test_matching(wanted: str, got: str, same: bool) -> None:
    assert dn_matches(parse_dn(wanted), parse_dn(got)) is same


def test_encodings_of_the_same_text_match() -> None:
    printable = bytes.fromhex("300f310d300b06035504030c0465617374")
    teletex = bytes.fromhex("300f310d300b0603550403140465617374")
    wide = bytes.fromhex("30133111300f06035504031e080065006100730074")
    assert dn_text(printable) == dn_text(teletex) == dn_text(wide) == "CN=east"
    assert dn_matches(printable, teletex) and dn_matches(wide, printable)


def test_wildcards_are_counted() -> None:
    assert wildcards(parse_dn("C=CA, O=*, CN=*")) == 2


def test_looks_like_dn() -> None:
    assert looks_like_dn("CN=x") and looks_like_dn("/C=x") and looks_like_dn("2.5.4.3=x")
    assert not looks_like_dn("@x=y") and not looks_like_dn("192.0.2.1") and not looks_like_dn("%any")


def test_every_truncation_and_change_of_der_is_refused_or_shown() -> None:
    der = parse_dn("C=CA, O=Example, CN=east")
    for size in range(len(der)):
        with pytest.raises(ConfigError):
            read_dn(der[:size])
        assert not dn_matches(der[:size], der)
    dice = random.Random(3)
    for _ in range(5000):
        changed = bytearray(der)
        for _ in range(dice.randrange(1, 4)):
            changed[dice.randrange(len(der))] = dice.randrange(256)
        try:
            assert "\n" not in dn_text(bytes(changed))
        except ConfigError:
            pass


@pytest.mark.parametrize("hexed", ["", "3080", "30830000013100", "3000300a", "31003000", "3005310330010500"])
def test_odd_der(hexed: str) -> None:
    with pytest.raises(ConfigError):
        read_dn(bytes.fromhex(hexed))


def test_too_long_der() -> None:
    with pytest.raises(ConfigError, match="longer than 4096 octets"):
        read_dn(b"\x30" * 5000)


def test_control_characters_are_shown_escaped() -> None:
    assert dn_text(parse_dn("CN=a\nb")) == "CN=a\\0ab"


def test_undecodable_value_is_shown_in_hexadecimal() -> None:
    assert dn_text(bytes.fromhex("300d310b300906035504030c02c328")) == "CN=#c328"
