# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway sends its clients to another one (RFC 5685)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from openswan.ike.effects import IkeEstablished, IkeGone, Redirected, RequestFailed
from openswan.ike.events import Tell
from openswan.ike.v2.cookie import refusal
from openswan.ike.v2.values import Ignored
from openswan.wire.header import Header
from openswan.wire.message import Message
from openswan.wire.v2.nonce import Nonce
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType
from openswan.wire.v2.redirect import Redirect
from tests.unit.ike.pair import Pair, ike_policy

THERE = ip_address("203.0.113.9")
CLIENT = ike_policy(accept_redirect=True)
SERVER = replace(CLIENT, my_id=CLIENT.peer_id, peer_id=CLIENT.my_id)


def first(pair: Pair) -> Message:
    pair.start()
    return Message.parse(pair.wire[0].data)


def test_what_a_client_announces() -> None:
    kinds = [n.kind for n in first(Pair(CLIENT)).all(Notify)]
    assert NotifyType.REDIRECT_SUPPORTED in kinds and NotifyType.REDIRECTED_FROM not in kinds
    note = first(Pair(replace(CLIENT, redirected_from=THERE))).notify(NotifyType.REDIRECTED_FROM)
    assert note is not None and Redirect.parse(note.data) == Redirect(THERE)
    kinds = [n.kind for n in first(Pair()).all(Notify)]
    assert not {NotifyType.REDIRECT_SUPPORTED, NotifyType.REDIRECTED_FROM} & set(kinds)


def answered(pair: Pair, data: bytes) -> None:
    """The gateway answers IKE_SA_INIT with a REDIRECT of these octets."""
    request = pair.wire.pop(0)
    answer = refusal(Header.parse(request.data), Notify(NotifyType.REDIRECT, data))
    pair.arrive(pair.a, answer, request.local, request.remote)


def test_in_ike_sa_init_with_our_nonce() -> None:
    pair = Pair(CLIENT)
    nonce = first(pair).first(Nonce)
    assert nonce is not None
    answered(pair, Redirect(THERE, nonce.data).emit())
    assert pair.a.seen(Redirected) == [Redirected(THERE)]


@pytest.mark.parametrize("data", [Redirect(THERE).emit(), Redirect(THERE, bytes(32)).emit(), b"", b"\1\4\1"])
def test_without_our_nonce_it_is_nobodys_word(data: bytes) -> None:
    pair = Pair(CLIENT)
    first(pair)
    answered(pair, data)
    assert not pair.a.seen(Redirected) and pair.a.sa.counters[Ignored.BAD_ANSWER] == 1
    pair.pass_time(2)
    assert pair.a.seen(IkeEstablished)  # the real answer counts


def test_who_does_not_let_itself_be_sent_takes_it_for_no_answer() -> None:
    pair = Pair()
    nonce = first(pair).first(Nonce)
    assert nonce is not None
    answered(pair, Redirect(THERE, nonce.data).emit())
    assert not pair.a.seen(Redirected)


def test_in_ike_auth() -> None:
    pair = Pair(CLIENT, replace(SERVER, redirect_to=THERE))
    pair.start()
    pair.run()
    assert pair.a.seen(Redirected) == [Redirected(THERE)]
    assert pair.a.sa.is_established and pair.b.sa.is_established
    assert not pair.a.installed and not pair.b.installed and pair.a.seen(RequestFailed)


def test_who_does_not_go_is_closed_after_a_while() -> None:
    pair = Pair(CLIENT, replace(SERVER, redirect_to=THERE))
    pair.start()
    pair.run()
    pair.pass_time(31)
    assert pair.b.seen(IkeGone) and not pair.b.machines
    assert any("has not gone where it was sent" in line for line in pair.b.logs())


def test_who_cannot_be_sent_away_stays() -> None:
    pair = Pair(None, replace(SERVER, redirect_to=THERE))
    pair.up()
    assert not pair.a.seen(Redirected) and pair.a.installed and not pair.b.sa.redirectable


def test_at_any_time() -> None:
    pair = Pair(CLIENT, SERVER).up()
    assert pair.b.sa.redirectable and not pair.a.sa.redirectable
    pair.b.request(Tell(NotifyType.REDIRECT, Redirect(THERE).emit()))
    pair.run()
    assert pair.a.seen(Redirected) == [Redirected(THERE)] and pair.a.installed


@pytest.mark.parametrize("data", [b"", b"\1\4\1\2\3", b"\3\0"])
def test_nonsense_at_any_time(data: bytes) -> None:
    pair = Pair(CLIENT, SERVER).up()
    pair.b.request(Tell(NotifyType.REDIRECT, data))
    pair.run()
    assert not pair.a.seen(Redirected) and pair.a.installed


def test_at_any_time_to_who_does_not_let_itself_be_sent() -> None:
    pair = Pair().up()
    pair.b.request(Tell(NotifyType.REDIRECT, Redirect(THERE).emit()))
    pair.run()
    assert not pair.a.seen(Redirected)
