# SPDX-License-Identifier: GPL-2.0-or-later
"""`make soak-mesh`: thirty hosts with one identical file, started at once, then killed and started again at random.

`python -m tests.soak.mesh [MINUTES [HOSTS [SEED]]]`, as root; 20 minutes of churn unless told otherwise. Every host
talks to every other all the time. Fails when a pair is silent for 60 s after its hosts are there, when anything but
ESP and IKE is on a wire, when a daemon ends by itself or is surprised.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

from tests.netns.lab import Lab
from tests.netns.mesh import Mesh

PATIENCE = 60.0
REST = (2.0, 12.0)
"""Seconds between two rounds of killing."""


def memory(mesh: Mesh) -> float:
    """MB of the largest daemon."""
    status = (Path(f"/proc/{gateway.pid}/status").read_text() for gateway in mesh.gateways.values())
    return max(int(line.split()[1]) for text in status for line in text.splitlines() if "VmRSS" in line) / 1024


def churn(mesh: Mesh, minutes: float, dice: random.Random) -> None:
    """Kill one to three hosts, start them again, wait until everybody talks to everybody."""
    end, rounds, killed, took = time.monotonic() + 60 * minutes, 0, 0, []
    while time.monotonic() < end:
        victims = dice.sample(list(mesh.gateways), dice.choice((1, 1, 2, 3)))
        for victim in victims:
            mesh.kill(victim)
        mesh.start(victims)
        took.append(mesh.all_talk(PATIENCE))
        mesh.sound()
        rounds, killed = rounds + 1, killed + len(victims)
        print(f"  round {rounds}: {victims} killed and started, everybody talks after {took[-1]:.1f} s", flush=True)
        print(f"  {rounds} rounds, {killed} kills, {max(took):.1f} s at most so far", flush=True)
        time.sleep(dice.uniform(*REST))
    print(f"{rounds} rounds, {killed} kills; everybody talks again after {max(took):.1f} s at most")


def main(argv: list[str]) -> int:
    """Run it and say what was seen."""
    minutes = float(argv[0]) if argv else 20.0
    hosts = int(argv[1]) if len(argv) > 1 else 30
    seed = int(argv[2]) if len(argv) > 2 else random.randrange(1 << 32)
    print(f"{hosts} hosts, {minutes:g} minutes of churn, seed {seed}", flush=True)
    with Lab("empty") as lab:
        mesh = Mesh(lab, hosts, pause=max(0.5, hosts / 30))
        begun = time.monotonic()
        mesh.start(patience=600)
        print(f"all started after {time.monotonic() - begun:.1f} s", flush=True)
        mesh.all_talk(PATIENCE)
        slowest, tunnels = mesh.slowest(), mesh.encrypted()
        print(f"slowest pair: {slowest:.1f} s from the first datagram of both ends; {tunnels} tunnels", flush=True)
        mesh.sound()
        print(f"largest daemon: {memory(mesh):.1f} MB", flush=True)
        churn(mesh, minutes, random.Random(seed))
        mesh.talk.close()
        mesh.witness.close()
        mesh.sound()
        talk = mesh.talk
        print(f"{talk.sent} datagrams sent, {talk.got} heard; told to applications: {dict(talk.errors) or 'nothing'}")
        print(f"on the wire: {dict(mesh.witness.kinds)}; largest daemon: {memory(mesh):.1f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
