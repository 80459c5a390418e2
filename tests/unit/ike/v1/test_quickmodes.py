# SPDX-License-Identifier: GPL-2.0-or-later
"""Quick Modes: many at once, lossy lines, what is repeated and what is replaced."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openswan.base.entropy import SeededRng
from openswan.base.log import Rc
from openswan.ike.effects import (
    ChildEstablished,
    ChildGone,
    Gone,
    Log,
    RequestFailed,
    Send,
    SpiOffered,
)
from openswan.ike.events import CreateChild, RekeyChild
from openswan.ike.v1.core import MOST_REPLAYS
from openswan.ike.v1.effects import Unconfirmed
from openswan.ike.v1.exchanges import MOST_IDS
from openswan.ike.v1.policy import QuickPolicy
from openswan.ike.v1.quick import OVERDUE
from openswan.ike.v1.quickmodes import MOST_ELSEWHERE, MOST_OWN, MOST_THEIRS, SETTLE
from openswan.ike.v1.states import State
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import ExchangeType, NotifyType
from openswan.wire.v1.vendor import OWN
from tests.unit.ike.v1.pair import ADDRESS_A, ADDRESS_B, Pair, mirrored, net, policy, quick
from tests.unit.ike.v1.test_quick import CLIENTS, qi1

QI1, QR1, QI2 = range(3)


def asked(policy: QuickPolicy | None = None) -> Pair:
    """A Quick Mode whose first message is on the wire."""
    pair = Pair().up()
    pair.collect(pair.a, pair.a.sa.request(CreateChild(policy or quick(), 7), pair.now))
    return pair


def stand(pair: Pair) -> tuple[int, int]:
    return len(pair.a.seen(ChildEstablished)), len(pair.b.seen(ChildEstablished))


@pytest.mark.parametrize("lost", [QI1, QR1, QI2])
def test_any_one_message_may_be_lost(lost: int) -> None:
    pair, number = asked(), 0

    def bend(sent: Send) -> list[Send]:
        nonlocal number
        number += 1
        return [] if number - 1 == lost else [sent]

    pair.bend = bend
    pair.run()
    assert stand(pair) == (int(lost == QI2), 0)
    pair.later(3.0)
    assert stand(pair) == (1, 1)
    assert [one.spi_in for one in pair.b.seen(SpiOffered)] == [pair.b.seen(ChildEstablished)[0].spi_in]


def test_who_repeats_its_answer_lacks_our_last_message_and_the_owner_hears_of_it() -> None:
    pair = asked()
    pair.deliver(*pair.wire.pop(0))
    pair.deliver(*pair.wire.pop(0))
    [child] = pair.a.sa.children.values()
    assert not pair.a.seen(Unconfirmed)
    pair.wire.clear()
    pair.tick().run()
    assert [one.spi_in for one in pair.a.seen(Unconfirmed)] == [child.spi_in] and stand(pair) == (1, 1)


def test_every_message_may_come_three_times_in_any_order() -> None:
    pair = asked()
    pair.bend = lambda sent: [sent, sent, sent]
    for _ in range(200):
        if pair.wire:
            pair.wire = [*pair.wire[1:], pair.wire[0]]
            pair.deliver(*pair.wire[0])
            pair.deliver(*pair.wire.pop(0))
    assert stand(pair) == (1, 1)


def test_the_very_last_message_again_changes_nothing() -> None:
    pair = asked().run()
    for end, other in ((pair.a, pair.b), (pair.b, pair.a)):
        before = len(other.sent())
        for data in end.sent()[3:]:
            for _ in range(3):
                other.effects += other.sa.receive(data, other.sa.local, other.sa.remote, pair.now)
        assert len(other.sent()) <= before + MOST_REPLAYS + 1
    assert stand(pair) == (1, 1) and len(pair.a.sa.children) == len(pair.b.sa.children) == 1


def test_an_answer_is_repeated_without_doing_it_again_and_a_few_times_and_to_one_place_only() -> None:
    """CVE-2016-5361: nobody is flooded through us."""
    pair = asked()
    sender, first = pair.wire.pop(0)
    pair.deliver(sender, first)
    [one] = pair.b.sa.quicks.values()
    agreement, before = one.agreement, len(pair.b.sent())
    for _ in range(20):
        pair.b.effects += pair.b.sa.receive(first.data, ADDRESS_B, ADDRESS_A, pair.now)
        pair.b.effects += pair.b.sa.receive(first.data, ADDRESS_B, replace(ADDRESS_A, port=9), pair.now)
    assert len(pair.b.sent()) == before + MOST_REPLAYS and one.agreement is agreement
    assert len(set(pair.b.sent()[before - 1 :])) == 1 and {one.remote for one in pair.b.seen(Send)} == {ADDRESS_A}


def test_nobody_likes_our_quick_mode() -> None:
    pair = asked()
    pair.bend = lambda sent: []
    pair.run().later(61.0)
    words = (
        "max number of retransmissions (6) reached STATE_QUICK_I1."
        "  No acceptable response to our first Quick Mode message: perhaps peer likes no proposal"
    )
    assert Log(Rc.NORETRANSMISSION, words, 7) in pair.a.effects
    [failed] = pair.a.seen(RequestFailed)
    assert (failed.reason, failed.notify) == (words, 0)
    assert pair.a.sa.is_established
    assert not pair.a.sa.busy and pair.later(200.0).a.sa.quicks == {}


def test_a_quick_mode_that_is_never_confirmed_leaves_nothing() -> None:
    pair = asked()
    pair.deliver(*pair.wire.pop(0))
    pair.wire.clear()
    pair.bend = lambda sent: [] if sent.local == ADDRESS_B else [sent]
    pair.later(200.0)
    offered, withdrawn = pair.b.seen(SpiOffered)
    assert offered.spi_in == withdrawn.spi_in and withdrawn.withdrawn and not offered.withdrawn
    assert not pair.b.sa.children and not pair.b.sa.quicks
    assert any(line.startswith("max number of retransmissions (6) reached STATE_QUICK_R1.") for line in pair.b.lines())


@pytest.mark.parametrize("which", [QI1, QR1, QI2])
def test_nothing_counts_whose_hash_is_wrong(which: int) -> None:
    """CVE-2019-10155: every octet of every message bent, the ciphertext's too; then the true one works."""
    pair = asked()
    for _ in range(which):
        pair.deliver(*pair.wire.pop(0))
    sender, sent = pair.wire[0]
    other = pair.b if sender is pair.a else pair.a
    before = len(other.sent()), dict(other.sa.children), set(other.sa.spent)
    for at in range(28, len(sent.data)):
        bad = sent.data[:at] + bytes([sent.data[at] ^ 0x10]) + sent.data[at + 1 :]
        if at < len(sent.data) - 16:  # the last block may be padding alone, which no hash covers
            pair.deliver(sender, replace(sent, data=bad))
    assert (len(other.sent()), other.sa.children, other.sa.spent) == before
    assert stand(pair.run()) == (1, 1)


def test_a_recorded_first_message_begins_nothing_later() -> None:
    pair = asked().run()
    recorded = next(data for data in pair.a.sent() if data[18] == ExchangeType.QUICK)
    pair.later(300.0)
    assert not pair.b.sa.quicks
    before = len(pair.b.sent())
    pair.b.effects += pair.b.sa.receive(recorded, ADDRESS_B, ADDRESS_A, pair.now)
    assert len(pair.b.sent()) == before and not pair.b.sa.quicks
    assert any("uses a previously used Message ID" in line for line in pair.b.lines())


def test_a_peer_of_another_kind_gets_few_at_once() -> None:
    pair = Pair().up()
    pair.a.sa.announced.remove(OWN)
    many = [quick(f"10.{number}.0.0/16") for number in range(20, 25)]
    pair.asked.quick = [mirrored(one) for one in many]
    for number, one in enumerate(many):
        pair.collect(pair.a, pair.a.sa.request(CreateChild(one, number + 1), pair.now))
    assert len(pair.wire) == MOST_ELSEWHERE and len(pair.a.sa.waiting) == 5 - MOST_ELSEWHERE
    pair.run()
    assert len(pair.a.seen(ChildEstablished)) == 5


def test_many_at_once() -> None:
    pair = Pair().up()
    many = [quick(f"10.{number}.0.0/16") for number in range(20, 20 + 2 * MOST_OWN)]
    pair.asked.quick = [mirrored(one) for one in many]
    for number, one in enumerate(many):
        pair.collect(pair.a, pair.a.sa.request(CreateChild(one, number + 1), pair.now))
    assert len(pair.wire) == MOST_OWN and len(pair.a.sa.waiting) == MOST_OWN
    pair.wire.reverse()
    pair.run()
    assert stand(pair) == (2 * MOST_OWN, 2 * MOST_OWN)
    assert sorted(one.token for one in pair.a.seen(ChildEstablished)) == list(range(1, 2 * MOST_OWN + 1))
    assert len({one.spi_in for one in pair.a.seen(ChildEstablished)}) == 2 * MOST_OWN
    ids = {data[20:24] for data in pair.a.sent() if data[18] == ExchangeType.QUICK}
    assert len(ids) == 2 * MOST_OWN and bytes(4) not in ids


def test_either_end_may_begin_and_both_at_once() -> None:
    pair = Pair().up()
    for end, one in ((pair.a, quick()), (pair.b, mirrored(quick("10.7.0.0/16")))):
        pair.collect(end, end.sa.request(CreateChild(one, 7), pair.now))
    pair.asked.quick = [mirrored(quick())]
    pair.a.sa.ask.quick = [quick("10.7.0.0/16")]  # type: ignore[attr-defined]
    assert stand(pair.run()) == (2, 2)


def test_quick_modes_wait_for_the_isakmp_sa() -> None:
    pair = Pair().start()
    pair.collect(pair.a, pair.a.sa.request(CreateChild(quick(), 7), pair.now))
    assert len(pair.a.sent()) == 1 and pair.a.sa.busy
    pair.run()
    assert stand(pair) == (1, 1)


def test_quick_modes_of_an_isakmp_sa_that_never_comes() -> None:
    pair = Pair(policy(psk=b"another")).start()
    pair.collect(pair.a, pair.a.sa.request(CreateChild(quick(), 7), pair.now))
    pair.run().later(100.0)
    assert pair.a.sa.state is State.GONE and stand(pair) == (0, 0)


def test_a_peer_has_no_more_than_so_many_under_way() -> None:
    pair = Pair().up()
    pair.asked.quick = [mirrored(quick(pfs=False))]
    for number in range(1, 2 * MOST_THEIRS):
        pair.forge(pair.b, qi1(*CLIENTS), number, exchange=ExchangeType.QUICK)
    assert len(pair.b.sa.quicks) == MOST_THEIRS
    assert len(pair.b.sent()) == 3 + MOST_THEIRS
    assert "too many Quick Modes at once msgid=00000041" not in pair.b.lines()
    assert "too many Quick Modes at once" in pair.b.lines()


def test_message_ids_that_are_used_up() -> None:
    pair = Pair().up()
    pair.b.sa.spent.update(range(1, MOST_IDS + 1))
    pair.forge(pair.b, [Notify(NotifyType.INITIAL_CONTACT)], 0xFFFFFFFF)
    assert pair.b.lines()[-1].startswith("Informational Exchange message is invalid because it uses a previously used")


def test_rekeying_replaces_and_later_deletes() -> None:
    pair = Pair().tunnel()
    [old] = pair.a.seen(ChildEstablished)
    pair.ask(pair.a, RekeyChild(old.spi_in, 9))
    new, other = pair.a.seen(ChildEstablished)[-1], pair.b.seen(ChildEstablished)[-1]
    assert (new.replaces, new.token, other.replaces) == (old.spi_in, 9, old.spi_out)
    assert not pair.a.seen(ChildGone)
    pair.later(SETTLE)
    [gone], [also] = pair.a.seen(ChildGone), pair.b.seen(ChildGone)
    assert (gone.spi_in, gone.reason, gone.replaced_by) == (old.spi_in, Gone.REPLACED, new.spi_in)
    assert (also.spi_in, also.reason, also.replaced_by) == (old.spi_out, Gone.REPLACED, other.spi_in)
    assert list(pair.a.sa.children) == [new.spi_in]


@pytest.mark.parametrize("seed", range(6))
def test_of_two_pairs_that_both_made_at_once_one_stays(seed: int) -> None:
    pair = Pair().tunnel()
    pair.a.sa.rng, pair.b.sa.rng = SeededRng(f"a {seed}"), SeededRng(f"b {seed}")
    pair.a.sa.ask.quick = [quick()]  # type: ignore[attr-defined]
    for end in (pair.a, pair.b):
        [spi] = end.sa.children
        pair.collect(end, end.sa.request(RekeyChild(spi, 9), pair.now))
    pair.run().later(2 * SETTLE)
    assert len(pair.a.sa.children) == len(pair.b.sa.children) == 1
    assert {one.spi_in for one in pair.a.sa.children.values()} == {one.spi_out for one in pair.b.sa.children.values()}


@pytest.mark.parametrize("seed", range(6))
def test_it_is_the_same_one_when_a_first_message_comes_late_and_all_deletes_are_lost(seed: int) -> None:
    pair = Pair().tunnel()
    pair.a.sa.rng, pair.b.sa.rng = SeededRng(f"a {seed}"), SeededRng(f"b {seed}")
    pair.a.sa.ask.quick = [quick()]  # type: ignore[attr-defined]
    for end in (pair.a, pair.b):
        [spi] = end.sa.children
        pair.collect(end, end.sa.request(RekeyChild(spi, 9), pair.now))
    late = pair.wire.pop()
    pair.run()
    pair.now += 0.1
    pair.wire.append(late)
    pair.run()
    assert stand(pair) == (3, 3)
    pair.bend = lambda sent: []
    pair.later(SETTLE + OVERDUE + 1)
    [mine], [theirs] = pair.a.sa.children.values(), pair.b.sa.children.values()
    assert (mine.spi_in, mine.spi_out, mine.replaced_by) == (theirs.spi_out, theirs.spi_in, 0)


def test_what_the_peer_rekeys_or_has_rekeyed_is_left_to_it() -> None:
    pair = Pair().tunnel()
    [old] = pair.b.sa.children
    pair.collect(pair.a, pair.a.sa.request(RekeyChild(pair.a.seen(ChildEstablished)[0].spi_in), pair.now))
    pair.deliver(*pair.wire.pop(0))
    pair.collect(pair.b, pair.b.sa.request(RekeyChild(old), pair.now))
    pair.run()
    pair.ask(pair.b, RekeyChild(old))
    assert [one.reason for one in pair.b.seen(RequestFailed)] == ["the peer replaces it"] * 2
    assert stand(pair) == (2, 2)
    pair.later(SETTLE)
    assert [one.spi_in for one in pair.b.seen(ChildGone)] == [old]
    assert len(pair.a.sa.children) == len(pair.b.sa.children) == 1


def test_rekeying_may_have_other_terms_but_has_the_same_clients() -> None:
    pair = Pair().tunnel()
    [spi] = pair.a.sa.children
    pair.asked.quick = [mirrored(quick(esp="aes256-sha2_256"))]
    pair.ask(pair.a, RekeyChild(spi, 3, quick("10.99.0.0/16", esp="aes256-sha2_256")))
    assert pair.a.seen(ChildEstablished)[-1].mine == (net("10.1.0.0/16"),)


def test_what_has_to_be_looked_up_first_counts_as_not_heard_and_comes_again() -> None:
    pair = Pair().up()
    pair.asked.looked_up = False
    before = len(pair.b.sent())
    pair.collect(pair.a, pair.a.sa.request(CreateChild(quick(), 7), pair.now))
    pair.run()
    assert len(pair.b.sent()) == before and not pair.b.sa.quicks and stand(pair) == (0, 0)
    assert "the gateways are being looked up, before Quick Mode is answered" in pair.b.lines()
    pair.asked.looked_up = True
    pair.later(1.0)
    assert stand(pair) == (1, 1)
