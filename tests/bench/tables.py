# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables by themselves: eroute matches, changes beside them, memory. `python -m tests.bench.tables`, no root.

Nanoseconds are of processor time, so that what else the machine does shows in the caches alone; the single match is by
the clock, its reading included.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from random import Random

from _fast.eroutes import Radij

from openswan.base.numbers import IpProtocol
from openswan.base.said import Said
from openswan.klips.engine import Klips
from openswan.klips.keys import RawFlow, RawKey
from openswan.plane.commands import AddSa, Direction, SetEroute
from openswan.policy.selector import FlowKey, Selector
from tests.bench.machine import describe, resident

MILLION = 1_000_000
PROBES = 100_000
ROUNDS = 20
"""Of some milliseconds each: others on the machine, and beside it on the same memory, disturb most of them."""
LENGTHS = (0, 8, 12, 16, 18, 20, 22, 24, 26, 28, 30, 32)


def v4(rng: Random) -> bytes:
    """Any address."""
    return rng.getrandbits(32).to_bytes(4, "big")


def v6(rng: Random) -> bytes:
    """Any of 2000::/4."""
    return (rng.getrandbits(124) | 2 << 124).to_bytes(16, "big")


def hosts(rng: Random) -> RawKey:
    """Host to host."""
    return (4, v4(rng), 32, v4(rng), 32, 0, 0, 0)


def nets(rng: Random) -> RawKey:
    """/24 to /24."""
    return (4, v4(rng), 24, v4(rng), 24, 0, 0, 0)


def mixed(rng: Random) -> RawKey:
    """Any of a thousand pairs of prefix lengths."""
    return (4, v4(rng), rng.randrange(33), v4(rng), rng.randrange(33), 0, 0, 0)


def groups(rng: Random) -> RawKey:
    """Policy groups of an opportunistic gateway: one source, a dozen prefix lengths of destinations."""
    return (4, b"\xc0\0\2\1", 32, v4(rng), rng.choice(LENGTHS), 0, 0, 0)


def hosts6(rng: Random) -> RawKey:
    """Host to host, IPv6."""
    return (6, v6(rng), 128, v6(rng), 128, 0, 0, 0)


def mixed6(rng: Random) -> RawKey:
    """Any prefix lengths, IPv6."""
    return (6, v6(rng), rng.randrange(129), v6(rng), rng.randrange(129), 0, 0, 0)


def filled(kind: Callable[[Random], RawKey], count: int) -> tuple[Radij, list[RawKey], list[RawFlow]]:
    """A table of `count` random keys, the keys, and flows that some of them cover."""
    rng = Random(1)
    table = Radij()
    keys = [kind(rng) for _ in range(count)]
    for number, key in enumerate(keys):
        table.set(key, number + 1)
    return table, keys, [(key[0], key[1], key[3], 6, 1000, 2000) for key in rng.sample(keys, min(PROBES, count))]


def cost(table: Radij, flows: list[RawFlow], how: int) -> float:
    """Best of ROUNDS, ns of processor time a match."""
    best = float("inf")
    for _ in range(ROUNDS):
        table.repeat(flows, 1, how)
        best = min(best, table.spent)
    return best / len(flows)


def matching(count: int) -> None:
    """One core, addresses at random; the flow cache has nothing to remember and is left out."""
    print("wanted of a million: 20 million/s of random addresses, p99 of a single match under 1000 ns\n")
    print(f"| {count} eroutes | single | p99 of one | batch | million/s | memory an entry |\n|---|---|---|---|---|---|")
    for kind in (hosts, nets, mixed, groups, hosts6, mixed6):
        table, keys, flows = filled(kind, count)
        single, batch = cost(table, flows, 0), cost(table, flows, 2)
        worst = min(sorted(table.each(flows))[len(flows) * 99 // 100] for _ in range(5))
        name = (kind.__doc__ or "").rstrip(".")
        print(
            f"| {name} | {single:.0f} ns | {worst} ns | {batch:.0f} ns | {1000 / batch:.1f} "
            f"| {table.octets / len(table):.0f} octets |",
            flush=True,
        )
        del table, keys, flows


def nested() -> None:
    """Adversarial: every pair of prefix lengths covers the flow, and all but the broadest ask for another protocol."""
    table = Radij()
    src, dst = b"\x0a\1\2\3", b"\xc0\xa8\1\2"
    for srclen in range(33):
        for dstlen in range(33):
            table.set((4, src, srclen, dst, dstlen, 17 if srclen or dstlen else 0, 0, 0), srclen * 33 + dstlen)
    took = cost(table, [(4, src, dst, 6, 1, 2)] * 1000, 0)
    print(f"| {len(table)} nested eroutes of another protocol, then a match | {took:.0f} ns | |", flush=True)


def churning(count: int) -> None:
    """Matching of random host pairs while another thread changes others, ns of processor time a match."""
    table, keys, flows = filled(hosts, count)
    wide: list[RawKey] = [(*key[:2], 31, *key[3:]) for key in keys[:50_000]]
    quiet = cost(table, flows, 2)
    for rate in (100_000, 0):
        made: list[float] = []

        def change(rate: int = rate, made: list[float] = made) -> None:
            start = time.monotonic()
            made.append(table.churn(keys[:50_000], wide, 2.0, rate) / (time.monotonic() - start))

        writer = threading.Thread(target=change)
        writer.start()
        taken = []
        while writer.is_alive():
            taken.append(cost(table, flows, 2))
        writer.join()
        taken.sort()
        if rate:
            print("\nwanted: 100,000 changes/s that slow the matching by less than a quarter\n")
        print(
            f"| {made[0]:,.0f} changes/s beside the matching | {taken[len(taken) // 2]:.0f} ns a match "
            f"| {quiet:.0f} without |",
            flush=True,
        )


def pairs(count: int) -> tuple[float, float, float]:
    """Resident octets a pair of SAs with its eroute costs, everything counted; seconds to load one, and to find it.

    RuntimeError when a look-up goes wrong.
    """
    klips = Klips("auto", 1)
    here = IPv4Address("192.0.2.1")
    lan = Selector.of(IPv4Network("10.0.0.0/8"))
    gc.collect()
    before = resident(os.getpid())
    start = time.process_time()
    for n in range(count):
        there = IPv4Address((198 << 24) + n)
        net = IPv4Network((int(IPv4Address("172.16.0.0")) + n, 32))
        far = Selector.of(net)
        key = n.to_bytes(20, "big")
        out = Said(IpProtocol.ESP, 0x1000 + n, there)
        back = Said(IpProtocol.ESP, 0x1000000 + n, here)
        name = f"peer{n}"
        klips.execute(AddSa(back, there, Direction.IN, "aes_gcm_16", key, selectors=((far, lan),), owner=name))
        klips.execute(AddSa(out, here, Direction.OUT, "aes_gcm_16", key, selectors=((lan, far),), owner=name))
        klips.execute(SetEroute(FlowKey(IPv4Network("10.0.0.0/8"), net), out, owner=name))
    loading = time.process_time() - start
    gc.collect()
    grown = (resident(os.getpid()) - before) * (1 << 20)
    asked = range(0, count, 10)
    start = time.process_time()
    for n in asked:
        out = Said(IpProtocol.ESP, 0x1000 + n, IPv4Address((198 << 24) + n))
        far = IPv4Network((int(IPv4Address("172.16.0.0")) + n, 32))
        row, met = klips.sa(out), klips.match(FlowKey(IPv4Network("10.9.8.7/32"), far))
        if row is None or met is None or (row.said, row.owner, met.target) != (out, f"peer{n}", out):
            raise RuntimeError(f"pair {n}: {row} {met}")
    return grown / count, loading / count, (time.process_time() - start) / len(asked)


def apart(count: int) -> list[float]:
    """The same in a process of its own, whose memory has no history."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, " ".join(map(str, pairs(count))).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return [float(each) for each in text.split()]


def main(count: int = MILLION) -> None:
    """Everything."""
    print(f"machine: {describe()}")
    for many in (10_000, 100_000):
        octets, load, find = apart(many)
        print(
            f"| an SA pair with its eroute, {many} of them | {octets:.0f} octets, at most 4096 wanted "
            f"| {load * 1e6:.0f} us to load, {find * 1e6:.0f} us to look up its row and its eroute's |"
        )
    print()
    matching(count)
    nested()
    churning(count)


if __name__ == "__main__":
    main()
