# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates against strongSwan, either side initiating: chains, authorities, revocation, and each reason to say no.

sunset ----lan---- west (ours) =======wan======= east (strongSwan, web server, OCSP responder) ----lan---- sunrise
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from tests.netns.conns import SECRETS
from tests.netns.gateway import Gateway
from tests.netns.keys import Authority, Credential
from tests.netns.lab import Lab
from tests.netns.strongswan import StrongSwan
from tests.netns.test_strongswan import HASTY, Stage, net, stage, swanctl, who
from tests.netns.traffic import assert_ping
from tests.netns.webserver import Responder, WebServer

__all__ = ["stage"]

pytestmark = [pytest.mark.peer, pytest.mark.xdist_group("strongswan")]

SETUP = """\
version 2.0
config setup
\tstrictcrlpolicy=ifuri
\tocsp-enable=yes
\thash-and-url=yes
"""
BASE = "http://192.0.2.2/certs/"
IDS = {"leftid": "@west.example", "rightid": "@east.example"}
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def _stage() -> Iterator[Stage]:
    with Lab() as lab:
        east = StrongSwan(lab.east, settings=HASTY + "\n  hash_and_url = yes")
        west = Gateway(lab.west, SETUP, SECRETS)
        west.start()
        yield Stage(lab, west, east)


@pytest.fixture(scope="module")
def web(_stage: Stage) -> WebServer:
    return WebServer(_stage.lab.east)


def own(stage: Stage, mine: Credential, *above: Authority, trusted: Authority) -> str:
    """Our certificate, with those above it in the same file; the line for ipsec.secrets."""
    top = stage.west.dir / "ipsec.d"
    (top / "cacerts/lab.pem").write_bytes(trusted.pem)
    (top / "certs/west.pem").write_bytes(mine.cert + b"".join(one.pem for one in above))
    key = top / "private/west.pem"
    key.touch(0o600)
    key.write_bytes(mine.key)
    return ": ECDSA west.pem"


def play(
    stage: Stage,
    root: Authority,
    theirs: Credential,
    mine: Credential,
    above: tuple[Authority, ...] = (),
    his: tuple[Authority, ...] = (),
    his_id: str = "east.example",
    base: str = "",
    **more: str,
) -> None:
    """Give either side its part; `above` and `his` are the authorities between the root and the two certificates.

    `base`: where the certificates of all of them can be fetched.
    """
    files = {"x509ca/lab.pem": root.pem, "x509/east.pem": theirs.cert, "private/east.pem": theirs.key}
    files |= {f"x509ca/above{number}.pem": one.pem for number, one in enumerate(his)}
    values = {**IDS, "authby": "rsasig,ecdsa", "leftcert": "west.pem", "rightrsasigkey": "%cert", **more}
    west = values["leftid"].removeprefix("@")
    ours = net(**{name: value for name, value in values.items() if value})
    ours["net"] += f"ca lab\n\tcacert=lab.pem\n\tcerturibase={base}\n\tauto=add\n" if base else ""
    stage.play(
        swanctl(
            f'auth = pubkey\n certs = east.pem\n id = "{his_id}"',
            f'auth = pubkey\n id = "{west}"',
            ike="send_cert = always",
        )
        + (f"authorities {{\n lab {{\n cacert = lab.pem\n cert_uri_base = {base}\n }}\n}}\n" if base else ""),
        ours,
        own(stage, mine, *above, trusted=root),
        files,
    )


def refused(stage: Stage, who: str, reason: str) -> None:
    """No tunnel comes, our log says why, and nothing stays."""
    if who == "we":
        done = stage.west.ipsec("auto", "--up", "net", check=False, timeout=30)
        assert done.returncode != 0 and reason in done.stdout, done.stdout
    else:
        stage.east.ctl("--initiate", "--child", "net", check=False)
        assert "AUTHENTICATION_FAILED" in stage.east.log() or "AUTH_FAILED" in stage.east.log()
    assert stage.west.logged(reason), stage.west.log()
    assert stage.west.tunnels() == 0 and not stage.west.json("spi")
    stage.west.ipsec("auto", "--down", "net", check=False)


@who
def test_chains_with_intermediate_authorities_on_both_sides(stage: Stage, who: str) -> None:
    root = Authority("ecdsa")
    left, right = root.subordinate("West CA"), root.subordinate("East CA")
    play(stage, root, right.issue("east.example"), left.issue("west.example"), (left,), (right,))
    stage.up(who)
    assert "received end entity cert" in stage.east.log() and "received issuer cert" in stage.east.log()
    assert_ping(stage.lab.sunset, "10.2.0.2")


@pytest.mark.matrix
@who
def test_the_authority_that_is_wanted(stage: Stage, who: str) -> None:
    root = Authority("ecdsa")
    left, right = root.subordinate("West CA"), root.subordinate("East CA")
    theirs, mine = right.issue("east.example"), left.issue("west.example")
    wanted = "C=CH, O=Lab, CN=East CA"
    play(stage, root, theirs, mine, (left,), (right,), rightca=f'"{wanted}"')
    stage.up(who)
    stage.clear()
    play(stage, root, theirs, mine, (left,), (right,), rightca="%same")
    refused(stage, who, "the connection wants one of 'C=CH, O=Lab, CN=West CA'")
    stage.clear()
    play(stage, root, left.issue("east.example"), mine, (left,), (left,), rightca="%same")
    stage.up(who)


@who
def test_large_chains_in_fragments_of_ike(stage: Stage, who: str) -> None:
    root = Authority("rsa")
    left, right = root.subordinate("West CA"), root.subordinate("East CA")
    many = tuple(f"a-rather-long-host-name-number-{n}.east.example" for n in range(40))
    play(stage, root, right.issue("east.example", also=many), left.issue("west.example", also=many), (left,), (right,))
    (stage.west.dir / "ipsec.secrets").write_text(": RSA west.pem\n")
    stage.west.ipsec("auto", "--rereadsecrets")
    stage.up(who)
    assert " EF(4/" in stage.east.log() and "received fragment #4 of" in stage.east.log()


@who
def test_revoked_by_a_list_that_is_fetched(stage: Stage, web: WebServer, who: str) -> None:
    for number, revoked in ((next(_numbers), False), (next(_numbers), True)):
        root = Authority("ecdsa")
        theirs = root.issue("east.example", crl=f"http://192.0.2.2/{number}.crl")
        web.pages[f"/{number}.crl"] = root.revoked(theirs.cert) if revoked else root.revoked()
        play(stage, root, theirs, root.issue("west.example"))
        if revoked:
            refused(stage, who, "was revoked at")
        else:
            stage.up(who)
            stage.clear()
        assert f"/{number}.crl" in web.asked
    listed = stage.west.ipsec("auto", "--listcrls").stdout
    assert "distPts: 'http://192.0.2.2/" in listed and "revoked certs: 1" in listed
    before = len(web.asked)
    assert "CRLs; `ipsec auto --listcrls' shows what has come" in stage.west.ipsec("auto", "--fetchcrls").stdout
    assert len(web.asked) > before


@who
def test_a_list_that_cannot_be_had(stage: Stage, web: WebServer, who: str) -> None:
    root = Authority("ecdsa")
    theirs = root.issue("east.example", crl=f"http://192.0.2.2/none{next(_numbers)}.crl")
    play(stage, root, theirs, root.issue("west.example"))
    refused(stage, who, "no current revocation list of 'C=CH, O=Lab, CN=Lab CA' and strictcrlpolicy=ifuri")
    assert stage.west.logged("the server says 404")


@who
def test_a_responder_says_good_or_revoked(stage: Stage, who: str) -> None:
    root = Authority("ecdsa")
    port = 8000 + next(_numbers)
    good = root.issue("east.example", ocsp=f"http://192.0.2.2:{port}/")
    bad = root.issue("east.example", ocsp=f"http://192.0.2.2:{port}/")
    Responder(stage.lab.east, root, port, [good.cert], [bad.cert])
    play(stage, root, good, root.issue("west.example"))
    stage.up(who)
    assert ", good" in stage.west.ipsec("auto", "--listocsp").stdout
    stage.clear()
    play(stage, root, bad, root.issue("west.example"))
    refused(stage, who, "says the OCSP responder 'C=CH, O=Lab, CN=Lab CA'")
    assert "OCSP answers forgotten" in stage.west.ipsec("auto", "--purgeocsp").stdout


@who
def test_expired(stage: Stage, who: str) -> None:
    root = Authority("ecdsa")
    play(stage, root, root.issue("east.example", days=-1), root.issue("west.example"))
    refused(stage, who, "has expired: it is ")


@who
def test_a_name_that_the_certificate_does_not_bear(stage: Stage, who: str) -> None:
    root = Authority("ecdsa")
    # A pattern is not asked for by IDr, so strongSwan answers with the name its certificate does bear.
    theirs, mine = root.issue("other.example"), root.issue("west.example")
    play(stage, root, theirs, mine, his_id="other.example", rightid="@*.lab.example")
    found = "we require peer to have ID '@*.lab.example', but peer declares '@other.example'"
    refused(stage, who, found if who == "we" else "no suitable connection for peer '@other.example'")


@who
def test_subjects_with_wildcards(stage: Stage, who: str) -> None:
    root = Authority("ecdsa")
    theirs = root.issue("east.example")
    subject = theirs.subject
    play(stage, root, theirs, root.issue("west.example"), his_id=subject, rightid='"C=CH, O=Lab, CN=*"')
    stage.up(who)
    stage.clear()
    play(stage, root, theirs, root.issue("west.example"), his_id=subject, rightid='"C=CH, O=Other, CN=*"')
    refused(stage, who, "east.example")


def test_a_peer_whose_certificate_is_revoked_later_is_left(stage: Stage, web: WebServer) -> None:
    root = Authority("ecdsa")
    number = next(_numbers)
    theirs = root.issue("east.example", crl=f"http://192.0.2.2/{number}.crl")
    web.pages[f"/{number}.crl"] = root.revoked()
    play(stage, root, theirs, root.issue("west.example"))
    stage.up("we")
    (stage.west.dir / "ipsec.d/crls/new.crl").write_bytes(root.revoked(theirs.cert))
    stage.west.ipsec("auto", "--rereadcrls")
    assert "was revoked at" in stage.west.log() and "closing the IKE SA" in stage.west.log()
    (stage.west.dir / "ipsec.d/crls/new.crl").unlink()
    stage.west.ipsec("auto", "--rereadcrls")


def offer(web: WebServer, *certs: bytes) -> list[str]:
    """Put certificates (PEM) where hash and URL say; the paths."""
    ders = [load_pem_x509_certificate(cert).public_bytes(Encoding.DER) for cert in certs]
    pages = {f"/certs/{hashlib.sha1(der).hexdigest()}": der for der in ders}
    web.pages |= pages
    return list(pages)


@who
def test_certificates_by_hash_and_url(stage: Stage, web: WebServer, who: str) -> None:
    """Neither certificate travels: each end fetches the other's, we once for both times."""
    root = Authority("ecdsa")
    theirs, mine = root.issue("east.example"), root.issue("west.example")
    paths = offer(web, theirs.cert, mine.cert)
    for _ in range(2):
        play(stage, root, theirs, mine, base=BASE)
        stage.up(who)
        assert "received hash-and-url for end entity cert" in stage.east.log(), stage.east.log()
        assert "received end entity cert" not in stage.east.log()
        stage.clear()
    assert web.asked.count(paths[0]) == 1 and web.asked.count(paths[1]) == 2
    assert stage.west.logged("fetched certificate 'C=CH, O=Lab, CN=east.example'")


@who
def test_certificates_that_are_not_where_hash_and_url_say(stage: Stage, web: WebServer, who: str) -> None:
    root = Authority("ecdsa")
    theirs, mine = root.issue("east.example"), root.issue("west.example")
    (path, _) = offer(web, theirs.cert, mine.cert)
    del web.pages[path]
    play(stage, root, theirs, mine, base=BASE)
    refused(stage, who, "the server says 404 'Not Found'")
    # Somebody else's certificate in its place has another hash.
    stage.clear()
    theirs = root.issue("east.example")
    (path,) = offer(web, theirs.cert)
    web.pages[path] = load_pem_x509_certificate(root.issue("other.example").cert).public_bytes(Encoding.DER)
    play(stage, root, theirs, mine, base=BASE)
    refused(stage, who, "octets that came have another SHA-1 hash")
