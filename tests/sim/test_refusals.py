# SPDX-License-Identifier: GPL-2.0-or-later
"""Peers that make no further SA, or only narrow ones; ESP nobody knows (RFC 7296 1.3, 2.9, 2.21.4, 4)."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from openswan.base.address import Endpoint
from openswan.base.errors import IkeError
from openswan.engine import policies
from openswan.ike.v2.tasks import child_answer, child_create, child_rekey, ike_rekey
from openswan.plane.commands import Direction
from openswan.plane.events import UnknownSpi
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType
from tests.sim.pair import EAST, WEST, Pair, conn, end, make_pair
from tests.sim.test_life import EAST_HOST, WEST_HOST, up_pair
from tests.sim.test_rekey import traffic


def minimal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The side that answered IKE_SA_INIT makes nothing more once it stands (RFC 7296 4 allows it)."""
    for module in (child_answer, child_rekey, ike_rekey):
        real = module.respond

        def respond(sa, *args, real=real):  # type: ignore[no-untyped-def]
            return real(sa, *args) if sa.is_initiator else (Notify(NotifyType.NO_ADDITIONAL_SAS),)

        monkeypatch.setattr(module, "respond", respond)


@pytest.mark.parametrize("what", ("child", "ike"))
def test_what_cannot_be_rekeyed_is_replaced_by_a_new_ike_sa_without_loss(
    monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    minimal(monkeypatch)
    life = {"ipsec_lifetime": 60.0} if what == "child" else {"ike_lifetime": 60.0}
    pair = up_pair(rekey_margin=20.0, rekey_fuzz=0.0, **life)
    before = pair.west.klips.keys(Direction.IN)
    traffic(pair, 140.0)
    pair.run(10.0)
    assert pair.missing() == []
    assert pair.up() and pair.agreed() and pair.west.klips.keys(Direction.IN) != before
    assert len([i for i in pair.west.pluto.core.states.ikes.values() if not i.closing]) == 1
    assert any("a new one takes over" in line for line in pair.west.lines)
    assert not any("expired" in line for line in pair.west.lines)
    pair.sane()


def test_a_second_conn_gets_an_ike_sa_of_its_own_when_the_first_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "MAX_CHILDREN", 1)
    pair = make_pair(1)
    for number in (1, 2):
        left = end(WEST, f"10.1.{number}.0/24", "@west")
        right = end(EAST, f"10.2.{number}.0/24", "@east")
        for host in (pair.west, pair.east):
            host.load(conn(f"net-{number}", left, right))
    for number in (1, 2):
        pair.west.request("initiate", name=f"net-{number}")
        pair.run(5.0)
    assert len(pair.west.klips.keys(Direction.IN)) == 2
    assert len(pair.west.pluto.core.states.ikes) == 2
    assert any("takes no further child SA: using another" in line for line in pair.west.lines)
    pair.sane()


@pytest.mark.parametrize("shared", (False, True))
def test_a_peer_that_wants_single_pairs_gets_the_packets_own(monkeypatch: pytest.MonkeyPatch, shared: bool) -> None:
    real = child_answer.agree

    def agree(proposed, allowed, narrowing):  # type: ignore[no-untyped-def]
        if len(proposed) > 1:
            raise IkeError("one pair at a time", NotifyType.SINGLE_PAIR_REQUIRED)
        return real(proposed, allowed, narrowing)

    monkeypatch.setattr(child_answer, "agree", agree)
    pair = make_pair(1)
    for host in (pair.west, pair.east):
        host.load(conn("net-net", end(WEST, "10.1.0.0/16", "@west"), end(EAST, "10.2.0.0/16", "@east"), narrowing=True))
        if shared:
            host.load(conn("other", end(WEST, "10.3.0.0/16", "@west"), end(EAST, "10.4.0.0/16", "@east")))
    if shared:
        pair.west.request("initiate", name="other")
        pair.run(2.0)
    pair.west.say("route", name="net-net")
    pair.send(pair.west, WEST_HOST, EAST_HOST)
    pair.run(5.0)
    assert pair.missing() == []
    (child,) = [c for c in pair.west.pluto.core.states.children.values() if c.conn.name == "net-net"]
    assert [str(s) for s in (*child.mine, *child.theirs)] == [f"{WEST_HOST}/32", f"{EAST_HOST}/32"]


def test_the_packets_selectors_come_first_only_where_less_may_be_agreed() -> None:
    for narrowing in (False, True):
        pair = make_pair(1)
        for host in (pair.west, pair.east):
            left, right = end(WEST, "10.1.0.0/16", "@west"), end(EAST, "10.2.0.0/16", "@east")
            host.load(conn("net-net", left, right, narrowing=narrowing))
        pair.west.say("route", name="net-net")
        pair.send(pair.west, WEST_HOST, EAST_HOST)
        pair.run(0.0)
        (ike,) = pair.west.pluto.core.states.ikes.values()
        policy = ike.machine.initial[0].policy
        mine, theirs = child_create.named(policy)
        assert str(mine[0]) == (f"{WEST_HOST}/32" if narrowing else "10.1.0.0/16")
        assert len(mine) == len(theirs) == (2 if narrowing else 1)
        pair.run(5.0)
        assert pair.missing() == []
        (child,) = pair.west.pluto.core.states.children.values()
        assert [str(s) for s in child.mine] == ["10.1.0.0/16"], "all of it, since all is allowed"


def invalid_spi(pair: Pair, spi: int) -> None:
    there, here = Endpoint(ip_address(EAST), 0), Endpoint(ip_address(WEST), 0)
    pair.west.post(UnknownSpi(here, there, spi))


def test_a_peer_is_told_of_esp_nobody_knows_and_changes_nothing() -> None:
    pair = up_pair()
    before = pair.east.klips.keys(Direction.IN), pair.west.klips.keys(Direction.IN)
    sent = len(pair.net.transcript)
    for _ in range(5):
        invalid_spi(pair, 0xDEADBEEF)
    pair.run(1.0)
    assert len(pair.net.transcript) == sent + 2, "one request and its answer, whatever comes"
    (line,) = [line for line in pair.east.lines if "deadbeef" in line]
    assert "received ESP or AH with SPI 0xdeadbeef, which it does not know" in line
    assert (pair.east.klips.keys(Direction.IN), pair.west.klips.keys(Direction.IN)) == before


def test_rekeying_that_fails_to_the_end_closes_the_ike_sa(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 7296 2.8: the IKE SA goes with a child whose rekeying failed, and what is wanted begins anew."""
    monkeypatch.setattr(child_rekey, "respond", lambda *_: (Notify(NotifyType.NO_PROPOSAL_CHOSEN),))
    pair = up_pair(ipsec_lifetime=60.0, rekey_margin=20.0, rekey_fuzz=0.0)
    (first,) = pair.west.pluto.core.states.ikes
    pair.run(70.0)
    assert pair.up() and pair.agreed()
    assert [c.ike.serial for c in pair.west.pluto.core.states.children.values() if not c.closing] != [first]
    assert any("IKE SA expired" in line for line in pair.west.lines + pair.east.lines)
    pair.sane()
