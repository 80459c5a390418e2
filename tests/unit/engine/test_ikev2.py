# SPDX-License-Identifier: GPL-2.0-or-later
"""IKEv2 as the engine's dialect."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.sim.pair import make_pair, tunnel
from tests.sim.test_rekey import traffic


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


@pytest.mark.parametrize("both", [False, True])
def test_reauthentication_makes_a_new_ike_sa_before_the_old_one_goes(both: bool) -> None:
    pair = make_pair()
    west, east = tunnel(ike_lifetime=60.0, rekey_margin=20.0, rekey_fuzz=0.0, reauth=True)
    pair.west.load(west)
    pair.east.load(east if both else replace(east, reauth=False, ike_lifetime=3600.0))
    pair.west.request("initiate", name="net-net")
    assert pair.run(10.0, pair.up)
    traffic(pair, 200.0)
    pair.run(10.0)
    assert pair.missing() == [] and pair.up() and pair.agreed()
    assert sum("PARENT SA established {" in line for line in pair.west.lines) >= 4
    assert not any("expired" in line or "rekeying IKE SA" in line for line in pair.west.lines)
    assert len([one for one in pair.west.pluto.core.states.ikes.values() if not one.closing]) == 1
    pair.sane()


def test_a_peer_that_cannot_be_reached_again_keeps_the_old_one() -> None:
    pair = make_pair()
    west, east = tunnel(ike_lifetime=300.0, rekey_margin=150.0, rekey_fuzz=0.0, reauth=True, retransmit_timeout=5.0)
    pair.west.load(west)
    pair.east.load(replace(east, ike_lifetime=3600.0))
    pair.west.request("initiate", name="net-net")
    assert pair.run(10.0, pair.up)
    pair.east.say("unlisten")
    pair.run(170.0)
    assert sum("reauthenticating" in line for line in pair.west.lines) == 1 and pair.west.up()
    pair.east.say("listen")
    pair.run(60.0)
    assert pair.up() and pair.agreed()
    assert sum("PARENT SA established {" in line for line in pair.west.lines) == 2
