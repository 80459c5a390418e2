# SPDX-License-Identifier: GPL-2.0-or-later
"""MOBIKE on real wires: an end's address changes under traffic, with strongSwan there and between two of ours.

sunset ----lan---- west (ours) =======wan======= east ----lan---- sunrise
"""

from __future__ import annotations

import pytest

from tests.netns.capture import Capture, assert_quiet
from tests.netns.conns import INNER, SECRETS, conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.strongswan import StrongSwan
from tests.netns.test_addresses import swanctl
from tests.netns.test_rekey import assert_all_arrived, flows
from tests.netns.traffic import assert_ping, transfer

NETS = {"leftsubnet": "10.1.0.0/24", "rightsubnet": "10.2.0.0/24", "authby": "secret", "auto": "add", "mobike": "yes"}
IDS = {"leftid": "@us", "rightid": "@them"}
NET = "local_ts = 10.2.0.0/24\n remote_ts = 10.1.0.0/24"
ROAM = "retransmit_timeout = 1"


def prefer(host: Host, address: str, via: str) -> None:
    """Another address beside the one there is, and the default route from it."""
    host.sysctl(ipv4__conf__all__promote_secondaries=1)
    host.ip("addr", "add", f"{address}/24", "dev", "wan")
    host.ip("route", "replace", "default", "via", via, "dev", "wan", "src", address)


def spis(gateway: Gateway) -> set[str]:
    return {row["said"].partition("@")[0] for row in gateway.json("spi")}


@pytest.mark.long
@pytest.mark.peer
def test_we_move_and_strongswan_follows(lab: Lab) -> None:
    """Twice: to an address beside the old one, then the old one goes; every datagram arrives, once and in order."""
    west = Gateway(lab.west, conn("net", NETS, **IDS, left="%defaultroute", right="192.0.2.2"), SECRETS)
    west.start()
    east = StrongSwan(lab.east, swanctl("192.0.2.2", "%any", "mobike = yes", NET), ROAM)
    lab.west.ip("route", "replace", "default", "via", "192.0.2.2", "dev", "wan", "src", "192.0.2.1")
    wait_for("our address", lambda: "192.0.2.1" in west.status(), 5)
    west.up("net")
    east.wait_children()
    running = flows(lab)
    try:
        with Capture(lab.east) as wire:
            for address in ("192.0.2.11", "192.0.2.12"):
                prefer(lab.west, address, "192.0.2.2")
                wait_for("strongSwan to follow", lambda address=address: f"'us' @ {address}[" in east.sas(), 10, 0.1)  # type: ignore[misc]
            lab.west.ip("addr", "del", "192.0.2.11/24", "dev", "wan")
            assert_ping(lab.sunrise, "10.1.0.2")
            assert_quiet(wire, INNER)
        assert_all_arrived(running)
    finally:
        for flow, heard in running:
            flow.stop()
            heard.close()
    log = east.log()
    # Its user-space packet engine cannot move SAs: it rekeys the child instead, on the same IKE SA.
    assert log.count("N(UPD_SA_ADDR)") == 2 and "N(COOKIE2)" in log and log.count("SA_INIT request") == 1, log
    assert "10.1.0.1" not in log, "what is inside is not announced"
    # Rekeyed by the other end, the same end still decides.
    east.ctl("--rekey", "--ike", "lab")
    wait_for("the IKE SA to be rekeyed", lambda: "rekeyed between" in east.log(), 5)
    prefer(lab.west, "192.0.2.13", "192.0.2.2")
    wait_for("strongSwan to follow once more", lambda: "'us' @ 192.0.2.13[" in east.sas(), 10, 0.1)
    assert_ping(lab.sunset, "10.2.0.2")


@pytest.mark.peer
def test_strongswan_moves_and_we_follow(lab: Lab) -> None:
    server = conn("net", NETS, **IDS, left="192.0.2.1", right="%any")
    west = Gateway(lab.west, server, SECRETS)
    west.start()
    east = StrongSwan(lab.east, swanctl("%any", "192.0.2.1", "mobike = yes", NET), ROAM)
    east.initiate("net")
    west.wait_tunnels()
    assert_ping(lab.sunset, "10.2.0.2")
    with Capture(lab.west) as wire:
        prefer(lab.east, "192.0.2.22", "192.0.2.1")
        lab.east.ip("addr", "del", "192.0.2.2/24", "dev", "wan")
        wait_for("us to follow", lambda: "MOBIKE: the peer has moved" in west.log(), 15, 0.1)
        # Its user-space packet engine finds an SA by the address it was made for: deaf until it has rekeyed the child.
        wait_for("strongSwan's new child", lambda: "CHILD_SA closed" in east.log(), 5, 0.05)
        assert_ping(lab.sunset, "10.2.0.2")
        assert_ping(lab.sunrise, "10.1.0.2")
        assert transfer(lab.sunset, lab.sunrise, "10.2.0.2", 1 << 18).intact
        assert_quiet(wire, INNER)
    assert east.log().count("SA_INIT request") == 1 and "checking path 192.0.2.22" in east.log()
    assert '"net"[1] 192.0.2.2:' not in west.status()
    east.ctl("--terminate", "--ike", "lab")
    wait_for("nothing to be left", lambda: not west.tunnels(), 5, 0.1)


@pytest.mark.matrix
@pytest.mark.parametrize("encapsulation", ["no", "auto"])
def test_two_of_ours_with_raw_esp_and_in_udp(lab: Lab, encapsulation: str) -> None:
    """Beside each other, then nothing at all for a while: what is sent meanwhile waits, and arrives."""
    script, notes = lab.dir / "updown", lab.dir / "notes"
    script.write_text(f"""#!/bin/sh
test "$PLUTO_MOBIKE_EVENT" && echo "$PLUTO_VERB $PLUTO_ME $PLUTO_PEER" >> {notes}
exec ipsec _updown
""")
    script.chmod(0o755)
    more = {"encapsulation": encapsulation, "rightid": "@them", "leftid": "@us", "leftupdown": str(script)}
    west = Gateway(lab.west, conn("net", NETS, **more, left="%defaultroute", right="192.0.2.2"), SECRETS)
    east = Gateway(lab.east, conn("net", NETS, **more, left="%any", right="192.0.2.2"), SECRETS)
    east.start()
    lab.west.ip("route", "replace", "default", "via", "192.0.2.2", "dev", "wan", "src", "192.0.2.1")
    west.start()
    west.up("net")
    east.wait_tunnels()
    before = spis(west)
    running = flows(lab)
    try:
        with Capture(lab.east) as wire:
            prefer(lab.west, "192.0.2.11", "192.0.2.2")
            wait_for("east to follow", lambda: "to 192.0.2.11:" in east.log(), 10, 0.1)
            assert_ping(lab.sunrise, "10.1.0.2")
            assert_quiet(wire, INNER)
        assert_all_arrived(running)
    finally:
        for flow, heard in running:
            flow.stop()
            heard.close()
    with Capture(lab.east) as wire:
        for address in ("192.0.2.11/24", "192.0.2.1/24"):
            lab.west.ip("addr", "del", address, "dev", "wan")
        wait_for("west to be stranded", lambda: "our address is gone" in west.log(), 5, 0.1)
        waiting = lab.sunset.start("ping", "-c", "5", "-i", "0.1", "-W", "5", "10.2.0.2")
        wait_for("a held packet", lambda: "%hold" in west.ipsec("eroute").stdout, 5, 0.1)
        prefer(lab.west, "192.0.2.33", "192.0.2.2")
        said, _ = waiting.communicate(timeout=20)
        assert " 5 received" in said, said + west.log()
        assert_quiet(wire, INNER)
    assert spis(west) == before
    moves = ["192.0.2.1", "192.0.2.11", "192.0.2.11", "192.0.2.33"]
    told = [f"{verb}-client {address} 192.0.2.2" for verb, address in zip(("down", "up") * 2, moves, strict=True)]
    wait_for("what the command was told", lambda: notes.read_text().splitlines() == told, 5, 0.05)
