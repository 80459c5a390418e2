# SPDX-License-Identifier: GPL-2.0-or-later
"""Sent to another gateway (RFC 5685), which here is another address of the same machine: ours and strongSwan, each way.

sunset - west ======= east (192.0.2.2 and 192.0.2.3) - sunrise
"""

from __future__ import annotations

import pytest

from tests.netns.conns import NET4, SECRETS, conn, setup
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, wait_for
from tests.netns.strongswan import SECRET, StrongSwan
from tests.netns.traffic import assert_ping

OTHER = "192.0.2.3"
IDS = {"leftid": "@west", "rightid": "@east"}
FOLLOWS = conn("net", NET4, auto="add", **IDS, **{"accept-redirect": "yes", "accept-redirect-to": OTHER})
ALWAYS = setup(**{"global-redirect": "yes", "global-redirect-to": OTHER})


def gateway(lab: Lab, head: str = "", **more: str) -> Gateway:
    """Ours as east, at both addresses."""
    lab.east.ip("addr", "add", f"{OTHER}/24", "dev", "wan")
    # One network behind both addresses; on a machine of its own the other gateway would know of no other SAs.
    both = {**NET4, **IDS, "overlapip": "yes"}
    conns = conn("net", both, auto="add", **more) + conn("other", {**both, "right": OTHER}, auto="add")
    east = Gateway(lab.east, head + conns, SECRETS)
    east.start()
    return east


def client(lab: Lab) -> Gateway:
    """Ours as west."""
    west = Gateway(lab.west, FOLLOWS, SECRETS)
    west.start()
    return west


def arrived(lab: Lab, west: Gateway) -> None:
    """The tunnel leads to the other address."""
    wait_for("the tunnel to the other address", lambda: any(r["dst"] == OTHER for r in west.json("spi")), 15, 0.1)
    wait_for("only that one", lambda: {r["dst"] for r in west.json("spi")} == {OTHER, "192.0.2.1"}, 15, 0.1)
    west.wait_tunnels()
    assert_ping(lab.sunset, "10.2.0.2")
    assert west.logged(f"192.0.2.2 redirects us to {OTHER}")


def test_at_the_first_message(lab: Lab) -> None:
    gateway(lab, ALWAYS)
    west = client(lab)
    west.up("net")
    arrived(lab, west)


def test_when_it_has_proved_itself(lab: Lab) -> None:
    gateway(lab, **{"send-redirect": "yes", "redirect-to": OTHER})
    west = client(lab)
    west.up("net")
    arrived(lab, west)


def test_by_hand(lab: Lab) -> None:
    east, west = gateway(lab), client(lab)
    west.up("net")
    assert_ping(lab.sunset, "10.2.0.2")
    assert "1 peers redirected" in east.ipsec("whack", "--redirect-to", OTHER, "--name", "net").stdout
    arrived(lab, west)


def swanctl(me: str, him: str, where: str, more: str = "", net: int = 2) -> str:
    """swanctl.conf of a peer at `me`, with one connection."""
    mine, his = ("10.2.0.0/24", "10.1.0.0/24") if net == 2 else ("10.1.0.0/24", "10.2.0.0/24")
    own, other = ("east", "west") if net == 2 else ("west", "east")
    return f"""
connections {{
  lab {{
    version = 2
    local_addrs = {me}
    remote_addrs = {where}
    {more}
    local {{
      auth = psk
      id = {own}
    }}
    remote {{
      auth = psk
      id = {other}
    }}
    children {{
      net {{
        local_ts = {mine}
        remote_ts = {his}
      }}
    }}
  }}
}}
{SECRET}
"""


@pytest.mark.peer
def test_strongswan_sends_us_away(lab: Lab) -> None:
    lab.east.ip("addr", "add", f"{OTHER}/24", "dev", "wan")
    east = StrongSwan(lab.east)
    east.load(swanctl(f"192.0.2.2,{OTHER}", "", "192.0.2.1"))
    west = client(lab)
    west.up("net")
    east.wait_children()
    east.ctl("--redirect", "--ike", "lab", "--gateway", OTHER)
    try:
        arrived(lab, west)
    finally:
        print(east.log(), west.log())


@pytest.mark.peer
@pytest.mark.parametrize("when", ["first", "by hand"])
def test_we_send_strongswan_away(lab: Lab, when: str) -> None:
    # In IKE_AUTH too it goes where it is sent, but 5.9.8 dies of it.
    east = gateway(lab, ALWAYS if when == "first" else "")
    west = StrongSwan(lab.west)
    west.load(swanctl("192.0.2.1", "", "192.0.2.2", net=1))
    west.initiate("net")
    if when == "by hand":
        east.ipsec("whack", "--redirect-to", OTHER)
    try:
        wait_for("strongSwan at the other address", lambda: f"remote 'east' @ {OTHER}" in west.sas(), 15, 0.2)
        wait_for("only there", lambda: "192.0.2.2" not in west.sas(), 15, 0.2)
        west.wait_children()
        assert_ping(lab.sunset, "10.2.0.2")
    finally:
        print(west.log(), east.log())
