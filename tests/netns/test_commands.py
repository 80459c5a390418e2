# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands that ask a living daemon, in the places users type them.

sunset ----lan---- west =======wan======= east ----lan---- sunrise
"""

from __future__ import annotations

import socket

import pytest

from tests.netns.conns import conn
from tests.netns.lab import Lab
from tests.netns.pair import Pair, pair
from tests.netns.traffic import assert_ping

NET = conn(
    "net",
    {
        "left": "192.0.2.1",
        "leftsubnet": "10.1.0.0/24",
        "right": "192.0.2.2",
        "rightsubnet": "10.2.0.0/24",
        "authby": "secret",
        "auto": "add",
    },
)


def gateways(lab: Lab) -> Pair:
    """West and east with conn `net`, down."""
    return pair(lab, NET)


@pytest.mark.long
def test_the_modern_spellings_take_a_tunnel_through_its_life(lab: Lab) -> None:
    both = gateways(lab)
    west = both.west
    assert west.ipsec("checkconfig").returncode == 0
    assert "%trap" not in west.ipsec("shuntstatus").stdout
    west.ipsec("route", "net")
    assert "10.1.0.0/24:0 -0-> 10.2.0.0/24:0 => %trap 0    net    (" in west.ipsec("shuntstatus").stdout
    west.ipsec("up", "net")
    both.settle()
    assert_ping(lab.sunset, "10.2.0.2", 2)
    (row,) = west.json("trafficstatus")
    assert row["connection"] == "net" and row["in_bytes"] == row["out_bytes"] > 0
    line = west.ipsec("trafficstatus", "net").stdout
    assert f"inBytes={row['in_bytes']}, outBytes={row['out_bytes']}" in line and "id='192.0.2.2'" in line
    assert '"net": 10.1.0.0/24===192.0.2.1' in west.ipsec("connectionstatus", "net").stdout
    assert "#" not in west.ipsec("connectionstatus").stdout.split(";")[0]
    assert west.ipsec("showroute", "192.0.2.2").stdout == "192.0.2.1 192.0.2.2 192.0.2.2\n"
    assert west.json("status")["version"] == 1
    assert 'openswan_connection_up{connection="net"} 1.0' in west.ipsec("metrics").stdout
    assert "net                      192.0.2.2                up" in west.ipsec("top", "--delay", "1").stdout
    barf = west.ipsec("barf", "--short").stdout
    assert "+ _________________________ ipsec/secrets\n" in barf and "horse" not in barf and "ESP_AES_GCM_16" in barf
    west.ipsec("down", "net")
    assert west.ipsec("trafficstatus").stdout == ""
    west.ipsec("unroute", "net")
    west.ipsec("replace", "net")
    west.ipsec("delete", "net")
    assert west.ipsec("connectionstatus", "net", check=False).returncode == 21
    west.ipsec("add", "net")
    west.ipsec("restart")
    assert west.ipsec("up", "nothing", check=False).returncode == 21
    west.ipsec("stop")
    assert west.ipsec("trafficstatus", check=False).returncode == 1


def test_a_peer_is_asked_whether_it_speaks_ike(lab: Lab) -> None:
    both = gateways(lab)
    for more in ([], ["--exchangenum", "244"], ["--nat-t"]):
        done = both.west.ipsec("ikeping", "--verbose", *more, "192.0.2.2")
        assert "packet from 192.0.2.2/" in done.stdout and "of len: 28" in done.stdout
        assert "(echo-reply)" in done.stdout
    done = both.west.ipsec("ikeping", "--wait", "1", "192.0.2.2", "192.0.2.2/501", check=False)
    assert done.returncode == 1 and "192.0.2.2/501: Connection refused" in done.stdout
    assert "no answer from 192.0.2.2/501" in done.stderr and "received 245" in done.stdout


def test_verify_and_policy_of_a_gateway_that_works(lab: Lab) -> None:
    both = gateways(lab)
    both.up("net")
    done = both.west.ipsec("verify", check=False)
    verdicts = {line.partition("\t")[0].strip(): line.partition("\t")[2] for line in done.stdout.splitlines()}
    for text in (
        "KLIPS: checking for /dev/net/tun",
        "Two or more interfaces found, checking IP forwarding",
        "Checking that pluto is running",
        "Pluto listening for IKE on udp 500",
        "Pluto listening for NAT-T on udp 4500",
    ):
        assert verdicts[text] == "[OK]", done.stdout
    assert done.returncode == 0 and not done.stderr, done.stdout
    (out, inward) = sorted(both.west.ipsec("policy").stdout.splitlines(), reverse=True)
    assert out.startswith("out 10.1.0.0/24 -> 10.2.0.0/24 proto any => ") and out.endswith('("net")')
    assert inward.startswith("in  10.2.0.0/24 -> 10.1.0.0/24 tunnel => esp.")
    both.west.stop()
    with lab.west.inside():
        taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with taken:
        taken.bind(("0.0.0.0", 500))
        done = both.west.ipsec("verify", check=False)
    assert done.returncode == 1 and "port 500 is in use by python" in done.stdout
    assert done.stderr == "ipsec verify: encountered errors\n"
