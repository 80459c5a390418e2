# SPDX-License-Identifier: GPL-2.0-or-later
"""Between two of ours: transport mode, AH and IPComp, negotiated, with traffic, and what the wire shows.

sunset ----lan---- west =======wan======= east ----lan---- sunrise
"""

from __future__ import annotations

import os
import re

import pytest

from tests.netns.capture import Capture
from tests.netns.conns import INNER, NET4, NET6, SECRETS, conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Host, Lab
from tests.netns.pair import Pair, pair
from tests.netns.traffic import Receiver, assert_ping, learn_path, transfer, udp_socket

HOSTS4 = {"left": "192.0.2.1", "right": "192.0.2.2", "authby": "secret", "type": "transport"}
HOSTS6 = {"left": "2001:db8::1", "right": "2001:db8::2", "authby": "secret", "type": "transport"}
RAW = {"encapsulation": "no"}


def carried(both: Pair) -> dict[str, int]:
    """Packets that west's SAs have carried, by protocol."""
    rows = both.west.json("spi")
    return {kind: sum(row["packets"] for row in rows if row["said"].startswith(kind)) for kind in ("esp", "ah", "comp")}


def proved(here: Host, there: Host, target: str, both: Pair, sizes: tuple[int, ...] = (56, 1300)) -> None:
    """Pings and a few megabytes of TCP."""
    for size in sizes:
        assert_ping(here, target, size=size)
    assert transfer(here, there, target).intact, both.logs()


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("name", "base", "more", "kind"),
    [
        ("udp", HOSTS4, {}, "esp-udp"),
        ("raw", HOSTS6, RAW, "esp"),
        ("ah4", HOSTS4, {"phase2": "ah"}, "proto-51"),
        ("ah6", HOSTS6, {"phase2": "ah", "compress": "yes", "ah": "sha1"}, "proto-51"),
    ],
)
def test_transport_mode_between_two_hosts(
    lab: Lab, name: str, base: dict[str, str], more: dict[str, str], kind: str
) -> None:
    both = pair(lab, conn(name, base, auto="add", **more))
    said = both.west.up(name)
    assert "established transport mode" in said, said
    both.settle()
    with Capture(lab.west) as wire:
        proved(lab.west, lab.east, base["right"], both)
        assert_ping(lab.east, base["left"])
    seen = wire.count()
    assert seen[kind] > 20 and not any(seen[k] for k in ("esp", "esp-udp", "proto-51") if k != kind), seen
    assert carried(both)["ah" if "phase2" in more else "esp"] > 20
    assert not wire.leaks(INNER) or "phase2" in more, wire.leaks(INNER)[:5]
    both.west.ipsec("auto", "--down", name)


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("name", "base", "more"),
    [
        ("ah", NET4, {"phase2": "ah", "phase2alg": "aes_xcbc"}),
        ("comp", NET4, {"compress": "yes"}),
        ("comp6", NET6, {"compress": "yes", **RAW}),
    ],
)
def test_tunnels_of_ah_and_with_compression(lab: Lab, name: str, base: dict[str, str], more: dict[str, str]) -> None:
    both = pair(lab, conn(name, base, auto="add", **more))
    both.up(name)
    far, near = ("10.2.0.2", "10.1.0.2") if base is NET4 else ("2001:db8:2::2", "2001:db8:1::2")
    learn_path(lab.sunset, far, 1472)
    proved(lab.sunset, lab.sunrise, far, both, (56, 1300, 4000))
    assert_ping(lab.sunrise, near)
    packets = carried(both)
    assert packets["ah" if name == "ah" else "comp"] > 20, packets
    line = re.search("established tunnel mode {.*", both.west.log())
    assert line and ("IPCOMP=>0x" in line[0]) == (name != "ah") and ("{AH=>" in line[0]) == (name == "ah"), line


def test_transport_mode_behind_a_masquerading_router(nat_lab: Lab) -> None:
    lab = nat_lab
    ends = {"right": "192.0.2.2", "rightid": "@east", "leftid": "@west", "authby": "secret", "type": "transport"}
    west = Gateway(lab.west, conn("host", ends, left="192.168.7.2", auto="add"), SECRETS)
    east = Gateway(lab.east, conn("host", ends, left="%any", auto="add"), SECRETS)
    east.start()
    west.start()
    with Capture(lab.east) as wire:
        assert "established transport mode" in west.up("host")
        east.wait_tunnels()
        assert_ping(lab.west, "192.0.2.2")
        # TCP and UDP checksums were made for other addresses than the receiver sees.
        assert transfer(lab.west, lab.east, "192.0.2.2").intact, west.log() + east.log()
    assert wire.count()["esp-udp"] > 50 and not wire.count()["esp"]


def test_ah_across_a_nat_is_refused_with_the_reason(nat_lab: Lab) -> None:
    lab = nat_lab
    ends = {"right": "192.0.2.2", "rightid": "@east", "leftid": "@west", "authby": "secret", "phase2": "ah"}
    west = Gateway(lab.west, conn("ah", ends, left="192.168.7.2", auto="add", keyingtries="1"), SECRETS)
    east = Gateway(lab.east, conn("ah", ends, left="%any", auto="add"), SECRETS)
    east.start()
    west.start()
    done = west.ipsec("auto", "--up", "ah", check=False)
    assert done.returncode and "AH cannot pass the NAT" in done.stdout, done.stdout


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("name", "base", "more"),
    [
        ("udp4", HOSTS4, {}),
        ("raw6", HOSTS6, RAW),
        ("ah4", HOSTS4, {"phase2": "ah"}),
        ("comp6", HOSTS6, {"compress": "yes", **RAW}),
    ],
)
def test_a_hosts_long_datagrams_in_transport_mode(
    lab: Lab, name: str, base: dict[str, str], more: dict[str, str]
) -> None:
    both = pair(lab, conn(name, base, auto="add", **more))
    both.up(name)
    there = base["right"]
    echo = Receiver(lab.east, there, 7001, echo=True)
    with Capture(lab.west) as wire, udp_socket(lab.west, base["left"]) as s:
        s.settimeout(2)
        # As any program does: the kernel knows ipsec0's MTU, sets DF on what fits it, and learns the path's.
        for size in (1400, 1472, 1473, 3000, 9000, 60000):
            for attempt in range(3):
                payload = os.urandom(size)
                try:
                    s.sendto(payload, (there, 7001))
                    assert s.recv(65536) == payload
                    break
                except (TimeoutError, OSError):
                    # The first one that is too big for the path is how the kernel learns it.
                    assert attempt < 2, f"{size} octets: {both.logs()}"
    assert not wire.leaks(INNER) or "phase2" in more, wire.leaks(INNER)[:5]
    assert echo.got
    drops = both.west.json("whack", "--counters")["engine"]
    assert not any(drops[key] for key in drops if key.startswith("fragment")), drops
