# SPDX-License-Identifier: GPL-2.0-or-later
"""Identities: forms, complaints, who matches whom."""

from ipaddress import ip_address

import pytest

from openswan.base.errors import ConfigError
from openswan.policy.identity import (
    FROM_CERT,
    NOBODY,
    Identity,
    IdKind,
    address_identity,
    matches,
    parse_identity,
    show,
)


@pytest.mark.parametrize(
    ("text", "kind", "body", "shown"),
    [
        ("192.0.2.1", IdKind.IPV4_ADDR, b"\xc0\0\x02\x01", "192.0.2.1"),
        ("2001:db8::1", IdKind.IPV6_ADDR, bytes.fromhex("20010db8000000000000000000000001"), "2001:db8::1"),
        ("@gw.example.org", IdKind.FQDN, b"gw.example.org", "@gw.example.org"),
        ("@192.0.2.1", IdKind.FQDN, b"192.0.2.1", "@192.0.2.1"),
        ("gw.example.org", IdKind.FQDN, b"gw.example.org", "@gw.example.org"),
        ("joe@example.org", IdKind.USER_FQDN, b"joe@example.org", "joe@example.org"),
        ("@#0a0B", IdKind.KEY_ID, b"\x0a\x0b", "@#0a0b"),
        ("@#0x0a0b", IdKind.KEY_ID, b"\x0a\x0b", "@#0a0b"),
        ("@[group]", IdKind.KEY_ID, b"group", "@#67726f7570"),
        (" @x ", IdKind.FQDN, b"x", "@x"),
    ],
)
def test_forms(text: str, kind: IdKind, body: bytes, shown: str) -> None:
    identity = parse_identity(text)
    assert identity == Identity(kind, body)
    assert str(identity) == show(identity) == shown
    assert parse_identity(shown) == identity


def test_distinguished_name() -> None:
    identity = parse_identity("C=CA, CN=east")
    assert identity.kind is IdKind.DER_ASN1_DN and identity.body[0] == 0x30
    assert str(identity) == "C=CA, CN=east"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty identity"),
        ("%any", "'%any' is not an identity"),
        ("%myid", "'%myid' is not an identity"),
        ("@", "'@' is not a name"),
        ("@a b", "'@a b' is not a name"),
        ("@#", "'@#' is not a key id"),
        ("@#xyz", "'@#xyz' is not a key id"),
        ("@[", "'@[' is not a key id"),
        ("@[]", "'@[]' is not a key id"),
        ("@[x", "'@[x' is not a key id"),
        ("a@", "is not of the form user@name"),
        ("a b@c", "is not of the form user@name"),
        ("1.2.3", "'1.2.3' is neither an address nor a name"),
        ("host name", "neither an address nor a name"),
        ("@a\x07", "has control characters"),
        ("@\udcff", "has control characters"),
        ("@" + "x" * 2000, "identity longer than 1024 characters"),
        ("CN=", "'CN' has no value"),
    ],
)
def test_bad(text: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_identity(text)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("wanted", "got", "yes"),
    [
        ("@East.example.org", "@east.EXAMPLE.org", True),
        ("@east.example.org.", "@east.example.org", True),
        ("@*.example.org", "@a.b.example.org", True),
        ("@*.example.org", "@example.org", False),
        ("@*.example.org", "@.example.org", False),
        ("*@example.org", "joe@example.org", True),
        ("*@example.org", "joe@evil@example.org", False),
        ("@east", "@*", False),
        ("@east", "east@x", False),
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "@192.0.2.1", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("@#0a", "@#0a", True),
        ("@#0a", "@#0A0b", False),
        ("C=CA, CN=*", "C=CA, CN=east", True),
        ("C=CA, CN=*", "C=US, CN=east", False),
        ("C=CA, CN=*", "@east", False),
        ("%fromcert", "CN=x", True),
        ("%fromcert", "@x", False),
        ("%cert", "CN=x", True),
    ],
)
def test_matching(wanted: str, got: str, yes: bool) -> None:
    assert matches(parse_identity(wanted), parse_identity(got)) is yes


def test_nobody_in_particular() -> None:
    assert matches(None, parse_identity("@x"))


def test_what_peers_send_is_shown_on_one_line() -> None:
    assert show(Identity(IdKind.FQDN, b"a\nb\xff")) == "@a\\0ab\\xff"
    assert show(Identity(IdKind.IPV4_ADDR, b"\1\2")) == "@#0102"
    assert show(Identity(IdKind.DER_ASN1_DN, b"\1\2")) == "@#0102"
    assert show(Identity(IdKind.NULL, b"")) == "ID_NULL"
    assert show(Identity(IdKind(77), b"\1")) == "@#01"
    assert show(FROM_CERT) == "%fromcert"


def test_addresses() -> None:
    for text in ("192.0.2.1", "2001:db8::1"):
        identity = address_identity(ip_address(text))
        assert identity.address == ip_address(text) and parse_identity(text) == identity
    assert parse_identity("@x").address is None
    assert Identity(IdKind.IPV4_ADDR, b"").address is None


def test_nobody() -> None:
    assert parse_identity("%null") == NOBODY
    assert matches(NOBODY, NOBODY) and not matches(NOBODY, parse_identity("@x"))
