# SPDX-License-Identifier: GPL-2.0-or-later
"""authby=, leftauth= and rightauth=: each end proves itself, or is nobody."""

from openswan.policy.connection import (
    Auth,
    SendCa,
)
from openswan.policy.identity import NOBODY, parse_identity
from tests.unit.config.conn import KEY, errors, one, warned


def test_authorities() -> None:
    conn = one('authby=rsasig;leftcert=gw.pem;leftca="C=CH, O=Lab";rightca=%same;sendca=issuer')
    assert (conn.left.ca, conn.right.ca, conn.left.send_ca) == ("C=CH, O=Lab", "%same", SendCa.ISSUER)
    assert one("authby=rsasig;leftcert=gw.pem;rightca=%same").left.send_ca is SendCa.ALL
    assert one("authby=rsasig;leftcert=gw.pem;leftca=%any").left.ca == ""
    assert any("unknown attribute" in line for line in errors('authby=rsasig;leftcert=gw.pem;leftca="XY=CH"'))
    both = one("authby=rsasig;leftcert=gw.pem;leftca=%same;rightca=%same")
    assert (both.left.ca, both.right.ca) == ("%same", "%same")
    for text in ("leftca=%same", "leftca=%same;rightca=%same", "rightca=%any;leftca=%same"):
        said = "leftca=%same: neither end has a certificate or a ca= of its own"
        assert any(said in line for line in errors(f"authby=rsasig;{text}"))


def test_ends_that_prove_themselves_differently() -> None:
    made = one("leftauth=secret;rightauth=rsasig;rightrsasigkey=" + KEY)
    assert (made.proof(made.left), made.proof(made.right)) == (Auth.PSK, Auth.RSASIG)
    assert made.auth == Auth.PSK | Auth.RSASIG and not made.left.use_cert_key
    same = one("leftauth=secret;rightauth=secret;authby=rsasig")
    assert same.auth is Auth.PSK and same.left.auth is same.right.auth is None


def test_an_end_that_proves_nothing_is_nobody() -> None:
    made = one("authby=null")
    assert made.auth is Auth.NULL and made.left.id == made.right.id == NOBODY
    server = one("leftauth=null;rightauth=rsasig;rightrsasigkey=%cert;rightid=@server.example")
    assert server.left.id == NOBODY and server.right.id == parse_identity("@server.example")
    assert not server.left.use_cert_key and server.right.use_cert_key
    either = one("authby=rsasig,null;leftrsasigkey=%cert")
    assert either.right.id is None and either.auth == Auth.RSASIG | Auth.NULL
    [said] = warned("authby=null;rightid=@joe")
    assert "rightid= is not used: with null authentication it could be anybody's" in said


def test_eap() -> None:
    server = one("left=192.0.2.1;leftauth=rsasig;leftcert=gw.pem;right=%any;rightauth=eap-mschapv2;eap_identity=%any")
    assert (server.proof(server.left), server.proof(server.right)) == (Auth.RSASIG, Auth.EAP_MSCHAPV2)
    assert server.eap_identity == "" and server.left.use_cert_key and not server.right.use_cert_key
    client = one("leftauth=eap-mschapv2;rightauth=rsasig;rightid=@server;rightrsasigkey=%cert;eap_identity=joe")
    assert client.eap_identity == "joe" and client.proof(client.left) is Auth.EAP_MSCHAPV2
    both = one("leftauth=eaponly;rightauth=eaponly;leftautheap=tls;rightautheap=tls;leftcert=gw.pem")
    assert both.auth is Auth.EAP_ONLY and both.left.auth is None and both.right.use_cert_key
    assert one("leftautheap=tls;leftcert=gw.pem").left.auth is Auth.EAP_TLS
    [said] = warned("eap_identity=joe")
    assert "neither end proves itself by EAP" in said
