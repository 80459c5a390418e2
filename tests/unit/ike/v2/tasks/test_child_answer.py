# SPDX-License-Identifier: GPL-2.0-or-later
"""What a peer asks for and does not get: too many children, other algorithms or selectors, messages that are none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openswan.base.address import parse_subnet
from openswan.ike.effects import IkeGone, RequestFailed
from openswan.ike.events import CreateChild
from openswan.policy.proposal import Transform
from openswan.policy.selector import Selector
from openswan.wire.v2.body import Payload
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType, PayloadType
from openswan.wire.v2.sa import Sa
from tests.unit.ike.pair import ESP_GCM, Pair, child_policy, ike_policy, mirrored


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


def test_narrowing_not_allowed_by_the_responder() -> None:
    small = Selector.of(parse_subnet("10.2.3.0/24"))
    pair = Pair(child=child_policy(theirs=(small,)), child_b=mirrored(child_policy()))
    pair.start()
    pair.run()
    assert pair.a.seen(RequestFailed)[-1].notify == NotifyType.TS_UNACCEPTABLE
    assert pair.a.sa.is_established and pair.b.sa.is_established


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
