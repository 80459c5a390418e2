# SPDX-License-Identifier: GPL-2.0-or-later
"""Two gateways with ikev2=no: tunnels by either proof, with a NAT and without, on demand, renewed under traffic.

sunset ----lan---- west =======wan======= east ----lan---- sunrise
"""

from __future__ import annotations

import pytest

from tests.netns.capture import Capture, assert_quiet
from tests.netns.conns import INNER, NET4, SECRETS, conn, setup
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, wait_for
from tests.netns.pair import pair
from tests.netns.test_nat import EAST, WEST
from tests.netns.test_rekey import assert_all_arrived, flows, newest, spis
from tests.netns.traffic import assert_ping, learn_path, ping, transfer

V1 = {"ikev2": "no", "auto": "add"}


def prove(lab: Lab) -> None:
    """Small and large packets, and TCP, both ways; ipsec0 shows them in clear."""
    learn_path(lab.sunset, "10.2.0.2", 1472)
    with Capture(lab.west, "ipsec0") as tunnel:
        for size in (56, 1472, 4000):
            assert_ping(lab.sunset, "10.2.0.2", size=size)
        assert_ping(lab.sunrise, "10.1.0.2")
        assert transfer(lab.sunset, lab.sunrise, "10.2.0.2", 1 << 20).intact
        assert transfer(lab.sunrise, lab.sunset, "10.1.0.2", 1 << 20).intact
        assert tunnel.count()["tcp"] > 10


@pytest.mark.matrix
@pytest.mark.parametrize(("encapsulation", "kind"), [("auto", "esp"), ("yes", "esp-udp")])
def test_by_preshared_key(lab: Lab, encapsulation: str, kind: str) -> None:
    both = pair(lab, conn("net", NET4, encapsulation=encapsulation, **V1))
    with Capture(lab.west) as wire:
        both.up("net")
        prove(lab)
        assert_quiet(wire, INNER)
        assert wire.count()[kind] > 100
    status = both.west.status()
    assert "STATE_MAIN_I4 (ISAKMP SA established)" in status
    assert "STATE_QUICK_I2 (sent QI2, IPsec SA established)" in status
    assert "STATE_QUICK_R2 (IPsec SA established)" in both.east.status()
    both.west.ipsec("auto", "--down", "net")
    wait_for("both to be down", lambda: not both.west.tunnels() and not both.east.tunnels(), 5)
    with Capture(lab.west) as wire:
        lab.sunset.run("ping", "-c", "2", "-i", "0.1", "-W", "0.3", "10.2.0.2", check=False)
        assert_quiet(wire, INNER)


@pytest.mark.long
def test_by_rsa_with_a_whole_site_by_default(lab: Lab) -> None:
    """An old file: conn %default says that all of it is IKEv1."""
    gateways, values = [], {}
    for host, side in ((lab.west, "left"), (lab.east, "right")):
        gateway = Gateway(host, "", "")
        (gateway.dir / "ipsec.secrets").unlink()
        gateway.ipsec("newhostkey", "--output", str(gateway.dir / "ipsec.secrets"), "--bits", "2192", "--quiet")
        shown = gateway.ipsec("showhostkey", f"--{side}").stdout
        values[f"{side}rsasigkey"] = next(line.partition("=")[2] for line in shown.splitlines() if "rsasigkey=" in line)
        values[f"{side}id"] = f"@{host.name}"
        gateways.append(gateway)
    west, east = gateways
    text = setup(**{"ikev1-policy": "accept"}) + conn("%default", ikev2="no", authby="rsasig", pfs="no")
    text += conn("net", NET4, auto="add", authby="", **values)
    for gateway in (east, west):
        gateway.configure(text)
        gateway.start()
    west.up("net")
    east.wait_tunnels()
    prove(lab)
    assert west.logged("auth=OAKLEY_RSA_SIG")


def test_behind_a_masquerading_router(nat_lab: Lab) -> None:
    lab = nat_lab
    west = Gateway(lab.west, WEST + "    ikev2=no\n", SECRETS)
    east = Gateway(lab.east, EAST + "    ikev2=no\n", SECRETS)
    east.start()
    west.start()
    with Capture(lab.east) as wire:
        west.up("net")
        east.wait_tunnels()
        prove(lab)
        assert_quiet(wire, INNER)
        assert wire.count()["esp"] == 0 and wire.count()["esp-udp"] > 100
    assert "ESP/NAT=>" in west.log() and "i am NATed" in west.log() and "peer is NATed" in east.log()


def test_the_first_packet_brings_it_up_and_arrives(lab: Lab) -> None:
    both = pair(lab, conn("net", NET4, ikev2="no", auto="route"), conn("net", NET4, **V1))
    wait_for("the trap", lambda: "%trap" in both.west.ipsec("eroute").stdout, 5)
    with Capture(lab.west) as wire:
        assert ping(lab.sunset, "10.2.0.2", 1, wait=5).received == 1
        assert_quiet(wire, INNER)
    both.settle()


@pytest.mark.long
def test_both_kinds_of_sa_are_replaced_and_nothing_is_lost(lab: Lab) -> None:
    """By both ends, whose deadlines meet."""
    hasty = conn("net", NET4, ikelifetime="14s", salifetime="12s", rekeymargin="8s", rekeyfuzz="20%", **V1)
    both = pair(lab, hasty)
    both.up("net")
    first = spis(both)
    with Capture(lab.west) as wire:
        running = flows(lab)
        isakmp, children = {newest(both, "ISAKMP")}, {newest(both, "IPsec")}
        wait_for(
            "three of each",
            lambda: (
                (isakmp.add(newest(both, "ISAKMP")), children.add(newest(both, "IPsec")))
                and min(len(isakmp), len(children)) >= 3
            ),
            25,
            0.3,
        )
        assert_all_arrived(running)
        assert_quiet(wire, INNER)
    wait_for("the old ones to go", lambda: not spis(both) & first, 30)


@pytest.mark.long
def test_a_peer_that_falls_silent_comes_back(lab: Lab) -> None:
    more = {"dpddelay": "1s", "dpdtimeout": "3s", "dpdaction": "restart", "retransmit-timeout": "3s"}
    both = pair(lab, conn("net", NET4, **V1, **more))
    both.up("net")
    both.east.kill()
    wait_for("death to be seen", lambda: "declaring peer dead" in both.west.log(), 15)
    with Capture(lab.west) as wire:
        lab.sunset.run("ping", "-c", "2", "-i", "0.1", "-W", "0.3", "10.2.0.2", check=False)
        assert_quiet(wire, INNER)
    both.east.start()
    both.west.wait_tunnels(1, 20)
    assert_ping(lab.sunset, "10.2.0.2")
