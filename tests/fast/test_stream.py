# SPDX-License-Identifier: GPL-2.0-or-later
"""The framing of IKE and ESP in a stream: however it is cut, the same messages come out, and no more is kept."""

from __future__ import annotations

import random
import socket

import pytest

from _fast.stream import Reader, Writer

FINE, _, NO_PREFIX, BAD_LENGTH = range(4)
MOST = 65533


def framed(*messages: bytes) -> bytes:
    return b"".join((2 + len(each)).to_bytes(2, "big") + each for each in messages)


def test_largest_and_smallest() -> None:
    reader = Reader(False)
    assert reader.feed(framed(b"a", bytes(MOST), b"", b"z")) == (FINE, [b"a", bytes(MOST), b"z"], 0)


@pytest.mark.parametrize("prefix", [True, False])
def test_cut_at_every_octet(prefix: bool) -> None:
    data = b"IKETCP" * prefix + framed(b"one", b"", b"three", b"\xff")
    for cut in range(len(data) + 1):
        reader = Reader(prefix)
        first, second = reader.feed(data[:cut]), reader.feed(data[cut:])
        assert first[0] == second[0] == FINE and first[1] + second[1] == [b"one", b"three", b"\xff"]
    reader = Reader(prefix)
    found = [message for octet in data for message in reader.feed(bytes([octet]))[1]]
    assert found == [b"one", b"three", b"\xff"]


@pytest.mark.parametrize("wrong", [b"I", b"GET / HTTP", b"IKETCp", b"\0\x10", b"IKETC\0"])
def test_a_wrong_prefix_is_seen_at_its_first_octet(wrong: bytes) -> None:
    at = next(n for n in range(7) if not b"IKETCP".startswith(wrong[:n]) or n == len(wrong))
    assert Reader(True).feed(wrong[:at])[0] == (FINE if b"IKETCP".startswith(wrong[:at]) else NO_PREFIX)
    assert Reader(True).feed(wrong + b"IKETCP")[0] == NO_PREFIX


@pytest.mark.parametrize("length", [0, 1])
def test_impossible_lengths_break_a_stream(length: int) -> None:
    assert Reader(False).feed(framed(b"before") + bytes([0, length]) + framed(b"after"))[:2] == (
        BAD_LENGTH,
        [b"before"],
    )


def test_what_has_not_come_takes_no_more_room_than_its_length_says() -> None:
    reader = Reader(False)
    assert reader.feed(b"\xff") == (FINE, [], 0)
    assert reader.feed(b"\xff") == (FINE, [], MOST)
    assert reader.feed(bytes(MOST - 1)) == (FINE, [], MOST)
    assert reader.feed(b"\1" + framed(b"x")) == (FINE, [bytes(MOST - 1) + b"\1", b"x"], 0)


@pytest.mark.parametrize("seed", range(200))
def test_random_streams_in_random_pieces(seed: int) -> None:
    rng = random.Random(seed)
    messages = [rng.randbytes(rng.choice((1, 2, 7, 60, 1400, rng.randrange(1, MOST)))) for _ in range(20)]
    data, found, reader = b"IKETCP" + framed(*messages), [], Reader(True)
    while data:
        size = rng.choice((1, 2, 3, 1000, 70000))
        why, some, kept = reader.feed(data[:size])
        assert why == FINE and kept <= MOST
        data, found = data[size:], found + some
    assert found == messages


@pytest.mark.parametrize("seed", range(200))
def test_noise_ends_a_stream_or_is_messages(seed: int) -> None:
    rng = random.Random(seed)
    reader = Reader(rng.random() < 0.5)
    for _ in range(50):
        why, found, kept = reader.feed(rng.randbytes(rng.randrange(3000)))
        assert kept <= MOST and all(0 < len(each) <= MOST for each in found)
        if why:
            assert why in (NO_PREFIX, BAD_LENGTH)
            return


def test_a_writer_is_bounded_and_leaves_room_for_ike() -> None:
    writer, sent = Writer(), 0
    assert writer.prefix()
    while writer.put(b"", bytes(1400), False):
        sent += 1
    assert 100 < sent < 200
    assert writer.put(bytes(4), bytes(60000), True) and writer.put(bytes(4), bytes(60000), True)
    assert not writer.put(bytes(4), bytes(60000), True)
    assert writer.waiting() == 6 + sent * 1402 + 2 * 60006


@pytest.mark.parametrize(("first", "rest", "fits"), [(0, MOST, True), (4, MOST - 4, True), (4, MOST, False)])
def test_the_largest_message(first: int, rest: int, fits: bool) -> None:
    assert Writer().put(bytes(first), bytes(rest), True) is fits


def test_what_is_written_is_what_is_read() -> None:
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    theirs.setblocking(False)
    rng, writer, reader = random.Random(1), Writer(), Reader(True)
    writer.prefix()
    wanted, found = [], []
    for _ in range(300):
        message = rng.randbytes(rng.randrange(1, 5000))
        if writer.put(b"", message, False):
            wanted.append(message)
        writer.flush(ours.fileno())
        if rng.random() < 0.7:
            found += drain(theirs, reader)
    while writer.flush(ours.fileno()):
        found += drain(theirs, reader)
    found += drain(theirs, reader)
    assert found == wanted and writer.waiting() == 0


def drain(sock: socket.socket, reader: Reader) -> list[bytes]:
    found: list[bytes] = []
    while True:
        try:
            why, some, _ = reader.feed(sock.recv(10000))
        except BlockingIOError:
            return found
        assert why == FINE
        found += some


def test_a_peer_that_has_gone() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    writer = Writer()
    writer.put(b"", b"x", False)
    assert writer.flush(ours.fileno()) == -1
