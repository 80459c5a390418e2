# SPDX-License-Identifier: GPL-2.0-or-later
"""Records of this host: what they say is what our own parsers, and the DNS library, read in them."""

from __future__ import annotations

from ipaddress import ip_address

import dns.rdata
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from openswan.crypto.dnskey import public_key_of
from openswan.crypto.rsakey import PublicKey
from openswan.policy.ownrecords import OwnRecord, of_address, of_name
from openswan.wire.oerecord import PARSERS, OeRecord
from tests.unit.crypto.keys import rsa_key

RSA = rsa_key(2048, 65537).public_key()
OTHERS = [ec.generate_private_key(ec.SECP384R1()).public_key(), ed25519.Ed25519PrivateKey.generate().public_key()]
SIX = ip_address("2001:db8::7")


def read(record: OwnRecord) -> OeRecord:
    """What a peer makes of it."""
    data = dns.rdata.from_text("IN", record.kind, record.data).to_wire()
    assert data is not None
    found = PARSERS[record.kind](data)
    assert found is not None
    return found


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_an_rsa_key_under_an_address(address: str) -> None:
    here = ip_address(address)
    records = of_address(here, RSA)
    assert [one.kind for one in records] == ["IPSECKEY", "TXT"]
    assert {one.owner for one in records} == {here.reverse_pointer}
    for one in map(read, records):
        assert (one.gateway, one.preference) == (here, 10) and public_key_of(int(one.kind), one.key) == RSA


def test_another_gateway_and_precedence() -> None:
    for one in map(read, of_address(ip_address("192.0.2.7"), RSA, SIX, 20)):
        assert (one.gateway, one.preference) == (SIX, 20)


def test_an_rsa_key_under_a_name() -> None:
    ipseckey, key = of_name("gw.example.org", RSA)
    assert (ipseckey.kind, key.kind) == ("IPSECKEY", "KEY")
    for one in (read(ipseckey), read(key)):
        assert one.gateway is None and public_key_of(int(one.kind), one.key) == RSA


@pytest.mark.parametrize("key", OTHERS, ids=["ecdsa", "eddsa"])
def test_other_keys_have_ipseckey_alone(key: PublicKey) -> None:
    (one,), (other,) = of_address(SIX, key), of_name("gw.example.org", key)
    assert one.kind == other.kind == "IPSECKEY"
    assert public_key_of(int(read(one).kind), read(one).key) == key


def test_a_line_of_a_zone() -> None:
    assert OwnRecord("7.2.0.192.in-addr.arpa", "TXT", '"x"').line() == '7.2.0.192.in-addr.arpa.\tIN\tTXT\t"x"'
