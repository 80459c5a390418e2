# SPDX-License-Identifier: GPL-2.0-or-later
"""XAUTH and Mode Config with strongSwan, which is the server of users or one of them.

sunset ----lan---- west (ours) =======wan======= east (strongSwan) ----lan---- sunrise
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from openswan.host.login import crypt
from tests.netns.capture import Capture, assert_quiet
from tests.netns.conns import SECRETS, conn
from tests.netns.gateway import Gateway
from tests.netns.keys import Authority
from tests.netns.lab import Lab, wait_for
from tests.netns.strongswan import StrongSwan
from tests.netns.test_strongswan import HASTY, Stage
from tests.netns.test_strongswan_ikev1 import PFS, stage
from tests.netns.test_tunnel import certified
from tests.netns.traffic import assert_ping

__all__ = ["stage"]

pytestmark = [pytest.mark.peer, pytest.mark.matrix, pytest.mark.xdist_group("strongswan")]

USER, WORD = "carla", "open sesame"
CLIENT = f'{SECRETS}\n@{USER} : XAUTH "{WORD}"\n'
PROOF = {"psk": "auth = psk", "rsa": "auth = pubkey"}
FAR, NEAR = "10.2.0.2", "10.1.0.2"


def rounds(kind: str, server: bool) -> str:
    """How both ends prove themselves; hybrid: the gateway by its certificate, the user by a password alone."""
    certs = "certs = east.pem\n id = east.example"
    user = f"auth = xauth\n xauth_id = {USER}"
    if kind == "hybrid":
        mine, his = f"auth = pubkey\n {certs}", "auth = xauth"
        if not server:
            mine, his = f"{user}\n id = carla.example", "auth = pubkey\n id = west.example"
        return f"local {{\n {mine}\n }}\n remote {{\n {his}\n }}"
    me = certs if kind == "rsa" else "id = 192.0.2.2"
    peer = "id = west.example" if kind == "rsa" else ""
    asks = "remote-2 {\n auth = xauth\n }" if server else f"local-2 {{\n {user}\n }}"
    return f"local-1 {{\n {PROOF[kind]}\n {me}\n }}\n remote-1 {{\n {PROOF[kind]}\n {peer}\n }}\n {asks}"


def swanctl(kind: str, server: bool, more: str = "", word: str = WORD) -> str:
    """Their connection `lab`, as the users' gateway or as a user."""
    networks = "local_ts = 10.2.0.0/24" if server else "remote_ts = 10.1.0.0/24"
    return f"""
connections {{
  lab {{
    version = 1
    local_addrs = 192.0.2.2
    remote_addrs = 192.0.2.1
    proposals = aes256-sha256-modp2048
    {"pools = users" if server else "vips = 0.0.0.0"}
    {more}
    {rounds(kind, server)}
    children {{
      net {{
        {networks}
        esp_proposals = {PFS}
      }}
    }}
  }}
}}
pools {{
  users {{
    addrs = 10.9.0.16/28
    dns = 10.2.0.53
  }}
}}
secrets {{
  ike-lab {{
    secret = "correct horse battery staple"
  }}
  xauth-carla {{
    id = {USER}
    secret = "{word}"
  }}
}}
"""


def ours(kind: str, server: bool, **more: str) -> dict[str, str]:
    """Our only conn, `net`, as the users' gateway or as a user."""
    base = {"left": "192.0.2.1", "right": "192.0.2.2", "ikev2": "no", "auto": "add", "authby": "secret"}
    if kind == "rsa":
        base |= {"authby": "rsasig", "leftcert": "west.example.pem", "rightrsasigkey": "%cert",
                 "leftid": "@west.example", "rightid": "@east.example"}  # fmt: skip
    if server:
        base |= {"leftxauthserver": "yes", "leftsubnet": "10.1.0.0/24", "rightaddresspool": "10.9.0.1-10.9.0.9",
                 "modecfgdns": "10.1.0.53"}  # fmt: skip
    else:
        base |= {"leftxauthclient": "yes", "leftxauthname": USER, "leftsourceip": "%config",
                 "rightsubnet": "10.2.0.0/24"}  # fmt: skip
    return {"net": conn("net", base, **more)}


@pytest.fixture(scope="module")
def _stage() -> Iterator[Stage]:
    with Lab() as lab:
        east = StrongSwan(lab.east, settings=HASTY)
        west = Gateway(lab.west, "", SECRETS)
        west.start()
        made = crypt(WORD.encode(), b"$6$abcdefgh$")
        assert made is not None
        (west.dir / "ipsec.d" / "passwd").write_text(f"{USER}:{made.decode()}\n")
        yield Stage(lab, west, east)


def play(stage: Stage, authority: Authority, kind: str, server: bool, theirs: str = "", **more: str) -> None:
    """Give either side its part; `server`: we are it."""
    mine = authority.issue("east.example")
    files = {"x509ca/lab.pem": authority.pem, "x509/east.pem": mine.cert, "private/east.pem": mine.key}
    secrets = CLIENT
    if kind == "rsa":
        secrets += certified(stage.west, authority, "west.example")
    stage.play(swanctl(kind, not server, theirs), ours(kind, server, **more), secrets, files if kind == "rsa" else {})


@pytest.mark.parametrize("pull", ["yes", "no"])
@pytest.mark.parametrize("kind", ["psk", "rsa"])
def test_we_are_a_user_of_theirs(stage: Stage, rsa_authority: Authority, kind: str, pull: str) -> None:
    play(stage, rsa_authority, kind, server=False, theirs=f"pull = {pull}", modecfgpull=pull)
    stage.up("we")
    assert_ping(stage.lab.west, FAR)
    log = stage.west.log(80)
    assert "XAUTH: Successfully Authenticated" in log and "setting client address to 10.9.0.1" in log
    assert "Received DNS 10.2.0.53, len=9" in log
    assert f"XAuth authentication of '{USER}' successful" in stage.east.log()


@pytest.mark.parametrize("pull", ["yes", "no"])
@pytest.mark.parametrize("kind", ["psk", "rsa"])
def test_they_are_a_user_of_ours(stage: Stage, rsa_authority: Authority, kind: str, pull: str) -> None:
    play(stage, rsa_authority, kind, server=True, theirs=f"pull = {pull}", modecfgpull=pull)
    stage.up("they")
    wait_for("their address", lambda: "installing new virtual IP 10.9.0." in stage.east.log(), 5, 0.1)
    given = re.findall(r"installing new virtual IP (\S+)", stage.east.log())[-1]
    assert_ping(stage.lab.sunset, given)
    assert stage.west.logged(f"XAUTH: User {USER}: Authentication Successful")


def test_a_wrong_password_of_theirs(stage: Stage) -> None:
    stage.play(swanctl("psk", False, word="open barley"), ours("psk", True), CLIENT)
    stage.east.ctl("--initiate", "--child", "net", "--timeout", "8", check=False)
    assert stage.west.logged(f"XAUTH: User {USER}: Authentication Failed: Incorrect")
    assert stage.west.tunnels() == 0 and not stage.east.child_spis()


@pytest.mark.parametrize("server", [True, False], ids=["we-ask", "they-ask"])
def test_hybrid(stage: Stage, rsa_authority: Authority, server: bool) -> None:
    """One end proves itself by RSA, the other by its password."""
    mine = rsa_authority.issue("east.example")
    files = {"x509ca/lab.pem": rsa_authority.pem}
    if not server:
        files |= {"x509/east.pem": mine.cert, "private/east.pem": mine.key}
    base = {"left": "192.0.2.1", "right": "192.0.2.2", "auto": "add", "modecfgpull": "yes", "rekey": "no"}
    if server:
        base |= {"leftauth": "rsasig", "leftcert": "west.example.pem", "leftid": "@west.example",
                 "leftsubnet": "10.1.0.0/24", "rightauth": "xauth", "rightid": "@carla.example",
                 "rightaddresspool": "10.9.0.1-10.9.0.9"}  # fmt: skip
    else:
        base |= {"leftauth": "xauth", "leftxauthname": USER, "leftsourceip": "%config", "leftid": "@carla.example",
                 "rightauth": "rsasig", "rightid": "@east.example", "rightrsasigkey": "%cert",
                 "rightsubnet": "10.2.0.0/24"}  # fmt: skip
    secrets = CLIENT + certified(stage.west, rsa_authority, "west.example")
    stage.play(swanctl("hybrid", not server), {"net": conn("net", base)}, secrets, files)
    stage.up("they" if server else "we")
    if server:
        wait_for("their address", lambda: "installing new virtual IP 10.9.0." in stage.east.log(), 5, 0.1)
        assert_ping(stage.lab.sunset, re.findall(r"installing new virtual IP (\S+)", stage.east.log())[-1])
        assert stage.west.logged(f"XAUTH: User {USER}: Authentication Successful")
    else:
        assert_ping(stage.lab.west, FAR)
    assert stage.west.logged("HYBRID_INIT_RSA")


def test_a_split_tunnel(stage: Stage) -> None:
    """charon plays Cisco's gateway: Quick Mode is about everything, its attributes name the networks it is for."""
    lab = stage.lab
    lab.east.ip("addr", "replace", "10.12.0.1/24", "dev", "lan")
    lab.sunrise.ip("addr", "replace", "10.12.0.2/24", "dev", "lan")
    stage.east.settings("cookie_threshold = 1", "cookie_threshold = 1\n  cisco_unity = yes")
    try:
        theirs = swanctl("psk", True).replace("local_ts = 10.2.0.0/24", "local_ts = 10.2.0.0/24,10.12.0.0/24")
        stage.play(
            theirs, ours("psk", False, rightsubnet="0.0.0.0/0", remote_peer_type="cisco", modecfgpull="yes"), CLIENT
        )
        stage.west.up("net")
        stage.east.wait_children()
        assert {row["dst"] for row in stage.west.eroutes()} == {"10.2.0.0/24", "10.12.0.0/24"}
        with Capture(lab.west) as wire:
            for far in (FAR, "10.12.0.2"):
                assert_ping(lab.west, far)
            assert_quiet(wire, ("10.2.0.0/24", "10.12.0.0/24", "10.9.0.0/24"))
        routes = lab.west.ip("route", "show", "table", "50")
        assert "10.2.0.0/24 dev ipsec0" in routes and "10.12.0.0/24 dev ipsec0" in routes
        assert_ping(lab.west, "192.0.2.2")  # the rest of the world as ever
    finally:
        stage.east.settings("cookie_threshold = 1\n  cisco_unity = yes", "cookie_threshold = 1")
