# SPDX-License-Identifier: GPL-2.0-or-later
"""One ISAKMP SA under loss, repetition, garbage and time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openswan.base.entropy import SeededRng
from openswan.base.errors import IpsecError
from openswan.ike.effects import Forget, Gone, IkeFailed, IkeGone, Send
from openswan.ike.v1.core import MOST_HINTS, MOST_NOTIFIES, MOST_REPLAYS
from openswan.ike.v1.effects import IsakmpEstablished
from openswan.ike.v1.sa import IsakmpSa
from openswan.ike.v1.states import State
from openswan.wire.v1.header import Flags, Header
from openswan.wire.v1.message import Message
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import ExchangeType, NotifyType
from tests.unit.ike.v1.pair import ADDRESS_A, ADDRESS_B, Asked, End, Pair, policy


def stands(pair: Pair) -> bool:
    return (pair.a.sa.state, pair.b.sa.state) == (State.MAIN_I4, State.MAIN_R3)


def fresh() -> End:
    return End(IsakmpSa.responder(ADDRESS_B, ADDRESS_A, Asked(policy("@b", "@a")), SeededRng("b"), 0.0))


def mi1() -> bytes:
    return Pair().start().a.sent()[0]


@pytest.mark.parametrize("lost", range(6))
def test_any_one_message_may_be_lost(lost: int) -> None:
    number = 0

    def bend(sent: Send) -> list[Send]:
        nonlocal number
        number += 1
        return [] if number - 1 == lost else [sent]

    pair = Pair()
    pair.bend = bend
    pair.start().run()
    assert not stands(pair)
    pair.tick().run()
    assert stands(pair)
    assert len(pair.a.seen(IsakmpEstablished)) == len(pair.b.seen(IsakmpEstablished)) == 1
    assert any("retransmission; will wait 1s for response" in line for line in pair.a.lines())


def test_every_message_may_come_three_times() -> None:
    pair = Pair()
    pair.bend = lambda sent: [sent, sent, sent] if len(pair.a.sent()) + len(pair.b.sent()) < 20 else [sent]
    pair.start().run()
    assert stands(pair)
    assert len(pair.a.seen(IsakmpEstablished)) == len(pair.b.seen(IsakmpEstablished)) == 1
    assert any(line.startswith("retransmitting in response to duplicate packet") for line in pair.b.lines())


def test_old_messages_change_nothing() -> None:
    pair = Pair().up()
    keys = pair.b.sa.need_keys().last_block
    for end, other in ((pair.a, pair.b), (pair.b, pair.a)):
        for data in end.sent():
            other.effects += other.sa.receive(data, other.sa.local, other.sa.remote, pair.now)
    assert stands(pair) and pair.b.sa.need_keys().last_block == keys
    assert "discarding duplicate packet; already STATE_MAIN_R3" in pair.b.lines()


def test_a_responder_sends_one_answer_to_one_question() -> None:
    """CVE-2016-5361: what a forged first message brings about, in a minute."""
    end = fresh()
    data = mi1()
    end.effects += end.sa.receive(data, ADDRESS_B, ADDRESS_A, 0.0)
    now = 0.0
    while (when := end.sa.next_timer()) is not None:
        now = when
        end.effects += end.sa.timer(now)
    assert len(end.sent()) == 1 and len(end.sent()[0]) <= len(data) and now == 60.0
    assert [one.timeout for one in end.seen(IkeFailed)] == [True] and end.seen(Forget)


def test_an_answer_is_repeated_a_few_times_and_only_to_where_it_went() -> None:
    end, data = fresh(), mi1()
    for _ in range(20):
        end.effects += end.sa.receive(data, ADDRESS_B, ADDRESS_A, 0.0)
        end.effects += end.sa.receive(data, ADDRESS_B, replace(ADDRESS_A, port=999), 0.0)
    assert len(end.sent()) == 1 + MOST_REPLAYS
    assert any("exhausted retransmission" in line for line in end.lines())
    assert {one.remote for one in end.seen(Send)} == {ADDRESS_A}


def test_garbage_is_answered_a_few_times() -> None:
    pair = Pair().start()
    pair.deliver(*pair.wire.pop(0))
    header = Header(pair.b.sa.cookie_i, pair.b.sa.cookie_r, ExchangeType.MAIN)
    for number in range(20):
        bad = Message.clear(header, [Notify(NotifyType(number + 1))]).emit()
        pair.b.effects += pair.b.sa.receive(bad, ADDRESS_B, ADDRESS_A, pair.now)
    assert len(pair.b.sent()) == 1 + MOST_NOTIFIES
    assert pair.b.sa.state is State.MAIN_R1
    pair.run()
    assert stands(pair)


def test_nobody_answers() -> None:
    pair = Pair(policy(retransmit_interval=0.5, retransmit_timeout=10.0))
    pair.bend = lambda sent: []
    pair.start().run()
    while pair.a.sa.next_timer() is not None and pair.a.sa.state is not State.GONE:
        pair.tick().run()
    assert pair.a.lines()[-1] == (
        "max number of retransmissions (4) reached STATE_MAIN_I1."
        "  No response (or no acceptable response) to our first IKE message"
    )
    assert [one.timeout for one in pair.a.seen(IkeFailed)] == [True]
    assert [one.reason for one in pair.a.seen(IkeGone)] == [Gone.TIMEOUT]
    assert len(pair.a.sent()) == 5


@pytest.mark.parametrize("octets", range(29))
def test_datagrams_shorter_than_a_message(octets: int) -> None:
    """CVE-2013-4564."""
    end = fresh()
    end.effects += end.sa.receive(mi1()[:octets], ADDRESS_B, ADDRESS_A, 0.0)
    assert end.seen(Forget) and len(end.sent()) <= (octets >= 28)


@pytest.mark.parametrize("version", [0x00, 0x11, 0x20, 0x30, 0xF0])
def test_other_versions(version: int) -> None:
    end, data = fresh(), bytearray(mi1())
    data[17] = version
    end.effects += end.sa.receive(bytes(data), ADDRESS_B, ADDRESS_A, 0.0)
    assert end.seen(Forget) and len(end.sent()) == 1
    [answer] = end.sent()
    told = Message.parse(answer).content.first(Notify)
    assert told is not None
    assert told.kind in (NotifyType.INVALID_MAJOR_VERSION, NotifyType.INVALID_MINOR_VERSION)


def test_a_first_message_cut_or_damaged_leaves_nothing() -> None:
    """CVE-2020-1763, CVE-2022-23094."""
    data = mi1()
    for cut in range(28, len(data), 5):
        end = fresh()
        end.effects += end.sa.receive(data[:cut], ADDRESS_B, ADDRESS_A, 0.0)
        assert end.seen(Forget) and not end.seen(IsakmpEstablished)


def test_a_refused_first_message_comes_again_with_a_cookie_of_ours() -> None:
    """CVE-2023-30570: two packets."""
    end = End(
        IsakmpSa.responder(ADDRESS_B, ADDRESS_A, Asked(policy("@b", ike="aes256-sha1-ecp256")), SeededRng("b"), 0.0)
    )
    data = mi1()
    end.effects += end.sa.receive(data, ADDRESS_B, ADDRESS_A, 0.0)
    count = len(end.effects)
    again = data[:8] + b"\1" * 8 + data[16:]
    end.effects += end.sa.receive(again, ADDRESS_B, ADDRESS_A, 0.0)
    assert len(end.effects) == count and end.sa.state is State.GONE
    other = fresh()
    other.effects += other.sa.receive(again, ADDRESS_B, ADDRESS_A, 0.0)
    assert not other.sent() and other.sa.state is State.MAIN_R0


def test_informationals_of_strangers_are_told_and_answered_by_nothing() -> None:
    """CVE-2009-0790 among them: R_U_THERE in clear."""
    for pair in (Pair().start(), Pair().up()):
        sa = pair.a.sa
        for kind in (NotifyType.NO_PROPOSAL_CHOSEN, NotifyType.R_U_THERE, NotifyType.R_U_THERE_ACK):
            for _ in range(5):
                header = Header(sa.cookie_i, sa.cookie_r, ExchangeType.INFORMATIONAL, Flags.NONE, 7)
                before = len(pair.a.sent())
                data = Message.clear(header, [Notify(kind)]).emit()
                pair.a.effects += sa.receive(data, ADDRESS_A, ADDRESS_B, pair.now)
                assert len(pair.a.sent()) == before
        told = [line for line in pair.a.lines() if line.startswith("ignoring informational payload, type")]
        assert len(told) == MOST_HINTS
        assert told[0] == "ignoring informational payload, type NO_PROPOSAL_CHOSEN msgid=00000007"


def test_exchanges_nobody_knows_are_ignored() -> None:
    pair = Pair().up()
    state = pair.b.sa.state
    for number in range(256):
        data = bytearray(pair.a.sent()[-1])
        data[18] = number
        if number != ExchangeType.MAIN:
            assert not [e for e in pair.b.sa.receive(bytes(data), ADDRESS_B, ADDRESS_A, 0.0) if isinstance(e, Send)]
    assert pair.b.sa.state is state


def test_clear_where_encrypted_is_wanted_and_the_reverse() -> None:
    pair = Pair().start()
    while pair.b.sa.state is not State.MAIN_R2:
        pair.deliver(*pair.wire.pop(0))
    header = Header(pair.b.sa.cookie_i, pair.b.sa.cookie_r, ExchangeType.MAIN)
    pair.b.effects += pair.b.sa.receive(
        Message.clear(header, [Notify(NotifyType.CONNECTED)]).emit(), ADDRESS_B, ADDRESS_A, pair.now
    )
    assert "packet rejected: should have been encrypted" in pair.b.lines()
    end, data = fresh(), bytearray(mi1())
    data[19] |= 1
    end.effects += end.sa.receive(bytes(data), ADDRESS_B, ADDRESS_A, 0.0)
    assert "discarding encrypted message because we haven't yet negotiated keying material" in end.lines()


def test_a_message_id_in_main_mode() -> None:
    end, data = fresh(), bytearray(mi1())
    data[20:24] = b"\0\0\0\1"
    end.effects += end.sa.receive(bytes(data), ADDRESS_B, ADDRESS_A, 0.0)
    assert "Main Mode message with a Message ID" in end.lines() and end.seen(Forget)


def test_the_end() -> None:
    pair = Pair().up()
    keys = pair.a.sa.need_keys()
    pair.a.effects += pair.a.sa.abandon(pair.now)
    assert [one.reason for one in pair.a.seen(IkeGone)] == [Gone.LOCAL] and pair.a.seen(Forget)
    assert not any(keys.skeyid.d._data)
    assert pair.a.sa.abandon(pair.now) == pair.a.sa.receive(b"", ADDRESS_A, ADDRESS_B, pair.now) == []
    assert pair.a.sa.next_timer() is None and pair.a.sa.timer(1e9) == []


def test_beginning_twice_is_a_mistake() -> None:
    pair = Pair().start()
    with pytest.raises(IpsecError, match="initiated once"):
        pair.a.sa.initiate(pair.now)
