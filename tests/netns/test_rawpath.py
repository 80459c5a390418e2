# SPDX-License-Identifier: GPL-2.0-or-later
"""Raw ESP past the kernel's IP layer: taken when it is worth while, given up for whatever the kernel alone can do.

sunset ----lan---- west =======wan======= east ----lan---- sunrise
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from tests.bench.machine import spent
from tests.netns.capture import Capture, assert_quiet
from tests.netns.conns import INNER, NET4, NET6, conn, setup
from tests.netns.gateway import Gateway
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.pair import Pair, pair
from tests.netns.traffic import Flow, Receiver, assert_ping, iperf3, learn_path, ping

pytestmark = [pytest.mark.netns, pytest.mark.timeout(120)]

OUT, BACK_OUT = "goes by packet socket to", "goes by the raw socket again"
IN, BACK_IN = "packet ring", "comes by the raw sockets again"
FAR = {4: "10.2.0.2", 6: "2001:db8:2::2"}


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab() as made:
        yield made


def gateways(lab: Lab, version: int = 4, **setup_words: str) -> Pair:
    """Both, with a tunnel of raw ESP."""
    both = pair(lab, setup(**setup_words) + conn("net", NET4 if version == 4 else NET6, auto="add", encapsulation="no"))
    both.up("net")
    assert_ping(lab.sunset, FAR[version])
    return both


def rings(host: Host) -> int:
    """Packet sockets of all protocols."""
    return host.run("cat", "/proc/net/packet").stdout.count(" 0003 ")


def tables(host: Host) -> list[str]:
    """Tables whose chains see packets at ingress."""
    return re.findall(r"openswan_esp\w*", host.run("nft", "list", "tables", "netdev").stdout)


def drops(host: Host) -> bool:
    """Does one of them drop any?"""
    return any(" drop" in host.run("nft", "list", "table", "netdev", name).stdout for name in tables(host))


def bulk(lab: Lab, both: Pair, version: int = 4, tries: int = 5) -> float:
    """TCP until west sends past the IP layer and east receives so; Mbit/s of the last run."""
    for _ in range(tries):
        rate = iperf3(lab.sunset, lab.sunrise, FAR[version], 1)
        if said(both.west, OUT) > said(both.west, BACK_OUT) and said(both.east, IN):
            return rate
    raise AssertionError(both.logs())


def said(gateway: Gateway, words: str) -> int:
    """Lines of the log with these words."""
    return sum(words in line for line in gateway.log(400).splitlines() if "raw ESP" in line)


@pytest.mark.matrix
@pytest.mark.parametrize("version", [4, 6])
def test_bulk_takes_the_short_way_and_nothing_else_shows_on_the_wire(lab: Lab, version: int) -> None:
    both = gateways(lab, version)
    assert not said(both.west, OUT) and not rings(lab.east)  # a ping is not worth it
    bulk(lab, both, version)
    with Capture(lab.east) as wire, Capture(lab.west) as here:
        iperf3(lab.sunset, lab.sunrise, FAR[version], 1, options=("-b", "100M"))
        assert_ping(lab.sunset, FAR[version], 5)
    for each in (wire, here):
        assert_quiet(each, INNER)
        assert each.count()["esp"] > 1000, each.count()
    # When the load has gone, so has the ring, which would only add delay.
    wait_for("the end of the ring", lambda: said(both.east, BACK_IN) and not drops(lab.east), 5)
    assert tables(lab.east), "a hook that goes would take with it what waits in NFQUEUE"
    wait_for("its socket", lambda: not rings(lab.east), 5)
    assert_ping(lab.sunset, FAR[version], 5)
    assert_ping(lab.sunrise, "10.1.0.2" if version == 4 else "2001:db8:1::2", 5)
    both.east.stop()
    wait_for("the table's end", lambda: not tables(lab.east), 5)


@pytest.mark.long
def test_both_directions_at_once_and_large_datagrams(lab: Lab) -> None:
    both = gateways(lab)
    bulk(lab, both)
    assert iperf3(lab.sunset, lab.sunrise, FAR[4], 2, options=("--bidir",)) > 0
    # Outer fragments stay with the raw sockets, while the ring is there.
    sink = Receiver(lab.sunrise, "10.2.0.2", 7001)
    flow = Flow(lab.sunset, "10.1.0.2", "10.2.0.2", 7001, b"big", size=4000, pace=0.02).start()
    iperf3(lab.sunset, lab.sunrise, FAR[4], 1)
    flow.stop()
    wait_for("large datagrams", lambda: len(sink.numbers(b"big")) > flow.sent * 0.8, 5)


def test_a_neighbour_that_changes_is_found_again(lab: Lab) -> None:
    both = gateways(lab)
    bulk(lab, both)
    lab.east.ip("link", "set", "wan", "down")
    lab.east.ip("link", "set", "wan", "address", "02:00:00:00:00:77")
    lab.east.ip("link", "set", "wan", "up")
    lab.east.ip("route", "replace", "default", "via", "192.0.2.1")
    lab.west.ip("neigh", "flush", "dev", "wan")
    wait_for("the old neighbour forgotten", lambda: said(both.west, BACK_OUT), 5)
    wait_for("an answer", lambda: ping(lab.sunset, FAR[4], 1, wait=0.5).received == 1, 20)
    for _ in range(10):
        iperf3(lab.sunset, lab.sunrise, FAR[4], 1)
        if "02:00:00:00:00:77" in both.west.log(400):
            break
        time.sleep(1)
    else:
        raise AssertionError(both.west.log())


@pytest.mark.long
def test_a_neighbour_in_use_stays_checked(lab: Lab) -> None:
    lab.west.sysctl(ipv4__neigh__wan__base_reachable_time_ms=2000, ipv4__neigh__wan__delay_first_probe_time=1)
    both = gateways(lab)
    bulk(lab, both)
    seen = set()
    for _ in range(4):
        iperf3(lab.sunset, lab.sunrise, FAR[4], 1)
        seen.add(lab.west.ip("neigh", "show", "192.0.2.2", "dev", "wan").split()[-1])
    assert seen <= {"REACHABLE", "DELAY", "PROBE", "STALE"} and "REACHABLE" in seen, seen
    assert said(both.west, BACK_OUT) == 0


@pytest.mark.long
def test_a_narrower_interface(lab: Lab) -> None:
    both = gateways(lab)
    bulk(lab, both)
    for host in (lab.west, lab.east):
        host.ip("link", "set", "wan", "mtu", "1300")
    assert iperf3(lab.sunset, lab.sunrise, FAR[4], 1) > 0
    learn_path(lab.sunset, FAR[4], 1272)
    assert_ping(lab.sunset, FAR[4], 3, size=1272)
    lab.west.ip("link", "set", "wan", "mtu", "1500")
    lab.east.ip("link", "set", "wan", "mtu", "1500")
    assert iperf3(lab.sunset, lab.sunrise, FAR[4], 1) > 0


@pytest.mark.long
def test_an_interface_that_goes_down_and_comes_back(lab: Lab) -> None:
    both = gateways(lab)
    for host, via in ((lab.east, "192.0.2.1"), (lab.west, "192.0.2.2")):
        bulk(lab, both)
        host.ip("link", "set", "wan", "down")
        ping(lab.sunset, FAR[4], 3, wait=0.2)
        before = spent(both.west.pid) + spent(both.east.pid)
        time.sleep(1)
        assert spent(both.west.pid) + spent(both.east.pid) - before < 0.7  # nobody spins
        host.ip("link", "set", "wan", "up")
        host.ip("route", "replace", "default", "via", via)
        wait_for("an answer", lambda: ping(lab.sunset, FAR[4], 1, wait=0.5).received == 1, 30)
    assert iperf3(lab.sunset, lab.sunrise, FAR[4], 1) > 0


@pytest.mark.long
def test_a_killed_daemon_leaves_nothing_in_the_way_of_the_next(lab: Lab) -> None:
    both = gateways(lab)
    bulk(lab, both)
    for _ in range(20):
        iperf3(lab.sunset, lab.sunrise, FAR[4], 1)
        if drops(lab.east):
            break
    for gateway in (both.east, both.west):
        gateway.kill()
    wait_for("the table's end", lambda: not tables(lab.east) and not rings(lab.east), 5)
    for gateway in (both.east, both.west):
        gateway.start()
    both.up("net")
    wait_for("an answer", lambda: ping(lab.sunset, FAR[4], 1, wait=0.5).received == 1, 20)
    assert iperf3(lab.sunset, lab.sunrise, FAR[4], 1) > 0


def test_packet_sockets_no_keeps_to_the_raw_socket(lab: Lab) -> None:
    both = gateways(lab, **{"packet-sockets": "no"})
    iperf3(lab.sunset, lab.sunrise, FAR[4], 2)
    for gateway, host in ((both.west, lab.west), (both.east, lab.east)):
        assert "raw ESP" not in gateway.log(400) and not tables(host)
        assert len(host.run("cat", "/proc/net/packet").stdout.splitlines()) == 1


def test_a_link_that_is_no_ethernet_is_left_to_the_kernel(lab: Lab) -> None:
    # West reaches east through a TUN without ethernet header that leads nowhere: nothing is ever asked of it.
    both = gateways(lab)
    lab.west.ip("tuntap", "add", "p2p", "mode", "tun")
    lab.west.ip("link", "set", "p2p", "up")
    bulk(lab, both)
    lab.west.ip("route", "add", "192.0.2.2/32", "dev", "p2p")
    wait_for("the change", lambda: said(both.west, BACK_OUT), 5)
    lab.west.ip("route", "del", "192.0.2.2/32", "dev", "p2p")
    assert_ping(lab.sunset, FAR[4])
