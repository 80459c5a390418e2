# SPDX-License-Identifier: GPL-2.0-or-later
"""What arrives on a socket: batches, and what is not ESP."""

from __future__ import annotations

from openswan.base.drops import Drop
from openswan.plane.events import IkeDatagram
from tests.fast.rig import Rig

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
