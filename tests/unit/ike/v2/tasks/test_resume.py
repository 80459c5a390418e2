# SPDX-License-Identifier: GPL-2.0-or-later
"""Resuming a session by ticket, and everything after which it has to begin anew."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from openswan.ike.effects import IkeEstablished, TicketReceived
from openswan.ike.events import RekeyIke
from openswan.ike.policy import IkePolicy
from openswan.ike.resumption import Ticket
from openswan.ike.v2.cookie import CookieJar, refusal
from openswan.ike.v2.tasks import auth, resume
from openswan.policy.identity import user_identity
from openswan.wire.message import Message
from openswan.wire.v2.cert import Cert
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType
from tests.unit.ike.pair import Pair, ike_policy
from tests.unit.ike.pki import certified
from tests.unit.ike.v2.tasks.test_eap_auth import client, server
from tests.unit.ike.v2.tasks.test_intermediate import HYBRID

RESUME = 38


def pair(a: IkePolicy | None = None, b: IkePolicy | None = None, **more: Any) -> Pair:
    more = {"resumption": True, **more}
    it = Pair(a or ike_policy("@a", "@b", **more), b or ike_policy("@b", "@a", **more))
    it.a.ask.passwords = it.b.ask.passwords = {"joe": "secret"}
    return it


def ticket_of(it: Pair) -> Ticket:
    return it.a.seen(TicketReceived)[-1].ticket


def again(it: Pair, ticket: Ticket | None = None, run: bool = True) -> Pair:
    """The same two meet again; neither has an SA left."""
    ticket = ticket or ticket_of(it)
    for side in (it.a, it.b):
        side.machines.clear()
        side.installed.clear()
        side.effects.clear()
    it.log.clear()
    it.wire.clear()
    it.start(ticket=ticket)
    if run:
        it.run()
    return it


def exchanges(it: Pair) -> list[int]:
    return [d.data[18] for d in it.log if d.sender is it.a]


def test_a_session_is_resumed() -> None:
    it = pair().up()
    first = ticket_of(it)
    again(it)
    it.agree()
    assert exchanges(it) == [RESUME, 35] and it.a.installed
    second = ticket_of(it)
    assert second.opaque != first.opaque and second.session.sk_d != first.session.sk_d
    again(it, second)
    it.agree()
    assert exchanges(it) == [RESUME, 35]
    it.a.request(RekeyIke(3))
    it.run()
    it.agree()


def test_without_keys_nor_certificates_on_the_wire() -> None:
    it = pair(certified("a", "b", resumption=True), certified("b", "a", resumption=True)).up()
    again(it)
    it.agree()
    assert max(len(d.data) for d in it.log) < 700
    assert not [p for d in it.log if d.data[18] == 35 for p in it.peek(d) if isinstance(p, Cert)]
    assert any("theirsig=RSASIG" in line for line in it.b.logs())


def test_after_eap_the_user_stays_who_he_was() -> None:
    it = pair(client(resumption=True), server(resumption=True)).up()
    again(it)
    it.agree()
    assert exchanges(it) == [RESUME, 35]
    assert it.b.sa.peer_id == user_identity("joe")
    assert it.b.seen(IkeEstablished)[-1].peer_id == user_identity("joe")


def test_additional_key_exchanges_are_not_done_once_more() -> None:
    it = pair(proposals=(HYBRID,)).up()
    again(it)
    it.agree()
    assert exchanges(it) == [RESUME, 35] and it.b.sa.chosen is not None and it.b.sa.chosen.addke


@pytest.mark.parametrize("ours", [True, False])
def test_both_must_want_it(ours: bool) -> None:
    it = pair(ike_policy("@a", "@b", resumption=ours), ike_policy("@b", "@a", resumption=not ours)).up()
    assert not it.a.seen(TicketReceived)


def begins_anew(it: Pair) -> None:
    it.agree()
    assert it.a.installed and exchanges(it)[0] == RESUME and 34 in exchanges(it)


def test_a_used_ticket_is_no_ticket() -> None:
    it = pair().up()
    used = ticket_of(it)
    again(it)
    begins_anew(again(it, used))


def test_another_gateway_or_a_changed_connection() -> None:
    it = pair().up()
    it.b.ask.box = None
    begins_anew(again(it))
    it = pair().up()
    it.b.ask.policies = (replace(it.b.ask.policies[0], resumption=False),)
    begins_anew(again(it))


def test_silence_is_an_answer_too() -> None:
    it = pair().up()
    it.filter = lambda d: d.data[18] != RESUME
    again(it, run=False)
    it.pass_time(20)
    begins_anew(it)


def test_an_old_ticket_is_not_shown() -> None:
    it = pair().up()
    again(it, replace(ticket_of(it), until=it.now))
    assert exchanges(it) == [34, 35]


def test_a_cookie_first() -> None:
    it = pair().up()
    jar = CookieJar(it.rng_b, it.now)
    again(it, run=False)
    [datagram] = it.wire
    it.wire.clear()
    it.arrive(
        it.a, jar.challenge(Message.parse(datagram.data), datagram.local, it.now), datagram.local, datagram.remote
    )
    [repeated] = it.wire
    assert jar.proves(Message.parse(repeated.data), datagram.local, it.now)
    it.run()
    it.agree()
    assert exchanges(it) == [RESUME, RESUME, 35]


@pytest.mark.parametrize("lost", range(4))
def test_every_message_may_be_lost_once(lost: int) -> None:
    it = pair().up()
    it.filter = lambda d: len(it.log) != lost + 1
    again(it, run=False)
    it.pass_time(20)
    it.agree()
    assert it.a.installed


def test_whoever_has_only_the_ticket_has_nothing() -> None:
    """It does not know SK_d: its IKE_AUTH does not open, and the real peer's ticket is not spent by that."""
    it = pair().up()
    ticket = ticket_of(it)
    thief = replace(ticket, session=replace(ticket.session, sk_d=bytes(len(ticket.session.sk_d))))
    again(it, thief, run=False)
    it.pass_time(100)
    assert not it.b.installed and not it.b.seen(IkeEstablished)
    again(it, ticket)
    assert exchanges(it) == [RESUME, 35]


def test_whoever_says_to_be_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    it = pair().up()
    ticket = ticket_of(it)
    again(it, replace(ticket, session=replace(ticket.session, my_id=user_identity("boss"))), run=False)
    it.pass_time(100)
    assert not it.b.seen(IkeEstablished)
    assert any("somebody else resumes it" in line for line in it.b.logs())


def test_a_proof_by_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    it = pair().up()
    monkeypatch.setattr(auth, "resuming", lambda sa, me: auth.make(sa, sa.need_policy(), me))
    again(it, run=False)
    it.pass_time(100)
    assert not it.b.seen(IkeEstablished)


def test_a_forged_refusal_costs_a_key_exchange_and_no_more() -> None:
    it = pair().up()
    again(it, run=False)
    [datagram] = it.wire
    it.wire.clear()
    header = Message.parse(datagram.data).header
    it.arrive(it.a, refusal(header, Notify(NotifyType.TICKET_NACK)), datagram.local, datagram.remote)
    it.run()
    begins_anew(it)


def test_odd_requests() -> None:
    it = pair().up()
    ticket = ticket_of(it)
    for payloads in ((), (Notify(NotifyType.TICKET_OPAQUE, bytes(40)),)):
        again(it, ticket, run=False)
        [datagram] = it.wire
        it.wire.clear()
        it.b.machines.clear()
        data = Message(Message.parse(datagram.data).header, payloads).emit()
        it.arrive(it.b, data, datagram.remote, datagram.local)
        [answer] = it.wire
        assert Message.parse(answer.data).notify(NotifyType.TICKET_NACK) is not None
        assert not it.b.machines


def test_tickets_too_large_or_empty_are_not_kept() -> None:
    it = pair().up()
    for data in (b"", bytes(4), bytes(5000)):
        it.a.effects.clear()
        answer = Message(it.a.sa.header(35, 1, response=True), (Notify(NotifyType.TICKET_LT_OPAQUE, data),))  # type: ignore[arg-type]
        policy = it.a.sa.need_policy()
        resume.keep(it.a.sa, policy, answer, policy.my_id, policy.my_auth, policy.peer_auth, it.now)
        assert not it.a.sa.drain()
