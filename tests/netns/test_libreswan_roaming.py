# SPDX-License-Identifier: GPL-2.0-or-later
"""MOBIKE and assigned addresses with libreswan: an end moves under traffic, either hands an address to the other.

sunset ----lan---- west (ours) =======wan======= virtual machine: libreswan, behind it 10.2.0.1
                   192.0.2.1 and .11,            192.0.2.2; 192.0.2.3 and .4 is what moves
                   203.0.113.1
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.netns.capture import Capture
from tests.netns.conns import INNER, SECRETS, conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, LabError, wait_for
from tests.netns.libreswan import Libreswan
from tests.netns.test_addresses import has
from tests.netns.traffic import Flow, Receiver, assert_ping

pytestmark = [
    pytest.mark.peer,
    pytest.mark.matrix,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("kernelpeer"),
]

IDS = {"leftid": "@west", "rightid": "@east", "authby": "secret"}
NETS = {**IDS, "leftsubnet": "10.1.0.0/24", "rightsubnet": "10.2.0.0/24", "mobike": "yes"}
KERNEL_SECRETS = f"@west @east {SECRETS}\n"
POOL = "10.9.0.10-10.9.0.20"
encapsulation = pytest.mark.parametrize(
    ("ours", "theirs"),
    [pytest.param("no", "no", id="raw"), pytest.param("yes", "auto", id="udp")],
)
"""With encapsulation=yes libreswan takes itself to be behind a NAT, and then does not do MOBIKE."""


@dataclass
class Stage:
    """Both gateways."""

    lab: Lab
    west: Gateway
    east: Libreswan

    def play(self, theirs: dict[str, str], ours: dict[str, str]) -> None:
        """Give either side its conn `net`."""
        self.east.add("net", conn("net", ikev2="insist", auto="ignore", **theirs))
        self.west.configure(conn("net", auto="add", **ours), SECRETS)
        self.west.ipsec("auto", "--add", "net")

    def kernel(self) -> str:
        """The kernel's SAs."""
        return self.east.sh("ip xfrm state")


@pytest.fixture(scope="module")
def _stage() -> Iterator[Stage]:
    with Lab("vm") as lab:
        east = Libreswan(lab.west, "config setup\n    uniqueids=yes\n", KERNEL_SECRETS)
        lab.west.sysctl(ipv4__conf__all__promote_secondaries=1)
        lab.west.ip("addr", "add", "203.0.113.1/32", "dev", "tap0")
        west = Gateway(lab.west, "", SECRETS)
        west.start()
        yield Stage(lab, west, east)


@pytest.fixture
def stage(_stage: Stage) -> Iterator[Stage]:
    """The stage, empty before and afterwards; both logs are shown when the test fails."""
    try:
        yield _stage
    finally:
        print(_stage.east.log(), _stage.west.log(), sep="\n")
        _stage.west.ipsec("auto", "--delete", "net", check=False)
        _stage.east.sh("ipsec auto --delete net", check=False)


class Echoes:
    """Fifty datagrams a second from sunset to the guest and back."""

    def __init__(self, stage: Stage) -> None:
        self.back = Receiver(stage.lab.sunset, "10.1.0.2", 7002)
        self.flow = Flow(stage.lab.sunset, "10.1.0.2", "10.2.0.1", 7001, b"<<echo>>", pace=0.02).start()

    def end(self) -> list[int]:
        """Send no more; the numbers that did not come back, once what is under way has had its time."""
        self.flow.stop()
        try:
            wait_for("the last echo", lambda: len(self.back.got) >= self.flow.sent, 4)
        except LabError:
            pass
        self.back.close()
        assert not self.flow.errors, self.flow.errors
        numbers = self.back.numbers(self.flow.marker)
        assert len(numbers) == len(set(numbers)), "twice"
        return sorted(set(range(self.flow.sent)) - set(numbers))


def clear_packets(wire: Capture) -> list[object]:
    """What showed in clear, except for the orders to the guest."""
    return [s for s in wire.leaks(INNER) if s.kind != "tcp"]


@pytest.mark.long
@encapsulation
def test_we_move_and_libreswan_follows(stage: Stage, ours: str, theirs: str) -> None:
    """In raw ESP and in UDP; the kernel's SAs are the same, at another address.

    Its move is no single step: hardly anything is lost, where between two of ours nothing is.
    """
    lab = stage.lab
    lab.west.ip("route", "replace", "default", "via", "192.0.2.2", "dev", "tap0", "src", "192.0.2.1")
    both = {**NETS, "right": "192.0.2.2"}
    stage.play(
        {**both, "left": "%any", "encapsulation": theirs}, {**both, "left": "%defaultroute", "encapsulation": ours}
    )
    stage.west.up("net", 40)
    stage.west.wait_tunnels()
    assert_ping(lab.sunset, "10.2.0.1", wait=4)
    spis = set(re.findall(r"spi (0x[0-9a-f]+)", stage.kernel()))
    echoes = Echoes(stage)
    try:
        with Capture(lab.west, "tap0") as wire:
            lab.west.ip("addr", "add", "192.0.2.11/24", "dev", "tap0")
            lab.west.ip("route", "replace", "default", "via", "192.0.2.2", "dev", "tap0", "src", "192.0.2.11")
            wait_for("libreswan to follow", lambda: "192.0.2.11" in stage.kernel(), 15, 0.3)
            assert_ping(lab.sunset, "10.2.0.1", wait=4)
            assert not clear_packets(wire)
        lost = echoes.end()
        assert len(lost) <= 3, lost
        assert set(re.findall(r"spi (0x[0-9a-f]+)", stage.kernel())) == spis
        assert "MOBIKE" in stage.east.sh("cat /tmp/pluto.log").upper()
    finally:
        echoes.flow.stop()
        echoes.back.close()
        lab.west.ip("addr", "del", "192.0.2.11/24", "dev", "tap0", check=False)
        lab.west.ip("route", "del", "default", check=False)


@pytest.mark.long
@pytest.mark.parametrize("ours", [pytest.param("no", id="raw"), pytest.param("yes", id="udp")])
def test_libreswan_moves_and_we_follow(stage: Stage, ours: str) -> None:
    """Its address goes, and it moves to the one it reaches the next router from.

    With our encapsulation=yes it takes itself to be behind a NAT, and moves all the same.
    """
    lab, east = stage.lab, stage.east
    east.sh("ip addr add 192.0.2.3/24 dev eth0; ipsec whack --listen")
    both = {**NETS, "left": "203.0.113.1"}
    stage.play({**both, "right": "192.0.2.3"}, {**both, "right": "%any", "encapsulation": ours})
    try:
        east.sh("ipsec auto --up net", 60)
        stage.west.wait_tunnels()
        assert "192.0.2.3" in stage.kernel()
        assert_ping(lab.sunset, "10.2.0.1", wait=4)
        before = {row["said"].partition("@")[0] for row in stage.west.json("spi")}
        moved = "MOBIKE: the peer has moved"
        moves = stage.west.log().count(moved)
        echoes = Echoes(stage)
        with Capture(lab.west, "tap0") as wire:
            east.sh("ip addr del 192.0.2.3/24 dev eth0")
            wait_for("us to follow", lambda: stage.west.log().count(moved) > moves, 20, 0.2)
            answered = len(echoes.back.got)
            wait_for("an echo from the new address", lambda: len(echoes.back.got) > answered, 10)
            assert_ping(lab.sunset, "10.2.0.1", wait=4)
            assert not clear_packets(wire)
            update = next(s.when for s in wire.packets(lambda s: s.kind == "ike" and s.src == "192.0.2.2"))
            back = next(s.when for s in wire.packets(lambda s: s.kind in ("esp", "esp-udp") and s.src == "192.0.2.2"))
        lost = echoes.end()
        # How long libreswan thinks about it is its own affair; what is under way to the old address cannot arrive.
        assert back - update < 1.0, (update, back)
        assert not lost or lost == list(range(lost[0], lost[-1] + 1)), lost
        assert {row["said"].partition("@")[0] for row in stage.west.json("spi")} == before
        assert "192.0.2.3" not in stage.kernel()
    finally:
        east.sh("ip addr del 192.0.2.3/24 dev eth0", check=False)


@pytest.mark.long
def test_we_get_an_address_from_libreswan(stage: Stage) -> None:
    lab, west = stage.lab, stage.west
    both = {**IDS, "right": "192.0.2.2", "rightsubnet": "10.2.0.0/24", "encapsulation": "no"}
    stage.play(
        {**both, "left": "%any", "leftaddresspool": POOL, "leftmodecfgclient": "yes", "rightmodecfgserver": "yes",
         "modecfgdns": "10.2.0.53", "narrowing": "yes"},
        {**both, "left": "192.0.2.1", "leftsourceip": "%config"},
    )  # fmt: skip
    for _ in range(2):
        west.up("net", 40)
        west.wait_tunnels()
        assert has(lab.west, "10.9.0.10", "ipsec0"), west.log()
        assert_ping(lab.west, "10.2.0.1", wait=4)
        answer = stage.east.sh("ping -n -c 2 -i 0.2 -W 4 -I 10.2.0.1 10.9.0.10")
        assert "2 received" in answer, answer
        assert "dns: 10.2.0.53" in west.status()
        west.ipsec("auto", "--down", "net")
        wait_for("libreswan to take it back", lambda: "proto esp" not in stage.kernel(), 8, 0.3)
    west.ipsec("auto", "--delete", "net")
    wait_for("the address to be taken back", lambda: not has(lab.west, "10.9.0.10"), 5, 0.1)


@pytest.mark.long
def test_libreswan_gets_an_address_from_us(stage: Stage) -> None:
    both = {**IDS, "left": "192.0.2.1", "leftsubnet": "10.1.0.0/24", "encapsulation": "no"}
    stage.play(
        {**both, "right": "192.0.2.2", "rightmodecfgclient": "yes", "leftmodecfgserver": "yes", "narrowing": "yes",
         "rightsubnet": "0.0.0.0/0"},
        {**both, "right": "%any", "rightaddresspool": POOL, "leftmodecfgserver": "yes", "rightmodecfgclient": "yes",
         "modecfgdns": "10.1.0.53"},
    )  # fmt: skip
    stage.east.sh("ipsec auto --up net", 60)
    stage.west.wait_tunnels()
    assert "10.9.0.10/32" in stage.east.sh("ip xfrm policy")
    assert_ping(stage.lab.sunset, "10.9.0.10", wait=4)
    answer = stage.east.sh("ping -n -c 2 -i 0.2 -W 4 -I 10.9.0.10 10.1.0.2")
    assert "2 received" in answer, answer
    (pool,) = stage.west.json("auto", "--status")["pools"]
    assert pool["in_use"] == 1
    stage.east.sh("ipsec auto --down net", check=False)
    wait_for("no tunnel", lambda: not stage.west.tunnels(), 8, 0.2)
