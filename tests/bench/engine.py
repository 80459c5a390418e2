# SPDX-License-Identifier: GPL-2.0-or-later
"""The packet engine by itself, on one core: sealing, matching. `python -m tests.bench.engine`, no root needed."""

from __future__ import annotations

import random
import socket
import struct
import time
from collections.abc import Callable
from functools import partial

from _fast.eroutes import Radij

from _fast.cipher import providers
from _fast.esp import Esp
from _fast.gauge import inbound, outbound
from tests.fast.rig import HERE, IN_SPI, KEYS, THERE, VNET, Rig, tcp, udp, vnet

SUITES = (
    ("aes_gcm_16", 20, "", 0),
    ("aes_gcm_16", 36, "", 0),
    ("aes_gcm_8", 20, "", 0),
    ("chacha20_poly1305", 36, "", 0),
    ("aes_ccm_16", 19, "", 0),
    ("aes_ccm_16", 27, "", 0),
    ("aes_ccm_16", 35, "", 0),
    ("null_auth_aes_gmac", 20, "", 0),
    ("aes_cbc", 16, "hmac_sha1_96", 20),
    ("aes_cbc", 16, "hmac_sha2_256_128", 32),
    ("aes_cbc", 32, "hmac_sha2_384_192", 48),
    ("aes_cbc", 32, "hmac_sha2_512_256", 64),
    ("aes_cbc", 16, "aes_xcbc_96", 16),
    ("aes_cbc", 16, "aes_cmac_96", 16),
    ("aes_cbc", 16, "hmac_md5_96", 16),
    ("aes_ctr", 20, "hmac_sha1_96", 20),
    ("null", 0, "hmac_sha1_96", 20),
    ("3des_cbc", 24, "hmac_sha1_96", 20),
)
SIZE = 1408
"""Octets of an inner packet."""
BATCHES = (1, 2, 4, 8, 16, 32, 64)


def nanoseconds(work: Callable[[], object], units: int) -> float:
    """Best of five, a unit."""
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best / units * 1e9


def named(cipher: str, key: int, integ: str) -> str:
    """As listings name a suite, with the key size."""
    salt = 0 if integ else 3 if "ccm" in cipher else 4
    return f"{cipher}_{(key - salt) * 8} {integ}".replace("_0 ", " ")


def sealing() -> None:
    """Every algorithm by every provider, packets of 1408 octets sealed and opened so many at a time; ns a packet."""
    print(f"{SIZE} octets, ns a packet for so many together".ljust(52) + "".join(f"{n:7}" for n in BATCHES))
    for cipher, key, integ, auth in SUITES:
        for provider in ("auto", *providers()):
            for opening in (False, True):
                esp = Esp(cipher, bytes(key), integ, bytes(auth), window=0, provider=provider)
                esp.repeat(SIZE, 2, 64, opening)
                row = []
                for batch in BATCHES:
                    times = max(2, 64 // batch)
                    spent = min(esp.repeat(SIZE, times, batch, opening) for _ in range(3))
                    row.append(f"{spent / times / batch:7.0f}")
                words = f"{named(cipher, key, integ):32} {provider:9} {'open' if opening else 'seal'}"
                print(words.ljust(52) + "".join(row))


class Still(Rig):
    """A rig whose worker no thread runs."""

    def __init__(self, cipher: str, key: tuple[bytes, str, bytes]) -> None:
        KEYS[cipher] = key
        # Room for the longest ICV around packets of that size.
        super().__init__(cipher, mtu=1600)
        self.klips.stop()
        # As a TUN is on a kernel with USO: what comes out of the tunnel is put together.
        self.klips._engine.set_offload(0, True, True)
        self.tunnel()


def path() -> None:
    """One worker's whole path without system calls, against the cipher alone on the same packets in the same run."""
    print(f"\n{SIZE} octets through the engine: ns a packet, cipher alone, and its share".ljust(72) + "Gbit/s")
    for cipher, size, integ, auth in SUITES:
        key = (random.Random(1).randbytes(size), integ, bytes(auth))
        rig = Still(cipher, key)
        try:
            inner = udp(HERE, THERE, 5000, 6000, bytes(SIZE - 28))
            big = tcp(HERE, THERE, 5000, 6000, bytes(40 * (SIZE - 40)))
            head = vnet(1, 40, SIZE - 40, 20, 16)
            runs = {
                "32 packets out": partial(outward, rig, [VNET + inner] * 32),
                "a TCP super-packet of 40 out": partial(outward, rig, [head + big]),
                "32 packets in": partial(inward, rig, udp(THERE, HERE, 5000, 6000, bytes(SIZE - 28))),
            }
            for name, run in runs.items():
                # Ratios are taken run by run: the machine's speed may change between them.
                results = sorted((run() for _ in range(7)), key=lambda r: r[1] / r[0])
                whole, bare, packets, octets = results[len(results) // 2]
                spread = [r[1] / r[0] for r in results]
                print(
                    f"{named(cipher, size, integ):32} {name:30}{whole / packets:7.0f} {bare / packets:7.0f}"
                    f" {bare / whole:5.2f} ({spread[0]:.2f} to {spread[-1]:.2f}) {octets * 8 / whole:6.1f}"
                )
        finally:
            rig.close()


def outward(rig: Rig, frames: list[bytes]) -> tuple[int, int, int, int]:
    """(ns in all, ns of the cipher, packets, octets) of some rounds."""
    return outbound(rig.klips._engine.worker(1), 0, frames, 40)


def inward(rig: Rig, inner: bytes) -> tuple[int, int, int, int]:
    """The same for packets of the peer, numbered on."""
    key, integ, auth = KEYS[rig.cipher]
    peer = Esp(rig.cipher, key, integ, auth)
    packets = []
    for _ in range(20):
        packets += peer.seal_many(IN_SPI, rig.sequence + 1, [inner] * 32)
        rig.sequence += 32
    port = rig.remote.port.to_bytes(2, "big")
    remote = struct.pack("=H", socket.AF_INET) + port + rig.remote.address.packed + bytes(20)
    return inbound(rig.klips._engine.worker(1), 0, remote, packets, 32)


def matching() -> None:
    """Eroute look-ups among host pairs under one net, with and without the flow cache."""
    for count in (1, 1000, 100_000, 1_000_000):
        table = Radij()
        for n in range(count):
            table.set((4, (10 << 24 | n).to_bytes(4, "big"), 32, b"\xc0\xa8\0\1", 32, 0, 0, 0), n)
        table.set((4, b"\x0a\0\0\0", 8, b"\0\0\0\0", 0, 0, 0, 0), count)
        step = max(1, count // 2000)
        flows = [(4, (10 << 24 | n).to_bytes(4, "big"), b"\xc0\xa8\0\1", 6, 5, 6) for n in range(0, count, step)]
        few = flows[:500]
        plain = nanoseconds(partial(table.repeat, flows, 20), 20 * len(flows))
        cached = nanoseconds(partial(table.repeat, few, 20, True), 20 * len(few))
        print(f"{count + 1:8} eroutes: {plain:5.0f} ns a look-up, {cached:5.0f} ns when the flow is known")


def main() -> None:
    """Everything."""
    sealing()
    path()
    matching()


if __name__ == "__main__":
    main()
