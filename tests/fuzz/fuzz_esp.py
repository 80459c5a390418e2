# SPDX-License-Identifier: GPL-2.0-or-later
"""Throws damaged datagrams and frames at a running packet engine: `python -m tests.fuzz.fuzz_esp [SECONDS [SEED]]`.

What the engine must do: neither die nor grow, count every packet once (delivered, sent, reported or dropped for a named
reason), and carry good packets afterwards. Every input depends on SEED and its index alone.
"""

from __future__ import annotations

import struct
import sys
import time
from collections.abc import Callable
from random import Random

from openswan.base.drops import Drop
from tests.fast.rig import HERE, IN_SPI, THERE, Rig, eventually, icmp_error, ip, tcp, udp

BATCH = 64


def inner(rng: Random, outbound: bool) -> bytes:
    """A packet that is often good."""
    src, dst = (HERE, THERE) if outbound else (THERE, HERE)
    if rng.random() < 0.4:
        src, dst = ("fd01::5", "fd02::7") if outbound else ("fd02::7", "fd01::5")
    body = rng.randbytes(rng.choice([0, 1, 20, 1300, rng.randint(0, 3000)]))
    kind = rng.randrange(5)
    if kind == 0:
        packet = udp(src, dst, rng.randrange(65536), rng.randrange(65536), body)
    elif kind == 1:
        options = rng.randbytes(4 * rng.randrange(11))
        packet = tcp(src, dst, 1, 2, body, flags=rng.randrange(256), options=options, seq=rng.getrandbits(32))
    elif kind == 2:
        packet = icmp_error(src, dst, udp(dst, src, 1, 2, body)[: rng.randint(0, 60)], rng.choice([1, 3, 4]), 0)
    else:
        packet = ip(src, dst, rng.choice([0, 43, 44, 60, 6, 17, 58, 1, 47]), rng.randbytes(rng.randint(0, 80)))
    return damage(rng, packet) if rng.random() < 0.5 else packet


def damage(rng: Random, data: bytes) -> bytes:
    """Cut, flip or lengthen."""
    how = rng.randrange(4)
    if how == 0:
        return data[: rng.randint(0, len(data))]
    if how == 1:
        return data + rng.randbytes(rng.randint(1, 40))
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        if out:
            out[rng.randrange(min(len(out), 60) if how == 2 else len(out))] = rng.choice(
                [0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)]
            )
    return bytes(out)


def datagram(rng: Random, rig: Rig) -> bytes:
    """What arrives on the UDP socket."""
    kind = rng.randrange(6)
    if kind == 0:
        return rng.randbytes(rng.randint(0, 100))
    if kind == 1:
        return IN_SPI.to_bytes(4, "big") + rng.randbytes(rng.randint(0, 100))
    if kind == 2:
        return bytes(4) + rng.randbytes(rng.randint(0, 100))
    sealed = rig.seal(inner(rng, False), next_header=rng.choice([4, 41, 4, 41, 59, 6]))
    return damage(rng, sealed) if kind == 3 else sealed


def frame(rng: Random) -> bytes:
    """What is read from the TUN."""
    packet = inner(rng, True)
    header = bytes(10)
    if rng.random() < 0.6:
        header = struct.pack(
            "<BBHHHH",
            rng.choice([0, 1, 2]),
            rng.choice([0, 1, 4, 5, 0x81, 0x84, 3, 255]),
            rng.randrange(100),
            rng.choice([0, 1, 7, 100, 1400, 65535]),
            rng.choice([0, 20, 40, 65535, rng.randrange(200)]),
            rng.choice([6, 16, 65535, rng.randrange(200)]),
        )
    whole = header + packet
    return whole[: rng.randint(0, 12)] if rng.random() < 0.05 else whole


def drain(rig: Rig) -> int:
    """Empty both ends; how many packets there were."""
    count = 0
    for sock in (rig.host, rig.peer):
        sock.setblocking(False)
        try:
            while True:
                sock.recv(70000)
                count += 1
        except BlockingIOError:
            pass
    return count


def run(seed: int, enough: Callable[[int], bool], provider: str = "auto") -> int:
    """Feed an engine until `enough(inputs so far)`; how many packets came through. AssertionError tells the seed."""
    rig = Rig(provider=provider)
    rng = Random(seed)
    inputs = out = 0
    try:
        rig.tunnel()
        rig.klips._engine.set_offload(0, True, True)
        while not enough(inputs):
            for _ in range(BATCH):
                if rng.random() < 0.5:
                    rig.arrive(datagram(rng, rig))
                else:
                    data = frame(rng)
                    if data:
                        rig.host.setblocking(True)
                        rig.host.send(data)
                inputs += 1
            time.sleep(0.002)
            out += drain(rig)
            rig.klips.poll_events()
        rig.klips._engine.set_offload(0, False, False)
        time.sleep(0.05)
        out += drain(rig)
        drops = rig.klips.drops()
        assert drops[Drop.NO_MEMORY] == drops[Drop.TUN_FAILED] == 0, f"seed {seed}: {drops}"
        good = udp(THERE, HERE, 7, 7, b"still alive")
        rig.arrive(rig.seal(good))
        assert rig.received() == good, f"seed {seed}: damaged input stopped the tunnel inbound"
        good = udp(HERE, THERE, 7, 7, b"still alive")
        rig.send(good)
        eventually(lambda: rig.opened() == good, 2, lambda: f"seed {seed}: damaged input stopped the tunnel outbound")
        return out
    finally:
        rig.close()


def main(argv: list[str]) -> int:
    """Run for SECONDS from SEED on, new engines all the time."""
    seconds = float(argv[0]) if argv else 60.0
    seed = int(argv[1]) if len(argv) > 1 else 1
    end = time.monotonic() + seconds
    total = came = 0
    while time.monotonic() < end:
        counted = 0

        def enough(inputs: int) -> bool:
            nonlocal counted
            counted = inputs
            return inputs >= 20000 or time.monotonic() >= end

        came += run(seed, enough, "evp" if seed % 2 else "auto")
        total += counted
        seed += 1
    print(f"{total} datagrams and frames, {came} packets came through, engine alive")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
