# SPDX-License-Identifier: GPL-2.0-or-later
"""Gateways out of DNS records: order, delegation signed and unsigned, bounds, what is refused and why."""

import base64
from ipaddress import ip_address

from cryptography.hazmat.primitives.asymmetric import rsa

from openswan.base.address import Address
from openswan.crypto.rsakey import encode_public
from openswan.policy.connection import Connection, End, Host, HostKind
from openswan.policy.gateways import (
    MOST_GATEWAYS,
    MOST_RECORDS,
    Found,
    gateways,
    keys_of,
    read_records,
    reverse_name,
    with_key,
)
from openswan.policy.grade import Grade

HOST, OTHER, SIX = map(ip_address, ("192.0.2.7", "198.51.100.1", "2001:db8::7"))
ONE, TWO = (encode_public(rsa.generate_private_key(65537, 2048).public_key()) for _ in range(2))
NAME = "7.2.0.192.in-addr.arpa"


def ipseckey(precedence: int, gateway: Address | None, key: bytes = ONE) -> tuple[str, bytes]:
    kind = 0 if gateway is None else 1 if gateway.version == 4 else 2
    return "IPSECKEY", bytes([precedence, kind, 2 if key else 0]) + (gateway.packed if gateway else b"") + key


def named(precedence: int, name: str, key: bytes = ONE) -> tuple[str, bytes]:
    wire = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return "IPSECKEY", bytes([precedence, 3, 2]) + wire + b"\0" + key


def txt(preference: int, gateway: str, key: bytes = ONE) -> tuple[str, bytes]:
    text = f"X-IPsec-Server({preference})={gateway} {base64.b64encode(key).decode()}".encode()
    parts = [text[at : at + 255] for at in range(0, len(text), 255)]
    return "TXT", b"".join(bytes([len(part)]) + part for part in parts)


def read(*answers: tuple[str, bytes]) -> Found:
    found = read_records(NAME, answers)
    assert found.complaints == ()
    return found


def tried(found: Found, signed: bool = True, **names: tuple[Address, ...]) -> list[tuple[str, int]]:
    made, complaints = gateways(
        HOST, found, signed=signed, names={name.replace("_", "."): each for name, each in names.items()}
    )
    assert complaints == ()
    return [(str(one.address), one.preference) for one in made]


def refused(found: Found, signed: bool = True) -> list[str]:
    made, complaints = gateways(HOST, found, signed=signed)
    assert made == ()
    return list(complaints)


def test_names() -> None:
    assert reverse_name(HOST) == NAME
    assert reverse_name(ip_address("2001:db8::1")).endswith("8.b.d.0.1.0.0.2.ip6.arpa")
    assert len(reverse_name(ip_address("2001:db8::1"))) == 72


def test_all_gateways_by_precedence_and_ties_as_they_came() -> None:
    found = read(ipseckey(20, OTHER), ipseckey(10, SIX), txt(10, "192.0.2.9"), ipseckey(10, None), txt(5, "192.0.2.8"))
    assert tried(found) == [("192.0.2.8", 5), (str(SIX), 10), (str(HOST), 10), ("192.0.2.9", 10), (str(OTHER), 20)]


def test_the_same_gateway_and_key_in_two_records_is_one() -> None:
    found = read(txt(10, "192.0.2.7"), ipseckey(10, HOST), ipseckey(30, None), ipseckey(10, HOST, TWO))
    made, _ = gateways(HOST, found, signed=True)
    assert [(one.source, one.preference, one.octets) for one in made] == [("IPSECKEY", 10, ONE), ("IPSECKEY", 10, TWO)]


def test_unsigned_records_delegate_to_their_own_address_only() -> None:
    for record in (ipseckey(10, OTHER), txt(10, str(OTHER))):
        assert refused(read(record), signed=False) == [
            f"{record[0]} record of {NAME} is not used: it is unsigned and delegates to {OTHER}: only a signed one may "
            "name another"
        ]
        assert tried(read(record), signed=True)
    for record in (ipseckey(10, HOST), ipseckey(10, None), txt(10, str(HOST)), txt(10, ".")):
        assert tried(read(record), signed=False) == [(str(HOST), 10)]


def test_a_gateway_that_is_a_name() -> None:
    found = read(named(10, "gw.example.org"), txt(20, "@gw.example.org"))
    assert found.names() == ("gw.example.org",)
    assert tried(found, gw_example_org=(OTHER, SIX)) == [(str(OTHER), 10), (str(SIX), 10)]
    assert tried(found, signed=False, gw_example_org=(HOST,)) == [(str(HOST), 10)]
    assert refused(found) == [
        f"IPSECKEY record of {NAME} is not used: gateway gw.example.org has no address",
        f"TXT record of {NAME} is not used: gateway gw.example.org has no address",
    ]


def test_grades() -> None:
    for signed, grade in ((True, Grade.DNSSEC), (False, Grade.DNS)):
        [one], _ = gateways(HOST, read(ipseckey(10, None)), signed=signed)
        assert one.grade is grade and one.key is not None


def test_a_record_without_a_key() -> None:
    [one], _ = gateways(HOST, read(ipseckey(10, OTHER, b"")), signed=True)
    assert one.key is None and one.octets == b""


def test_addresses_that_cannot_be_gateways() -> None:
    for bad in ("127.0.0.1", "224.0.0.1", "fe80::1", "169.254.0.1", "::1"):
        assert refused(read(ipseckey(10, ip_address(bad)))) == [
            f"IPSECKEY record of {NAME} is not used: {bad} cannot be a gateway"
        ]


def test_bad_records_are_complained_about_and_the_others_count() -> None:
    found = read_records(
        NAME,
        [
            ("IPSECKEY", b"\x0a"),
            txt(99999, "192.0.2.7"),
            ("TXT", b"\x05v=spf"),
            ("A", b"\xc0\x00\x02\x07"),
            ("KEY", b"\xc2\x00\x04\x01" + ONE),
            ipseckey(10, None),
        ],
    )
    assert len(found.records) == 1 and [line.partition(":")[0] for line in found.complaints] == [
        f"IPSECKEY record of {NAME} is not used",
        f"TXT record of {NAME} is not used",
        f"KEY record of {NAME} is not used",
    ]
    assert refused(read(ipseckey(10, None, b"\x03"))) == [
        f"IPSECKEY record of {NAME} is not used: invalid key data: RSA public key is cut short"
    ]


def test_bounds() -> None:
    found = read_records(NAME, [ipseckey(n % 256, ip_address(f"198.51.100.{n % 250 + 1}")) for n in range(500)])
    assert len(found.records) == MOST_RECORDS
    assert found.complaints == (f"{NAME} has more than {MOST_RECORDS} records, the others are not looked at",)
    made, complaints = gateways(HOST, found, signed=True)
    assert len(made) == MOST_GATEWAYS and "the first 8 are tried" in complaints[0]


def test_keys_of_a_name() -> None:
    found = read(
        ("KEY", b"\x42\x00\x04\x01" + ONE), ipseckey(10, OTHER, TWO), ipseckey(10, None, b""), txt(1, ".", TWO)
    )
    keys, complaints = keys_of("gw.example.org", found)
    assert [octets for octets, _ in keys] == [TWO, ONE] and complaints == ()
    assert [encode_public(key) for _, key in keys] == [TWO, ONE]  # type: ignore[arg-type]
    keys, complaints = keys_of("gw", read(ipseckey(10, None, b"\x03")))
    assert keys == () and complaints == (
        "IPSECKEY record of gw is not used: invalid key data: RSA public key is cut short",
    )


def test_a_conn_whose_peer_must_have_that_key() -> None:
    here, there = End(Host(HostKind.DEFAULTROUTE)), End(Host(HostKind.OPPORTUNISTIC), dns_key=True)
    [gateway], _ = gateways(HOST, read(ipseckey(10, None)), signed=True)
    made = with_key(Connection("x", here, there), gateway)
    assert made.left == here and made.right.rsa_keys == (ONE,) and not made.right.dns_key
    assert with_key(Connection("x", there, here), gateway).left == made.right
