# SPDX-License-Identifier: GPL-2.0-or-later
"""A stranger on the wire: random, cut, huge and replayed IKE and ESP disturb no tunnel and leave nothing behind.

sunset ----lan---- west =======wan======= east ----lan---- sunrise
                                      ^ the stranger uses east's device
"""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from pathlib import Path

from openswan.base.marks import DEFAULT_MARKS
from tests.netns.capture import Capture
from tests.netns.conns import NET4, conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.pair import pair
from tests.netns.test_rekey import assert_all_arrived, flows
from tests.netns.traffic import udp_socket


def inject(host: Host, frames: list[bytes]) -> None:
    """Put whole frames onto the wire, past the last guard of a gateway that is to play somebody else."""
    with host.inside():
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, DEFAULT_MARKS.own)
    s.bind(("wan", 0))
    for frame in frames:
        s.send(frame)
    s.close()


def replayable(frame: bytes) -> bytes:
    """A captured IPv4 UDP frame without the checksum, which a virtual wire leaves unfinished."""
    return frame[:40] + bytes(2) + frame[42:]


def memory(gateway: Gateway) -> int:
    """Resident kilobytes of the daemon."""
    text = Path(f"/proc/{gateway.pid}/status").read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("VmRSS")))


def exchange(lab: Lab) -> tuple[Capture, Gateway]:
    """A tunnel whose whole making was recorded."""
    wire = Capture(lab.west)
    both = pair(lab, conn("net", NET4, auto="add"))
    both.up("net")
    return wire, both.west


def test_replayed_packets_are_dropped_counted_and_delivered_once(lab: Lab) -> None:
    wire, west = exchange(lab)
    running = flows(lab)
    wait_for("packets", lambda: len(running[1][1].got) > 50)
    inbound = [replayable(s.data) for s in wire.packets(lambda s: s.kind == "esp-udp" and s.dst == "192.0.2.1")]
    inject(lab.east, inbound * 3)
    wait_for("them to be counted", lambda: sum(sa["replays"] for sa in west.json("spi")) >= len(inbound) * 3 - 5, 5)
    assert_all_arrived(running)
    wire.close()


def test_replayed_exchanges_change_nothing(lab: Lab) -> None:
    wire, west = exchange(lab)
    status = [line for line in west.status().splitlines() if "STATE_" in line]
    running = flows(lab)
    ike = [replayable(s.data) for s in wire.packets(lambda s: s.kind == "ike" and s.dst == "192.0.2.1")]
    assert ike
    inject(lab.east, ike * 20)
    assert_all_arrived(running)
    assert len([line for line in west.status().splitlines() if "STATE_" in line]) == len(status)
    assert west.tunnels() == 1
    wire.close()


def test_noise_of_every_kind(lab: Lab) -> None:
    wire, west = exchange(lab)
    running = flows(lab)
    before = memory(west)
    dice = random.Random(7)
    ike = [s.data[42:] for s in wire.packets(lambda s: s.kind == "ike" and s.dst == "192.0.2.1")]
    stranger = {port: udp_socket(lab.east, "192.0.2.2", 40000 + port) for port in (500, 4500)}
    with lab.east.inside():
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 50)
    for _ in range(2500):
        message = bytearray(dice.choice(ike))
        for _ in range(dice.randrange(1, 8)):
            message[dice.randrange(len(message))] = dice.randrange(256)
        kind = dice.randrange(5)
        if kind == 0:
            message = message[: dice.randrange(len(message))]
        elif kind == 1:
            message += dice.randbytes(dice.randrange(60000))
        elif kind == 2:
            message = bytearray(dice.randbytes(dice.randrange(1400)))
        with suppress(OSError):
            port = dice.choice((500, 4500))
            stranger[port].sendto(message, ("192.0.2.1", port))
            raw.sendto(message[:1400], ("192.0.2.1", 0))
    for s in (*stranger.values(), raw):
        s.close()
    wait_for("the noise to be over", west.status, 20)
    assert_all_arrived(running)
    assert west.tunnels() == 1
    assert memory(west) - before < 20_000, f"{memory(west) - before} KB more than before"
    wait_for("half-open states to go", lambda: west.status().count("STATE_PARENT_R1") <= 64, 5)
    assert "Traceback" not in west.log(5000) and "EXPECTATION FAILED" not in west.log(5000)
    wire.close()
