# SPDX-License-Identifier: GPL-2.0-or-later
"""Each version of IKE has its dialect, and a connection finds it."""

from __future__ import annotations

from tests.sim.pair import make_pair, tunnel


def test_a_connection_finds_the_dialect_of_its_version() -> None:
    pair = make_pair(1)
    west, _ = tunnel()
    pair.west.load(west)
    brain = pair.west.pluto.brain
    assert all(brain.dialects[version].version == version for version in brain.dialects)
    assert brain.dialect(brain.core.conns.named["net-net"]) is brain.dialects[2]
