# SPDX-License-Identifier: GPL-2.0-or-later
"""XAUTH and Mode Config one after the other, and what waits for both."""

from __future__ import annotations

import pytest

from openswan.ike.effects import ChildEstablished, RequestFailed
from openswan.ike.events import CreateChild, DeleteIke, Probe
from openswan.ike.v1.effects import IsakmpEstablished
from openswan.ike.v1.states import State
from openswan.policy.modecfg import ConfigRole
from tests.unit.ike.v1.pair import Pair, policy, quick
from tests.unit.ike.v1.test_modecfg import GIVEN
from tests.unit.ike.v1.test_modecfg import pair_of as with_addresses
from tests.unit.ike.v1.test_xauth import judge, pair_of


@pytest.mark.parametrize("pull", [True, False])
@pytest.mark.parametrize("aggressive", [True, False])
@pytest.mark.parametrize("backwards", [True, False])
def test_one_after_the_other(pull: bool, aggressive: bool, backwards: bool) -> None:
    client = {"config": ConfigRole.CLIENT, "config_pull": pull}
    server = {"config": ConfigRole.SERVER, "config_pull": pull}
    ends = (server, client) if backwards else (client, server)
    pair = pair_of("psk", *ends, backwards=backwards, aggressive=aggressive)
    pair.asked.assigned = pair.a.sa.ask.assigned = GIVEN  # type: ignore[attr-defined]
    pair.start().run()
    judge(pair, pair.a if backwards else pair.b)
    given, gave = (pair.b, pair.a) if backwards else (pair.a, pair.b)
    assert given.sa.assigned is not None and gave.sa.granted == GIVEN
    assert pair.a.sa.is_established and pair.b.sa.is_established
    assert gave.sa.ask.leases[0].user == "carla"  # type: ignore[attr-defined]
    assert len(pair.a.seen(IsakmpEstablished)) == len(pair.b.seen(IsakmpEstablished)) == 1


def test_what_may_be_asked_meanwhile() -> None:
    pair = pair_of()
    pair.start().run()
    pair.ask(pair.a, Probe(3)).ask(pair.a, CreateChild(quick(), 7))
    assert pair.a.sa.state is State.XAUTH_I1
    assert [one.request for one in pair.a.seen(RequestFailed)] == [Probe(3)]
    judge(pair, pair.b)
    assert len(pair.a.seen(ChildEstablished)) == 1


def test_either_end_may_close_it_meanwhile() -> None:
    for which in ("a", "b"):
        pair = pair_of()
        pair.start().run()
        pair.ask(getattr(pair, which), DeleteIke())
        assert pair.a.sa.state is pair.b.sa.state is State.GONE
        assert not pair.a.seen(IsakmpEstablished) + pair.b.seen(IsakmpEstablished)


def test_addresses_go_on_with_the_isakmp_sa_that_takes_the_place_of_another() -> None:
    """A client that does not ask again keeps what it has."""
    first = with_addresses().up()
    second = Pair(policy(), policy("@b", "@a", config=ConfigRole.SERVER)).up()
    for old, new in ((first.a, second.a), (first.b, second.b)):
        old.sa.supersede(new.sa, 0.0)
    assert second.a.sa.assigned == first.a.sa.assigned is not None
    assert second.b.sa.granted == GIVEN
