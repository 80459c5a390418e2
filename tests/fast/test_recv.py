# SPDX-License-Identifier: GPL-2.0-or-later
"""What arrives on a socket: batches, and what is not ESP."""

from __future__ import annotations

import socket
import struct

from openswan.base.drops import Drop
from openswan.plane.events import IkeDatagram
from tests.fast.rig import HERE, THERE, Rig, eventually, tcp

HERE6, THERE6 = "fd01::5", "fd02::7"


def test_ike_and_keepalives_are_told_apart(tunnel: Rig) -> None:
    tunnel.arrive(b"\xff")
    tunnel.dropped(Drop.KEEPALIVE)
    tunnel.arrive(bytes(4) + b"ike message")
    tunnel.arrive(bytes(4))
    assert tunnel.events(2) == [
        IkeDatagram(tunnel.local, tunnel.remote, b"ike message"),
        IkeDatagram(tunnel.local, tunnel.remote, b""),
    ]
    for runt in (b"", b"\xfe", b"\0\0\0", b"\xff\xff", b"1234567"):
        tunnel.arrive(runt)
    tunnel.dropped(Drop.MALFORMED, 5)
    assert tunnel.silent()


def test_the_queue_of_ike_messages_is_bounded(tunnel: Rig) -> None:
    sent = 0
    while not tunnel.klips.drops()[Drop.IKE_OVERFLOW] and sent < 20000:
        for _ in range(100):
            tunnel.arrive(bytes(4) + b"x" * 1000)
        sent += 100
    tunnel.klips.stop()
    assert tunnel.klips.drops()[Drop.IKE_OVERFLOW]
    assert len(tunnel.klips.poll_events()) <= 4097


def test_a_super_packet_goes_on_where_one_message_ends(tunnel: Rig) -> None:
    tunnel.klips._engine.set_offload(0, True, True)
    where = (str(tunnel.local.address), tunnel.local.port)
    sent = 0

    def message(count: int) -> None:
        nonlocal sent
        sealed = []
        for _ in range(count):
            sealed.append(tunnel.seal(tcp(THERE, HERE, 5, 6, bytes([sent % 251]) * 1000, seq=sent * 1000, ident=sent)))
            sent += 1
        size = struct.pack("H", len(sealed[0]))
        tunnel.peer.sendmsg([b"".join(sealed)], [(socket.IPPROTO_UDP, 103, size)], 0, where)  # UDP_SEGMENT

    # After one large message they are taken two by two, so the next three come by two calls.
    message(10)
    assert tunnel.received()
    eventually(lambda: sum(v.packets for v in tunnel.klips.sas()) == 10)
    tunnel.klips.stop()
    for _ in range(3):
        message(10)
    tunnel.klips.start()
    got = tunnel.received()
    assert len(got) == 40 + 30 * 1000
    assert got[40:] == b"".join(bytes([n]) * 1000 for n in range(10, 40)) and tunnel.silent(0.05)
