# SPDX-License-Identifier: GPL-2.0-or-later
"""Streams beside an engine: ESP to and from SAs, IKE to and from pluto, and an end for what is none of both."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

import pytest

from _fast.pump import Engine
from _fast.streams import Streams
from openswan.base.address import Endpoint
from openswan.base.drops import Drop
from openswan.klips.pump import Pump
from openswan.klips.streams import key_of
from openswan.plane.commands import AttachStream, DetachStream, Direction, Encap, KeepStream, MoveSa, SendInStream
from openswan.plane.events import IkeDatagram, KlipsEvent, NewMapping, StreamClosed
from tests.fast.rig import HERE, THERE, Rig, eventually, udp

LOCAL = Endpoint(ip_address("127.0.0.1"), 4500, stream=True)
REMOTE = Endpoint(ip_address("127.0.0.1"), 40000, stream=True)
PACKET, ANSWER = udp(HERE, THERE, 1, 2), udp(THERE, HERE, 2, 1)


class Peer:
    """The other end of a stream, over a pair of stream sockets."""

    def __init__(self, rig: Rig, remote: Endpoint = REMOTE, originator: bool = False) -> None:
        self.rig, self.remote = rig, remote
        ours, self.sock = socket.socketpair()
        self.sock.settimeout(3)
        rig.do(AttachStream(LOCAL, remote, ours.fileno(), originator))
        ours.close()
        self.data = b""
        if not originator:
            self.sock.sendall(b"IKETCP")

    def send(self, *messages: bytes) -> None:
        self.sock.sendall(b"".join((2 + len(m)).to_bytes(2, "big") + m for m in messages))

    def exactly(self, size: int) -> bytes:
        while len(self.data) < size:
            some = self.sock.recv(65536)
            assert some, "closed"
            self.data += some
        head, self.data = self.data[:size], self.data[size:]
        return head

    def message(self) -> bytes:
        return self.exactly(int.from_bytes(self.exactly(2), "big") - 2)

    def closed(self) -> bool:
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()


def in_stream(rig: Rig, remote: Endpoint = REMOTE) -> None:
    """Both SAs, in the stream."""
    rig.do(rig.sa(Direction.IN, encap=Encap(remote.port, LOCAL.port, stream=True)))
    rig.do(rig.sa(Direction.OUT, encap=Encap(LOCAL.port, remote.port, stream=True)))
    rig.eroute()


def event(rig: Rig, kind: type[KlipsEvent]) -> KlipsEvent:
    end = time.monotonic() + 3
    while time.monotonic() < end:
        for each in rig.klips.poll_events():
            if isinstance(each, kind):
                return each
        time.sleep(0.01)
    raise AssertionError(f"no {kind.__name__}")


def opened(rig: Rig, sealed: bytes) -> bytes:
    why, inner, _, _ = rig.from_engine.open(sealed)
    assert why is Drop.NONE
    return inner


def dropped(rig: Rig, reason: Drop) -> None:
    eventually(lambda: bool(rig.klips.drops()[reason]), 3, lambda: str(rig.klips.drops()))


def test_esp_both_ways(rig: Rig) -> None:
    peer = Peer(rig)
    in_stream(rig)
    for _ in range(50):
        rig.send(PACKET)
        assert opened(rig, peer.message()) == PACKET
        peer.send(rig.seal(ANSWER))
        assert rig.received() == ANSWER


def test_ike_both_ways(rig: Rig) -> None:
    peer = Peer(rig)
    peer.send(bytes(4) + b"question")
    assert event(rig, IkeDatagram) == IkeDatagram(LOCAL, REMOTE, b"question")
    rig.do(SendInStream(LOCAL, REMOTE, b"answer"))
    assert peer.message() == bytes(4) + b"answer"


def test_the_originator_begins_with_the_prefix_and_gets_none(rig: Rig) -> None:
    peer = Peer(rig, originator=True)
    rig.do(SendInStream(LOCAL, REMOTE, b"hello"))
    assert peer.exactly(6) == b"IKETCP" and peer.message() == bytes(4) + b"hello"
    peer.send(bytes(4) + b"welcome")
    assert event(rig, IkeDatagram) == IkeDatagram(LOCAL, REMOTE, b"welcome")


def test_keepalives_and_scraps_are_tolerated(rig: Rig) -> None:
    peer = Peer(rig)
    peer.send(b"\xff", b"", b"scrap", bytes(4) + b"ike")
    assert event(rig, IkeDatagram) == IkeDatagram(LOCAL, REMOTE, b"ike")
    assert rig.klips.drops()[Drop.KEEPALIVE] == 1 and rig.klips.drops()[Drop.MALFORMED] == 1


@pytest.mark.parametrize(("octets", "why"), [(b"\0\0", "impossible length"), (b"\0\1abc", "impossible length")])
def test_a_broken_stream_is_closed_and_counted(rig: Rig, octets: bytes, why: str) -> None:
    peer = Peer(rig)
    peer.sock.sendall(octets)
    gone = event(rig, StreamClosed)
    assert isinstance(gone, StreamClosed) and why in gone.reason and (gone.local, gone.remote) == (LOCAL, REMOTE)
    assert peer.closed() and rig.klips.drops()[Drop.STREAM_BROKEN] == 1


def test_what_does_not_begin_with_the_prefix_is_closed(rig: Rig) -> None:
    ours, theirs = socket.socketpair()
    rig.do(AttachStream(LOCAL, REMOTE, ours.fileno(), False))
    ours.close()
    theirs.sendall(b"GET / HTTP/1.1\r\n\r\n")
    gone = event(rig, StreamClosed)
    assert isinstance(gone, StreamClosed) and "IKETCP" in gone.reason


def test_the_peer_hangs_up(rig: Rig) -> None:
    peer = Peer(rig)
    in_stream(rig)
    peer.sock.close()
    assert isinstance(event(rig, StreamClosed), StreamClosed)
    rig.send(PACKET)
    dropped(rig, Drop.STREAM_GONE)
    again = Peer(rig)  # the same ends
    rig.send(PACKET)
    assert opened(rig, again.message()) == PACKET


def test_detaching_says_nothing(rig: Rig) -> None:
    peer = Peer(rig)
    rig.do(SendInStream(LOCAL, REMOTE, b"last words"))
    rig.do(DetachStream(LOCAL, REMOTE))
    assert peer.message() == bytes(4) + b"last words" and peer.closed()
    rig.do(DetachStream(LOCAL, REMOTE))
    rig.do(KeepStream(LOCAL, REMOTE))
    rig.do(SendInStream(LOCAL, REMOTE, b"to nobody"))
    assert not [each for each in rig.klips.poll_events() if isinstance(each, StreamClosed)]


def test_two_of_the_same_ends(rig: Rig) -> None:
    first = Peer(rig)
    ours, _ = socket.socketpair()
    assert "already" in rig.refused(AttachStream(LOCAL, REMOTE, ours.fileno(), False))
    first.sock.close()


def test_an_authentic_packet_in_another_stream_is_a_new_place(rig: Rig) -> None:
    first = Peer(rig)
    in_stream(rig)
    other = replace(REMOTE, port=40001)
    peer = Peer(rig, other)
    peer.send(rig.seal(ANSWER))
    assert rig.received() == ANSWER
    assert event(rig, NewMapping) == NewMapping(rig.in_said, other)
    rig.do(MoveSa(rig.out_said, LOCAL, other))
    rig.send(PACKET)
    assert opened(rig, peer.message()) == PACKET
    first.sock.close()


def test_udp_is_no_new_place_for_what_goes_in_a_stream(rig: Rig) -> None:
    peer = Peer(rig)
    in_stream(rig)
    rig.peer.sendto(rig.seal(ANSWER), (str(rig.local.address), rig.local.port))
    assert rig.received() == ANSWER
    time.sleep(0.1)
    assert not [each for each in rig.klips.poll_events() if isinstance(each, NewMapping)]
    peer.sock.close()


def test_a_peer_that_takes_nothing_holds_up_nobody(rig: Rig) -> None:
    in_stream(rig)
    idle = Peer(rig)  # and never reads
    other = Peer(rig, replace(REMOTE, port=40001))
    for _ in range(800):
        rig.send(udp(HERE, THERE, 1, 2, bytes(1300)))
    dropped(rig, Drop.STREAM_FULL)
    rig.do(SendInStream(LOCAL, other.remote, b"still here"))
    assert other.message() == bytes(4) + b"still here"
    idle.sock.close()


def test_super_packets_are_cut_as_in_udp(rig: Rig) -> None:
    peer = Peer(rig)
    in_stream(rig)
    sizes = (10, 700, 1372)
    for size in sizes:
        rig.send(udp(HERE, THERE, 1, 2, bytes(size)))
    assert [len(opened(rig, peer.message())) for _ in sizes] == [28 + size for size in sizes]


def test_six(rig: Rig) -> None:
    local = Endpoint(ip_address("::1"), 4500, stream=True)
    remote = Endpoint(ip_address("2001:db8::9"), 999, stream=True)
    ours, theirs = socket.socketpair()
    rig.do(AttachStream(local, remote, ours.fileno(), False))
    theirs.sendall(b"IKETCP\0\x0a\0\0\0\0ike6")
    assert event(rig, IkeDatagram) == IkeDatagram(local, remote, b"ike6")


def test_limits_of_number_and_time() -> None:
    engine = Engine(0, 1)
    table = Streams(engine, 2, 0.3, 2.0)
    pump = Pump(table)
    pump.start()
    pairs = [socket.socketpair() for _ in range(3)]
    keys = [key_of(LOCAL, replace(REMOTE, port=n)) for n in range(1, 4)]
    for key, (ours, _) in zip(keys[:2], pairs, strict=False):
        table.add(key, ours.fileno(), False)
    with pytest.raises(ValueError, match="no more than 2"):
        table.add(keys[2], pairs[2][0].fileno(), False)
    pairs[1][1].sendall(b"IKETCP\0\x07\0\0\0\0a")
    eventually(lambda: table.keys() == [keys[1]])  # the other one has said nothing
    assert table.drops()[Drop.STREAM_BROKEN] == 1
    eventually(lambda: table.keys() == [], 4)  # nobody has kept it
    table.add(keys[2], pairs[2][0].fileno(), False)
    assert table.keep(keys[2]) and not table.keep(keys[0])
    time.sleep(2.6)
    assert table.keys() == [keys[2]]
    pump.stop()
