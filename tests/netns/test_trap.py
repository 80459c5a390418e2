# SPDX-License-Identifier: GPL-2.0-or-later
"""auto=route: the first packet brings the tunnel up and is not lost, whoever sends it.

sunset ----lan---- west =======wan======= east ----lan---- sunrise
"""

from __future__ import annotations

import socket
import time

import pytest

from tests.netns.capture import Capture, assert_quiet
from tests.netns.conns import INNER, NET4, NET6, conn
from tests.netns.lab import Lab, wait_for
from tests.netns.pair import pair
from tests.netns.traffic import Flow, Receiver, ping, transfer, udp_socket

ENDS = {
    ("forwarded", 4): ("sunset", "10.1.0.2", "10.2.0.2"),
    ("forwarded", 6): ("sunset", "2001:db8:1::2", "2001:db8:2::2"),
    ("local", 4): ("west", "10.1.0.1", "10.2.0.2"),
    ("local", 6): ("west", "2001:db8:1::1", "2001:db8:2::2"),
}
each_end = pytest.mark.parametrize("way", ENDS, ids=lambda way: f"{way[0]}-ipv{way[1]}")


def trapped(lab: Lab):  # type: ignore[no-untyped-def]
    """West traps both families, east answers."""
    text = "".join(conn(f"net{f}", base, auto="add") for f, base in ((4, NET4), (6, NET6)))
    both = pair(lab, text.replace("auto=add", "auto=route"), text)
    wait_for("the traps", lambda: both.west.ipsec("eroute").stdout.count("%trap") >= 2, 5)
    return both


@pytest.mark.matrix
@each_end
def test_a_single_ping_is_answered(lab: Lab, way: tuple[str, int]) -> None:
    name, source, target = ENDS[way]
    trapped(lab)
    with Capture(lab.west) as wire:
        assert ping(lab[name], target, 1, source, wait=5).received == 1
        assert_quiet(wire, INNER)


@pytest.mark.matrix
@each_end
def test_a_burst_of_datagrams_arrives_whole_and_in_order(lab: Lab, way: tuple[str, int]) -> None:
    name, source, target = ENDS[way]
    trapped(lab)
    heard = Receiver(lab.sunrise, target, 7001)
    s = udp_socket(lab[name], source)
    with Capture(lab.west) as wire:
        for number in range(40):
            s.sendto(b"<<burst>>" + number.to_bytes(8, "big") + bytes(500), (target, 7001))
        wait_for("forty datagrams", lambda: len(heard.got) >= 40, 5)
        assert_quiet(wire, INNER, [b"<<burst>>"])
    s.close()
    assert heard.numbers(b"<<burst>>") == list(range(40))


@pytest.mark.matrix
@each_end
def test_the_first_syn_is_the_only_one(lab: Lab, way: tuple[str, int]) -> None:
    """The held SYN goes through the tunnel itself; none has to be sent again."""
    name, source, target = ENDS[way]
    trapped(lab)
    with Capture(lab.sunrise, "lan") as far:
        assert transfer(lab[name], lab.sunrise, target, 1 << 20, source).intact
        far.close()
        syn = far.packets(lambda s: s.kind == "tcp" and s.data[14 + (20 if way[1] == 4 else 40) + 13] & 0x3F == 2)
    assert len({s.data[14 + (20 if way[1] == 4 else 40) + 4 :][:4] for s in syn}) == 1


def test_an_unbound_local_socket_meets_no_error(lab: Lab) -> None:
    """With leftsourceip even a socket that never chose a source ends up in the tunnel."""
    text = conn("net", NET4, auto="add")
    sourced = conn("net", NET4, auto="route", leftsourceip="10.1.0.1")
    both = pair(lab, sourced, text)
    wait_for("the trap", lambda: "%trap" in both.west.ipsec("eroute").stdout, 5)
    heard = Receiver(lab.sunrise, "10.2.0.2", 7001, echo=True)
    with lab.west.inside():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(5)
    s.connect(("10.2.0.2", 7001))
    s.send(b"hello")
    assert s.recv(100) == b"hello"
    assert s.getsockname()[0] == "10.1.0.1"
    s.close()
    heard.close()


@pytest.mark.matrix
@pytest.mark.parametrize("first", ["west", "east", "both"])
def test_both_ends_hold_and_neither_loses_a_packet(lab: Lab, first: str) -> None:
    """Whoever's packet comes first, or both at once: what either holds is sent when the other can read it."""
    both = pair(lab, conn("net", NET4, auto="route"))
    for gateway in (both.west, both.east):
        wait_for("the trap", lambda g=gateway: "%trap" in g.ipsec("eroute").stdout, 5)
    there, back = Receiver(lab.sunrise, "10.2.0.2", 7001), Receiver(lab.sunset, "10.1.0.2", 7002)
    ways = [
        (udp_socket(lab.sunset, "10.1.0.2"), ("10.2.0.2", 7001)),
        (udp_socket(lab.sunrise, "10.2.0.2"), ("10.1.0.2", 7002)),
    ]
    with Capture(lab.west) as wire:
        for number in range(60):
            for way, (s, target) in enumerate(ways):
                if number >= 5 or first in ("both", ("west", "east")[way]):
                    s.sendto(b"<<hold>>" + number.to_bytes(8, "big"), target)
            time.sleep(0.002)
        wanted = [set(range(0 if first in ("both", side) else 5, 60)) for side in ("west", "east")]
        wait_for("all of them", lambda: len(there.got) >= len(wanted[0]) and len(back.got) >= len(wanted[1]), 8)
        assert_quiet(wire, INNER, [b"<<hold>>"])
    for s, _ in ways:
        s.close()
    assert [set(there.numbers(b"<<hold>>")), set(back.numbers(b"<<hold>>"))] == wanted


def test_a_tunnel_that_is_taken_down_stays_down_whatever_is_under_way(lab: Lab) -> None:
    """East sends all the time; what it has sent before it hears of the end is no reason to begin anew."""
    both = trapped(lab)
    both.up("net4")
    flow = Flow(lab.sunrise, "10.2.0.2", "10.1.0.2", 7001, b"<<late>>", pace=0.0005).start()
    for _ in range(5):
        time.sleep(0.3)
        both.west.ipsec("auto", "--down", "net4")
        wait_for("the far side", lambda: not both.east.tunnels(), 5)
        time.sleep(0.5)
        assert not both.west.tunnels(), both.west.log()
        both.up("net4")
    flow.stop()


def test_while_nobody_answers_packets_are_held_and_nothing_shows(lab: Lab) -> None:
    """East is silent for a while; what was sent meanwhile arrives once it speaks."""
    text = conn("net", NET4, auto="add")
    both = pair(lab, text.replace("auto=add", "auto=route"), text)
    wait_for("the trap", lambda: "%trap" in both.west.ipsec("eroute").stdout, 5)
    both.east.kill()
    heard = Receiver(lab.sunrise, "10.2.0.2", 7001)
    s = udp_socket(lab.sunset, "10.1.0.2")
    with Capture(lab.west) as wire:
        for number in range(10):
            s.sendto(b"<<held>>" + number.to_bytes(8, "big"), ("10.2.0.2", 7001))
        wait_for("them to be held", lambda: sum(row["held"] for row in both.west.eroutes()) >= 10, 5)
        assert "%hold" in both.west.ipsec("eroute").stdout
        both.east.start()
        wait_for("the held packets", lambda: len(heard.got) >= 10, 15)
        assert_quiet(wire, INNER, [b"<<held>>"])
    s.close()
    assert heard.numbers(b"<<held>>") == list(range(10))


def test_drop_and_reject_and_passthrough(lab: Lab) -> None:
    """type= without a peer: what is sent vanishes, is refused, or goes its plain way."""
    both = pair(
        lab,
        conn("dropped", NET4, authby="never", type="drop", auto="route"),
        conn("unused", NET4, auto="add"),
    )
    wait_for("the shunt", lambda: "%drop" in both.west.ipsec("eroute").stdout, 5)
    with Capture(lab.west) as wire:
        assert ping(lab.sunset, "10.2.0.2", 2, wait=0.3).received == 0
        assert_quiet(wire, INNER)
    both.west.configure(conn("refused", NET4, authby="never", type="reject", auto="add"))
    both.west.ipsec("auto", "--delete", "dropped")
    both.west.ipsec("auto", "--add", "refused")
    both.west.ipsec("auto", "--route", "refused")
    seen = ping(lab.sunset, "10.2.0.2", 2, wait=0.5)
    assert seen.received == 0 and "ICMP error type 3 code 13" in seen.text, seen.text
