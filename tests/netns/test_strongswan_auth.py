# SPDX-License-Identifier: GPL-2.0-or-later
"""Against strongSwan: every way to prove oneself that both have, either side initiating.

sunset ----lan---- west (ours) =======wan======= east (strongSwan) ----lan---- sunrise
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519

from tests.netns.conns import SECRETS
from tests.netns.gateway import Gateway
from tests.netns.keys import Authority
from tests.netns.lab import Lab, LabError, wait_for
from tests.netns.strongswan import StrongSwan
from tests.netns.test_strongswan import HASTY, Stage, net, stage, swanctl, who
from tests.netns.test_tunnel import certified
from tests.netns.traffic import assert_ping

__all__ = ["stage"]

pytestmark = [pytest.mark.peer, pytest.mark.xdist_group("strongswan")]

MAKERS: dict[str, Any] = {
    "rsa": None,
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ed448": ed448.Ed448PrivateKey.generate,
}


@pytest.fixture(scope="module")
def _stage() -> Iterator[Stage]:
    with Lab() as lab:
        east = StrongSwan(lab.east, settings=HASTY + "\n  tls {\n    version_max = 1.2\n  }")
        west = Gateway(lab.west, "", SECRETS)
        west.start()
        yield Stage(lab, west, east)


def play_certificates(
    stage: Stage, key: str, theirs: str = "pubkey", ours: str = "", ike: str = "", wants: str = "", **more: str
) -> None:
    """Both prove themselves by certificates on keys of that kind; `theirs`: how strongSwan signs, `wants`: takes."""
    ca = Authority("rsa")
    mine = ca.issue("east.example", key=MAKERS[key]() if MAKERS[key] else None)
    files = {"x509ca/lab.pem": ca.pem, "x509/east.pem": mine.cert, "private/east.pem": mine.key}
    secrets = certified(stage.west, ca, "west.example", made=MAKERS[key]() if MAKERS[key] else None)
    stage.play(
        swanctl(
            f"auth = {theirs}\n certs = east.pem\n id = east.example",
            f"auth = {wants or theirs}\n id = west.example",
            ike=ike,
        ),
        net(authby=ours or "rsasig,ecdsa,eddsa", leftcert="west.example.pem", rightrsasigkey="%cert",
            leftid="@west.example", rightid="@east.example", **more),
        secrets,
        files,
    )  # fmt: skip


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("who", "key", "theirs", "ours", "shows"),
    [
        ("we", "rsa", "ike:rsa/pss-sha384", "rsasig", "RSA_EMSA_PSS_SHA2_384"),
        ("they", "rsa", "ike:rsa-sha512", "rsasig", "RSA_EMSA_PKCS1_SHA2_512"),
        ("we", "p384", "ike:ecdsa-sha384", "ecdsa", "ECDSA_WITH_SHA384_DER"),
        ("they", "p384", "ike:ecdsa-sha384", "ecdsa", "ECDSA_WITH_SHA384_DER"),
        ("we", "p521", "ike:ecdsa-sha512", "ecdsa", "ECDSA_WITH_SHA512_DER"),
        ("they", "p521", "ike:ecdsa-sha512", "ecdsa", "ECDSA_WITH_SHA512_DER"),
        ("we", "ed25519", "ike:ed25519", "eddsa", "ED25519"),
        ("they", "ed25519", "ike:ed25519", "eddsa", "ED25519"),
        ("we", "ed448", "ike:ed448", "eddsa", "ED448"),
        ("they", "ed448", "ike:ed448", "eddsa", "ED448"),
    ],
    ids=lambda value: str(value).replace("/", "-"),
)
def test_digital_signatures(stage: Stage, who: str, key: str, theirs: str, ours: str, shows: str) -> None:
    """strongSwan signs just as told; with RSA, where several schemes fit one key, it takes the one we prefer."""
    play_certificates(stage, key, theirs, ours, wants="pubkey" if key == "rsa" else "")
    stage.up(who)
    assert_ping(stage.lab.sunset, "10.2.0.2")
    log = stage.east.log()
    assert f"'east.example' (myself) with {shows}" in log, log
    assert f"'west.example' with {'RSA_EMSA_PSS_SHA2_256' if key == 'rsa' else shows}" in log, log


def said(stage: Stage) -> str:
    """What our log says since the conn was added."""
    return stage.west.log(200).rpartition('added connection description "net"')[2]


def tells(stage: Stage, text: str) -> bool:
    """Does our log say so, by now or soon? The peer may know before us what becomes of an exchange."""
    with contextlib.suppress(LabError):
        return wait_for(text, lambda: text in said(stage), 5)
    return False


EAP_SECRETS = """
secrets {
  eap-joe { id = joe
    secret = "pass word" }
}
"""


def play_eap(
    stage: Stage, who: str, method: str, ours: str = "", wrong: str = "", alone: bool = False, **more: str
) -> None:
    """Who initiates is a road warrior `joe`, or one with a certificate; the other end has a certificate."""
    ca = Authority("rsa")
    mine = ca.issue("east.example")
    files = {"x509ca/lab.pem": ca.pem, "x509/east.pem": mine.cert, "private/east.pem": mine.key}
    secrets = certified(stage.west, ca, "west.example") + f'\njoe : EAP "{wrong or "pass word"}"\n'
    signs = "auth = pubkey\n certs = east.pem\n id = east.example"
    user = "" if method == "eap-tls" else f"eap_id = {'%any' if who == 'we' else 'joe'}"
    by_eap = f"auth = {method}\n certs = east.pem\n id = east.example\n {user}"
    word = ours or method
    if who == "we":
        theirs = swanctl(
            by_eap if alone else signs,
            f"auth = {method}\n {'eap_id = %any' if method == 'eap-mschapv2' else 'id = west.example'}",
        )
        auths = {"leftauth": word, "rightauth": word if alone else "rsasig"}
    else:
        theirs = swanctl(by_eap, f"auth = {method if alone else 'pubkey'}\n id = west.example")
        auths = {"leftauth": word if alone else "rsasig", "rightauth": word}
    stage.play(
        theirs + EAP_SECRETS,
        net(authby="", leftcert="west.example.pem", rightrsasigkey="%cert", leftid="@west.example",
            rightid="@east.example", **auths, **more),
        secrets,
        files,
    )  # fmt: skip


@who
def test_a_password(stage: Stage, who: str) -> None:
    play_eap(stage, who, "eap-mschapv2", **({"eap_identity": "joe"} if who == "we" else {}))
    stage.up(who)
    stage.prove()
    shown = "oursig=EAP_MSCHAPV2" if who == "we" else "theirsig=EAP_MSCHAPV2"
    assert tells(stage, shown)
    if who == "they":
        assert tells(stage, "user is 'joe'")


@who
def test_a_wrong_password(stage: Stage, who: str) -> None:
    """Nothing comes up, and both sides know at once."""
    more = {"eap_identity": "joe"} if who == "we" else {}
    play_eap(stage, who, "eap-mschapv2", wrong="guess", **more)
    if who == "we":
        done = stage.west.ipsec("auto", "--up", "net", check=False)
        assert done.returncode and "refuses our user name or password" in done.stdout + stage.west.log(200)
    else:
        stage.east.ctl("--initiate", "--child", "net", check=False)
        assert tells(stage, "wrong password of 'joe', or no such user")
    assert not stage.west.tunnels()


@who
def test_certificates_in_eap(stage: Stage, who: str) -> None:
    play_eap(stage, who, "eap-tls")
    stage.up(who)
    assert_ping(stage.lab.sunset, "10.2.0.2")
    assert "EAP_TLS" in said(stage) and "negotiated TLS 1.2" in stage.east.log()


@who
def test_eap_alone(stage: Stage, who: str) -> None:
    """Neither side signs: the TLS handshake proves both (RFC 5998)."""
    play_eap(stage, who, "eap-tls", ours="eaponly", alone=True)
    stage.up(who)
    assert_ping(stage.lab.sunset, "10.2.0.2")


PPK = """
secrets {
  ppk-one { id = one
    secret = 0x00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff }
}
"""
OUR_PPK = '\n: PPKS "one" 0x00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n'


@pytest.mark.parametrize(("who", "use"), [("we", "propose"), ("they", "insist"), ("we", "insist")])
def test_a_postquantum_preshared_key(stage: Stage, who: str, use: str) -> None:
    stage.play(
        swanctl(ike=f"ppk_id = one\n ppk_required = {'yes' if use == 'insist' else 'no'}") + PPK,
        net(ppk=use),
        SECRETS + OUR_PPK,
    )
    stage.up(who)
    assert_ping(stage.lab.sunset, "10.2.0.2")
    assert tells(stage, "PPK 'one' used as additional IKE secret")
    assert "using PPK for PPK_ID 'one'" in stage.east.log(), stage.east.log()


@who
def test_without_the_postquantum_key_where_that_will_do(stage: Stage, who: str) -> None:
    """Who initiates has it, the other end does not."""
    east = ("ppk_id = one\n ppk_required = no", PPK) if who == "they" else ("", "")
    stage.play(swanctl(ike=east[0]) + east[1], net(ppk="propose"), SECRETS + (OUR_PPK if who == "we" else ""))
    stage.up(who)
    assert_ping(stage.lab.sunset, "10.2.0.2")
    assert "used as additional IKE secret" not in said(stage)


@who
def test_a_wrong_postquantum_key(stage: Stage, who: str) -> None:
    stage.play(
        swanctl(ike="ppk_id = one\n ppk_required = yes") + PPK, net(ppk="insist"), SECRETS + '\n: PPKS "one" "other"\n'
    )
    if who == "we":
        assert stage.west.ipsec("auto", "--up", "net", check=False).returncode
    else:
        stage.east.ctl("--initiate", "--child", "net", check=False)
        assert tells(stage, "AUTH mismatch")
    assert not stage.west.tunnels()


@pytest.mark.parametrize(("who", "mode"), [("we", "prefer"), ("we", "force"), ("they", "force")])
def test_ike_sas_that_begin_without_a_child(stage: Stage, who: str, mode: str) -> None:
    """The first child comes in an exchange of its own, with a key exchange of its own (RFC 6023)."""
    theirs = swanctl(ike=f"childless = {mode if who == 'they' else 'allow'}", esp="aes256gcm16-curve25519")
    stage.play(theirs, net(pfs="yes", esp="aes_gcm256-x25519", **({"childless": mode} if who == "we" else {})))
    stage.up(who)
    assert_ping(stage.lab.sunset, "10.2.0.2")
    log = stage.east.log()
    assert "CREATE_CHILD_SA re" in log and "CURVE_25519/NO_EXT_SEQ" in log, log
