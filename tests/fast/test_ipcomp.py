# SPDX-License-Identifier: GPL-2.0-or-later
"""DEFLATE payloads, raced against the zlib module; streams that lie, and bombs."""

from __future__ import annotations

import random
import zlib

from _fast.ipcomp import Squeeze
from openswan.klips.slow import ipcomp


def some(rng: random.Random) -> bytes:
    kind = rng.randrange(4)
    n = rng.choice((0, 1, 5, 6, 20, 89, 90, 100, 1000, 1500, 9000, 65000))
    if kind == 0:
        return rng.randbytes(n)
    if kind == 1:
        return bytes([rng.randrange(256)]) * n
    text = b" ".join(
        rng.choice((b"GET", b"/index.html", b"Host:", b"HTTP/1.1", rng.randbytes(3))) for _ in range(n // 5)
    )
    return text[:n]


def test_both_twins_make_and_read_the_same() -> None:
    rng = random.Random(3173)
    fast = Squeeze()
    for _ in range(400):
        payload = some(rng)
        packed = fast.pack(payload)
        assert packed == ipcomp.pack(payload)
        if packed is not None:
            assert len(packed) + 4 < len(payload)
            assert fast.unpack(packed) == ipcomp.unpack(packed) == payload
        # What peers with the whole window, other levels and stored blocks send.
        stream = zlib.compressobj(rng.randrange(10), zlib.DEFLATED, -15)
        theirs = stream.compress(payload) + stream.flush()
        assert fast.unpack(theirs) == (payload or None)


def test_what_is_no_stream_is_refused_by_both() -> None:
    rng = random.Random(2394)
    fast = Squeeze()
    whole = fast.pack(b"abcdefghij" * 40)
    assert whole is not None
    for cut in range(len(whole)):
        assert fast.unpack(whole[:cut]) is None is ipcomp.unpack(whole[:cut])
    for _ in range(2000):
        wild = bytearray(whole if rng.random() < 0.7 else rng.randbytes(rng.randrange(1, 60)))
        wild[rng.randrange(len(wild))] ^= 1 << rng.randrange(8)
        assert fast.unpack(bytes(wild)) == ipcomp.unpack(bytes(wild))
    # Not spoilt by what came before.
    assert fast.unpack(whole) == b"abcdefghij" * 40


def test_a_bomb_goes_off_in_a_small_room() -> None:
    fast = Squeeze()
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = stream.compress(bytes(50 << 20)) + stream.flush()
    assert len(bomb) < 60000
    assert fast.unpack(bomb) is None and fast.unpack(bomb, 1000) is None
    exact = zlib.compressobj(9, zlib.DEFLATED, -15)
    fits = exact.compress(bytes(1000)) + exact.flush()
    assert fast.unpack(fits, 1000) == bytes(1000) and fast.unpack(fits, 999) is None


def test_distances_stay_within_two_kilobytes() -> None:
    rng = random.Random(11)
    block = rng.randbytes(3000)
    # The only redundancy is 3,000 octets back, further than a peer with a small window could look.
    assert Squeeze().pack(block + block) is None
    near = block[:1000]
    assert Squeeze().pack(near + near) is not None
