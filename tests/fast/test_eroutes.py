# SPDX-License-Identifier: GPL-2.0-or-later
"""The eroute table as tests and benchmarks use it: changes beside matches, and what it refuses."""

from __future__ import annotations

import threading

import pytest
from _fast.eroutes import Radij

from openswan.klips.keys import RawFlow, RawKey


@pytest.mark.parametrize("how", [0, 1, 2], ids=["one by one", "flow cache", "batch"])
def test_a_flow_with_two_eroutes_of_which_one_always_is_never_meets_a_third(how: int) -> None:
    """While one thread swaps a narrow eroute for a broader one and back, under a default nobody may see."""
    table = Radij()
    table.set((4, bytes(4), 0, bytes(4), 0, 0, 0, 0), 1 << 40)
    ones: list[RawKey] = []
    others: list[RawKey] = []
    flows: list[RawFlow] = []
    for n in range(300):
        src, dst = (10 << 24 | n << 8 | 1).to_bytes(4, "big"), (172 << 24 | n << 8 | 1).to_bytes(4, "big")
        ones.append((4, src, 32, dst, (24, 32)[n % 2], 0, 0, 0))
        others.append((4, src, (24, 32)[n // 2 % 2], dst, 20, 0, 0, 0) if n % 3 else (*ones[-1][:5], 6, 0, 0))
        flows.append((4, src, dst, 6, 1, 2))
        table.set(ones[-1], n)
    made: list[int] = []
    writer = threading.Thread(target=lambda: made.append(table.churn(ones, others, 1.0)))
    writer.start()
    hits = total = 0
    while writer.is_alive():
        got = table.repeat(flows, 20, how)
        hits, total = hits + got[0], total + got[1]
    writer.join()
    assert made[0] > 1000 and hits > 0 and hits % (20 * len(flows)) == 0
    assert total < hits * 2 * len(flows) + hits


@pytest.mark.parametrize("how", [0, 2], ids=["one by one", "batch"])
def test_a_table_that_becomes_large_and_empty_again_never_loses_what_stays(how: int) -> None:
    """Sources and the destinations of one of them, past the sizes at which trees are built anew, under matches."""
    table = Radij()
    stays: list[RawKey] = [(4, bytes([10, n, 1, 0]), 24, bytes([172, 16, n, 0]), 24, 0, 0, 0) for n in range(60)]
    stays += [(4, bytes([11, 0, 0, 0]), 8, bytes([172, n, 0, 0]), 16, 0, 0, 0) for n in range(40)]
    flows: list[RawFlow] = [(4, key[1][:3] + b"\1", key[3][:3] + b"\1", 6, 1, 2) for key in stays]
    comes: list[RawKey] = [
        (4, n.to_bytes(3, "big") + b"\0", 24, b"\1\2\3\4", 32, 0, 0, 0) for n in range(1 << 20, (1 << 20) + 34_000)
    ]
    comes += [
        (4, bytes([11, 0, 0, 0]), 8, n.to_bytes(3, "big") + b"\0", 24, 0, 0, 0)
        for n in range(1 << 22, (1 << 22) + 34_000)
    ]
    for n, key in enumerate(stays, 1):
        table.set(key, n)
    stop = threading.Event()
    seen: list[tuple[int, int]] = []

    def match() -> None:
        while not stop.is_set():
            seen.append(table.repeat(flows, 20, how))

    reader = threading.Thread(target=match)
    reader.start()
    for key in comes:
        table.set(key, 1 << 40)
    for key in comes:
        assert table.remove(key)
    stop.set()
    reader.join()
    assert set(seen) == {(20 * len(flows), 20 * sum(range(1, len(stays) + 1)))}
    for key in stays:
        assert table.remove(key)
    assert table.octets == 0


def test_keys_that_lie_about_their_lengths_are_refused() -> None:
    table = Radij()
    for key in (
        (4, b"123", 8, b"1234", 8, 0, 0, 0),
        (4, b"1234", 33, b"1234", 8, 0, 0, 0),
        (6, b"1234", 8, b"1" * 16, 8, 0, 0, 0),
    ):
        with pytest.raises(ValueError):
            table.set(key, 1)
    with pytest.raises(ValueError):
        table.match((4, b"12345", b"1234", 0, 0, 0))
