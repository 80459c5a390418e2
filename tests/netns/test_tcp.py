# SPDX-License-Identifier: GPL-2.0-or-later
"""IKE and ESP in TCP (RFC 9329) between two of ours: asked for, and as what is left when nothing else passes.

sunset - west ======= east - sunrise
"""

from __future__ import annotations

import socket

import pytest

from openswan.base.marks import DEFAULT_MARKS
from openswan.base.numbers import SO_MARK
from tests.netns.capture import Capture
from tests.netns.conns import INNER, NET4, NET6, SECRETS, conn, setup
from tests.netns.gateway import Gateway
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.pair import pair
from tests.netns.traffic import Flow, Receiver, assert_ping, family, learn_path, transfer

SETUP = setup(**{"listen-tcp": "yes"})
FAR = {4: "10.2.0.2", 6: "2001:db8:2::2"}


def conf(base: dict[str, str] = NET4, **more: str) -> str:
    return SETUP + conn("net", base, auto="add", **more)


def block(host: Host, *what: str) -> None:
    """Nothing of this kind gets in or out, whatever leads it past netfilter's usual hooks."""
    for way in ("INPUT", "OUTPUT"):
        host.run("iptables", "-I", way, *what, "-j", "DROP")


def streams(host: Host) -> list[str]:
    """Established TCP connections to or from port 4500: `local remote`."""
    lines = host.run("ss", "-Htn", "state", "established", "( sport = :4500 or dport = :4500 )").stdout.splitlines()
    return [" ".join(line.split()[2:4]) for line in lines]


def break_streams(host: Host) -> None:
    """Reset them all."""
    host.run("ss", "-K", "( sport = :4500 or dport = :4500 )")


def spis(gateway: Gateway) -> set[str]:
    """Of its SAs."""
    return {row["said"] for row in gateway.json("spi")}


@pytest.mark.matrix
@pytest.mark.parametrize("base", [NET4, NET6], ids=["4", "6"])
def test_everything_in_tcp(lab: Lab, base: dict[str, str]) -> None:
    version = 4 if base is NET4 else 6
    both = pair(lab, conf(base, **{"enable-tcp": "yes"}))
    with Capture(lab.east) as wire:
        both.up("net")
        learn_path(lab.sunset, FAR[version], 1472)
        for size in (56, 1300, 4000):
            assert_ping(lab.sunset, FAR[version], size=size)
        assert_ping(lab.sunrise, "10.1.0.2" if version == 4 else "2001:db8:1::2")
        assert transfer(lab.sunset, lab.sunrise, FAR[version]).intact
        assert transfer(lab.sunrise, lab.sunset, "10.1.0.2" if version == 4 else "2001:db8:1::2").intact
        # What carries it is TCP between the outer addresses; nothing else may be seen.
        outer = {base["left"], base["right"]}
        assert not [s for s in wire.leaks(INNER) if s.kind != "tcp" or {s.src, s.dst} != outer]
        kinds = wire.count()
        assert not kinds["esp"] and not kinds["esp-udp"] and not kinds["ike"], kinds
    assert len(streams(lab.west)) == 1
    assert "natencap=tcp" in both.west.ipsec("spi").stdout
    both.west.ipsec("auto", "--down", "net")
    wait_for("the connection to end", lambda: not streams(lab.west), 10)


@pytest.mark.long
def test_a_rekeying_of_both_sas_loses_nothing(lab: Lab) -> None:
    times = {"salifetime": "40s", "ikelifetime": "40s", "rekeymargin": "34s", "rekeyfuzz": "0%"}
    both = pair(lab, conf(**{"enable-tcp": "yes"}, **times))
    both.up("net")
    before = spis(both.west)
    receiver = Receiver(lab.sunrise, "10.2.0.2", 7001)
    flow = Flow(lab.sunset, "10.1.0.2", "10.2.0.2", 7001, b"rekey").start()
    wait_for("other SAs", lambda: not before & spis(both.west), 40, 0.5)
    wait_for("another IKE SA", lambda: "rekeyed" in both.west.log(), 15, 0.5)
    flow.stop()
    wait_for("the last packets", lambda: len(receiver.numbers(b"rekey")) == flow.sent, 3)
    assert len(streams(lab.west)) == 1


@pytest.mark.parametrize("who", ["west", "east"])
def test_a_broken_connection_comes_back(lab: Lab, who: str) -> None:
    both = pair(lab, conf(**{"enable-tcp": "yes"}))
    both.up("net")
    assert_ping(lab.sunset, "10.2.0.2")
    before = streams(lab.west)
    kept = spis(both.west)
    break_streams(lab[who])
    wait_for("another connection", lambda: streams(lab.west) not in ([], before), 5)
    assert_ping(lab.sunset, "10.2.0.2")
    assert_ping(lab.sunrise, "10.1.0.2")
    assert spis(both.west) == kept, "the SAs are the same"
    assert len(streams(lab.east)) == 1


def test_a_listener_that_is_away_for_a_while(lab: Lab) -> None:
    both = pair(lab, conf(**{"enable-tcp": "yes"}))
    both.up("net")
    block(lab.east, "-p", "tcp", "--dport", "4500", "--syn")
    break_streams(lab.west)
    wait_for("the loss to be noticed", lambda: "opening another" in both.west.log(), 5)
    lab.east.run("iptables", "-F")
    wait_for("the connection", lambda: len(streams(lab.west)) == 1, 20)
    assert_ping(lab.sunset, "10.2.0.2")


@pytest.mark.matrix
@pytest.mark.parametrize("base", [NET4, NET6], ids=["4", "6"])
def test_between_the_hosts_themselves(lab: Lab, base: dict[str, str]) -> None:
    """The TCP connection runs between the very addresses that are guarded; nothing else in TCP gets past."""
    hosts = {key: value for key, value in base.items() if not key.endswith("subnet")}
    both = pair(lab, conf(hosts, **{"enable-tcp": "yes"}))
    both.up("net")
    assert len(streams(lab.west)) == 1
    assert_ping(lab.west, base["right"])
    assert_ping(lab.east, base["left"])
    transfer(lab.west, lab.east, base["right"], 200_000)
    with lab.west.inside():
        listener = socket.create_server((base["left"], 5556), family=family(base["left"]))
    # As a stranger's: in clear, from a port a peer's IKE might have; but no socket with our mark waits for it.
    with listener, lab.east.inside(), socket.socket(family(base["left"]), socket.SOCK_STREAM) as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, SO_MARK, DEFAULT_MARKS.own)
        stranger.bind((base["right"], 500))
        stranger.settimeout(2.5)
        with pytest.raises(TimeoutError):
            stranger.connect((base["left"], 5556))


@pytest.mark.long
def test_fallback_when_nothing_but_tcp_passes(lab: Lab) -> None:
    both = pair(lab, conf(**{"enable-tcp": "fallback"}))
    for kind in ("udp", "esp"):
        block(lab.east, "-p", kind)
    both.west.up("net", 30)
    both.settle()
    assert_ping(lab.sunset, "10.2.0.2")
    assert_ping(lab.sunrise, "10.1.0.2")
    assert "no answer in UDP: trying TCP" in both.west.log()


def test_no_fallback_where_udp_is_answered(lab: Lab) -> None:
    both = pair(lab, conf(**{"enable-tcp": "fallback"}))
    both.up("net")
    assert_ping(lab.sunset, "10.2.0.2")
    assert not streams(lab.west) and "TCP" not in both.west.log()


@pytest.mark.long
def test_fallback_to_somebody_who_is_not_there_goes_on_in_both_ways(lab: Lab) -> None:
    west = Gateway(lab.west, conf(**{"enable-tcp": "fallback"}), SECRETS)
    west.start()
    west.ipsec("auto", "--up", "net", check=False)
    wait_for("UDP again", lambda: west.log().count("initiating v2 parent SA") >= 3, 30, 0.2)
    assert west.logged("no TCP connection to 192.0.2.2:4500: Connection refused")


@pytest.mark.long
def test_esp_that_does_not_pass_in_udp_goes_into_tcp(lab: Lab) -> None:
    both = pair(lab, conf(**{"enable-tcp": "fallback"}))
    # IKE on port 4500 has four octets of zero where ESP has its SPI.
    block(lab.east, "-p", "udp", "--dport", "4500", "-m", "u32", "!", "--u32", "0>>22&0x3C@8=0")
    both.up("net")
    for _ in range(3):
        lab.sunset.run("ping", "-c", "4", "-i", "0.2", "-W", "1", "10.2.0.2", check=False)
    wait_for("TCP", lambda: streams(lab.west), 30, 0.2)
    assert "IKE up, ESP in UDP blocked by something on the way" in both.logs(), "whoever was the first to notice"
    both.settle()
    assert_ping(lab.sunset, "10.2.0.2")


@pytest.mark.long
def test_who_says_nothing_or_nonsense_is_shown_the_door(lab: Lab) -> None:
    east = Gateway(lab.east, conf(), SECRETS)
    east.start()
    wait_for("the port", lambda: ":4500" in lab.east.run("ss", "-Htln").stdout, 5)

    def connected() -> socket.socket:
        with lab.west.inside():
            sock = socket.create_connection(("192.0.2.2", 4500), 5)
        sock.settimeout(15)
        return sock

    for octets in (b"GET / HTTP/1.1\r\n\r\n", b"IKETCP\0\0", b"IKETCP\0\1", b"\0\1\2\3\4\5"):
        with connected() as sock:
            sock.sendall(octets)
            assert gone(sock), octets
    with connected() as sock:
        assert gone(sock), "after ten seconds of silence"
    many = [connected() for _ in range(40)]
    refused = sum(gone(sock, 0.2) for sock in many)
    for sock in many:
        sock.close()
    assert refused == 8, "32 for each source"


def gone(sock: socket.socket, wait: float = 15) -> bool:
    sock.settimeout(wait)
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
