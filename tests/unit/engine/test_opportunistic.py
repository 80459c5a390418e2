# SPDX-License-Identifier: GPL-2.0-or-later
"""Opportunistic encryption as conversations on a clock of the test's own; then at random, against what always holds."""

import random
from dataclasses import replace
from ipaddress import ip_address

import pytest

from openswan.base.address import Address
from openswan.base.said import Shunt
from openswan.engine import oeevents as ev
from openswan.engine.oeevents import (
    Ask,
    Call,
    Close,
    DelPair,
    Hang,
    Inform,
    Overflow,
    Pair,
    SetShunt,
    SetTunnel,
    Tell,
    Verdict,
)
from openswan.engine.oestates import SEARCHING, SHUNTS, State
from openswan.engine.opportunistic import HANDSHAKE, Opportunistic
from openswan.policy.grade import Grade
from openswan.policy.groups import Stance
from tests.unit.engine.oeplay import MIXED, NULL, OTHER, PAIR, PEER, PERMISSIVE, PRIVATE, US, Play, gateway

GATEWAYS, NONE, FAILED, BOGUS = Verdict


def hold(owner: str = "private-or-clear") -> SetShunt:
    return SetShunt(PAIR, Shunt.HOLD, owner)


def passed(owner: str = "private-or-clear") -> SetShunt:
    return SetShunt(PAIR, Shunt.PASS, owner)


def test_from_a_first_packet_to_a_tunnel() -> None:
    play = Play()
    assert play.packet(PERMISSIVE) == [hold(), Ask(PEER)]
    assert play.packet(PERMISSIVE) == [], "the second packet waits too"
    assert play.learned(GATEWAYS, gateway()) == [Call(PAIR, "private-or-clear", gateway())]
    assert play.up(PERMISSIVE, sa=7) == [SetTunnel(PAIR, 7)]
    assert play.meets() == "tunnel 7" and play.it.grade is Grade.DNSSEC
    assert play.after(5.0) == [], "nothing of the hold is left"


def test_a_peer_that_deletes_each_tunnel_is_left_alone_for_a_while() -> None:
    """Five in a row that end as soon as they are up; then once a minute, as after any failure."""
    play = Play()

    def up_and_down(sa: int, life: float = 0.0) -> None:
        play.up(NULL, Grade.NULL, sa)
        play.after(life)
        play.tell(ev.Down(PAIR, sa))
        assert play.meets() == "%trap"

    for sa in range(1, 6):
        play.packet(NULL)
        assert play.calls == {PAIR: PEER}
        up_and_down(sa)
    for sa in (6, 7):
        play.packet(NULL)
        assert play.meets() == "%pass" and not play.calls and "as soon as they are up" in play.it.reason
        play.after(59.0)
        assert play.used() == [], "not yet"
        play.after(2.0)
        play.used()
        assert play.calls == {PAIR: PEER}
        up_and_down(sa)
    play.after(250.0)
    play.packet(NULL)
    up_and_down(8, life=3.0)
    play.packet(NULL)
    assert play.calls == {PAIR: PEER}, "one that lived makes good for all of them"


def test_an_answer_counts_that_is_looked_at_after_the_deadline_it_came_before() -> None:
    play = Play()
    play.packet(NULL)
    play.now += 3.5
    play.tell(ev.Answered(PAIR))
    assert play.after(1.0) == [] and play.meets() == "%hold"


def test_no_record_and_the_group_decides() -> None:
    for terms, want in ((PERMISSIVE, "%pass"), (PRIVATE, "%drop"), (replace(PRIVATE, failure=State.REJECT), "%reject")):
        play = Play()
        play.packet(terms)
        play.learned(NONE)
        assert play.meets() == want and play.it.reason == "nobody there has published a key"


def test_a_silent_peer_costs_holdtimeout_and_ike_goes_on() -> None:
    play = Play()
    play.packet(NULL)
    assert play.after(2.9) == [] and play.meets() == "%hold"
    assert play.after(0.2) == [passed("fleet")] and play.it.state is State.LATE_CALLING
    assert play.calls == {PAIR: PEER}
    assert play.up(NULL, Grade.NULL, 3) == [SetTunnel(PAIR, 3)], "an answer that comes late counts"


def test_a_dns_that_is_silent_costs_no_more() -> None:
    play = Play()
    play.packet(replace(PERMISSIVE, hold_timeout=1.5))
    assert play.after(1.6) == [passed()] and play.it.reason == "no answer from the DNS yet"
    assert play.learned(GATEWAYS, gateway()) == [Call(PAIR, "private-or-clear", gateway())]
    assert play.meets() == "%pass" and play.it.state is State.LATE_CALLING


def test_a_peer_that_answers_within_holdtimeout_is_waited_for() -> None:
    """So that nothing goes in clear to a peer that is merely slow; bounded, however often somebody says so."""
    play = Play()
    play.packet(NULL)
    play.after(2.0)
    play.tell(ev.Answered(PAIR))
    assert play.after(9.0) == [] and play.meets() == "%hold"
    for _ in range(5):
        play.tell(ev.Answered(PAIR))
    assert play.after(HANDSHAKE) == [passed("fleet")]
    assert play.now - 1000.0 <= 3.0 + HANDSHAKE + 9.0


def test_forged_answers_beside_the_dns_do_not_lengthen_the_hold_without_end() -> None:
    play = Play()
    play.packet(MIXED)
    for _ in range(100):
        play.tell(ev.Answered(PAIR))
        play.after(0.2)
    assert play.meets() == "%pass"


@pytest.mark.parametrize("terms", [PERMISSIVE, NULL, MIXED])
def test_icmp_and_notifies_without_proof_end_nothing(terms: ev.Terms) -> None:
    play = Play()
    play.packet(terms)
    before = play.it.state
    for _ in range(10):
        assert play.tell(ev.Hinted(PAIR, "ICMP port unreachable")) == []
    assert play.it.state is before and play.meets() == "%hold" and play.it.hint == "ICMP port unreachable"


def test_all_gateways_are_tried_before_it_fails() -> None:
    play = Play()
    one, two = gateway(PEER), gateway(OTHER, preference=20)
    play.packet(replace(PRIVATE, keying_tries=1, hold_timeout=30.0))
    play.learned(GATEWAYS, one, two)
    assert play.failed() == [Call(PAIR, "private", two)]
    assert play.meets() == "%hold"
    assert play.failed("refused: AUTHENTICATION_FAILED") == [SetShunt(PAIR, Shunt.DROP, "private")]
    assert play.it.reason == "refused: AUTHENTICATION_FAILED"


def test_keyingtries_are_rounds_with_a_pause_between() -> None:
    play = Play()
    play.packet(replace(NULL, keying_tries=3))
    play.after(4.0)
    assert play.meets() == "%pass"
    assert play.failed() == [] and play.after(4.9) == []
    assert play.after(0.2) == [Call(PAIR, "fleet", None)]
    play.failed()
    assert play.after(9.9) == [] and play.after(0.2) == [Call(PAIR, "fleet", None)]
    assert play.failed() == [] and play.it.state is State.PASS, "the third was the last"


def test_keyingtries_without_end() -> None:
    play = Play()
    play.packet(replace(NULL, keying_tries=0))
    for _ in range(20):
        play.failed()
        play.used()
        assert [type(effect) for effect in play.after(300.0) if isinstance(effect, Call)] == [Call]
    assert play.it.state is State.LATE_CALLING
    play.failed()
    play.after(2000.0)
    assert PAIR not in play.machine.pairs, "nobody uses it"


def test_a_pair_in_use_is_tried_again_without_a_hold_and_less_and_less_often() -> None:
    play = Play()
    terms = replace(NULL, keying_tries=1)
    play.packet(terms)
    play.failed()
    times = []
    for _ in range(6):
        began = play.now
        while PAIR not in play.calls:
            play.after(1.0)
            play.used()
        times.append(round(play.now - began))
        assert play.meets() == "%pass"
        play.failed()
    assert times == [60, 120, 240, 480, 900, 900]


def test_an_unused_pair_is_not_tried_again_until_its_next_packet() -> None:
    play = Play()
    play.packet(replace(NULL, keying_tries=1))
    play.failed()
    assert play.after(100.0) == []
    assert play.used() == [Call(PAIR, "fleet", None)]


def test_shunts_nobody_uses_expire() -> None:
    play = Play()
    play.packet(PRIVATE)
    play.learned(NONE)
    assert play.after(899.0) == [] and play.after(2.0) == [DelPair(PAIR)]
    assert play.machine.pairs == {} and play.meets() == "%trap" and play.machine.next_timer() is None


def test_who_was_called_late_does_not_count_as_deaf_when_packets_wait_no_longer() -> None:
    """The DNS took most of the time; other pairs with that peer are held as ever, until IKE has had its time."""
    once = replace(PERMISSIVE, keying_tries=1)
    for looked, deaf in ((0.5, True), (2.5, False)):
        play = Play()
        play.packet(once)
        play.after(looked)
        play.learned(Verdict.GATEWAYS, gateway())
        play.after(4.0 - looked)
        assert play.meets() == "%pass" and (play.machine.peers.known[PEER].deaf_until > play.now) is deaf
        another = Pair(OTHER, PEER)
        play.packet(once, another)
        assert play.meets(another) == ("%pass" if deaf else "%hold")
        play.failed()
        assert play.machine.peers.known[PEER].deaf_until > play.now


def test_a_hold_lasts_until_the_peer_that_was_refused_has_heard_of_it() -> None:
    """It has let us in and takes nothing in clear; a pair that is no longer held is none the worse for it."""
    play = Play()
    play.packet(NULL)
    play.after(2.0)
    play.tell(ev.Answered(PAIR))
    play.after(10.0)
    play.tell(ev.Parting(PAIR, play.now + 4.0))
    play.after(3.9)
    assert play.meets() == "%hold"
    play.after(0.2)
    assert play.meets() == "%pass"
    assert play.tell(ev.Parting(PAIR, play.now + 4.0)) == [] and play.after(5.0) == []


def test_a_deaf_peer_is_not_waited_for_again_until_its_record_expires() -> None:
    play = Play()
    play.packet(PERMISSIVE)
    play.learned(NONE, ttl=200.0)
    elsewhere = Pair(ip_address("192.0.2.99"), PEER)
    assert play.packet(PERMISSIVE, elsewhere) == [SetShunt(elsewhere, Shunt.PASS, "private-or-clear")]
    assert play.machine.pairs[elsewhere].reason == "nobody there has published a key"
    play.tell(ev.Remove(PAIR))
    play.after(201.0)
    assert play.packet(PERMISSIVE) == [hold(), Ask(PEER)]


def test_pairs_of_a_peer_that_was_silent_once_are_tried_when_it_is_heard() -> None:
    """The answers to one pair got lost. Another one does not wait, and is tried again as soon as the peer is heard."""
    play = Play()
    play.packet(NULL)
    play.after(4.0)
    other = Pair(ip_address("192.0.2.99"), PEER)
    assert play.packet(NULL, other) == [SetShunt(other, Shunt.PASS, NULL.owner)], "nothing is held"
    assert play.tell(ev.Used((other,))) == [], "nor tried at once"
    assert play.up(NULL, Grade.NULL, 3) == [SetTunnel(PAIR, 3)]
    assert play.tell(ev.Used((other,))) == [Call(other, NULL.owner, None)]
    assert play.machine.pairs[other].shunt is Shunt.PASS


def test_nor_for_more_than_fifteen_minutes_whatever_the_record_says() -> None:
    play = Play()
    play.packet(PERMISSIVE)
    play.learned(NONE, ttl=86400.0)
    play.tell(ev.Remove(PAIR))
    play.after(899.0)
    assert play.packet(PERMISSIVE) == [passed()]
    play.tell(ev.Remove(PAIR))
    play.after(2.0)
    assert play.packet(PERMISSIVE) == [hold(), Ask(PEER)]


def test_a_peer_lately_capable_is_called_while_the_dns_is_asked() -> None:
    play = Play()
    play.packet(PERMISSIVE)
    play.learned(GATEWAYS, gateway())
    play.up(PERMISSIVE, sa=1)
    assert DelPair(PAIR) in play.tell(ev.Down(PAIR, 1, "the peer went away"))
    assert play.packet(PERMISSIVE) == [hold(), Ask(PEER), Call(PAIR, "private-or-clear", gateway())]
    assert play.learned(GATEWAYS, gateway()) == [Inform(PAIR, gateway())]
    assert play.it.state is State.CALLING
    play.up(PERMISSIVE, sa=2)
    play.tell(ev.Down(PAIR, 2))
    play.after(4000.0)
    assert play.packet(PERMISSIVE) == [hold(), Ask(PEER)], "that was long ago"


def test_a_peer_that_moved_its_gateway_is_called_there() -> None:
    play = Play()
    play.packet(PERMISSIVE)
    play.learned(GATEWAYS, gateway())
    play.up(PERMISSIVE)
    play.tell(ev.Down(PAIR, 1))
    play.packet(PERMISSIVE)
    there = gateway(OTHER)
    assert play.learned(GATEWAYS, there) == [Hang(PAIR), Call(PAIR, "private-or-clear", there)]


def test_one_that_withdrew_its_record_is_hung_up_on() -> None:
    play = Play()
    play.packet(PERMISSIVE)
    play.learned(GATEWAYS, gateway())
    play.up(PERMISSIVE)
    play.tell(ev.Down(PAIR, 1))
    play.packet(PERMISSIVE)
    effects = play.learned(NONE)
    assert Hang(PAIR) in effects and passed() in effects
    assert any(isinstance(each, Tell) and "it had a tunnel of grade dnssec before" in each.text for each in effects)


@pytest.mark.parametrize("there", [PEER, OTHER], ids=["itself", "another host"])
def test_a_gateway_that_the_dns_names_no_more_is_forgotten(there: Address) -> None:
    """A peer lately capable may be called at its own address, without the key that its record had."""
    play = Play()
    play.packet(PERMISSIVE)
    play.learned(GATEWAYS, gateway(there))
    play.up(PERMISSIVE)
    play.tell(ev.Down(PAIR, 1))
    play.packet(PERMISSIVE)
    play.learned(NONE, ttl=5.0)
    play.tell(ev.Remove(PAIR))
    play.after(10.0)
    itself = [Call(PAIR, "private-or-clear", None)]
    assert play.packet(PERMISSIVE) == [hold(), Ask(PEER), *(itself if there == PEER else [])]


def test_one_look_up_for_all_pairs_that_wait() -> None:
    play = Play()
    pairs = [Pair(ip_address(f"192.0.2.{n}"), PEER) for n in range(1, 40)]
    asked = [effect for pair in pairs for effect in play.packet(PERMISSIVE, pair) if isinstance(effect, Ask)]
    assert asked == [Ask(PEER)] and play.machine.searching == 39
    calls = play.learned(GATEWAYS, gateway())
    assert [call.pair for call in calls if isinstance(call, Call)] == pairs and not play.machine.asking


def test_a_bogus_answer_denies_even_where_clear_is_allowed() -> None:
    for terms in (PERMISSIVE, MIXED):
        play = Play()
        play.packet(terms)
        play.learned(BOGUS, reason="DNSSEC signatures are wrong")
        assert play.meets() == "%drop" and play.it.state is State.DROP and not play.calls
        play.after(61.0)
        play.used()
        assert play.it.state in (State.LATE_LOOKING, State.LATE_BOTH) and play.meets() == "%drop"
        play.learned(NONE)
        play.failed()
        play.after(20.0)
        if terms is PERMISSIVE:
            assert play.meets() == "%pass", "the DNS is well again, and says that there is nobody"


def test_a_bogus_answer_ends_a_tunnel_that_rests_on_less() -> None:
    play = Play()
    play.packet(MIXED)
    play.up(MIXED, Grade.NULL, 4)
    assert play.learned(BOGUS) == [Close(PAIR, 4), SetShunt(PAIR, Shunt.DROP, "mixed")]
    play = Play()
    play.packet(MIXED)
    play.up(MIXED, Grade.PSK, 4)
    assert play.learned(BOGUS) == [] and play.meets() == "tunnel 4", "a secret of its own needs no DNS"


def test_dns_that_fails() -> None:
    play = Play()
    play.packet(PERMISSIVE)
    play.learned(FAILED, reason="no DNS server answers")
    assert play.meets() == "%pass" and play.it.reason == "no DNS server answers"
    play.tell(ev.Remove(PAIR))
    assert play.packet(PERMISSIVE) == [hold(), Ask(PEER)], "that says nothing about the peer"
    play = Play()
    play.packet(MIXED)
    play.learned(FAILED)
    assert play.it.state is State.CALLING and play.meets() == "%hold"


def test_null_first_and_the_better_proof_when_it_comes() -> None:
    play = Play()
    assert play.packet(MIXED) == [hold("mixed"), Ask(PEER), Call(PAIR, "mixed", None)]
    assert play.up(MIXED, Grade.NULL, 1) == [SetTunnel(PAIR, 1)]
    assert play.learned(GATEWAYS, gateway()) == [Call(PAIR, "mixed", gateway())]
    assert play.up(MIXED, Grade.DNSSEC, 2) == [SetTunnel(PAIR, 2), Close(PAIR, 1)], "make before break"
    assert play.it.grade is Grade.DNSSEC and play.tunnels == {(PAIR, 2)}


def test_an_upgrade_that_fails_leaves_the_tunnel_alone() -> None:
    play = Play()
    play.packet(MIXED)
    play.up(MIXED, Grade.NULL, 1)
    play.learned(GATEWAYS, gateway())
    assert play.failed() == [] and play.meets() == "tunnel 1"


def test_a_worse_tunnel_never_takes_the_place_of_a_better_one() -> None:
    play = Play()
    play.packet(MIXED)
    play.up(MIXED, Grade.DNSSEC, 1)
    effects = play.up(MIXED, Grade.NULL, 2, ours=False)
    assert Close(PAIR, 2) in effects and play.meets() == "tunnel 1" and play.it.grade is Grade.DNSSEC


def test_both_ends_at_once_settle_on_the_youngest() -> None:
    play = Play()
    play.packet(NULL)
    play.up(NULL, Grade.NULL, 1)
    assert play.up(NULL, Grade.NULL, 2, ours=False) == [SetTunnel(PAIR, 2)]
    assert play.tell(ev.Down(PAIR, 1)) == [] and play.meets() == "tunnel 2"


def test_authgrade() -> None:
    play = Play()
    terms = replace(MIXED, least=Grade.DNSSEC, keying_tries=1)
    play.packet(terms)
    effects = play.up(terms, Grade.NULL, 1)
    assert Close(PAIR, 1) in effects and play.meets() == "%hold", "the DNS may know better"
    assert play.it.reason == "grade null, authgrade=dnssec is wanted"
    play.learned(GATEWAYS, gateway(grade=Grade.DNS))
    assert play.meets() == "%pass" and play.it.reason == "its records do not reach authgrade=dnssec"


def test_a_stranger_that_calls_us_does_not_end_our_own_call() -> None:
    play = Play()
    terms = replace(MIXED, least=Grade.DNSSEC)
    play.packet(terms)
    play.learned(GATEWAYS, gateway())
    effects = play.up(terms, Grade.NULL, 9, ours=False)
    assert Close(PAIR, 9) in effects and play.calls == {PAIR: PEER} and play.meets() == "%hold"
    assert play.up(terms, Grade.DNSSEC, 10) == [SetTunnel(PAIR, 10)]


def test_a_downgrade_is_logged_and_can_be_forbidden() -> None:
    for keep in (False, True):
        play = Play()
        terms = replace(MIXED, keep=keep, keying_tries=1)
        play.packet(terms)
        play.up(terms, Grade.DNSSEC, 1)
        play.tell(ev.Down(PAIR, 1))
        play.packet(terms)
        effects = play.up(terms, Grade.NULL, 2)
        said = [each.text for each in effects if isinstance(each, Tell)]
        if keep:
            assert Close(PAIR, 2) in effects and "it was dnssec before and keepgrade=yes" in said[0]
            play.learned(NONE)
            play.failed()
            assert play.meets() == "%drop", "nor does clear text come of it"
        else:
            assert play.meets() == "tunnel 2" and said == ["downgraded: grade null, it was dnssec before"]


def test_groups_that_do_not_ask() -> None:
    fixed = {Stance.CLEAR: "%pass", Stance.CLEAR_OR_PRIVATE: "%pass", Stance.DROP: "%drop", Stance.BLOCK: "%reject"}
    for stance, want in fixed.items():
        play = Play()
        effects = play.packet(replace(PERMISSIVE, stance=stance))
        assert len(effects) == 1 and play.meets() == want and play.it.retry_at == 0
        play.used()
        assert play.after(890.0) == [], "it is never tried again"
        play.after(900.0)
        assert play.meets() == "%trap"


def test_clear_or_private_answers_and_the_others_do_not() -> None:
    play = Play()
    answering = replace(PERMISSIVE, stance=Stance.CLEAR_OR_PRIVATE)
    play.packet(answering)
    assert play.up(answering, Grade.NULL, 1, ours=False) == [SetTunnel(PAIR, 1)]
    play.tell(ev.Down(PAIR, 1))
    play.packet(answering)
    assert play.meets() == "%pass" and not play.calls, "it never asks"
    play = Play()
    clear = replace(PERMISSIVE, owner="clear", stance=Stance.CLEAR)
    effects = play.up(clear, Grade.PSK, 1, ours=False)
    assert Close(PAIR, 1) in effects and play.machine.pairs == {} and play.meets() == "%trap"


def test_a_tunnel_the_peer_began() -> None:
    play = Play()
    assert play.up(PRIVATE, Grade.DNS, 5, ours=False) == [SetTunnel(PAIR, 5)]
    assert play.meets() == "tunnel 5"


def test_negotiationshunt() -> None:
    for shunt in (Shunt.PASS, Shunt.DROP):
        play = Play()
        play.packet(replace(NULL, negotiation=shunt))
        assert play.meets() == str(shunt)
        play.after(3.1)
        assert play.meets() == "%pass" and play.it.state is State.LATE_CALLING


def test_an_idle_tunnel_ends_and_a_busy_one_does_not() -> None:
    play = Play()
    play.packet(NULL)
    play.up(NULL, Grade.NULL, 1)
    for _ in range(10):
        play.after(600.0)
        play.used()
    assert play.meets() == "tunnel 1"
    assert play.after(901.0) == [Close(PAIR, 1), DelPair(PAIR)] and play.machine.next_timer() is None


def test_the_operator_removes_a_pair_in_any_state() -> None:
    play = Play()
    assert play.tell(ev.Remove(PAIR)) == []
    play.packet(MIXED)
    assert play.tell(ev.Remove(PAIR)) == [Hang(PAIR), DelPair(PAIR)]
    play.packet(MIXED)
    play.up(MIXED, Grade.NULL, 8)
    assert play.tell(ev.Remove(PAIR)) == [Close(PAIR, 8), DelPair(PAIR)]
    assert play.learned(GATEWAYS, gateway()) == [] and play.machine.pairs == {} and play.machine.searching == 0


def test_answers_nobody_waits_for() -> None:
    play = Play()
    assert play.learned(GATEWAYS, gateway()) == play.failed() == play.used() == []
    assert play.tell(ev.Answered(PAIR)) == play.tell(ev.Hinted(PAIR, "x")) == play.tell(ev.Down(PAIR, 1)) == []
    play.packet(PERMISSIVE)
    assert play.failed() == [], "no call was under way"


def test_how_many_wait_is_bounded_and_the_rest_is_dropped_and_counted() -> None:
    play = Play(Opportunistic(most_searches=10))
    pairs = [Pair(US, ip_address(0x0A000000 + n)) for n in range(12)]
    for pair in pairs[:10]:
        assert Overflow(pair) not in play.packet(PERMISSIVE, pair)
    for pair in pairs[10:]:
        assert play.packet(PERMISSIVE, pair) == [Overflow(pair)] and play.meets(pair) == "%trap"
        assert play.packet(replace(PERMISSIVE, stance=Stance.CLEAR), pair) != [Overflow(pair)]


def test_how_many_are_remembered_is_bounded_and_tunnels_stay() -> None:
    play = Play(Opportunistic(most_pairs=50))
    for n in range(20):
        pair = Pair(US, ip_address(0x0A000000 + n))
        play.up(NULL, Grade.NULL, n + 1, pair=pair)
    for n in range(1000):
        play.packet(replace(PERMISSIVE, stance=Stance.CLEAR), Pair(US, ip_address(0x0B000000 + n)))
    assert len(play.machine.pairs) == 50 == len(play.path)
    assert sum(p.state is State.TUNNEL for p in play.machine.pairs.values()) == 20
    full = Play(Opportunistic(most_pairs=5))
    for n in range(6):
        effects = full.up(NULL, Grade.NULL, n + 1, pair=Pair(US, ip_address(0x0A000000 + n)))
    last = Pair(US, ip_address(0x0A000005))
    assert effects == [Close(last, 6), Overflow(last)]


MEETS = {State.PASS: "%pass", State.DROP: "%drop", State.REJECT: "%reject"}


@pytest.mark.parametrize("seed", range(40))
def test_at_random(seed: int) -> None:
    """Whatever happens in whatever order: no clear text where forbidden, no hold without end, nothing left over."""
    dice = random.Random(seed)
    play = Play(Opportunistic(most_pairs=30, most_searches=8))
    pairs = [
        Pair(US, ip_address(0x0A000000 + n % 12 + 1)) if n % 2 else Pair(OTHER, ip_address(0x0A000000 + n % 12))
        for n in range(36)
    ]
    kinds = (PERMISSIVE, PRIVATE, NULL, MIXED, replace(PRIVATE, least=Grade.DNSSEC), replace(MIXED, keep=True))
    terms = {pair: replace(dice.choice(kinds), keying_tries=dice.choice((0, 1, 3))) for pair in pairs}
    for sas in range(1, 1500):
        pair = dice.choice(pairs)
        event = dice.choice(
            (
                ev.Packet(pair, terms[pair]),
                ev.Packet(pair, terms[pair]),
                ev.Learned(
                    pair.dst,
                    dice.choice(list(Verdict)),
                    tuple(
                        gateway(ip_address(0x0A000000 + dice.randrange(12)), dice.choice((Grade.DNS, Grade.DNSSEC)))
                        for _ in range(dice.randrange(3))
                    ),
                    dice.choice((1.0, 100.0, 9999.0)),
                ),
                ev.Answered(pair),
                ev.Hinted(pair, "x"),
                ev.Failed(pair, "no answer"),
                ev.Up(pair, terms[pair], sas, dice.choice(list(Grade)), pair.dst, dice.random() < 0.7),
                ev.Down(pair, play.machine.pairs[pair].sa if pair in play.machine.pairs else 1),
                ev.Used((pair, dice.choice(pairs))),
                ev.Remove(pair) if dice.random() < 0.2 else ev.Due(),
            )
        )
        effects = play.tell(event)
        effects += play.after(dice.choice((0.0, 0.0, 0.3, 2.0, 30.0, 400.0)))
        for effect in effects:
            if isinstance(effect, SetShunt) and terms[effect.pair].stance is Stance.PRIVATE:
                assert effect.shunt is not Shunt.PASS
        machine = play.machine
        assert set(machine.pairs) == set(play.path), "what is decided is what is in the path"
        assert machine.searching == sum(p.state in SEARCHING for p in machine.pairs.values()) <= 8
        assert len(machine.pairs) <= 30
        waiting = {pair for found in machine.asking.values() for pair in found}
        for each, p in machine.pairs.items():
            if p.state in SHUNTS:
                assert play.meets(each) == MEETS[p.state] and each not in play.calls and each not in waiting
            elif p.state is State.TUNNEL:
                assert play.meets(each) == f"tunnel {p.sa}" and p.grade is not None and p.grade.meets(p.terms.least)
            elif p.state in SEARCHING:
                assert play.meets(each) == "%hold"
            if p.state in (State.LOOKING, State.LATE_LOOKING, State.BOTH, State.LATE_BOTH):
                assert each in waiting, "somebody asks the DNS for it"
            if play.meets(each) == "%hold":
                assert play.now - p.held_at <= p.terms.hold_timeout + HANDSHAKE + 0.001
        assert waiting <= set(machine.pairs) and set(play.calls) <= set(machine.pairs)
    for pair in pairs:
        play.tell(ev.Failed(pair, "the end"))
        play.tell(ev.Learned(pair.dst, Verdict.NONE))
        play.tell(ev.Remove(pair))
    assert not play.machine.pairs and not play.path and not play.machine.asking and play.machine.next_timer() is None
