# SPDX-License-Identifier: GPL-2.0-or-later
"""IKEv1 with strongSwan: either side initiates, proves itself, renews, deletes, falls silent.

sunset ----lan---- west (ours) =======wan======= east (strongSwan) ----lan---- sunrise
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.netns.capture import Capture, assert_quiet
from tests.netns.conns import INNER, NET4, SECRETS, conn
from tests.netns.gateway import Gateway
from tests.netns.keys import Authority
from tests.netns.lab import Lab, wait_for
from tests.netns.strongswan import StrongSwan
from tests.netns.test_rekey import flows
from tests.netns.test_strongswan import HASTY, RAW_KEYS, Stage, child, raw_rsa_keys, rekey, silence
from tests.netns.test_strongswan import swanctl as swanctl_v2
from tests.netns.test_tunnel import certified
from tests.netns.traffic import assert_ping

pytestmark = [pytest.mark.peer, pytest.mark.matrix, pytest.mark.xdist_group("strongswan")]

who = pytest.mark.parametrize("who", ["we", "they"])
PFS = "aes256gcm16-modp2048"


def swanctl(auth: str = "auth = psk", west: str = "auth = psk", ike: str = "", **more: str) -> str:
    """Their connection `lab`; charon's own first choice for IKEv1 is a group that has no number there."""
    ike = ike if "proposals" in ike else f"{ike}\n proposals = aes256-sha256-modp2048"
    return swanctl_v2(auth, west, ike, **more).replace("version = 2", "version = 1")  # type: ignore[arg-type]


def net(**more: str) -> dict[str, str]:
    """Our only conn, `net`."""
    return {"net": conn("net", NET4, auto="add", ikev2="no", **more)}


@contextmanager
def steady(stage: Stage) -> Iterator[None]:
    """Two hundred datagrams a second meanwhile, every one of which must arrive, once.

    charon seals in several threads: at a change of SAs one of its packets may overtake another.
    """
    running = flows(stage.lab)
    try:
        yield
        for flow, heard in running:
            flow.stop()
            wait_for("the last packet", lambda h=heard, f=flow: len(h.got) >= f.sent or None, 2)
            assert not flow.errors and sorted(heard.numbers(flow.marker)) == list(range(flow.sent))
    finally:
        for flow, heard in running:
            flow.stop()
            heard.close()


@pytest.fixture(scope="module")
def _stage() -> Iterator[Stage]:
    with Lab() as lab:
        east = StrongSwan(lab.east, settings=HASTY)
        west = Gateway(lab.west, "", SECRETS)
        west.start()
        yield Stage(lab, west, east)


@pytest.fixture
def stage(_stage: Stage) -> Iterator[Stage]:
    """The stage, empty before and afterwards; both logs are shown when the test fails."""
    try:
        yield _stage
        _stage.clear()
    finally:
        print(_stage.east.log(), _stage.west.log(200), sep="\n")
        for name in _stage.conns:
            _stage.west.ipsec("auto", "--delete", name, check=False)
        _stage.conns.clear()
        _stage.east.forget()


@pytest.mark.parametrize(("who", "pfs"), [("we", "yes"), ("they", "yes"), ("we", "no"), ("they", "no")])
def test_preshared_keys(stage: Stage, who: str, pfs: str) -> None:
    stage.play(swanctl(esp=PFS if pfs == "yes" else "aes256gcm16"), net(pfs=pfs))
    stage.up(who)
    stage.prove()
    assert "IKEv1" in stage.east.sas()


@who
def test_raw_rsa_keys(stage: Stage, who: str) -> None:
    raw_rsa_keys(stage, swanctl(*RAW_KEYS, esp=PFS), ikev2="no")
    stage.up(who)
    assert_ping(stage.lab.sunset, "10.2.0.2")


@who
def test_certificates(stage: Stage, rsa_authority: Authority, who: str) -> None:
    mine = rsa_authority.issue("east.example")
    files = {"x509ca/lab.pem": rsa_authority.pem, "x509/east.pem": mine.cert, "private/east.pem": mine.key}
    stage.play(
        swanctl("auth = pubkey\n certs = east.pem\n id = east.example", "auth = pubkey\n id = west.example", esp=PFS),
        net(authby="rsasig", leftcert="west.example.pem", rightrsasigkey="%cert", leftid="@west.example",
            rightid="@east.example"),
        certified(stage.west, rsa_authority, "west.example"),
        files,
    )  # fmt: skip
    stage.up(who)
    assert_ping(stage.lab.sunset, "10.2.0.2")


@who
def test_ecdsa_certificates(stage: Stage, who: str) -> None:
    """RFC 4754, by P-256."""
    authority = Authority("ecdsa")
    mine = authority.issue("east.example")
    files = {"x509ca/lab.pem": authority.pem, "x509/east.pem": mine.cert, "private/east.pem": mine.key}
    stage.play(
        swanctl("auth = pubkey\n certs = east.pem\n id = east.example", "auth = pubkey\n id = west.example", esp=PFS),
        net(authby="ecdsa", leftcert="west.example.pem", rightrsasigkey="%cert", leftid="@west.example",
            rightid="@east.example"),
        certified(stage.west, authority, "west.example"),
        files,
    )  # fmt: skip
    stage.up(who)
    assert_ping(stage.lab.sunset, "10.2.0.2")
    assert stage.west.logged("auth=OAKLEY_ECDSA_256")


@who
def test_certificates_in_pieces(stage: Stage, rsa_authority: Authority, who: str) -> None:
    """Both cut their messages into pieces of 500 octets and less."""
    stage.east.settings("cookie_threshold = 1", "cookie_threshold = 1\n  fragment_size = 500")
    try:
        mine = rsa_authority.issue("east.example")
        files = {"x509ca/lab.pem": rsa_authority.pem, "x509/east.pem": mine.cert, "private/east.pem": mine.key}
        stage.play(
            swanctl(
                "auth = pubkey\n certs = east.pem\n id = east.example", "auth = pubkey\n id = west.example",
                ike="fragmentation = yes", esp=PFS,
            ),
            net(authby="rsasig", leftcert="west.example.pem", rightrsasigkey="%cert", leftid="@west.example",
                rightid="@east.example"),
            certified(stage.west, rsa_authority, "west.example"),
            files,
        )  # fmt: skip
        stage.up(who)
        assert_ping(stage.lab.sunset, "10.2.0.2")
        log = stage.east.log()
        assert "splitting IKE message" in log and "received fragment #" in log
    finally:
        stage.east.settings("cookie_threshold = 1\n  fragment_size = 500", "cookie_threshold = 1")


@who
def test_aggressive_mode(stage: Stage, who: str) -> None:
    """charon answers it with a preshared key only when it is told outright that that is known to be a bad idea."""
    stage.east.settings("cookie_threshold = 1", "i_dont_care_about_security_and_use_aggressive_mode_psk = yes")
    try:
        stage.play(
            swanctl(ike="aggressive = yes\n proposals = aes256-sha256-modp2048", esp=PFS),
            net(aggrmode="yes", ike="aes256-sha2_256-modp2048"),
        )
        stage.up(who)
        assert_ping(stage.lab.sunset, "10.2.0.2")
        assert "STATE_AGGR_" in stage.west.status()
    finally:
        stage.east.settings("i_dont_care_about_security_and_use_aggressive_mode_psk = yes", "cookie_threshold = 1")


@pytest.mark.parametrize(
    ("who", "ike", "esp", "theirs"),
    [
        ("we", "aes128-sha1-modp2048", "aes128-sha1", "aes128-sha1-modp2048"),
        ("they", "aes256-sha2_512-modp3072", "aes256-sha2_256", "aes256-sha512-modp3072"),
        ("they", "aes128-sha2_256-dh19", "aes_gcm128", "aes128-sha256-ecp256"),
    ],
)
def test_algorithms(stage: Stage, who: str, ike: str, esp: str, theirs: str) -> None:
    spelled = {"aes128-sha1": "aes128-sha1", "aes256-sha2_256": "aes256-sha256", "aes_gcm128": "aes128gcm16"}[esp]
    stage.play(swanctl(ike=f"proposals = {theirs}", esp=spelled), net(ike=ike, esp=esp, pfs="no"))
    stage.up(who)
    assert_ping(stage.lab.sunset, "10.2.0.2", size=1300)


@who
def test_their_rekeys_lose_nothing(stage: Stage, who: str) -> None:
    """A pair of IPsec SAs, the ISAKMP SA, which is another Main Mode, and a pair again."""
    stage.play(swanctl(esp=PFS), net())
    stage.up(who)
    with steady(stage):
        rekey(stage, "child")
        before = set(stage.east.ike_spis())
        stage.east.ctl("--rekey", "--ike", "lab", "--reauth")
        wait_for("another ISAKMP SA", lambda: set(stage.east.ike_spis()) - before, 8, 0.1)
        rekey(stage, "child")
    assert_ping(stage.lab.sunrise, "10.1.0.2")


@who
def test_our_rekeys_lose_nothing(stage: Stage, who: str) -> None:
    stage.play(swanctl(esp=PFS), net(ikelifetime="7s", salifetime="6s", rekeymargin="9s", rekeyfuzz="0%"))
    stage.up(who)
    children, ikes = set(stage.east.child_spis()), set(stage.east.ike_spis())

    def enough() -> bool:
        children.update(stage.east.child_spis())
        ikes.update(stage.east.ike_spis())
        return len(children) >= 3 and len(ikes) >= 3

    with steady(stage):
        wait_for("renewals of both", enough, 25, 0.2)


@who
def test_delete(stage: Stage, who: str) -> None:
    """`who` has brought the tunnel up; the other side takes it down."""
    stage.play(swanctl(esp=PFS), net())
    stage.up(who)
    if who == "they":
        stage.west.ipsec("auto", "--down", "net")
    else:
        stage.east.ctl("--terminate", "--ike", "lab")
        stage.west.ipsec("auto", "--down", "net")
    wait_for("both to be down", lambda: not stage.west.tunnels() and not stage.east.child_spis(), 5, 0.1)
    with Capture(stage.lab.west) as wire:
        stage.lab.sunset.run("ping", "-c", "2", "-i", "0.1", "-W", "0.3", "10.2.0.2", check=False)
        assert_quiet(wire, INNER)


def test_they_ask_whether_we_live(stage: Stage) -> None:
    stage.play(swanctl(ike="dpd_delay = 1s", esp=PFS), net())
    stage.up("they")
    wait_for("two answers", lambda: stage.east.log().count("N(DPD_ACK)") >= 2, 8, 0.2)
    assert stage.west.tunnels() == 1


def test_we_notice_that_they_are_silent_and_come_back(stage: Stage) -> None:
    stage.play(
        swanctl(esp=PFS),
        net(dpddelay="1s", dpdtimeout="3s", dpdaction="restart", **{"retransmit-timeout": "2s"}),
    )
    stage.up("they")
    with Capture(stage.lab.west) as wire:
        with silence(stage, "meta", "l4proto", "udp"):
            wait_for("the tunnel to be given up", lambda: not stage.west.tunnels(), 12, 0.1)
            stage.lab.sunset.run("ping", "-c", "2", "-i", "0.1", "-W", "0.3", "10.2.0.2", check=False)
        stage.west.wait_tunnels(1, 20)
        assert_ping(stage.lab.sunset, "10.2.0.2")
        assert_quiet(wire, INNER)


def test_clients_that_differ_are_refused_with_a_word(stage: Stage) -> None:
    stage.play(swanctl(children=child(mine="10.9.0.0/24", more=f"esp_proposals = {PFS}")), net())
    done = stage.west.ipsec("auto", "--up", "net", check=False, timeout=20)
    assert done.returncode and "INVALID_ID_INFORMATION" in done.stdout + stage.west.log(80)
