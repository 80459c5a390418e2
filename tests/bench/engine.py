# SPDX-License-Identifier: GPL-2.0-or-later
"""The packet engine by itself, on one core: sealing, matching. `python -m tests.bench.engine`, no root needed."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from _fast.radij import Radij

from _fast.cipher import providers
from _fast.esp import Esp

SUITES = (
    ("aes_gcm_16", 20, "", 0),
    ("aes_gcm_16", 36, "", 0),
    ("chacha20_poly1305", 36, "", 0),
    ("aes_cbc", 16, "hmac_sha1_96", 20),
    ("aes_cbc", 16, "hmac_sha2_256_128", 32),
    ("aes_cbc", 32, "hmac_sha2_512_256", 64),
)


def nanoseconds(work: Callable[[], object], units: int) -> float:
    """Best of five, a unit."""
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best / units * 1e9


def sealing() -> None:
    """One packet at a time; the engine itself gives CBC packets to libipsec-mb by the dozen."""
    print("sealing one packet       provider    64 octets    1400 octets")
    for cipher, key, integ, auth in SUITES:
        for provider in providers():
            esp = Esp(cipher, bytes(key), integ, bytes(auth), provider=provider)
            small = nanoseconds(partial(esp.repeat, 64, 2000), 2000)
            large = nanoseconds(partial(esp.repeat, 1400, 2000), 2000)
            bits = (key - 4 if not auth else key) * 8
            print(
                f"{cipher}-{bits} {integ}".ljust(40)
                + f"{provider:10} {small:6.0f} ns {large:8.0f} ns {1400 * 8 / large:6.1f} Gbit/s"
            )


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
    matching()


if __name__ == "__main__":
    main()
