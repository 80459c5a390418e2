# SPDX-License-Identifier: GPL-2.0-or-later
"""IPSECKEY, TXT X-IPsec-Server and KEY: every gateway type, every fault, every truncation."""

import base64
import random
from ipaddress import ip_address

import pytest

from openswan.base.errors import WireError
from openswan.wire.oerecord import PARSERS, GatewayKind, KeyKind, OeRecord, parse_ipseckey, parse_key, parse_txt

KEY = b"\x03\x01\x00\x01" + b"\xc1" + bytes(126) + b"\x01"
TEXT = base64.b64encode(KEY).decode()
V4, V6 = ip_address("192.0.2.38"), ip_address("2001:db8:0:8002::2000:1")


def name(*labels: str) -> bytes:
    return b"".join(bytes([len(each)]) + each.encode() for each in labels) + b"\0"


def txt(*strings: str) -> bytes:
    return b"".join(bytes([len(each)]) + each.encode("latin-1") for each in strings)


def said(text: str) -> OeRecord:
    record = parse_txt(txt(*(text[at : at + 255] for at in range(0, len(text), 255))))
    assert record is not None
    return record


@pytest.mark.parametrize(
    ("kind", "wire", "gateway"),
    [
        (GatewayKind.NONE, b"", None),
        (GatewayKind.IPV4, V4.packed, V4),
        (GatewayKind.IPV6, V6.packed, V6),
        (GatewayKind.NAME, name("MyGateway", "example", "com"), "mygateway.example.com"),
        (GatewayKind.NAME, name(), None),
        (GatewayKind.NAME, name(*["a" * 63] * 3, "b" * 61), ".".join(["a" * 63] * 3 + ["b" * 61])),
    ],
)
@pytest.mark.parametrize("algorithm", [KeyKind.DSA, KeyKind.RSA, KeyKind.ECDSA, KeyKind.EDDSA, KeyKind(77)])
def test_ipseckey(kind: GatewayKind, wire: bytes, gateway: object, algorithm: KeyKind) -> None:
    data = bytes([10, kind, algorithm]) + wire + KEY
    assert parse_ipseckey(data) == OeRecord("IPSECKEY", 10, gateway, algorithm, KEY)  # type: ignore[arg-type]


def test_ipseckey_without_a_key() -> None:
    assert parse_ipseckey(bytes([255, 0, 0])) == OeRecord("IPSECKEY", 255, None, KeyKind.NONE)
    assert parse_ipseckey(bytes([0, 1, 0]) + V4.packed) == OeRecord("IPSECKEY", 0, V4, KeyKind.NONE)


@pytest.mark.parametrize("wire", [(1, V4.packed), (2, V6.packed), (3, name("gw", "example"))])
def test_ipseckey_cut_short_anywhere_before_the_key(wire: tuple[int, bytes]) -> None:
    data = bytes([10, wire[0], 2]) + wire[1]
    for end in range(len(data) + 1):
        with pytest.raises(WireError):
            parse_ipseckey(data[:end])
    assert parse_ipseckey(data + b"x").key == b"x"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "truncated"),
        (bytes([10, 4, 2]) + KEY, "gateway type 4 is not known: 0 to 3 are"),
        (bytes([10, 0, 0]) + KEY, "of algorithm 0 (no key) has 132 octets of key"),
        (bytes([10, 0, 2]), "of algorithm 2 has no key"),
        (bytes([10, 1, 2]) + bytes(4) + KEY, "gateway address must not be 0.0.0.0 or 0::0"),
        (bytes([10, 2, 2]) + bytes(16) + KEY, "gateway address must not be 0.0.0.0 or 0::0"),
        (bytes([10, 3, 2]) + b"\xc0\x0c" + KEY, "name is compressed, or a label of it longer than 63"),
        (bytes([10, 3, 2]) + b"\x40" + KEY, "name is compressed, or a label of it longer than 63"),
        (bytes([10, 3, 2]) + name(*["a" * 63] * 3, "b" * 62) + KEY, "name is longer than 255 octets"),
        (bytes([10, 3, 2]) + name("a b") + KEY, "has a label that no host has: 'a b'"),
        (bytes([10, 3, 2]) + name("-x") + KEY, "has a label that no host has: '-x'"),
        (bytes([10, 3, 2]) + b"\x02a\x00\x00" + KEY, "has a label that no host has"),
        (bytes([10, 3, 2]) + b"\x02\xff\xfe\x00" + KEY, "has a label that no host has"),
        (bytes([10, 0, 2]) + bytes(2049), "key data larger than 2048 bytes"),
    ],
)
def test_bad_ipseckey(data: bytes, why: str) -> None:
    with pytest.raises(WireError) as caught:
        parse_ipseckey(data)
    assert why in str(caught.value)


def test_ipseckey_of_the_largest_size() -> None:
    assert len(parse_ipseckey(bytes([10, 0, 2]) + bytes(2048)).key) == 2048


def test_key_record() -> None:
    for flags in (0x4200, 0x0200, 0x4000, 0):
        assert parse_key(flags.to_bytes(2, "big") + b"\x04\x01" + KEY) == OeRecord("KEY", 0, None, KeyKind.RSA, KEY)
    assert parse_key(b"\x42\x00\x04\x05" + KEY).kind is KeyKind.RSA


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"\xc2\x00\x04\x01", "says that there is no key"),
        (b"\x82\x00\x04\x01", "may not be used for authentication"),
        (b"\x42\x10\x04\x01", "reserved flags set (0x4210)"),
        (b"\x42\x00\x03\x01", "is for protocol 3, not for IPsec (4)"),
        (b"\x42\x00\x04\x03", "of algorithm 3: only RSA (1) is used"),
    ],
)
def test_bad_key_record(head: bytes, why: str) -> None:
    with pytest.raises(WireError) as caught:
        parse_key(head + KEY)
    assert why in str(caught.value)


def test_key_record_cut_short() -> None:
    for end in range(5):
        with pytest.raises(WireError):
            parse_key((b"\x42\x00\x04\x01" + KEY)[:end])


@pytest.mark.parametrize(
    ("text", "preference", "gateway"),
    [
        (f"X-IPsec-Server(10)=192.0.2.38 {TEXT}", 10, V4),
        (f"x-ipsec-server(0)=192.0.2.38\t{TEXT}", 0, V4),
        (f"X-IPSEC-SERVER ( 65535 ) = 192.0.2.38   {TEXT} ", 65535, V4),
        (f"X-IPsec-Server(10)=192.0.2.38{TEXT}", 10, V4),
        (f"X-IPsec-Server(10)={V6} {TEXT}", 10, V6),
        (f"X-IPsec-Server(10)={V6}{TEXT}", 10, V6),
        (f"X-IPsec-Server(10)=@gw.Example.org {TEXT}", 10, "gw.example.org"),
        (f"X-IPsec-Server(10)=@gw.example.org. {TEXT}", 10, "gw.example.org"),
        (f"X-IPsec-Server(10)=. {TEXT}", 10, None),
        (f"X-IPsec-Server(10)=192.0.2.38 {TEXT[:60]} {TEXT[60:]}", 10, V4),
        (f"X-IPsec-Server(10)=192.0.2.38 0s{TEXT}", 10, V4),
    ],
)
def test_txt(text: str, preference: int, gateway: object) -> None:
    record = said(text)
    assert (record.preference, record.gateway, record.kind, record.key) == (preference, gateway, KeyKind.RSA, KEY)


def test_txt_split_into_strings_anywhere() -> None:
    text = f"X-IPsec-Server(10)=192.0.2.38 {TEXT}"
    for at in range(1, len(text)):
        record = parse_txt(txt(text[:at], text[at:]))
        assert record == OeRecord("TXT", 10, V4, KeyKind.RSA, KEY)


def test_txt_without_a_key() -> None:
    assert said("X-IPsec-Server(10)=192.0.2.38") == OeRecord("TXT", 10, V4, KeyKind.NONE)
    assert said("X-IPsec-Server(10)=@gw.example.org ") == OeRecord("TXT", 10, "gw.example.org", KeyKind.NONE)


def test_other_txt_records_are_nobodys_business() -> None:
    for text in ("v=spf1 -all", "", "X-IPsec", " X-IPsec-Server(10)=192.0.2.1", "\xff\xfe"):
        assert parse_txt(txt(text)) is None
    assert parse_txt(b"") is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "X-IPsec-Server missing '('"),
        ("=192.0.2.1", "X-IPsec-Server missing '('"),
        ("()=192.0.2.1", "malformed X-IPsec-Server priority"),
        ("(-1)=192.0.2.1", "malformed X-IPsec-Server priority"),
        ("(10=192.0.2.1", "X-IPsec-Server priority missing ')'"),
        ("(65536)=192.0.2.1", "X-IPsec-Server priority larger than 0xFFFF"),
        ("(99999999999)=192.0.2.1", "X-IPsec-Server priority missing ')'"),
        ("(10)192.0.2.1", "X-IPsec-Server priority missing '='"),
        ("(10)=", "TXT X-IPsec-Server badly formed (no gateway specified)"),
        ("(10)=  ", "TXT X-IPsec-Server badly formed (no gateway specified)"),
        ("(10)=@ AQ", "malformed FQDN in TXT X-IPsec-Server"),
        ("(10)=@-gw.example AQ", "malformed FQDN in TXT X-IPsec-Server"),
        ("(10)=@a..b AQ", "malformed FQDN in TXT X-IPsec-Server"),
        (f"(10)=@{'a.' * 130} AQ", "malformed FQDN in TXT X-IPsec-Server"),
        ("(10)=192.0.2 AQ", "malformed IP address in TXT X-IPsec-Server: '192.0.2'"),
        ("(10)=gw.example AQ", "malformed IP address in TXT X-IPsec-Server: 'gw.example'"),
        ("(10)=fe80::1%eth0 AQ", "malformed IP address in TXT X-IPsec-Server"),
        ("(10)=0.0.0.0 AQ==", "gateway address must not be 0.0.0.0 or 0::0"),
        ("(10)=:: AQ==", "gateway address must not be 0.0.0.0 or 0::0"),
        ("(10)=192.0.2.1 A*Q", "malformed key data: not base64"),
        ("(10)=192.0.2.1 AQ=", "malformed key data: not base64"),
        (f"(10)=192.0.2.1 {'A' * 4000}", "key data larger than 2048 bytes"),
    ],
)
def test_bad_txt(text: str, why: str) -> None:
    with pytest.raises(WireError) as caught:
        said("X-IPsec-Server" + text)
    assert str(caught.value).startswith(why)


@pytest.mark.parametrize("length", [50, 253, 254, 1000, 4000, 40000])
@pytest.mark.parametrize("name", ["C=", "=", "O=Lab,CN="])
def test_names_with_equals_signs_of_any_length(name: str, length: int) -> None:
    """CVE-2013-2053: a name in a record that looks like a distinguished one, longer than any buffer."""
    for text in (f"(10)=@{name}{'A' * length}", f"(10)=@{name}{'A' * length} {TEXT}"):
        with pytest.raises(WireError) as caught:
            said("X-IPsec-Server" + text)
        assert str(caught.value).startswith("malformed FQDN in TXT X-IPsec-Server") and len(str(caught.value)) < 200


def test_txt_whose_strings_run_over_the_end() -> None:
    data = txt(f"X-IPsec-Server(10)=192.0.2.38 {TEXT[:100]}", TEXT[100:])
    for end in range(1, len(data)):
        if end != 1 + data[0]:
            with pytest.raises(WireError):
                parse_txt(data[:end])


@pytest.mark.parametrize("kind", list(PARSERS))
def test_random_octets_give_a_record_or_one_error(kind: str) -> None:
    dice = random.Random(kind)
    heads = {"IPSECKEY": bytes([10, 3, 2]), "TXT": txt("X-IPsec-Server"), "KEY": b"\x42\x00\x04\x01"}
    alphabet = {"TXT": b"()=@.0123456789ABQ :\x05\x10"}.get(kind, bytes(range(256)))
    for number in range(4000):
        tail = bytes(dice.choice(alphabet) for _ in range(dice.randrange(40)))
        data = (heads[kind] if number % 2 else b"") + tail
        try:
            PARSERS[kind](data)
        except WireError as why:
            assert str(why)
