# SPDX-License-Identifier: GPL-2.0-or-later
"""A peer that refuses our proof under the keys of a phase 1 that is not over for it."""

from __future__ import annotations

import pytest

from openswan.ike.effects import Forget, IkeFailed
from openswan.ike.events import CreateChild
from openswan.ike.v1.states import State
from openswan.wire.v1.header import Flags, Header
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import ExchangeType, NotifyType
from tests.unit.ike.v1.pair import End, Pair, policy, quick

REFUSAL = Notify(NotifyType.INVALID_ID_INFORMATION)
EARLY = pytest.mark.parametrize("early", [True, False], ids=["without-a-block", "with-the-last-block"])


def refuse(pair: Pair, end: End, early: bool, notify: Notify = REFUSAL) -> None:
    """The peer of `end` says so: libreswan's way, or Openswan's."""
    sa, message_id = end.sa, 0x1234
    keys = sa.need_keys()
    iv = keys.early_iv(message_id) if early else keys.exchange_iv(message_id)
    header = Header(sa.cookie_i, sa.cookie_r, ExchangeType.INFORMATIONAL, Flags.ENCRYPTION, message_id)
    data, _ = keys.seal(header, keys.hashed(message_id, [notify]), iv)
    pair.collect(end, sa.receive(data, sa.local, sa.remote, pair.now))


def before_the_last_answer() -> Pair:
    """MI3 has been sent, and nothing comes back."""
    pair = Pair()
    pair.bend = lambda sent: [] if pair.b.sa.state is State.MAIN_R3 else [sent]
    pair.start().run()
    assert pair.a.sa.state is State.MAIN_I3
    return pair


def is_over(end: End) -> bool:
    [failed] = end.seen(IkeFailed)
    assert failed.reason == "the peer refuses our proof of who we are: INVALID_ID_INFORMATION"
    return failed.notify == NotifyType.INVALID_ID_INFORMATION and bool(end.seen(Forget))


@EARLY
def test_a_responder_whose_last_message_is_refused(early: bool) -> None:
    pair = Pair().up()
    refuse(pair, pair.b, early)
    assert is_over(pair.b)


@EARLY
def test_an_initiator_whose_last_message_is_refused(early: bool) -> None:
    pair = before_the_last_answer()
    refuse(pair, pair.a, early)
    assert is_over(pair.a) and "the peer refuses our proof of who we are: INVALID_ID_INFORMATION" in pair.a.lines()


@EARLY
def test_an_initiator_in_aggressive_mode(early: bool) -> None:
    pair = Pair(policy(aggressive=True), policy("@b", "@a", aggressive=True)).up()
    refuse(pair, pair.a, early)
    assert is_over(pair.a)


def test_who_has_gone_on_has_accepted_it() -> None:
    """From then on there is one IV, and an error means something else."""
    pair = Pair().tunnel()
    refuse(pair, pair.b, early=True)
    assert "HASH payload: reserved field at offset 1 is not zero" in pair.b.lines()[-1]
    refuse(pair, pair.b, early=False)
    assert pair.b.lines()[-1] == "ignoring informational payload, type INVALID_ID_INFORMATION"
    refuse(pair, pair.a, early=True)
    assert pair.a.sa.is_established and pair.b.sa.is_established


def test_a_quick_mode_of_ours_may_be_meant() -> None:
    pair = Pair().up()
    pair.bend = lambda sent: []
    pair.ask(pair.b, CreateChild(quick("10.2.0.0/16", "10.1.0.0/16"), 7))
    refuse(pair, pair.b, early=False)
    assert pair.b.sa.is_established and not pair.b.seen(IkeFailed)


def test_other_news_before_the_last_answer_changes_nothing() -> None:
    pair = before_the_last_answer()
    refuse(pair, pair.a, early=False, notify=Notify(NotifyType.INITIAL_CONTACT))
    assert pair.a.lines()[-1].startswith(
        "Informational Exchange message is unacceptable because it is for an incomplete"
    )
    assert pair.a.sa.state is State.MAIN_I3


@pytest.mark.parametrize("early", [True, False])
def test_by_other_keys_it_is_nobodys(early: bool) -> None:
    pair, other = before_the_last_answer(), Pair(policy(psk=b"another"), policy("@b", "@a", psk=b"another")).up()
    keys = other.a.sa.need_keys()
    iv = keys.early_iv(1) if early else keys.exchange_iv(1)
    sa = pair.a.sa
    header = Header(sa.cookie_i, sa.cookie_r, ExchangeType.INFORMATIONAL, Flags.ENCRYPTION, 1)
    data, _ = keys.seal(header, keys.hashed(1, [REFUSAL]), iv)
    pair.collect(pair.a, sa.receive(data, sa.local, sa.remote, pair.now))
    assert sa.state is State.MAIN_I3 and not pair.a.seen(IkeFailed)
