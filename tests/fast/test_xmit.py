# SPDX-License-Identifier: GPL-2.0-or-later
"""Outbound: tunnels, shunts, holds, segmentation, path MTU, the end of the sequence numbers."""

from __future__ import annotations

from ipaddress import ip_network

from openswan.base.drops import Drop
from openswan.base.said import Shunt
from openswan.plane.commands import DelSa, Direction, SetEroute
from openswan.plane.events import Acquire
from openswan.policy.selector import FlowKey
from tests.fast.rig import HERE, THERE, Rig, icmp_error, mss_option, tcp, udp, vnet

HERE6, THERE6 = "fd01::5", "fd02::7"
NEEDS_CSUM, TCPV4, TCPV6, UDP_L4 = 1, 1, 4, 5


def test_lying_frames_are_dropped_and_counted(tunnel: Rig) -> None:
    good = tcp(HERE, THERE, 5, 6, b"x" * 3000)
    lies = [
        (good, vnet(TCPV6, 40, 1000, 20, 16)),
        (good, vnet(TCPV4, 40, 0, 20, 16)),
        (good, vnet(9, 40, 1000, 20, 16)),
        (udp(HERE, THERE, 5, 6), vnet(TCPV4, 40, 1000, 20, 16)),
        (good, vnet(0, 0, 0, 4000, 16)),
        (good[:32] + b"\xf0" + good[33:39], vnet(TCPV4, 40, 1000, 20, 16)),
        # The mark of what the engine has put together from fragments, here of 63 octets.
        (udp(HERE6, THERE6, 5, 6, bytes(100)), vnet(0x7E, 0, 63, 0, 0, 0)),
        (good[:10], bytes(10)),
        (b"\x55" + good[1:], bytes(10)),
        (b"", bytes(10)),
        (b"", b"123"),
    ]
    for packet, header in lies:
        tunnel.host.send(header + packet)
    tunnel.dropped(Drop.MALFORMED, len(lies))
    assert tunnel.silent()


def test_no_eroute_and_shunts(rig: Rig) -> None:
    packet = udp(HERE, THERE, 1, 2)
    rig.send(packet)
    rig.dropped(Drop.NO_EROUTE)
    key = rig.eroute(Shunt.DROP)
    rig.send(packet)
    rig.dropped(Drop.SHUNT_DROP)
    rig.eroute(Shunt.REJECT)
    rig.send(packet)
    answer = rig.received()
    assert answer[20:22] == b"\x03\x0d" and answer[28:] == packet
    rig.dropped(Drop.SHUNT_REJECT)
    rig.eroute(Shunt.REJECT, src="fd01::/16", dst="fd02::/16")
    rig.send(udp(HERE6, THERE6, 1, 2))
    assert rig.received()[40:42] == b"\x01\x01"
    rig.eroute()
    rig.send(packet)
    rig.dropped(Drop.NO_SA)
    rig.uneroute(key)
    rig.send(packet)
    rig.dropped(Drop.NO_EROUTE, 2)
    assert rig.silent()


def test_reject_never_answers_an_icmp_error(rig: Rig) -> None:
    rig.eroute(Shunt.REJECT)
    rig.send(icmp_error(HERE, THERE, udp("10.9.9.9", "10.8.8.8", 1, 2)))
    rig.dropped(Drop.SHUNT_REJECT)
    assert rig.silent()


def test_a_trap_holds_and_asks_once_and_the_tunnel_gets_everything_in_order(rig: Rig) -> None:
    trap = rig.eroute(Shunt.TRAP)
    packets = [udp(HERE, THERE, 1, n + 1) for n in range(300)]
    for packet in packets:
        rig.send(packet)
    (event,) = rig.events(1)
    flow = FlowKey(ip_network(HERE), ip_network(THERE))
    assert event == Acquire(flow, trap, "ipsec0", "net")
    assert rig.silent()
    held = [view for view in rig.klips.eroutes() if view.key == flow]
    assert held[0].target is Shunt.HOLD and held[0].held == 300 and held[0].owner == "net"
    rig.do(rig.sa(Direction.OUT))
    rig.eroute()
    assert [rig.opened() for _ in packets] == packets
    assert [view.key for view in rig.klips.eroutes()] == [trap]
    assert not rig.klips.poll_events()
    assert sum(rig.klips.drops().values()) == 0


def test_the_hold_is_as_narrow_as_the_trap_discriminates(rig: Rig) -> None:
    trap = rig.eroute(Shunt.TRAP, protocol=17, dport=53)
    rig.send(udp(HERE, THERE, 4444, 53))
    rig.send(udp(HERE, THERE, 4445, 53))
    (event,) = rig.events(1)
    assert event == Acquire(FlowKey(ip_network(HERE), ip_network(THERE), 17, 0, 53), trap, "ipsec0", "net")
    rig.send(udp(HERE, THERE, 4444, 54))
    rig.dropped(Drop.NO_EROUTE)


def test_a_trap_for_one_pair_of_hosts_becomes_the_hold(rig: Rig) -> None:
    key = rig.eroute(Shunt.TRAP, src=f"{HERE}/32", dst=f"{THERE}/32")
    rig.send(udp(HERE, THERE, 1, 2))
    (event,) = rig.events(1)
    assert isinstance(event, Acquire) and event.flow == event.trap == key
    (view,) = rig.klips.eroutes()
    assert view.target is Shunt.HOLD and view.held == 1
    rig.do(rig.sa(Direction.OUT))
    rig.eroute(src=f"{HERE}/32", dst=f"{THERE}/32")
    assert rig.opened() == udp(HERE, THERE, 1, 2)


def test_a_hold_outlives_its_trap_under_a_narrower_one_which_asks_again(rig: Rig) -> None:
    broad = rig.eroute(Shunt.TRAP)
    packet = udp(HERE, THERE, 1, 2)
    rig.send(packet)
    (first,) = rig.events(1)
    assert isinstance(first, Acquire) and first.trap == broad
    narrow = rig.eroute(Shunt.TRAP, src="10.1.0.0/24")
    rig.do(rig.sa(Direction.OUT))
    rig.eroute()
    (second,) = rig.events(1)
    assert isinstance(second, Acquire) and second.trap == narrow and second.flow == first.flow
    rig.eroute(src="10.1.0.0/24")
    assert rig.opened() == packet
    assert {view.target for view in rig.klips.eroutes()} == {rig.out_said}


def test_every_pair_asks_for_itself_and_a_broad_hold_takes_over(rig: Rig) -> None:
    trap = rig.eroute(Shunt.TRAP)
    for n in range(1, 6):
        rig.send(udp(HERE, f"10.2.0.{n}", 1, 2))
    events = rig.events(5)
    assert {e.flow.dst for e in events if isinstance(e, Acquire)} == {ip_network(f"10.2.0.{n}") for n in range(1, 6)}
    rig.eroute(Shunt.HOLD)
    (view,) = rig.klips.eroutes()
    assert view.target is Shunt.HOLD and view.held == 5 and view.key == trap
    rig.send(udp(HERE, "10.2.0.9", 1, 2))
    assert rig.silent() and not rig.klips.poll_events()
    rig.do(rig.sa(Direction.OUT))
    rig.eroute()
    assert {rig.opened()[16:20] for _ in range(6)} == {bytes([10, 2, 0, n]) for n in (1, 2, 3, 4, 5, 9)}


def test_a_hold_inside_stays_when_a_more_specific_trap_rules_it(rig: Rig) -> None:
    rig.eroute(Shunt.TRAP, dst="10.2.0.0/24")
    rig.send(udp(HERE, THERE, 1, 2))
    rig.events(1)
    rig.do(rig.sa(Direction.OUT))
    rig.eroute(dst="10.2.0.0/16")
    assert rig.silent()
    rig.eroute(dst="10.2.0.0/24")
    assert rig.opened() == udp(HERE, THERE, 1, 2)


def test_failure_shunts_decide_about_what_is_held(rig: Rig) -> None:
    rig.eroute(Shunt.TRAP)
    rig.send(udp(HERE, THERE, 1, 2))
    (event,) = rig.events(1)
    assert isinstance(event, Acquire)
    rig.do(SetEroute(event.flow, Shunt.DROP))
    rig.dropped(Drop.HOLD_DISCARDED)
    rig.do(SetEroute(event.flow, Shunt.TRAP))
    rig.send(udp(HERE, THERE, 3, 4))
    rig.events(1)
    rig.do(SetEroute(event.flow, Shunt.REJECT))
    assert rig.received()[20:22] == b"\x03\x0d"


def test_a_removed_trap_lets_go_of_its_holds(rig: Rig) -> None:
    key = rig.eroute(Shunt.TRAP)
    rig.send(udp(HERE, THERE, 1, 2))
    rig.events(1)
    rig.uneroute(key)
    rig.dropped(Drop.HOLD_DISCARDED)
    assert rig.klips.eroutes() == []


def test_a_trap_set_anew_takes_over_the_holds_of_the_one_before(rig: Rig) -> None:
    key = rig.eroute(Shunt.TRAP)
    rig.send(udp(HERE, THERE, 1, 2))
    rig.events(1)
    rig.eroute(Shunt.TRAP)
    rig.uneroute(key)
    rig.dropped(Drop.HOLD_DISCARDED)
    assert rig.klips.eroutes() == []


def test_a_hold_that_becomes_a_trap_asks_again(rig: Rig) -> None:
    key = rig.eroute(Shunt.TRAP)
    rig.send(udp(HERE, THERE, 1, 2))
    rig.events(1)
    rig.eroute(Shunt.HOLD)
    rig.eroute(Shunt.TRAP)
    rig.dropped(Drop.HOLD_DISCARDED)
    (view,) = rig.klips.eroutes()
    assert view.key == key and view.target is Shunt.TRAP
    rig.send(udp(HERE, THERE, 1, 3))
    rig.events(1)


def test_a_trap_for_two_hosts_set_anew_keeps_what_its_acquire_is_about(rig: Rig) -> None:
    rig.eroute(Shunt.TRAP, src=f"{HERE}/32", dst=f"{THERE}/32")
    rig.send(udp(HERE, THERE, 1, 2))
    rig.events(1)
    rig.eroute(Shunt.TRAP, src=f"{HERE}/32", dst=f"{THERE}/32")
    rig.do(rig.sa(Direction.OUT))
    rig.eroute(src=f"{HERE}/32", dst=f"{THERE}/32")
    assert rig.opened() == udp(HERE, THERE, 1, 2)


def test_duplicate_syns_collapse_to_the_newest(rig: Rig) -> None:
    rig.eroute(Shunt.TRAP)
    first, again = (tcp(HERE, THERE, 5, 6, seq=n, flags=2, options=mss_option(1000)) for n in (1, 2))
    for packet in (first, udp(HERE, THERE, 1, 2), again):
        rig.send(packet)
    rig.events(1)
    rig.dropped(Drop.HOLD_OVERFLOW)
    rig.do(rig.sa(Direction.OUT))
    rig.eroute()
    assert [rig.opened(), rig.opened()] == [udp(HERE, THERE, 1, 2), again]


def test_a_held_packet_too_big_for_the_path_is_sent_all_the_same(rig: Rig) -> None:
    rig.eroute(Shunt.TRAP)
    big = udp(HERE, THERE, 1, 2, b"x" * 1460)
    rig.send(big)
    rig.events(1)
    rig.do(rig.sa(Direction.OUT))
    rig.eroute()
    assert rig.opened() == big
    assert rig.received()[20:22] == b"\x03\x04"


def test_icmp_errors_go_back_through_the_sa_of_the_packet(tunnel: Rig) -> None:
    # A router behind us, outside every selector, complains about a packet that came out of the tunnel.
    about = udp(THERE, HERE, 7, 8)
    error = icmp_error("192.168.77.1", THERE, about[:48])
    tunnel.send(error)
    assert tunnel.opened() == error
    # An error that goes elsewhere than to the sender of what it quotes is nobody's.
    tunnel.send(icmp_error("192.168.77.1", "10.2.0.99", about[:48]))
    tunnel.dropped(Drop.NO_EROUTE)


def test_an_sa_can_go_while_its_eroute_stays_and_come_back(tunnel: Rig) -> None:
    tunnel.do(DelSa(tunnel.out_said))
    tunnel.send(udp(HERE, THERE, 1, 2))
    tunnel.dropped(Drop.NO_SA)
    tunnel.do(tunnel.sa(Direction.OUT))
    tunnel.send(udp(HERE, THERE, 1, 2))
    assert tunnel.opened() == udp(HERE, THERE, 1, 2)
