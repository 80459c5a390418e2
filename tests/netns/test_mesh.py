# SPDX-License-Identifier: GPL-2.0-or-later
"""Five hosts with one identical file, started at once, killed and started again; thirty: make soak-mesh."""

from __future__ import annotations

from tests.netns.lab import Lab
from tests.netns.mesh import Mesh

HOSTS = 5


def test_a_small_fleet_finds_together_and_stays_so() -> None:
    with Lab("empty") as lab:
        mesh = Mesh(lab, HOSTS, pause=0.2)
        mesh.start()
        mesh.all_talk(30)
        assert mesh.encrypted() == HOSTS * (HOSTS - 1)
        for victim in (1, 2):
            mesh.kill(victim)
        mesh.start((1, 2))
        mesh.all_talk(30)
        mesh.witness.close()
        mesh.sound()
        assert mesh.witness.kinds["esp-udp"] > 100 and not mesh.talk.errors, mesh.talk.errors
