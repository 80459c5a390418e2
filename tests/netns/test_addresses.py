# SPDX-License-Identifier: GPL-2.0-or-later
"""Assigned addresses on real wires: ours as server and as client, against strongSwan and each other.

sunset ----lan---- west (ours) =======wan======= east ----lan---- sunrise
"""

from __future__ import annotations

import json

import pytest

from tests.netns.capture import Capture, assert_quiet
from tests.netns.conns import SECRETS, conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.strongswan import SECRET, StrongSwan
from tests.netns.traffic import assert_ping, transfer

POOL = "10.9.0.10-10.9.0.20"
INSIDE = ("10.1.0.0/24", "10.2.0.0/24", "10.9.0.0/24")


def swanctl(where: str, remote: str, more: str = "", child: str = "", pools: str = "") -> str:
    """One connection `lab` at `where`, with one child `net`."""
    return f"""
connections {{
  lab {{
    version = 2
    local_addrs = {where}
    remote_addrs = {remote}
    {more}
    local {{
      auth = psk
      id = @them
    }}
    remote {{
      auth = psk
      id = @us
    }}
    children {{
      net {{
        {child}
      }}
    }}
  }}
}}
{pools}
{SECRET}
"""


def has(host: Host, address: str, device: str = "") -> bool:
    """Is the address on one of the host's interfaces, or on just that one?"""
    said = host.ip("-o", "addr", "show", *(("dev", device) if device else ()), check=False)
    return f" {address}/" in said


@pytest.mark.peer
def test_strongswan_gets_an_address_from_us(lab: Lab) -> None:
    """East is a road warrior; from its assigned address it reaches what is behind west, and is reached."""
    server = conn(
        "rw", left="192.0.2.1", leftid="@us", leftsubnet="10.1.0.0/24", right="%any", rightid="@them", authby="secret",
        auto="add", rightaddresspool=POOL, leftmodecfgserver="yes", rightmodecfgclient="yes",
        modecfgdns="10.1.0.53,10.1.0.54", modecfgdomains="corp.example",
    )  # fmt: skip
    west = Gateway(lab.west, server, SECRETS)
    west.start()
    east = StrongSwan(lab.east, swanctl("192.0.2.2", "192.0.2.1", "vips = 0.0.0.0", "remote_ts = 10.1.0.0/24"))
    with Capture(lab.west) as wire:
        for _ in range(2):
            east.initiate("net")
            west.wait_tunnels()
            assert "10.9.0.10" in east.sas() and has(lab.east, "10.9.0.10"), east.log()
            assert_ping(lab.sunset, "10.9.0.10")
            assert_ping(lab.east, "10.1.0.2", source="10.9.0.10")
            assert transfer(lab.sunset, lab.east, "10.9.0.10", 1 << 18).intact
            pools = json.loads(west.ipsec("auto", "--status", "--json").stdout)["pools"]
            assert [pool["in_use"] for pool in pools] == [1]
            # Gone and back: the same address.
            east.ctl("--terminate", "--ike", "lab")
            wait_for("no tunnel", lambda: not west.tunnels(), 5, 0.1)
        assert_quiet(wire, INSIDE)
    log = east.log()
    assert "CPRQ(ADDR" in log and "CPRP(ADDR)" in log, log
    assert "10.9.0.10 '@them' released" in west.ipsec("whack", "--addresspoolstatus").stdout


@pytest.mark.peer
def test_we_get_an_address_from_strongswan(lab: Lab) -> None:
    """West asks; the address is on ipsec0 while the conn is routed, and is what sockets there use by themselves."""
    home = conn(
        "home", left="%defaultroute", leftid="@us", leftsourceip="%config", right="192.0.2.2", rightid="@them",
        rightsubnet="10.2.0.0/24", authby="secret", auto="add",
    )  # fmt: skip
    pools = "pools {\n warriors {\n addrs = 10.9.0.32/28\n dns = 10.2.0.53\n 25 = corp.example\n }\n}"
    east = StrongSwan(lab.east, swanctl("192.0.2.2", "192.0.2.1", "pools = warriors", "local_ts = 10.2.0.0/24", pools))
    west = Gateway(lab.west, home, SECRETS)
    west.start()
    with Capture(lab.east) as wire:
        west.up("home")
        east.wait_children()
        status = json.loads(west.ipsec("auto", "--status", "--json").stdout)
        (row,) = status["connections"]
        (lease,) = row["assigned"]
        assert lease.startswith("10.9.0.") and has(lab.west, lease, "ipsec0"), west.log() + east.log()
        assert row["dns"] == ["10.2.0.53"]
        assert_ping(lab.west, "10.2.0.2")
        assert_ping(lab.sunrise, lease)
        assert transfer(lab.west, lab.sunrise, "10.2.0.2", 1 << 18).intact
        west.ipsec("auto", "--down", "home")
        west.up("home")
        assert_ping(lab.west, "10.2.0.2")
        assert lease in west.status() and "dns: 10.2.0.53" in west.status()
        # Neither the assigned nor the outer address is let out in clear when the tunnel is gone.
        west.ipsec("auto", "--down", "home")
        for source in ("192.0.2.1", lease):
            lab.west.run("ping", "-c", "1", "-W", "0.3", "-I", source, "10.2.0.2", check=False)
        assert_quiet(wire, INSIDE)
        assert not wire.packets(lambda seen: seen.dst == "10.2.0.2")
    west.ipsec("auto", "--delete", "home")
    wait_for("the address to be taken back", lambda: not has(lab.west, lease), 5, 0.1)


def test_two_of_ours_with_both_families_and_a_script(lab: Lab) -> None:
    """An updown script hears of address, servers and domains; IPv6 comes on the same IKE SA."""
    base = {"right": "192.0.2.2", "rightid": "@gw", "authby": "secret", "auto": "add"}
    script = lab.dir / "script"
    script.write_text('#!/bin/sh\nenv | grep "^PLUTO_" | sort >> "$0.$PLUTO_VERB.$PLUTO_CONNECTION"\nipsec _updown\n')
    script.chmod(0o755)
    mine = {"left": "192.0.2.1", "leftid": "@rw", "leftsourceip": "%config", "leftupdown": str(script)}
    theirs = {
        "left": "%any", "leftid": "@rw", "leftaddresspool": "10.9.0.0/28,2001:db8:9::/120",
        "modecfgdns": '"10.2.0.53 2001:db8:2::53"',
        "modecfgdomains": '"corp.example, lab.example"',
    }  # fmt: skip
    nets = {"four": "10.2.0.0/24", "six": "2001:db8:2::/64"}
    west = Gateway(lab.west, "".join(conn(n, base, rightsubnet=net, **mine) for n, net in nets.items()), SECRETS)
    east = Gateway(lab.east, "".join(conn(n, base, rightsubnet=net, **theirs) for n, net in nets.items()), SECRETS)
    east.start()
    west.start()
    for name in nets:
        west.up(name)
    west.wait_tunnels(2)
    east.wait_tunnels(2)
    assert has(lab.west, "10.9.0.1", "ipsec0") and has(lab.west, "2001:db8:9::1", "ipsec0")
    assert_ping(lab.west, "10.2.0.2")
    assert_ping(lab.west, "2001:db8:2::2")
    assert_ping(lab.sunrise, "10.9.0.1")
    said = (lab.dir / "script.up-client.four").read_text()
    for line in (
        "PLUTO_MY_SOURCEIP=10.9.0.1",
        "PLUTO_MY_CLIENT=10.9.0.1/32",
        "PLUTO_PEER_DNS_INFO=10.2.0.53 2001:db8:2::53",
        "PLUTO_CISCO_DOMAIN_INFO=corp.example lab.example",
        "PLUTO_CFG_CLIENT=1",
    ):
        assert line in said.splitlines(), said
    assert len(json.loads(west.ipsec("auto", "--status", "--json").stdout)["ike_sas"]) == 1
