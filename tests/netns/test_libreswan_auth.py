# SPDX-License-Identifier: GPL-2.0-or-later
"""Against libreswan: certificates with RSA and ECDSA, raw RSA keys, proofs that one of us refuses, and no appointment.

sunset ----lan---- west (ours) =======wan======= virtual machine: libreswan, 192.0.2.2, behind it 10.2.0.1
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.netns.capture import Capture
from tests.netns.conns import NET4, SECRETS, conn
from tests.netns.gateway import Gateway
from tests.netns.keys import Authority
from tests.netns.lab import Lab, wait_for
from tests.netns.libreswan import Libreswan
from tests.netns.test_tunnel import certified
from tests.netns.traffic import assert_ping, ping

pytestmark = [
    pytest.mark.peer,
    pytest.mark.matrix,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("kernelpeer"),
]

BASE = {**NET4, "leftid": "@west.example", "rightid": "@east.example", "encapsulation": "no"}
AUTHBY = {"rsa": "rsasig", "ecdsa": "ecdsa"}
who = pytest.mark.parametrize("who", ["we", "they"])


@dataclass
class Stage:
    """Both gateways."""

    lab: Lab
    west: Gateway
    east: Libreswan
    authorities: dict[str, Authority]

    def play(self, theirs: dict[str, str], ours: dict[str, str], secrets: str) -> None:
        """Give either side its conn `net`."""
        self.east.add("net", conn("net", BASE, ikev2="insist", auto="ignore", **theirs))
        self.west.configure(conn("net", BASE, auto="add", **ours), secrets)
        self.west.ipsec("auto", "--rereadall")
        self.west.ipsec("auto", "--add", "net")

    def up(self, who: str) -> None:
        """Bring it up from either side; packets get there and back."""
        if who == "we":
            self.west.up("net", 40)
        else:
            self.east.sh("ipsec auto --up net", 60)
        self.west.wait_tunnels()
        assert_ping(self.lab.sunset, "10.2.0.1", wait=4)

    def fails(self, who: str) -> str:
        """It does not come up, and neither side keeps an IKE SA; what the initiator's command printed."""
        if who == "we":
            done = self.west.ipsec("auto", "--up", "net", check=False, timeout=40)
            assert done.returncode, done.stdout
            said = done.stdout
        else:
            said = self.east.sh("timeout 15 ipsec auto --up net", 60, check=False)
        assert not self.west.tunnels()
        if who == "they":
            self.east.sh("ipsec auto --down net", check=False)
        else:
            wait_for("libreswan to let go", lambda: not self.east.states(), 5, 0.3)
        assert "proto esp" not in self.east.sh("ip xfrm state")
        return said


@pytest.fixture(scope="module")
def _stage() -> Iterator[Stage]:
    with Lab("vm") as lab:
        east = Libreswan(lab.west, "config setup\n    uniqueids=yes\n", SECRETS + "\n")
        authorities = {kind: Authority(kind, f"Lab CA {kind}") for kind in AUTHBY}
        east.certify(authorities)
        west = Gateway(lab.west, "", SECRETS)
        west.start()
        yield Stage(lab, west, east, authorities)


@pytest.fixture
def stage(_stage: Stage) -> Iterator[Stage]:
    """The stage, empty before and afterwards; both logs are shown when the test fails."""
    try:
        yield _stage
    finally:
        print(_stage.east.log(), _stage.west.log(), sep="\n")
        _stage.west.ipsec("auto", "--delete", "net", check=False)
        _stage.east.sh("ipsec auto --delete net", check=False)


def play_certificates(stage: Stage, kind: str, trusted: Authority | None = None) -> None:
    """Both prove themselves by certificates of one authority; `trusted`: the one that we trust instead."""
    ca = stage.authorities[kind]
    secrets = certified(stage.west, ca, "west.example")
    if trusted is not None:
        (stage.west.dir / "ipsec.d/cacerts/lab.pem").write_bytes(trusted.pem)
    both = {"authby": AUTHBY[kind], "rightid": f"@{kind}.example", "rightrsasigkey": "%cert"}
    stage.play({**both, "rightcert": kind, "leftrsasigkey": "%cert"}, {**both, "leftcert": "west.example.pem"}, secrets)


@who
@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_certificates(stage: Stage, kind: str, who: str) -> None:
    play_certificates(stage, kind)
    stage.up(who)
    assert ("theirsig=RSA" if kind == "rsa" else "theirsig=ECDSA") in stage.west.log(), stage.west.log()


@who
@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_an_authority_we_do_not_know(stage: Stage, kind: str, who: str) -> None:
    """We refuse its certificate; as responder it passes over the news alone, but not over the Delete beside it."""
    play_certificates(stage, kind, Authority(kind, "Another CA"))
    stage.fails(who)
    assert "10.2.0.0/24" not in stage.west.status().partition("STATE_")[2]


@pytest.mark.long
@who
def test_raw_rsa_keys(stage: Stage, who: str) -> None:
    """Neither side has certificates: each knows the other's public key."""
    west, east = stage.west, stage.east
    ours = west.new_rsa_key()
    both = {"authby": "rsasig", "leftrsasigkey": ours, "rightrsasigkey": east.raw_key()}
    stage.play(both, both, (west.dir / "ipsec.secrets").read_text())
    stage.up(who)
    assert west.logged("theirsig=RSA")


@who
def test_a_secret_that_differs(stage: Stage, who: str) -> None:
    stage.play({}, {}, ': PSK "something else"')
    assert "AUTHENTICATION_FAILED" in stage.fails(who) + stage.west.log()


OPPORTUNISTIC = {
    "right": "%opportunisticgroup",
    "type": "tunnel",
    "keyingtries": "1",
    "failureshunt": "drop",
    "auto": "route",
}
GROUP = b"198.51.100.0/24\n"
"""Addresses of their own: the group may not take our orders to the machine."""
PROOFS = {
    "null": ({"leftauth": "null", "leftid": "%null", "rightauth": "null", "rightid": "%null"}, {"authby": "null"}),
    "rsa": (
        {"authby": "rsasig", "leftcert": "rsa", "leftid": "%fromcert", "rightid": "%fromcert", "rightca": "%same"},
        {"authby": "rsasig", "leftcert": "west.example.pem", "rightid": "%fromcert", "rightca": "%same"},
    ),
}
"""What libreswan says in a group's conn, and what we do."""


@pytest.fixture
def strangers(stage: Stage) -> Iterator[Stage]:
    """Both have addresses for the group alone, and its file."""
    stage.east.sh("ip addr replace 198.51.100.2/24 dev eth0; mkdir -p /etc/ipsec.d/policies")
    stage.east.put("/etc/ipsec.d/policies/private", GROUP)
    stage.lab.west.ip("addr", "replace", "198.51.100.1/24", "dev", "tap0")
    (stage.west.dir / "ipsec.d" / "policies" / "private").write_bytes(GROUP)
    yield stage
    stage.west.ipsec("auto", "--delete", "private", check=False)
    stage.east.sh("ipsec auto --delete private", check=False)


@pytest.mark.long
@pytest.mark.parametrize("kind", PROOFS)
def test_opportunistically_from_either_side(strangers: Stage, kind: str) -> None:
    """Hosts that know no more of each other than a group; what ends on our side has ended on theirs."""
    west, east, (theirs, ours) = strangers.west, strangers.east, PROOFS[kind]
    more = {"left": "198.51.100.2", "ikev2": "insist", "negotiationshunt": "hold", "leftupdown": "%disabled"}
    east.add("private", conn("private", OPPORTUNISTIC, **more, **theirs))
    east.sh("ipsec whack --listen; ipsec auto --route private")
    # An emulated machine takes longer than hosts do.
    text = conn("private", OPPORTUNISTIC, left="198.51.100.1", holdtimeout="30s", **ours)
    west.configure(text, certified(west, strangers.authorities["rsa"], "west.example"))
    west.ipsec("auto", "--rereadall")
    west.ipsec("auto", "--add", "private")
    west.ipsec("auto", "--route", "private")
    with Capture(west.host, "tap0") as wire:
        assert ping(west.host, "198.51.100.2", 3, wait=30).received == 3, "our first packet is not lost"
        west.ipsec("auto", "--unroute", "private")
        wait_for("libreswan to let go", lambda: not east.states(), 20, 0.3)
        west.ipsec("auto", "--route", "private")
        # For half a minute its kernel does not ask again for an SA that it has asked for, even if it has come and gone.
        east.sh("ip xfrm state flush")
        order = "ping -c 3 -i 0.2 -W 5 -I 198.51.100.2 198.51.100.1"
        # Its kernel loses the first packets.
        wait_for("their tunnel", lambda: east.sh(order, check=False) and west.tunnels(), 20, 0.2)
        said = east.sh(order)
        assert " 0% packet loss" in said, said
        seen = wire.packets(lambda s: s.src.startswith("198.51.100."))
    assert {"esp", "ike"} == {each.kind for each in seen}
    assert west.log().count({"null": "theirsig=NULL", "rsa": "theirsig=RSA"}[kind]) >= 2
