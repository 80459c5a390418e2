# SPDX-License-Identifier: GPL-2.0-or-later
"""Sent to another gateway (RFC 5685) by libreswan, and libreswan by us; the other gateway is another address of each.

sunset ----lan---- west (ours) =======wan======= virtual machine: libreswan, 192.0.2.2 and .3, behind it 10.2.0.1
                   192.0.2.1 and .9
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.netns.conns import NET4, SECRETS, conn, setup
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, wait_for
from tests.netns.libreswan import Libreswan
from tests.netns.traffic import assert_ping

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600), pytest.mark.xdist_group("kernelpeer")]

BASE = {**NET4, "leftid": "@west", "rightid": "@east", "encapsulation": "no"}
THERE, HERE = "192.0.2.3", "192.0.2.9"
KERNEL = "config setup\n    uniqueids=yes\n\n"
KERNEL += conn("net", BASE, ikev2="insist", auto="ignore", **{"accept-redirect": "yes", "accept-redirect-to": HERE})
KERNEL += conn("sent", BASE, ikev2="insist", auto="ignore", **{"send-redirect": "yes", "redirect-to": THERE})
KERNEL += conn("other", {**BASE, "right": THERE}, ikev2="insist", auto="ignore")


@dataclass
class Stage:
    """Both gateways."""

    lab: Lab
    west: Gateway
    east: Libreswan

    def play(self, text: str, *names: str) -> None:
        """Give ours its conns."""
        self.west.configure(text)
        self.west.ipsec("setup", "restart")
        for name in names:
            self.west.ipsec("auto", "--add", name, check=False)

    def kernel(self) -> str:
        """The kernel's SAs."""
        return self.east.sh("ip xfrm state")


@pytest.fixture(scope="module")
def _stage() -> Iterator[Stage]:
    with Lab("vm") as lab:
        east = Libreswan(lab.west, KERNEL, SECRETS + "\n")
        east.sh(f"ip addr add {THERE}/24 dev eth0; ipsec whack --listen")
        lab.west.ip("addr", "add", f"{HERE}/24", "dev", "tap0")
        west = Gateway(lab.west, "", SECRETS)
        west.start()
        yield Stage(lab, west, east)


@pytest.fixture
def stage(_stage: Stage) -> Iterator[Stage]:
    """The stage; both logs are shown when the test fails."""
    try:
        yield _stage
        _stage.west.ipsec("auto", "--delete", "net", check=False)
        _stage.west.ipsec("auto", "--delete", "nine", check=False)
        for name in ("net", "sent", "other"):
            _stage.east.sh(f"ipsec auto --down {name}", check=False)
    finally:
        print(_stage.east.sh("tail -60 /tmp/pluto.log", check=False), _stage.west.log(), sep="\n")


def follows(stage: Stage) -> None:
    more = {"accept-redirect": "yes", "accept-redirect-to": THERE}
    stage.play(conn("net", BASE, auto="add", **more), "net")


def arrived(stage: Stage) -> None:
    wait_for("the tunnel to the other address", lambda: any(r["dst"] == THERE for r in stage.west.json("spi")), 20, 0.3)
    stage.west.wait_tunnels()
    assert_ping(stage.lab.sunset, "10.2.0.1", wait=4)
    assert stage.west.logged(f"192.0.2.2 redirects us to {THERE}")


@pytest.mark.long
def test_libreswan_sends_us_away_in_ike_auth(stage: Stage) -> None:
    stage.east.sh("ipsec auto --delete net", check=False)
    follows(stage)
    stage.west.up("net", 30)
    arrived(stage)
    stage.east.sh("ipsec auto --add net; ipsec auto --delete sent", check=False)


@pytest.mark.long
def test_libreswan_sends_us_away_at_any_time(stage: Stage) -> None:
    stage.east.sh("ipsec auto --delete sent; ipsec auto --add net", check=False)
    follows(stage)
    stage.west.up("net", 30)
    assert_ping(stage.lab.sunset, "10.2.0.1", wait=4)
    stage.east.sh(f"ipsec whack --name net --redirect-to {THERE}")
    arrived(stage)


@pytest.mark.matrix
@pytest.mark.parametrize("when", ["first", "proved", "by hand"])
def test_we_send_libreswan_away(stage: Stage, when: str) -> None:
    stage.east.sh("ipsec auto --delete sent; ipsec auto --add net", check=False)
    base = {**BASE, "overlapip": "yes"}
    head = setup(**{"global-redirect": "yes", "global-redirect-to": HERE}) if when == "first" else ""
    more = {"send-redirect": "yes", "redirect-to": HERE} if when == "proved" else {}
    conns = conn("net", base, auto="add", **more) + conn("nine", {**base, "left": HERE}, auto="add")
    stage.play(head + conns, "net", "nine")
    stage.east.sh("ipsec auto --up net", 60, check=False)
    if when == "by hand":
        stage.west.ipsec("whack", "--redirect-to", HERE, "--name", "net")
    wait_for("libreswan at the other address", lambda: f"src {HERE}" in stage.kernel(), 20, 0.5)
    stage.west.wait_tunnels()
    assert_ping(stage.lab.sunset, "10.2.0.1", wait=4)
