# SPDX-License-Identifier: GPL-2.0-or-later
"""One end of a conn: hosts, keys, certificates, identities, addresses."""

from ipaddress import ip_network

import pytest

from openswan.policy.connection import (
    HostKind,
)
from openswan.policy.identity import FROM_CERT, parse_identity
from tests.unit.config.conn import KEY, one


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("right=%any", HostKind.ANY),
        ("right=%defaultroute", HostKind.DEFAULTROUTE),
        ("right=%eth0", HostKind.INTERFACE),
        ("right=gw.example.org", HostKind.NAME),
    ],
)
def test_hosts(body: str, kind: HostKind) -> None:
    assert one(body).right.host.kind is kind


def test_keys_and_certificates() -> None:
    made = one(f"authby=rsasig;leftrsasigkey={KEY};leftrsasigkey2={KEY};rightrsasigkey=%none")
    assert made.left.rsa_keys == (bytes.fromhex(KEY[2:]),) and made.right.rsa_keys == ()
    assert not made.left.use_cert_key and not made.right.use_cert_key
    made = one("authby=rsasig;leftcert=gw.pem")
    assert made.left.cert == b"DER" and made.left.cert_name == "gw.pem" and made.left.use_cert_key
    # A conn with a certificate on one side means certificates, unless the other side has a key of its own.
    assert made.right.use_cert_key
    assert not one(f"authby=rsasig;leftcert=gw.pem;rightrsasigkey={KEY}").right.use_cert_key
    assert one("authby=rsasig;rightrsasigkey=%cert").right.use_cert_key
    assert one('authby=rsasig;rightid="C=CA, CN=*"').right.use_cert_key
    assert one("authby=rsasig;leftcert=gw.pem;rightid=%fromcert").right.id == FROM_CERT
    assert not one("leftcert=gw.pem").right.use_cert_key  # authby=secret


def test_myid() -> None:
    assert one("leftid=%myid", "\tmyid=@here\n").left.id == parse_identity("@here")
    assert one("leftid=%none").left.id is None


def test_source_address_alone_is_the_client() -> None:
    assert one("leftsourceip=10.1.0.1").left.subnet == ip_network("10.1.0.1/32")
    assert one('leftsourceip="10.1.0.1 2001:db8::1"').left.subnet is None
