# SPDX-License-Identifier: GPL-2.0-or-later
"""Against strongSwan: as initiator and as responder, with secrets and certificates, rekeys from either side.

sunset ----lan---- west (ours) =======wan======= east (strongSwan) ----lan---- sunrise
"""

from __future__ import annotations

import pytest

from tests.netns.capture import Capture, assert_quiet
from tests.netns.conns import INNER, NET4, NET6, SECRETS, conn
from tests.netns.gateway import Gateway
from tests.netns.keys import Authority
from tests.netns.lab import Lab, wait_for
from tests.netns.strongswan import SECRET, StrongSwan
from tests.netns.test_rekey import assert_all_arrived, flows
from tests.netns.test_tunnel import certified
from tests.netns.traffic import assert_ping, transfer

pytestmark = pytest.mark.peer


def swanctl(
    auth: str = "auth = psk",
    west: str = "auth = psk",
    child: str = "",
    ike: str = "",
    inside: int = 4,
    outside: int = 4,
) -> str:
    """swanctl.conf of east: one connection `lab` with one child `net`."""
    me, him = {4: ("192.0.2.2", "192.0.2.1"), 6: ("2001:db8::2", "2001:db8::1")}[outside]
    mine, his = {4: ("10.2.0.0/24", "10.1.0.0/24"), 6: ("2001:db8:2::/64", "2001:db8:1::/64")}[inside]
    return f"""
connections {{
  lab {{
    version = 2
    local_addrs = {me}
    remote_addrs = {him}
    {ike}
    local {{
      {auth}
    }}
    remote {{
      {west}
    }}
    children {{
      net {{
        local_ts = {mine}
        remote_ts = {his}
        {child}
      }}
    }}
  }}
}}
{SECRET}
"""


def bring_up(west: Gateway, east: StrongSwan, who: str) -> None:
    """Either side initiates."""
    if who == "we":
        west.up("net")
    else:
        east.initiate("net")
    west.wait_tunnels()
    east.wait_children()


def prove(lab: Lab, inside: int = 4) -> None:
    """Pings and TCP both ways, nothing in clear."""
    near, far = {4: ("10.1.0.2", "10.2.0.2"), 6: ("2001:db8:1::2", "2001:db8:2::2")}[inside]
    with Capture(lab.west) as wire:
        assert_ping(lab.sunset, far)
        assert_ping(lab.sunset, far, size=1300)
        assert_ping(lab.sunrise, near)
        assert transfer(lab.sunset, lab.sunrise, far).intact
        assert transfer(lab.sunrise, lab.sunset, near).intact
        assert_quiet(wire, INNER)
        assert wire.count()["esp-udp"] > 100


who = pytest.mark.parametrize("who", ["we", "they"])


@who
def test_secrets(lab: Lab, who: str) -> None:
    east = StrongSwan(lab.east, swanctl())
    west = Gateway(lab.west, conn("net", NET4, auto="add"), SECRETS)
    west.start()
    bring_up(west, east, who)
    prove(lab)
    if who == "we":
        west.ipsec("auto", "--down", "net")
    else:
        east.ctl("--terminate", "--ike", "lab")
    wait_for("both to be down", lambda: not west.tunnels() and not east.child_spis(), 5)


@pytest.mark.parametrize(("inside", "outside"), [(6, 6), (6, 4), (4, 6)], ids=["6in6", "6in4", "4in6"])
def test_other_families(lab: Lab, inside: int, outside: int) -> None:
    nets = {
        "leftsubnet": (NET4, NET6)[inside == 6]["leftsubnet"],
        "rightsubnet": (NET4, NET6)[inside == 6]["rightsubnet"],
    }
    east = StrongSwan(lab.east, swanctl(inside=inside, outside=outside))
    west = Gateway(lab.west, conn("net", NET4 if outside == 4 else NET6, **nets, auto="add"), SECRETS)
    west.start()
    bring_up(west, east, "we")
    prove(lab, inside)


@who
def test_certificates(lab: Lab, authority: Authority, who: str) -> None:
    theirs = authority.issue("east.example")
    kind = "rsa" if authority.kind == "rsa" else "ecdsa"
    files = {"x509ca/lab.pem": authority.pem, "x509/east.pem": theirs.cert, f"private/east-{kind}.pem": theirs.key}
    east = StrongSwan(
        lab.east,
        swanctl(
            "auth = pubkey\n      certs = east.pem\n      id = east.example", "auth = pubkey\n      id = west.example"
        ),
        files,
    )
    west = Gateway(lab.west)
    auth = "rsasig" if authority.kind == "rsa" else "ecdsa"
    west.configure(
        conn("net", NET4, authby=auth, leftid="@west.example", rightid="@east.example", leftcert="west.example.pem",
             rightrsasigkey="%cert", auto="add"),
        certified(west, authority, "west.example"),
    )  # fmt: skip
    west.start()
    bring_up(west, east, who)
    prove(lab)


@pytest.mark.parametrize(
    ("esp", "proposal"),
    [
        ("aes_gcm128", "aes128gcm16"),
        ("chacha20_poly1305", "chacha20poly1305"),
        ("aes128-sha1", "aes128-sha1"),
        ("aes256-sha2_256", "aes256-sha256"),
        ("aes256-sha2_384", "aes256-sha384"),
        ("aes128-sha2_512", "aes128-sha512"),
    ],
)
def test_esp_algorithms(lab: Lab, esp: str, proposal: str) -> None:
    east = StrongSwan(lab.east, swanctl(child=f"esp_proposals = {proposal}"))
    west = Gateway(lab.west, conn("net", NET4, esp=esp, auto="add"), SECRETS)
    west.start()
    bring_up(west, east, "we")
    assert_ping(lab.sunset, "10.2.0.2", size=1300)
    assert transfer(lab.sunset, lab.sunrise, "10.2.0.2", 1 << 20).intact


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("aes128-sha1-modp2048", "aes128-sha1-modp2048"),
        ("aes256-sha2_512-modp4096", "aes256-sha512-modp4096"),
        ("aes_gcm256-sha2_384-dh20", "aes256gcm16-prfsha384-ecp384"),
        ("aes256-sha2_256-dh31", "aes256-sha256-curve25519"),
        ("chacha20_poly1305-sha2_256-dh21", "chacha20poly1305-prfsha256-ecp521"),
    ],
)
def test_ike_algorithms(lab: Lab, ours: str, theirs: str) -> None:
    east = StrongSwan(lab.east, swanctl(ike=f"proposals = {theirs}"))
    west = Gateway(lab.west, conn("net", NET4, ike=ours, auto="add"), SECRETS)
    west.start()
    bring_up(west, east, "we")
    assert_ping(lab.sunset, "10.2.0.2")


@who
def test_another_group_is_asked_for_and_cookies_are_returned(lab: Lab, who: str) -> None:
    """The initiator guesses a group its peer does not like: INVALID_KE_PAYLOAD, and on with the right one."""
    east = StrongSwan(
        lab.east,
        swanctl(
            ike="proposals = aes256-sha256-ecp384-curve25519" if who == "they" else "proposals = aes256-sha256-ecp384"
        ),
    )
    ours = "aes256-sha2_256-dh31,aes256-sha2_256-dh20" if who == "we" else "aes256-sha2_256-dh31"
    west = Gateway(lab.west, conn("net", NET4, ike=ours, auto="add"), SECRETS)
    west.start()
    bring_up(west, east, who)
    assert_ping(lab.sunset, "10.2.0.2")
    assert "INVAL_KE" in east.log(200) or "INVALID_KE" in east.log(200)


@who
def test_a_child_rekey_of_theirs_loses_nothing(lab: Lab, who: str) -> None:
    east = StrongSwan(lab.east, swanctl(child="esp_proposals = aes256gcm16-curve25519"))
    west = Gateway(lab.west, conn("net", NET4, esp="aes_gcm256-dh31", auto="add"), SECRETS)
    west.start()
    bring_up(west, east, who)
    running = flows(lab)
    for _ in range(3):
        before = east.child_spis()
        east.ctl("--rekey", "--child", "net")
        wait_for("new SPIs", lambda b=before: (now := east.child_spis()) and not set(now) & set(b), 8, 0.1)
    assert_all_arrived(running)


@who
def test_an_ike_rekey_of_theirs_loses_nothing(lab: Lab, who: str) -> None:
    east = StrongSwan(lab.east, swanctl())
    west = Gateway(lab.west, conn("net", NET4, auto="add"), SECRETS)
    west.start()
    bring_up(west, east, who)
    running = flows(lab)
    for _ in range(2):
        before, children = east.ike_spis(), east.child_spis()
        east.ctl("--rekey", "--ike", "lab")
        wait_for("a new IKE SA", lambda b=before: (now := east.ike_spis()) and not set(now) & set(b), 8, 0.1)
        assert east.child_spis() == children
    assert_all_arrived(running)
    east.ctl("--rekey", "--child", "net")
    assert_ping(lab.sunset, "10.2.0.2")


@who
def test_rekeys_of_ours_lose_nothing(lab: Lab, who: str) -> None:
    east = StrongSwan(lab.east, swanctl(child="esp_proposals = aes256gcm16-curve25519"))
    west = Gateway(
        lab.west,
        conn(
            "net",
            NET4,
            auto="add",
            ikelifetime="16s",
            salifetime="13s",
            rekeymargin="8s",
            rekeyfuzz="0%",
            esp="aes_gcm256-dh31",
        ),
        SECRETS,
    )
    west.start()
    bring_up(west, east, who)
    running = flows(lab)
    children, ikes = {tuple(east.child_spis())}, {tuple(east.ike_spis())}

    def enough() -> bool:
        children.add(tuple(east.child_spis()))
        ikes.add(tuple(east.ike_spis()))
        return len(children) >= 3 and len(ikes) >= 3

    wait_for("two rekeys of each", enough, 25, 0.2)
    assert_all_arrived(running)


def test_liveness_notices_a_dead_peer(lab: Lab) -> None:
    east = StrongSwan(lab.east, swanctl())
    west = Gateway(
        lab.west,
        conn("net", NET4, auto="add", dpddelay="1s", dpdtimeout="3s", dpdaction="hold", **{"retransmit-timeout": "2s"}),
        SECRETS,
    )
    west.start()
    bring_up(west, east, "we")
    east.ctl("--stats")
    lab.west.run("nft", "add", "table", "ip", "silence")
    lab.west.run("nft", "add", "chain", "ip", "silence", "in", "{ type filter hook prerouting priority -400; }")
    lab.west.run("nft", "add", "rule", "ip", "silence", "in", "ip", "saddr", "192.0.2.2", "drop")
    wait_for("the tunnel to be given up", lambda: not west.tunnels(), 15)
    assert "%trap" in west.ipsec("eroute").stdout or "%hold" in west.ipsec("eroute").stdout


def test_wrong_secret_either_way(lab: Lab) -> None:
    east = StrongSwan(lab.east, swanctl())
    west = Gateway(lab.west, conn("net", NET4, auto="add"), ': PSK "something else"')
    west.start()
    done = west.ipsec("auto", "--up", "net", check=False, timeout=30)
    assert done.returncode != 0 and "AUTHENTICATION_FAILED" in done.stdout, done.stdout
    east.ctl("--initiate", "--child", "net", check=False)
    assert not west.tunnels() and not east.child_spis()
    wait_for("no state left", lambda: "STATE_" not in west.status(), 5)
