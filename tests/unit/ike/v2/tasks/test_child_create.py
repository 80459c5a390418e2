# SPDX-License-Identifier: GPL-2.0-or-later
"""Further children under one IKE SA: from either end, refused, narrowed, put off."""

from __future__ import annotations

import pytest

from openswan.base.address import parse_subnet
from openswan.ike.effects import ChildEstablished, IkeGone, RequestFailed
from openswan.ike.events import CreateChild
from openswan.ike.v2.tasks.child_create import FIRST_SPI
from openswan.policy.selector import Selector
from openswan.wire.v2.numbers import NotifyType
from tests.unit.ike.pair import NET_B, Pair, child_policy, mirrored

OTHER = Selector.of(parse_subnet("10.9.0.0/16"))


@pytest.mark.parametrize("who", ["a", "b"])
@pytest.mark.parametrize("pfs", [True, False])
def test_second_child(who: str, pfs: bool) -> None:
    pair = Pair().up()
    policy = child_policy(mine=(OTHER,), pfs=pfs)
    asker, other = (pair.a, pair.b) if who == "a" else (pair.b, pair.a)
    other.ask.children.insert(0, mirrored(policy))
    asker.request(CreateChild(policy, 4))
    pair.run()
    assert len(pair.a.installed) == 2
    pair.agree()
    made = asker.seen(ChildEstablished)[-1]
    assert (made.token, made.replaces, made.initiator, made.mine) == (4, 0, True, (OTHER,))
    assert other.ask.child_questions[-1].theirs == (OTHER,)


def test_all_initial_children_are_made() -> None:
    pair = Pair()
    more = child_policy(mine=(OTHER,))
    pair.b.ask.children.append(mirrored(more))
    pair.start([CreateChild(pair.child, 1), CreateChild(more, 2)])
    pair.run()
    assert sorted(c.token for c in pair.a.installed.values()) == [1, 2]
    pair.agree()


def test_selectors_nobody_has() -> None:
    pair = Pair().up()
    pair.a.request(CreateChild(child_policy(theirs=(OTHER,)), 4))
    pair.run()
    failed = pair.a.seen(RequestFailed)[-1]
    assert (failed.request.token, failed.notify) == (4, NotifyType.TS_UNACCEPTABLE)
    assert pair.a.sa.is_established and len(pair.a.installed) == 1
    pair.agree()


def test_narrowing_allowed_on_both_sides() -> None:
    small = Selector.of(parse_subnet("10.2.3.0/24"))
    pair = Pair(child=child_policy(narrowing=True), child_b=mirrored(child_policy(theirs=(small,)))).up()
    (child,) = pair.a.installed.values()
    assert child.theirs == (small,)
    pair.agree()


def test_narrowing_not_allowed_by_the_initiator_closes_the_child() -> None:
    small = Selector.of(parse_subnet("10.2.3.0/24"))
    pair = Pair(child_b=mirrored(child_policy(theirs=(small,))))
    pair.start()
    pair.run()
    assert "narrows" in pair.a.seen(RequestFailed)[-1].reason
    assert pair.a.sa.is_established
    assert not pair.a.installed and not pair.b.installed


def test_temporary_failure_is_tried_again_and_given_up_after_minutes() -> None:
    pair = Pair().up()
    pair.b.sa.state = type(pair.b.sa.state).REPLACED
    pair.a.request(CreateChild(pair.child, 4))
    pair.run()
    first = len(pair.log)
    pair.pass_time(60)
    assert 5 <= (len(pair.log) - first) // 2 <= 16
    assert not pair.a.seen(RequestFailed)
    pair.pass_time(200)
    assert pair.a.seen(RequestFailed)[-1].notify == NotifyType.TEMPORARY_FAILURE
    assert pair.a.seen(IkeGone)


def test_packets_that_wait_do_not_wait_for_long_because_the_peer_was_busy() -> None:
    pair = Pair().up()
    state = pair.b.sa.state
    pair.b.sa.state = type(state).REPLACED
    pair.a.request(CreateChild(pair.child, 4))
    pair.run()
    pair.b.sa.state = state
    pair.pass_time(0.7)
    assert pair.a.installed and pair.b.installed


def test_spis_avoid_what_is_reserved_or_taken() -> None:
    class Counting:
        def __init__(self) -> None:
            self.next = FIRST_SPI - 3

        def octets(self, count: int) -> bytes:
            self.next += 1
            return (self.next - 1).to_bytes(count, "big")

    from openswan.ike.v2.tasks.child_create import new_spi

    pair = Pair().up()
    pair.a.ask.taken = {FIRST_SPI, FIRST_SPI + 1}
    pair.a.sa.rng = Counting()
    assert new_spi(pair.a.sa) == FIRST_SPI + 2


def test_policy_of_ipv6_inside_ipv4() -> None:
    six = Selector.of(parse_subnet("2001:db8:1::/48")), Selector.of(parse_subnet("2001:db8:2::/48"))
    pair = Pair(child=child_policy(mine=(six[0],), theirs=(six[1],))).up()
    pair.agree()
    assert next(iter(pair.a.installed.values())).mine == (six[0],)
    assert NET_B not in next(iter(pair.a.installed.values())).theirs
