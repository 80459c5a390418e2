# SPDX-License-Identifier: GPL-2.0-or-later
"""The flush of the outbox: grouping, refusals, the way out in clear."""

from __future__ import annotations

import socket

from openswan.base.drops import Drop
from openswan.base.said import Shunt
from openswan.plane.commands import AttachPass, Direction, MoveSa
from tests.fast.rig import HERE, THERE, Rig, eventually, udp

HERE6, THERE6 = "fd01::5", "fd02::7"
NEEDS_CSUM, TCPV4, TCPV6, UDP_L4 = 1, 1, 4, 5


def test_pass_without_a_way_out_is_counted(rig: Rig) -> None:
    rig.eroute(Shunt.PASS)
    rig.send(udp(HERE, THERE, 1, 2))
    rig.dropped(Drop.SEND_FAILED)
    assert rig.silent()


def test_pass_goes_to_the_descriptor_given_for_it(rig: Rig) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stand_in:
        # Without root a UDP socket stands for the raw one: what counts is that the whole packet is handed over. Its
        # destination is the packet's own, with port 0, which a UDP socket refuses: counted, not lost silently.
        rig.do(AttachPass(4, stand_in.fileno()))
        rig.eroute(Shunt.PASS)
        rig.send(udp(HERE, THERE, 1, 2))
        rig.dropped(Drop.SEND_FAILED)


def test_packets_that_need_outer_fragments_go_one_by_one(rig: Rig) -> None:
    # On a device as small as the MTU says the kernel refuses them as segments; this receiver shows what was joined.
    rig.peer.setsockopt(socket.IPPROTO_UDP, 104, 1)  # UDP_GRO
    for size, together in ((1000, True), (2000, False)):
        rig.eroute(Shunt.HOLD)
        for _ in range(2):
            rig.send(udp(HERE, THERE, 1, 2, bytes(size), df=False))
        eventually(lambda: rig.klips.eroutes()[0].held == 2)
        if together:
            rig.do(rig.sa(Direction.OUT))
        rig.eroute()
        assert (len(rig.wire()) > 2 * size) is together


def test_segments_the_kernel_refuses_go_one_by_one_and_it_is_not_asked_again(tunnel: Rig) -> None:
    tunnel.peer.setsockopt(socket.IPPROTO_UDP, 104, 1)  # UDP_GRO shows what was joined

    def burst() -> list[int]:
        key = tunnel.eroute(Shunt.HOLD)
        for n in range(5):
            tunnel.send(udp(HERE, THERE, 1, n + 1, bytes(500)))
        eventually(lambda: sum(e.held for e in tunnel.klips.eroutes()) == 5)
        tunnel.eroute(tunnel.out_said, str(key.src), str(key.dst))
        sizes = [len(tunnel.wire())]
        while not tunnel.silent(0.05):
            sizes.append(len(tunnel.wire()))
        return sizes

    one = burst()
    assert len(one) == 1 and one[0] > 2500
    # Segments need a checksum: a socket that makes none gets EINVAL for them.
    tunnel.sock.setsockopt(socket.SOL_SOCKET, 11, 1)  # SO_NO_CHECK
    assert len(burst()) == 5
    assert sum(tunnel.klips.drops().values()) == 0
    # On that way packets go singly from now on, until it is another way.
    tunnel.sock.setsockopt(socket.SOL_SOCKET, 11, 0)
    assert len(burst()) == 5
    tunnel.do(MoveSa(tunnel.out_said, tunnel.local, tunnel.remote))
    assert len(burst()) == 1
