# SPDX-License-Identifier: GPL-2.0-or-later
"""IKEv2 as the engine's dialect."""

from __future__ import annotations

from tests.sim.pair import make_pair, tunnel


def test_an_ike_sa_begins_with_its_first_child_and_is_renewed_from_within() -> None:
    pair = make_pair(1)
    west, east = tunnel(ike_lifetime=600.0, rekey_margin=100.0)
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, lambda: pair.up() and pair.agreed())
    states = pair.west.pluto.core.states
    [ike] = states.ikes.values()
    [child] = states.children.values()
    dialect = pair.west.pluto.brain.dialects[2]
    assert dialect.life(ike) == 600.0
    assert dialect.child_life(child) == west.ipsec_lifetime
    dialect.renew(ike)
    assert child.ike.machine.busy
    pair.west.post(pair.west.network())
    assert pair.run(5.0, lambda: child.ike is not ike)
    assert any("rekeying IKE SA" in line for line in pair.west.lines)
