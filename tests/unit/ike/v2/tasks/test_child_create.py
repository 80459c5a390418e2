# SPDX-License-Identifier: GPL-2.0-or-later
"""Further children under one IKE SA: from either end, refused, limited, narrowed, put off."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openswan.base.address import parse_subnet
from openswan.ike.effects import ChildEstablished, IkeGone, RequestFailed
from openswan.ike.events import CreateChild
from openswan.ike.v2.tasks.child_create import FIRST_SPI
from openswan.policy.proposal import Transform
from openswan.policy.selector import Selector
from openswan.wire.v2.body import Payload
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType, PayloadType
from openswan.wire.v2.sa import Sa
from tests.unit.ike.pair import ESP_GCM, NET_B, Pair, child_policy, ike_policy, mirrored

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


@pytest.mark.parametrize("pfs", [False, True])
def test_algorithms_nobody_has(pfs: bool) -> None:
    pair = Pair().up()
    strange = replace(ESP_GCM, encr=(Transform("aes_gcm_16", 128),))
    pair.a.request(CreateChild(child_policy(proposals=(strange,), pfs=pfs)))
    pair.run()
    failed = pair.a.seen(RequestFailed)[-1]
    assert failed.notify == NotifyType.NO_PROPOSAL_CHOSEN
    assert ("pfs=no" in failed.reason) == pfs
    pair.agree()


def test_no_more_than_the_limit() -> None:
    pair = Pair(ike_policy(max_children=2)).up()
    for _ in range(2):
        pair.a.request(CreateChild(pair.child))
        pair.run()
    assert pair.a.seen(RequestFailed)[-1].notify == NotifyType.NO_ADDITIONAL_SAS
    assert len(pair.a.installed) == 2
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


def test_narrowing_not_allowed_by_the_responder() -> None:
    small = Selector.of(parse_subnet("10.2.3.0/24"))
    pair = Pair(child=child_policy(theirs=(small,)), child_b=mirrored(child_policy()))
    pair.start()
    pair.run()
    assert pair.a.seen(RequestFailed)[-1].notify == NotifyType.TS_UNACCEPTABLE
    assert pair.a.sa.is_established and pair.b.sa.is_established


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


def request_of(pair: Pair) -> list[Payload]:
    pair.a.request(CreateChild(pair.child))
    return list(pair.peek(pair.wire.pop()))


@pytest.mark.parametrize("missing", [PayloadType.SA, PayloadType.NONCE, PayloadType.TS_I, PayloadType.TS_R])
def test_missing_payload_ends_the_ike_sa(missing: PayloadType) -> None:
    pair = Pair().up()
    payloads = [p for p in request_of(pair) if p.type != missing]
    pair.inject(pair.a, pair.forge(pair.a, 36, payloads, message_id=2))
    (notify,) = pair.peek(pair.wire[-1])
    assert isinstance(notify, Notify) and notify.kind == NotifyType.INVALID_SYNTAX
    assert pair.b.seen(IkeGone) and not pair.b.installed


def test_pfs_offered_without_ke() -> None:
    pair = Pair().up()
    payloads = [p for p in request_of(pair) if p.type != PayloadType.KE]
    pair.inject(pair.a, pair.forge(pair.a, 36, payloads, message_id=2))
    (notify,) = pair.peek(pair.wire[-1])
    assert isinstance(notify, Notify) and (notify.kind, notify.data) == (NotifyType.INVALID_KE_PAYLOAD, b"\0\x1f")
    assert pair.b.sa.is_established and len(pair.b.installed) == 1


@pytest.mark.parametrize("spi", [b"", b"\0\0\0\0", b"\0\0\0\xff", b"\1\2\3", b"\1\2\3\4\5\6\7\x08"])
def test_unusable_spi(spi: bytes) -> None:
    pair = Pair().up()
    payloads = [
        Sa(tuple(replace(proposal, spi=spi) for proposal in p.proposals)) if isinstance(p, Sa) else p
        for p in request_of(pair)
    ]
    pair.inject(pair.a, pair.forge(pair.a, 36, payloads, message_id=2))
    (notify,) = pair.peek(pair.wire[-1])
    assert isinstance(notify, Notify) and notify.kind == NotifyType.NO_PROPOSAL_CHOSEN
    assert len(pair.b.installed) == 1


def test_policy_of_ipv6_inside_ipv4() -> None:
    six = Selector.of(parse_subnet("2001:db8:1::/48")), Selector.of(parse_subnet("2001:db8:2::/48"))
    pair = Pair(child=child_policy(mine=(six[0],), theirs=(six[1],))).up()
    pair.agree()
    assert next(iter(pair.a.installed.values())).mine == (six[0],)
    assert NET_B not in next(iter(pair.a.installed.values())).theirs
