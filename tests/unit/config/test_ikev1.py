# SPDX-License-Identifier: GPL-2.0-or-later
"""Which conns are IKEv1, what that makes of their values, and what is said about the rest."""

from __future__ import annotations

import pytest

from openswan.config.load import load_text
from openswan.policy.algorithms import V1_DEFAULT_AH, V1_DEFAULT_ESP, V1_DEFAULT_IKE
from openswan.policy.connection import Auth
from tests.unit.config.conn import KEY, certs, errors, load, one, warned

PSK = "authby=secret;ikev2=no"


@pytest.mark.parametrize("said", ["ikev2=no", "ikev2=never", "keyexchange=ikev1", "keyexchange=ikev1;ikev2=no"])
def test_those_that_say_so(said: str) -> None:
    made = one(f"authby=secret;{said}")
    assert (made.ike_version, made.auth) == (1, Auth.PSK)
    assert (made.ike_proposals, made.esp_proposals) == (V1_DEFAULT_IKE, V1_DEFAULT_ESP)
    assert one(f"authby=secret;{said};phase2=ah").esp_proposals == V1_DEFAULT_AH


def test_aggressive_mode_makes_a_conn_ikev1_and_warns_of_what_it_shows() -> None:
    body = "authby=secret;aggrmode=yes;ike=aes256-sha2_256-modp2048"
    assert any("lets anybody guess the key offline" in text for text in warned(body))
    [made] = load(body).connections
    assert (made.ike_version, made.aggressive) == (1, True)


@pytest.mark.parametrize(
    "said",
    ["modecfgpull=yes", "modecfgbanner=hello", "leftmodecfgwins1=10.0.0.1", "leftxauthname=carla", "xauthby=alwaysok",
     "cisco-unity=yes", "remote_peer_type=cisco"],
)  # fmt: skip
def test_what_only_ikev1_has_makes_a_conn_ikev1_that_does_not_say_otherwise(said: str) -> None:
    [complaint] = [text for text in warned(f"authby=secret;{said}") if "is about IKEv1" in text]
    assert f"{said.partition('=')[0]}= is about IKEv1, so that is what this conn is: say ikev2=no" in complaint
    assert load(f"authby=secret;{said}").connections[0].ike_version == 1
    assert load(f"authby=secret;ikev2=insist;{said}").connections[0].ike_version == 2
    assert load(f"authby=secret;{said}", "\tikev1-policy=drop\n").connections[0].ike_version == 2
    assert one("authby=secret;modecfgpull=no;cisco-unity=no").ike_version == 2


@pytest.mark.parametrize("flip", [False, True])
def test_hybrid_is_a_key_at_one_end_and_a_password_at_the_other(flip: bool) -> None:
    key, word = ("right", "left") if flip else ("left", "right")
    made = one(f"authby=rsasig;{key}auth=rsasig;{word}auth=xauth;{key}rsasigkey={KEY}")
    server, client = (made.right, made.left) if flip else (made.left, made.right)
    assert (made.ike_version, made.auth) == (1, Auth.RSASIG)
    assert (server.auth, server.xauth_server, server.xauth_client) == (Auth.RSASIG, True, False)
    assert (client.auth, client.xauth_server, client.xauth_client) == (Auth.XAUTH, False, True)


@pytest.mark.parametrize("said", ["", "ikev2=insist", "ikev2=propose", "keyexchange=ike", "ikev2=yes"])
def test_all_others_are_ikev2(said: str) -> None:
    assert one(f"authby=secret;{said}").ike_version == 2


@pytest.mark.parametrize("said", ["ike=aes128-sha1;modp1536", "ike=3des-md5;modp1024", "esp=aes128-sha1;modp1536"])
def test_algorithms_that_ikev1_alone_has_make_a_conn_ikev1_and_that_is_said(said: str) -> None:
    [made] = load(f"authby=secret;{said.replace(';', '-')}").connections
    assert made.ike_version == 1
    [text] = [text for text in warned(f"authby=secret;{said.replace(';', '-')}") if "so the conn is IKEv1" in text]
    assert said.partition("=")[0] in text and "use " in text and text.endswith("ikev2=yes keeps it IKEv2")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("ikev2=yes;ike=aes128-sha1-modp1536", "'modp1536' is refused"),
        ("ike=aes128-sha1-modp1536;esp=chacha20_poly1305", "'modp1536' is refused"),
        ("ike=aes128-sha1-modp768", "'modp768' is refused"),
        ("ike=rot13", "unknown algorithm 'rot13'"),
    ],
)
def test_where_ikev2_is_asked_for_or_ikev1_has_not_all_of_them_either_they_are_refused(said: str, words: str) -> None:
    assert any(words in text for text in errors(f"authby=secret;{said}"))


def test_algorithms_do_not_make_a_conn_ikev1_where_that_is_kept_out() -> None:
    text = "config setup\n\tikev1-policy=drop\nconn x\n\tleft=192.0.2.1\n\tright=192.0.2.2\n\tike=aes-sha1;modp1536\n"
    loaded = load_text(text, "f", lambda pattern, directory: [], certs)
    assert not loaded.connections and any("'modp1536' is refused" in one.text for one in loaded.complaints)


def test_algorithms_are_read_as_ikev1_has_them() -> None:
    made = one(f"{PSK};ike=aes128-sha1-ecp256;esp=aes128-sha1")
    assert made.ike_proposals[0].prf == () and made.esp_proposals[0].esn == (False,)
    assert any("additional key exchanges" in text for text in errors(f"{PSK};ike=aes128-sha1-modp2048-addke1-mlkem768"))


def test_rsa_is_what_goes_without_saying() -> None:
    text = "conn x\n\tleft=192.0.2.1\n\tright=192.0.2.2\n\tikev2=no\n"
    [made] = load_text(text, "f", lambda pattern, directory: [], certs).connections
    assert made.auth == Auth.RSASIG


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("ikev2=insist;keyexchange=ikev1", "contradict each other"),
        ("ikev2=no;authby=eddsa", "authby=secret, rsasig or ecdsa"),
        ("ikev2=no;authby=null", "authby=secret, rsasig or ecdsa"),
        ("ikev2=no;authby=ecdsa;leftxauthserver=yes", "XAUTH goes with a preshared key or RSA"),
        ("ikev2=no;leftauth=secret;rightauth=rsasig", "one way to prove oneself"),
        (f"{PSK};ppk=insist", "ppk=insist needs IKEv2"),
        (f"{PSK};enable-tcp=yes", "enable-tcp=yes needs IKEv2"),
        (f"{PSK};esn=yes", "extended sequence numbers"),
        ("leftauth=xauth;authby=secret", "the other has auth=rsasig"),
        ("leftauth=rsasig;rightauth=xauth;xauthfail=soft", "would let in anybody"),
        ("authby=xauth;leftauth=xauth", "is for one end"),
        ("leftauth=xauth,rsasig;rightauth=rsasig", "is for one end"),
        ("ikev2=insist;leftauth=xauth;rightauth=rsasig", "ikev2= and auth= contradict"),
        ("leftauth=rsasig;rightauth=xauth;leftxauthclient=yes", "one server and one client"),
        ("ikev2=insist;aggrmode=yes;authby=secret", "aggrmode= and ikev2= contradict each other"),
        ("aggrmode=yes;authby=secret", "name one in ike="),
    ],
)
def test_what_ikev1_cannot(body: str, words: str) -> None:
    assert any(words in text for text in errors(body))


@pytest.mark.parametrize(
    "said", ["mobike=yes", "session-resumption=yes", "intermediate=yes", "childless=force", "ppk=propose"]
)
def test_what_is_let_be(said: str) -> None:
    name = said.partition("=")[0]
    body = f"{PSK};leftsubnet=10.1.0.0/16;{said}"
    assert any(f"{name}= is about IKEv2" in text for text in warned(body))
    assert not load(body).connections[0].mobike


CONF = """
config setup
    {setup}
conn %default
    ikev2=no
    authby=secret
conn a
    left=192.0.2.1
    right=192.0.2.2
conn b
    left=192.0.2.1
    right=192.0.2.3
    ikev2=insist
conn clear
    left=192.0.2.1
    right=192.0.2.4
    authby=never
    type=passthrough
"""


@pytest.mark.parametrize(("setup", "names"), [("ikev1-policy=accept", "a b clear"), ("", "a b clear"),
                                              ("ikev1-policy=drop", "b"), ("ikev1-policy=reject", "b")])  # fmt: skip
def test_a_whole_site_by_default_and_the_policy_that_keeps_ikev1_out(setup: str, names: str) -> None:
    loaded = load_text(CONF.format(setup=setup), "f", lambda pattern, directory: [], certs)
    found = {conn.name: conn.ike_version for conn in loaded.connections}
    assert set(names.split()) <= set(found) and found["b"] == 2
    assert ("a" in found) == ("a" in names.split())
    said = [one.text for one in loaded.complaints if "ikev1-policy" in one.text]
    assert bool(said) == ("drop" in setup or "reject" in setup)
    assert all("say accept there" in text for text in said)


OE = "left=%defaultroute;right=%opportunisticgroup;ikev2=no"


def test_opportunistic_conns_may_be_ikev1_with_rsa_keys() -> None:
    made = one(f"{OE};authby=rsasig")
    assert (made.ike_version, made.auth, made.right.dns_key) == (1, Auth.RSASIG, True)
    made = one(f"{OE};authby=rsasig,ecdsa")
    assert (made.ike_version, made.auth) == (1, Auth.RSASIG), "what IKEv1 cannot use is left out"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("authby=null", "go by RSA keys or certificates"),
        ("authby=secret", "go by RSA keys or certificates"),
        ("authby=rsasig;aggrmode=yes;ike=aes256-sha1-modp2048", "opportunistic conns use Main Mode"),
        ("authby=rsasig;rightxauthclient=yes", "ask nobody for a password"),
        ("authby=rsasig;pfs=no", "want fresh keys each time"),
    ],
)
def test_opportunistic_conns_over_ikev1_are_as_they_were(more: str, words: str) -> None:
    assert any(words in text for text in errors(f"{OE};{more}"))


def test_ecdsa_is_for_those_that_name_it() -> None:
    assert one("ikev2=no;authby=ecdsa;leftcert=gw.pem").auth == Auth.ECDSA
    assert one("ikev2=no;authby=rsasig,ecdsa;leftcert=gw.pem").auth == Auth.RSASIG | Auth.ECDSA
    assert one("ikev2=no;authby=rsasig,ecdsa;leftcert=gw.pem;leftxauthserver=yes").auth == Auth.RSASIG
