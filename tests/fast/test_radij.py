# SPDX-License-Identifier: GPL-2.0-or-later
"""The eroute table against its twin on random keys, and the order of specificity."""

from __future__ import annotations

from random import Random

import pytest
from _fast.eroutes import Radij

from openswan.klips.keys import RawFlow, RawKey
from openswan.klips.slow.radij import Radij as SlowRadij


def random_address(rng: Random, version: int) -> bytes:
    # Few distinct bits, so that keys nest and flows hit.
    octets = bytearray(4 if version == 4 else 16)
    octets[0] = 10
    for at in (1, -1):
        octets[at] = rng.choice([0, 1, 128, 129, 255])
    return bytes(octets)


def random_key(rng: Random) -> RawKey:
    version = rng.choice([4, 6])
    most = 32 if version == 4 else 128
    lengths = [0, 1, 8, 9, 16, most - 7, most - 1, most]
    protocol = rng.choice([0, 0, 6, 17])
    return (
        version,
        random_address(rng, version),
        rng.choice(lengths),
        random_address(rng, version),
        rng.choice(lengths),
        protocol,
        rng.choice([0, 0, 80, 443]) if protocol else 0,
        rng.choice([0, 0, 80, 443]) if protocol else 0,
    )


def random_flow(rng: Random) -> RawFlow:
    version = rng.choice([4, 6])
    return (
        version,
        random_address(rng, version),
        random_address(rng, version),
        rng.choice([1, 6, 17]),
        rng.choice([0, 80, 443, 5000]),
        rng.choice([0, 80, 443, 5000]),
    )


@pytest.mark.parametrize("seed", range(6))
def test_races_its_twin(seed: int) -> None:
    rng = Random(seed)
    fast, slow = Radij(), SlowRadij()
    keys: list[RawKey] = []
    for cookie in range(1, 600):
        if keys and rng.random() < 0.3:
            key = rng.choice(keys)
            assert fast.remove(key) == slow.remove(key)
        else:
            key = random_key(rng)
            keys.append(key)
            assert fast.set(key, cookie) == slow.set(key, cookie)
        assert len(fast) == len(slow)
        for _ in range(4):
            flow = random_flow(rng)
            expected = slow.match(flow)
            assert fast.match(flow) == expected, flow
            assert fast.match(flow, True) == expected, flow
            assert fast.match(flow, True) == expected, flow
    flows = [random_flow(rng) for _ in range(32)]
    assert fast.match_batch(flows) == [slow.match(flow) for flow in flows]
    assert sorted(fast.cookies()) == slow.cookies()


def any_key(rng: Random, version: int) -> RawKey:
    """Any prefix lengths and any wildcards; addresses agree with others for a random stretch."""
    most = 32 if version == 4 else 128
    protocol = rng.choice([0, 0, 0, 6, 17])
    return (
        version,
        near(rng, most),
        rng.randrange(most + 1),
        near(rng, most),
        rng.randrange(most + 1),
        protocol,
        rng.choice([0, 0, 80, 443]) if protocol else 0,
        rng.choice([0, 0, 80, 443]) if protocol else 0,
    )


def near(rng: Random, bits: int) -> bytes:
    value = int.from_bytes(b"\x0a\x55\xaa\xff" * (bits // 32), "big")
    return (value ^ rng.getrandbits(bits) >> rng.randrange(bits)).to_bytes(bits // 8, "big")


@pytest.mark.parametrize("seed", range(4))
def test_races_its_twin_on_many_prefix_lengths(seed: int) -> None:
    rng = Random(seed)
    version = rng.choice([4, 6])
    fast, slow = Radij(), SlowRadij()
    keys: list[RawKey] = []
    for cookie in range(1, 900):
        if keys and rng.random() < 0.35:
            key = rng.choice(keys)
            assert fast.remove(key) == slow.remove(key)
        else:
            # Now and then other ports of a pair that is there, or another destination of a source.
            key = any_key(rng, version)
            if keys and rng.random() < 0.4:
                other = rng.choice(keys)
                key = (*other[:3], *key[3:]) if rng.random() < 0.5 else (*other[:5], *key[5:])
            keys.append(key)
            assert fast.set(key, cookie) == slow.set(key, cookie)
        if cookie % 30 == 0:
            most = 32 if version == 4 else 128
            flows = [(version, near(rng, most), near(rng, most), 6, rng.choice([80, 9]), 443) for _ in range(20)]
            expected = [slow.match(flow) for flow in flows]
            assert fast.match_batch(flows) == expected
            assert [fast.match(flow) for flow in flows] == expected
            assert [fast.match(flow, True) for flow in flows] == expected
    assert len(fast) == len(slow) and sorted(fast.cookies()) == slow.cookies()
    for key in keys:
        assert fast.remove(key) == slow.remove(key)
    assert len(fast) == 0 and fast.octets == 0


def test_source_beats_destination_beats_protocol_beats_ports() -> None:
    table = Radij()
    a, b = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
    rows: list[RawKey] = [
        (4, a, 0, b, 0, 0, 0, 0),
        (4, a, 0, b, 32, 6, 80, 443),
        (4, a, 1, b, 0, 0, 0, 0),
        (4, a, 32, b, 31, 6, 80, 443),
        (4, a, 32, b, 32, 0, 0, 0),
        (4, a, 32, b, 32, 6, 0, 0),
        (4, a, 32, b, 32, 6, 0, 443),
        (4, a, 32, b, 32, 6, 80, 0),
        (4, a, 32, b, 32, 6, 80, 443),
    ]
    for cookie, key in enumerate(rows):
        table.set(key, cookie)
    for cookie in reversed(range(len(rows))):
        assert table.match((4, a, b, 6, 80, 443)) == cookie
        assert table.remove(rows[cookie])
    assert table.match((4, a, b, 6, 80, 443)) is None and not table.remove(rows[0])


def test_a_hundred_thousand_pairs_are_found() -> None:
    table = Radij()
    for n in range(100_000):
        table.set((4, (10 << 24 | n).to_bytes(4, "big"), 32, b"\xc0\xa8\x00\x01", 32, 0, 0, 0), n)
    assert len(table) == 100_000
    for n in range(0, 100_000, 997):
        assert table.match((4, (10 << 24 | n).to_bytes(4, "big"), b"\xc0\xa8\x00\x01", 17, 1, 2)) == n
    assert table.match((4, b"\x0b\x00\x00\x00", b"\xc0\xa8\x00\x01", 17, 1, 2)) is None
