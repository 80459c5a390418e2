# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests of IKE_AUTH: whose they are, what they lack or have too often, and refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openswan.ike import rules
from openswan.ike.effects import IkeFailed
from openswan.ike.v2.core import LINGER
from openswan.ike.v2.states import State
from openswan.policy.identity import parse_identity
from openswan.wire.v2.body import Payload
from openswan.wire.v2.ident import IdI
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType, PayloadType
from openswan.wire.v2.ts import TsI
from openswan.wire.v2.unknown import Unknown
from tests.unit.ike.pair import IKE_CBC, IKE_GCM, Pair, ike_policy
from tests.unit.ike.v2.tasks.test_ike_auth import at_auth, kinds


def send(pair: Pair, payloads: list[Payload]) -> tuple[Payload, ...]:
    pair.inject(pair.a, pair.forge(pair.a, 35, payloads, message_id=1))
    return pair.peek(pair.wire[-1])


def test_a_road_warriors_identity_picks_the_policy() -> None:
    first = ike_policy("@b", None, psk=b"of somebody else")
    others = [replace(first, peer_id=parse_identity(who), psk=who.encode()) for who in ("@x", "@a", "@y")]
    pair = Pair(ike_policy(psk=b"@a"), [first.__class__(**{**_fields(o)}) for o in others]).up()
    assert pair.b.sa.policy is not None and pair.b.sa.policy.psk == b"@a"
    question = pair.b.ask.auth_questions[0]
    assert (str(question.peer_id), str(question.my_id)) == ("@a", "@b")


def _fields(policy):  # type: ignore[no-untyped-def]
    return {name: getattr(policy, name) for name in policy.__slots__}


def test_nobody_like_that_here() -> None:
    pair = Pair(ike_policy("@stranger", "@b"), ike_policy("@b", "@a"))
    pair.start()
    pair.run()
    for side in (pair.a, pair.b):
        assert side.seen(IkeFailed)[0].notify == NotifyType.AUTHENTICATION_FAILED
    assert pair.b.sa.state is State.LINGER
    pair.pass_time(LINGER)
    assert not pair.a.machines and not pair.b.machines


def test_a_lost_refusal_is_repeated() -> None:
    pair = Pair(ike_policy("@stranger", "@b"), ike_policy("@b", "@a"))
    pair.filter = lambda _: len(pair.log) != 4
    pair.start()
    pair.pass_time(5)
    assert pair.a.seen(IkeFailed)[0].notify == NotifyType.AUTHENTICATION_FAILED


def test_algorithms_the_switched_connection_does_not_allow() -> None:
    pair = Pair(ike_b=ike_policy("@b", "@a", proposals=(IKE_GCM,)))
    allowed = pair.b.ask.policies[0]
    pair.b.ask.authenticate = lambda question: replace(allowed, proposals=(IKE_CBC,))  # type: ignore[method-assign]
    pair.start()
    pair.run()
    assert "does not allow cipher=aes_gcm_16_256" in pair.b.seen(IkeFailed)[0].reason


@pytest.mark.parametrize(
    "missing", [PayloadType.ID_I, PayloadType.AUTH, PayloadType.SA, PayloadType.TS_I, PayloadType.TS_R]
)
def test_missing_payload_in_the_request(missing: PayloadType) -> None:
    # CVE-2013-6466
    pair, payloads = at_auth()
    answer = send(pair, [p for p in payloads if p.type != missing])
    # Without AUTH it is a wish for EAP, which this connection does not allow.
    wanted = NotifyType.AUTHENTICATION_FAILED if missing == PayloadType.AUTH else NotifyType.INVALID_SYNTAX
    assert kinds(answer) == [wanted]
    assert pair.b.seen(IkeFailed) and pair.b.sa.state is State.LINGER
    assert not pair.b.installed


@pytest.mark.parametrize("twice", [PayloadType.ID_I, PayloadType.AUTH, PayloadType.SA, PayloadType.TS_I])
def test_repeated_payload_in_the_request(twice: PayloadType) -> None:
    pair, payloads = at_auth()
    more = [p for p in payloads for _ in range(2 if p.type == twice else 1)]
    assert kinds(send(pair, more)) == [NotifyType.INVALID_SYNTAX]
    assert not pair.b.installed


def test_transport_mode_and_padding_notifications_do_no_harm() -> None:
    pair, payloads = at_auth()
    extra = [
        Notify(NotifyType.USE_TRANSPORT_MODE),
        Notify(NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED),
        Notify(NotifyType(40000)),
    ]
    answer = send(pair, [*payloads, *extra, Unknown(PayloadType(200), b"x")])
    assert pair.b.sa.is_established and len(pair.b.installed) == 1
    assert NotifyType.USE_TRANSPORT_MODE not in kinds(answer)


def test_identities_are_covered_by_the_proof() -> None:
    pair, payloads = at_auth()
    other = parse_identity("@A")
    swapped = [IdI(p.kind, other.body) if isinstance(p, IdI) else p for p in payloads]
    pair.b.ask.authenticate = lambda question: pair.b.ask.policies[0]  # type: ignore[method-assign]
    answer = send(pair, swapped)
    assert kinds(answer) == [NotifyType.AUTHENTICATION_FAILED]


def test_malformed_traffic_selectors() -> None:
    # CVE-2023-23009
    pair, payloads = at_auth()
    ts = next(p for p in payloads if isinstance(p, TsI)).emit()
    for body in (
        b"\0" + ts[1:],
        b"\2" + ts[1:],
        b"\xff" + ts[1:],
        ts[:6] + b"\0\0" + ts[8:],
        ts[:6] + b"\xff\xff" + ts[8:],
    ):
        pair, payloads = at_auth()
        broken = [Unknown(PayloadType.TS_I, body) if isinstance(p, TsI) else p for p in payloads]
        assert kinds(send(pair, broken)) == [NotifyType.INVALID_SYNTAX]
        assert not pair.b.installed and pair.b.sa.state is State.LINGER


def test_half_a_child_is_none() -> None:
    for missing in rules.CHILD:
        pair, payloads = at_auth()
        assert kinds(send(pair, [p for p in payloads if p.type != missing])) == [NotifyType.INVALID_SYNTAX]
