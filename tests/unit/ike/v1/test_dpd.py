# SPDX-License-Identifier: GPL-2.0-or-later
"""Dead Peer Detection: numbers, answers, silence (RFC 3706)."""

from __future__ import annotations

import pytest

from openswan.base.errors import IkeError, WireError
from openswan.ike.effects import ChildGone, Gone, IkeGone, ProbeAnswered, RequestFailed
from openswan.ike.events import Probe
from openswan.ike.retransmit import Outstanding
from openswan.ike.v1.dpd import COUNT, MOST_ASKED, Prober
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import NotifyType
from tests.unit.ike.v1.pair import Pair, opened, policy

COOKIES = b"initiatr" + b"responde"


def ack(number: int, cookies: bytes = COOKIES) -> Notify:
    return Notify.dpd(NotifyType.R_U_THERE_ACK, cookies, number)


def clock() -> Outstanding:
    return Outstanding.start(0, (), 1.0, 60.0, 0.0)


def test_the_first_number_is_random_with_room_to_count() -> None:
    one = Prober()
    assert one.next(0xFFFFFFFF) == 0x7FFFFFFF and one.next(5) == 0x80000000
    one.sequence = COUNT - 1
    assert one.next(5) == 0


def test_any_number_since_the_question_was_asked_answers_it_and_the_wrap_does_not_matter() -> None:
    one = Prober()
    one.sequence = COUNT - 3
    one.begin(Probe(1), one.next(0), clock())
    one.next(0)
    one.begin(Probe(2), one.next(0), clock())
    for number in (COUNT - 3, 1, 5):
        with pytest.raises(IkeError, match=f"unexpected R_U_THERE_ACK packet with sequence number {number}"):
            one.answered(ack(number), COOKIES)
    assert one.answered(ack(COUNT - 1), COOKIES) == [Probe(1)] and one.clock is not None
    assert one.answered(ack(0), COOKIES) == [Probe(2)] and one.clock is None
    with pytest.raises(IkeError):
        one.answered(ack(0), COOKIES)


def test_questions_are_bounded() -> None:
    one = Prober()
    for number in range(100):
        one.begin(Probe(number), one.next(0), clock())
    assert len(one.asked) == MOST_ASKED and one.asked[-1][1] == Probe(99)


def test_numbers_of_the_peers() -> None:
    one = Prober()
    ask = [Notify.dpd(NotifyType.R_U_THERE, COOKIES, number) for number in (7, 7, 8, 6)]
    assert [one.take(q, COOKIES).sequence() for q in ask[:3]] == [7, 7, 8]
    with pytest.raises(IkeError, match="old or duplicate R_U_THERE"):
        one.take(ask[3], COOKIES)
    with pytest.raises(IkeError, match="cookies of another"):
        one.take(Notify.dpd(NotifyType.R_U_THERE, COOKIES[::-1], 9), COOKIES)
    with pytest.raises(WireError):
        one.take(Notify(NotifyType.R_U_THERE, b"\0" * 5, spi=COOKIES), COOKIES)


def test_asked_and_answered() -> None:
    pair = Pair().up()
    pair.ask(pair.a, Probe(5)).ask(pair.a, Probe(6))
    assert [one.token for one in pair.a.seen(ProbeAnswered)] == [5, 6]
    numbers = [n.sequence() for d in pair.a.sent()[-2:] for n in opened(pair.b.sa, d).all(Notify)]
    assert numbers[1] == numbers[0] + 1
    assert not pair.a.sa.busy and pair.due() is None


def test_each_repetition_has_a_number_of_its_own_and_any_may_be_answered() -> None:
    pair = Pair().up()
    lost = iter([True, True, False])
    pair.bend = lambda sent: [] if next(lost, False) else [sent]
    pair.ask(pair.a, Probe(5)).later(10.0)
    assert [one.token for one in pair.a.seen(ProbeAnswered)] == [5]
    sent = pair.a.sent()[3:]
    assert len(sent) == 3 and len({data[20:24] for data in sent}) == 3


def test_silence_ends_all_in_the_time_asked_for() -> None:
    pair = Pair().tunnel()
    pair.bend = lambda sent: []
    begin = pair.now
    pair.ask(pair.a, Probe(5, patience=20.0))
    while not pair.a.seen(IkeGone):
        pair.tick().run()
    assert pair.now == begin + 20.0
    assert [one.reason for one in pair.a.seen(ChildGone)] == [Gone.IKE_GONE]
    assert [one.reason for one in pair.a.seen(IkeGone)] == [Gone.TIMEOUT]
    assert "DPD: No response from peer - declaring peer dead" in pair.a.lines()


def test_a_peer_that_does_not() -> None:
    pair = Pair(None, policy("@b", "@a", dpd=False)).up()
    assert not pair.a.sa.peer_does_dpd
    [failed] = pair.a.sa.request(Probe(5), pair.now)
    assert isinstance(failed, RequestFailed)
    assert failed.reason == "Dead Peer Detection (RFC 3706): not enabled because peer did not advertise it"


@pytest.mark.parametrize("octets", [*range(10), 100, 60000])
def test_data_of_any_length(octets: int) -> None:
    """CVE-2009-0790."""
    pair = Pair().up()
    cookies = pair.b.sa.cookie_i + pair.b.sa.cookie_r
    for number, kind in enumerate((NotifyType.R_U_THERE, NotifyType.R_U_THERE_ACK), 1):
        before = len(pair.b.sent())
        pair.forge(pair.b, [Notify(kind, bytes(octets), spi=cookies)], number)
        assert len(pair.b.sent()) == before + (octets == 4 and kind == NotifyType.R_U_THERE)
    assert pair.b.sa.is_established


def test_an_answer_nobody_waits_for() -> None:
    pair = Pair().up()
    cookies = pair.b.sa.cookie_i + pair.b.sa.cookie_r
    pair.forge(pair.b, [ack(77, cookies)])
    assert pair.b.lines()[-1] == "DPD: unexpected R_U_THERE_ACK packet with sequence number 77"
