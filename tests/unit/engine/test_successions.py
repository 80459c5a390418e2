# SPDX-License-Identifier: GPL-2.0-or-later
"""What passes from one IKE SA to another; packets on the way are in tests/sim/test_rekey.py and test_ikev1_lives.py."""

from __future__ import annotations

from openswan.engine.timers import Timer
from tests.unit.engine.test_ikesas import up


def test_a_successor_has_the_children_and_the_older_one_no_timers() -> None:
    pair = up()
    core, brain = pair.west.pluto.core, pair.west.pluto.brain
    (old,) = core.states.ikes.values()
    children, born = dict(old.children), old.born
    brain.lifetimes._rekey_ike(old)
    pair.west._arm()
    assert pair.run(2.0, lambda: old.closing)
    (new,) = (ike for ike in core.states.ikes.values() if ike is not old)
    assert new.children == children and not old.children and {child.ike for child in children.values()} == {new}
    assert new.born == born and new.conn is not None and new.conn.newest_ike == new.serial
    gone = (Timer.REKEY_IKE, Timer.EXPIRE_IKE, Timer.LIVENESS, Timer.KEEPALIVE)
    assert all(core.timers.when((timer, old.serial)) is None for timer in gone)
    assert core.timers.when((Timer.REKEY_IKE, new.serial)) is not None
    pair.run(10.0)
    assert list(core.states.ikes.values()) == [new] and pair.agreed()
