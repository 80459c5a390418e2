# SPDX-License-Identifier: GPL-2.0-or-later
"""IKE_AUTH: identities, a refused child, answers that lack something, and failures that both sides end cleanly."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from openswan.ike import rules
from openswan.ike.effects import ChildEstablished, Forget, IkeEstablished, IkeFailed, IkeGone, RequestFailed
from openswan.ike.events import CreateChild
from openswan.ike.v2.core import LINGER
from openswan.ike.v2.states import State
from openswan.policy.connection import Childless
from openswan.policy.proposal import Transform
from openswan.wire.v2.body import Payload
from openswan.wire.v2.ident import IdR
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType, PayloadType
from tests.unit.ike.pair import ESP_CBC, ESP_GCM, Pair, child_policy, ike_policy, mirrored


def at_auth(pair: Pair | None = None) -> tuple[Pair, list[Payload]]:
    """IKE_SA_INIT done, the IKE_AUTH request taken off the wire and opened."""
    pair = pair or Pair()
    pair.start()
    pair.step()
    pair.step()
    return pair, list(pair.peek(pair.wire.pop()))


def kinds(payloads: tuple[Payload, ...]) -> list[NotifyType]:
    return [p.kind for p in payloads if isinstance(p, Notify)]


def test_the_request_holds_what_it_should() -> None:
    _, payloads = at_auth(Pair(ike_policy(initial_contact=True)))
    types = [p.type for p in payloads]
    assert types == [
        PayloadType.ID_I,
        PayloadType.NOTIFY,
        PayloadType.ID_R,
        PayloadType.AUTH,
        PayloadType.SA,
        PayloadType.TS_I,
        PayloadType.TS_R,
        PayloadType.NOTIFY,
    ]
    assert kinds(payloads) == [NotifyType.INITIAL_CONTACT, NotifyType.SET_WINDOW_SIZE]


def test_it_is_no_initial_contact_when_the_peer_has_come_up_meanwhile() -> None:
    pair = Pair(ike_policy(initial_contact=True))
    pair.a.ask.others = True
    _, payloads = at_auth(pair)
    assert kinds(payloads) == [NotifyType.SET_WINDOW_SIZE]


def test_initial_contact_is_told() -> None:
    pair = Pair(ike_policy(initial_contact=True)).up()
    assert pair.b.seen(IkeEstablished)[0].initial_contact
    assert not pair.a.seen(IkeEstablished)[0].initial_contact
    assert not Pair().up().b.seen(IkeEstablished)[0].initial_contact


def test_wildcards_are_not_asked_for() -> None:
    pair = Pair(ike_policy(peer="*@example.com"), ike_policy("b@example.com", "@a"))
    pair, payloads = at_auth(pair)
    assert not any(isinstance(p, IdR) for p in payloads)


def test_the_peer_is_somebody_else() -> None:
    pair = Pair(ike_policy(peer="@c"), ike_policy("@b", "@a"))
    pair.b.ask.authenticate = lambda question: pair.b.ask.policies[0]  # type: ignore[method-assign]
    pair.start()
    pair.run()
    assert "we require peer to have ID '@c', but peer declares '@b'" in pair.a.seen(IkeFailed)[0].reason
    # The responder had established it and was told.
    assert pair.b.seen(IkeEstablished) and pair.b.seen(IkeGone)
    assert not pair.b.installed and not pair.a.installed
    assert pair.a.sa.state is State.GONE
    pair.pass_time(LINGER)
    assert not pair.b.machines


def test_silence_after_init() -> None:
    pair = Pair()
    pair.filter = lambda d: d.data[18] == 34
    pair.start()
    pair.pass_time(100)
    for side in (pair.a, pair.b):
        assert side.seen(IkeFailed)[0].timeout
        assert isinstance(side.effects[-1], Forget)
    assert "Possible authentication failure" in pair.a.seen(IkeFailed)[0].reason


@pytest.mark.parametrize("proposal", [ESP_GCM, ESP_CBC])
def test_the_child_may_be_refused_alone(proposal: object) -> None:
    theirs = mirrored(child_policy(proposals=(replace(ESP_GCM, encr=(Transform("aes_gcm_16", 128),)),)))
    pair = Pair(child=child_policy(proposals=(proposal,)), child_b=theirs).up()
    assert pair.a.seen(RequestFailed)[-1].notify == NotifyType.NO_PROPOSAL_CHOSEN
    assert not pair.a.installed and not pair.b.installed
    pair.b.ask.children = [mirrored(child_policy(proposals=(proposal,)))]  # type: ignore[arg-type]
    pair.a.request(CreateChild(pair.child, 2))
    pair.run()
    assert len(pair.a.installed) == 1
    pair.agree()


@pytest.mark.parametrize("missing", [PayloadType.ID_R, PayloadType.AUTH])
def test_missing_proof_in_the_response_never_establishes(missing: PayloadType) -> None:
    pair = Pair()
    pair.start()
    for _ in range(3):
        pair.step()
    answer = [p for p in pair.peek(pair.wire.pop()) if p.type != missing]
    header = pair.b.sa.header(35, 1, response=True)  # type: ignore[arg-type]
    assert pair.b.sa.channel is not None
    data = pair.b.sa.channel.seal(header, answer, pair.rng_b)[0]
    pair.arrive(pair.a, data, pair.a.sa.local, pair.a.sa.remote)
    assert pair.a.seen(IkeFailed) and not pair.a.seen(IkeEstablished)
    assert not pair.a.installed


def test_response_without_a_child_leaves_the_ike_sa() -> None:
    pair = Pair()
    pair.start()
    for _ in range(3):
        pair.step()
    wanted = (PayloadType.ID_R, PayloadType.AUTH)
    answer = [p for p in pair.peek(pair.wire.pop()) if p.type in wanted]
    assert pair.b.sa.channel is not None
    data = pair.b.sa.channel.seal(pair.b.sa.header(35, 1, response=True), answer, pair.rng_b)[0]  # type: ignore[arg-type]
    pair.arrive(pair.a, data, pair.a.sa.local, pair.a.sa.remote)
    assert pair.a.sa.is_established
    assert "made no child SA" in pair.a.seen(RequestFailed)[0].reason


def test_transport_mode_in_the_answer_is_refused() -> None:
    pair = Pair()
    pair.start()
    for _ in range(3):
        pair.step()
    answer = [*pair.peek(pair.wire.pop()), Notify(NotifyType.USE_TRANSPORT_MODE)]
    assert pair.b.sa.channel is not None
    data = pair.b.sa.channel.seal(pair.b.sa.header(35, 1, response=True), answer, pair.rng_b)[0]  # type: ignore[arg-type]
    pair.arrive(pair.a, data, pair.a.sa.local, pair.a.sa.remote)
    pair.run()
    assert pair.a.sa.is_established and not pair.a.installed and not pair.b.installed


def test_first_exchange_keys_serve_the_first_child_without_ke() -> None:
    pair = Pair().up()
    pair.agree()
    assert next(iter(pair.a.installed.values())).chosen.dh is None


def childless(a: Childless, b: Childless = Childless.ALLOW, **more: Any) -> Pair:
    return Pair(ike_policy("@a", "@b", childless=a, **more), ike_policy("@b", "@a", childless=b, **more))


@pytest.mark.parametrize("mode", [Childless.PREFER, Childless.FORCE])
def test_an_ike_sa_that_begins_without_a_child(mode: Childless) -> None:
    """RFC 6023: the first child has an exchange, and a key exchange, of its own."""
    pair = childless(mode).up()
    pair.agree()
    datagram = next(d for d in pair.log if d.data[18] == 35)
    assert {p.type for p in pair.peek(datagram)}.isdisjoint(rules.CHILD)
    assert [d.data[18] for d in pair.log if d.sender is pair.a] == [34, 35, 36]
    [child] = pair.a.installed.values()
    assert child.chosen.dh is not None and child.token == 1


def test_several_children_follow() -> None:
    pair = childless(Childless.PREFER)
    pair.start([CreateChild(pair.child, 1), CreateChild(pair.child, 2)])
    pair.run()
    pair.agree()
    assert [e.token for e in pair.a.seen(ChildEstablished)] == [1, 2]


def test_with_eap_too() -> None:
    from tests.unit.ike.v2.tasks.test_eap_auth import client, server

    pair = Pair(client(childless=Childless.FORCE), server())
    pair.a.ask.passwords = pair.b.ask.passwords = {"joe": "secret"}
    pair.up().agree()
    assert len(pair.a.installed) == 1


def test_where_the_responder_does_not_have_it() -> None:
    pair = childless(Childless.PREFER, Childless.NEVER).up()
    pair.agree()
    assert 36 not in {d.data[18] for d in pair.log}
    pair = childless(Childless.FORCE, Childless.NEVER)
    pair.start()
    pair.run()
    assert "childless=force wants" in pair.a.seen(IkeFailed)[0].reason
