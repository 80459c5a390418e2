# SPDX-License-Identifier: GPL-2.0-or-later
"""When TCP is used, and what becomes of IKE SAs whose connection breaks (RFC 9329)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from openswan.ike.policy import IkePolicy
from openswan.policy.connection import TcpUse
from tests.sim.pair import Esp, Inner, Pair, make_pair, tunnel

HERE, THERE = ip_address("10.1.0.5"), ip_address("10.2.0.6")


def tcp_pair(use: TcpUse, listens: bool = True, **more: object) -> Pair:
    pair = make_pair(1)
    pair.west.listens_tcp = pair.east.listens_tcp = listens
    for host, policy in zip((pair.west, pair.east), tunnel(tcp=use, **more), strict=True):
        host.load(policy)
    return pair


def up(pair: Pair, seconds: float = 15.0) -> Pair:
    pair.west.request("initiate", name="net-net")
    assert pair.run(seconds, lambda: pair.up() and pair.agreed()), pair.west.lines
    return pair


def in_tcp(pair: Pair) -> bool:
    return all(end.stream for host in (pair.west, pair.east) for ends in host.klips.encaps.values() for end in ends)


def flows(pair: Pair, number: int = 1) -> bool:
    out, back = Inner(HERE, THERE, number), Inner(THERE, HERE, number)
    pair.west.klips.send(out)
    pair.east.klips.send(back)
    pair.run(1.0)
    return out in pair.east.klips.delivered and back in pair.west.klips.delivered


def connections(pair: Pair) -> int:
    return len(pair.net.streams.open_ones) // 2


def test_begun_in_tcp_everything_stays_there() -> None:
    pair = up(tcp_pair(TcpUse.YES))
    assert in_tcp(pair) and flows(pair) and connections(pair) == 1
    assert not pair.net.transcript or all(":40001" in src + dst for _, src, dst, _ in pair.net.transcript)
    pair.sane()


def test_going_down_ends_the_connection() -> None:
    pair = up(tcp_pair(TcpUse.YES))
    pair.west.say("terminate", name="net-net")
    assert pair.run(30.0, lambda: not connections(pair))
    assert not pair.west.pluto.brain.streams.used


def test_who_is_not_there_is_tried_again_as_ever() -> None:
    pair = tcp_pair(TcpUse.YES, listens=False)
    pair.west.request("initiate", name="net-net")
    pair.run(3.0)
    assert any("no TCP connection to 198.51.100.7:4500: Connection refused" in line for line in pair.west.lines)
    pair.east.listens_tcp = True
    assert pair.run(15.0, pair.up) and in_tcp(pair)


def test_given_up_while_it_opens() -> None:
    pair = tcp_pair(TcpUse.YES)
    pair.west.request("initiate", name="net-net")
    pair.west.say("terminate", name="net-net")
    pair.run(5.0)
    assert not connections(pair) and not pair.west.pluto.core.states.ikes


def test_fallback() -> None:
    pair = tcp_pair(TcpUse.FALLBACK)
    pair.net.blocks = lambda packet: not packet.src.stream
    up(pair, 8.0)
    assert in_tcp(pair) and flows(pair)
    assert any("no answer in UDP: trying TCP" in line for line in pair.west.lines)
    pair.sane()


def test_no_fallback_without_need() -> None:
    pair = up(tcp_pair(TcpUse.FALLBACK))
    assert flows(pair) and not connections(pair)
    pair.run(1000.0)
    assert not connections(pair)


def test_no_fallback_that_was_not_asked_for() -> None:
    pair = tcp_pair(TcpUse.NO)
    pair.net.blocks = lambda packet: not packet.src.stream
    pair.west.request("initiate", name="net-net")
    pair.run(100.0)
    assert not pair.net.streams.made and not pair.up()


def test_a_fallback_that_fails_leads_back_to_udp() -> None:
    pair = tcp_pair(TcpUse.FALLBACK, listens=False)
    pair.net.blocks = lambda packet: True
    pair.west.request("initiate", name="net-net")
    pair.run(7.0)
    assert pair.net.streams.made == 1
    pair.net.blocks = lambda packet: False
    assert pair.run(20.0, pair.up) and not in_tcp(pair)


def test_esp_blocked_in_udp_goes_into_tcp() -> None:
    pair = up(tcp_pair(TcpUse.FALLBACK))
    pair.net.blocks = lambda packet: isinstance(packet.body, Esp) and not packet.src.stream
    for number in range(20):
        pair.west.klips.send(Inner(HERE, THERE, number))
        pair.east.klips.send(Inner(THERE, HERE, number))
        pair.run(1.0)
    line = "IKE up, ESP in UDP blocked by something on the way"
    assert any(line in each and "trying TCP" in each for each in pair.west.lines)
    assert flows(pair, 1000) and connections(pair)  # one of each end's, as both have noticed
    pair.run(10.0)
    assert all(sa.encap and sa.encap.stream for sa in pair.west.klips.sas.values())
    pair.sane()


@pytest.mark.parametrize("rekeyed", [False, True])
def test_a_broken_connection_comes_back_with_the_same_sas(rekeyed: bool) -> None:
    more = {"ike_lifetime": 300.0, "ipsec_lifetime": 300.0, "rekey_margin": 200.0, "rekey_fuzz": 0.0} if rekeyed else {}
    pair = up(tcp_pair(TcpUse.YES, **more))
    if rekeyed:
        assert pair.run(250.0, lambda: any("rekeyed" in line for line in pair.west.lines))
        pair.run(30.0)
    spis = set(pair.west.klips.by_spi)
    pair.net.streams.break_all()
    assert pair.run(2.0, lambda: connections(pair) == 1)
    pair.run(0.5)
    assert flows(pair) and in_tcp(pair) and set(pair.west.klips.by_spi) == spis
    assert any("is gone" in line and "opening another" in line for line in pair.west.lines)
    assert any("takes the place of" in line for line in pair.east.lines)
    pair.sane()


def test_esp_alone_shows_the_new_connection_too() -> None:
    pair = up(tcp_pair(TcpUse.YES))
    pair.net.streams.break_all()
    pair.run(0.02, lambda: connections(pair) == 1)
    assert pair.run(2.0, lambda: connections(pair) == 1)
    pair.west.klips.send(Inner(HERE, THERE, 1))
    pair.run(1.0)
    assert flows(pair, 2)


def test_a_request_under_way_when_it_breaks_is_sent_again() -> None:
    pair = up(tcp_pair(TcpUse.YES))
    spi = next(iter(pair.west.klips.by_spi))
    pair.west.request("initiate", name="net-net")  # with a client: fresh SAs
    pair.net.streams.break_all()
    assert pair.run(5.0, lambda: spi not in pair.west.klips.by_spi or len(pair.west.klips.by_spi) > 2)
    assert flows(pair)


def test_the_responders_request_waits_for_the_new_connection() -> None:
    pair = up(tcp_pair(TcpUse.YES))
    before = set(pair.east.klips.by_spi)
    pair.net.streams.break_all()
    pair.east.request("initiate", name="net-net")
    assert pair.run(5.0, lambda: bool(set(pair.east.klips.by_spi) - before))
    assert flows(pair)


def test_a_listener_away_for_a_while_and_for_good() -> None:
    pair = up(tcp_pair(TcpUse.YES))
    pair.east.listens_tcp = False
    pair.net.streams.break_all()
    pair.run(20.0)
    assert pair.west.klips.sas and not connections(pair)
    pair.east.listens_tcp = True
    assert pair.run(20.0, lambda: connections(pair) == 1)
    pair.run(1.0)
    assert flows(pair)
    pair.east.listens_tcp = False
    pair.net.streams.break_all()
    pair.run(70.0)
    assert any("The peer does not answer" in line for line in pair.west.lines)


def test_a_peer_that_takes_connections_and_closes_them_is_not_pestered() -> None:
    pair = tcp_pair(TcpUse.YES)
    pair.net.streams.short = True
    pair.west.request("initiate", name="net-net")
    pair.run(30.0)
    assert 2 <= pair.net.streams.made <= 4  # keying attempts, as ever
    pair.net.streams.short = False
    assert pair.run(60.0, lambda: pair.up() and pair.agreed())
    pair.net.streams.short = True
    before = pair.net.streams.made
    pair.net.streams.break_all()
    pair.run(20.0)
    assert 3 <= pair.net.streams.made - before <= 8
    pair.net.streams.short = False
    assert pair.run(20.0, lambda: connections(pair) == 1)
    pair.run(1.0)
    assert flows(pair)


def test_another_network_is_tried_in_udp_first() -> None:
    pair = tcp_pair(TcpUse.FALLBACK)
    pair.net.blocks = lambda packet: not packet.src.stream
    up(pair)
    conn = pair.west.pluto.core.conns.named["net-net"]
    assert conn.in_tcp
    pair.west.pluto.brain.streams.moved(conn)
    assert not conn.in_tcp and not conn.in_stream


def test_the_first_request_is_patient_only_where_there_is_nothing_else() -> None:
    def policy(use: TcpUse) -> IkePolicy:
        pair = tcp_pair(use)
        conn = pair.west.pluto.core.conns.named["net-net"]
        return pair.west.pluto.brain.keyring.ike(conn, conn.signature)

    assert policy(TcpUse.FALLBACK).init_timeout == 5.0
    assert policy(TcpUse.NO).init_timeout == policy(TcpUse.YES).init_timeout == 0.0
    assert replace(policy(TcpUse.NO), init_timeout=5.0) == policy(TcpUse.FALLBACK)
