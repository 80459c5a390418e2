# SPDX-License-Identifier: GPL-2.0-or-later
"""Which event of the table news is."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from openswan.engine.oeevents import Terms, Verdict
from openswan.engine.oejudge import FIXED, LATCHED, NO_ANSWER, answer, failure, first, objection, search, shorter, worth
from openswan.engine.oepair import PairState, Peer
from openswan.engine.oestates import Event, State
from openswan.policy.grade import Grade
from openswan.policy.groups import Stance
from tests.unit.engine.oeplay import MIXED, NULL, PAIR, PERMISSIVE, PRIVATE

DEAF, CAPABLE, BEFORE = Peer(deaf_until=100.0), Peer(capable_until=100.0), Peer(best=Grade.DNSSEC)


def it(terms: Terms, state: State = State.LOOKING, grade: Grade | None = None) -> PairState:
    return PairState(PAIR, terms, state, grade=grade)


def test_first_packets() -> None:
    assert set(FIXED) == {stance for stance in Stance if not stance.initiates}
    assert first(PERMISSIVE, None, 50.0) is Event.PACKET_LOOK
    assert first(NULL, None, 50.0) is first(NULL, CAPABLE, 50.0) is Event.PACKET_CALL
    assert first(MIXED, None, 50.0) is first(PERMISSIVE, CAPABLE, 50.0) is Event.PACKET_BOTH
    assert first(PERMISSIVE, CAPABLE, 100.0) is Event.PACKET_LOOK
    assert first(PERMISSIVE, DEAF, 99.0) is Event.PACKET_DEAF and first(PERMISSIVE, DEAF, 100.0) is Event.PACKET_LOOK
    assert first(replace(PRIVATE, stance=Stance.BLOCK), DEAF, 50.0) is Event.PACKET_REJECT
    assert search(PERMISSIVE, DEAF, 50.0) is Event.PACKET_LOOK


@pytest.mark.parametrize(
    ("terms", "state", "verdict", "good", "want"),
    [
        (PERMISSIVE, State.LOOKING, Verdict.GATEWAYS, True, Event.GATEWAYS),
        (PERMISSIVE, State.LOOKING, Verdict.GATEWAYS, False, Event.NO_RECORD),
        (PERMISSIVE, State.BOTH, Verdict.NONE, False, Event.NO_RECORD),
        (MIXED, State.BOTH, Verdict.NONE, False, Event.NO_BETTER),
        (MIXED, State.LOOKING, Verdict.NONE, False, Event.NO_RECORD),
        (MIXED, State.BOTH, Verdict.FAILED, False, Event.DNS_FAILED),
        (MIXED, State.LATE_BOTH, Verdict.BOGUS, False, Event.BOGUS),
    ],
)
def test_answers_of_the_dns(terms: Terms, state: State, verdict: Verdict, good: bool, want: Event) -> None:
    assert answer(it(terms, state), verdict, good) is want


def test_answers_beside_a_tunnel() -> None:
    weak, strong = it(MIXED, State.TUNNEL, Grade.NULL), it(MIXED, State.TUNNEL, Grade.DNSSEC)
    assert answer(weak, Verdict.GATEWAYS, True) is Event.GATEWAYS
    assert answer(weak, Verdict.GATEWAYS, False) is answer(weak, Verdict.NONE, False) is None
    assert answer(weak, Verdict.BOGUS, False) is Event.BOGUS
    assert answer(strong, Verdict.BOGUS, False) is answer(strong, Verdict.GATEWAYS, True) is None


def test_what_is_worth_a_try() -> None:
    least = replace(MIXED, least=Grade.DNSSEC)
    assert worth(it(least), Grade.DNSSEC) and not worth(it(least), Grade.DNS)
    assert worth(it(MIXED, State.TUNNEL, Grade.NULL), Grade.DNS)
    assert not worth(it(MIXED, State.TUNNEL, Grade.DNS), Grade.DNS)


def test_objections() -> None:
    assert objection(it(MIXED), Grade.NULL, BEFORE) == ""
    assert objection(it(replace(MIXED, least=Grade.DNS)), Grade.NULL, None) == "grade null, authgrade=dns is wanted"
    kept = objection(it(replace(MIXED, keep=True)), Grade.DNS, BEFORE)
    assert kept == "grade dns, it was dnssec before and keepgrade=yes"
    assert objection(it(replace(MIXED, keep=True)), Grade.PSK, BEFORE) == ""
    assert "there is one of grade psk" in objection(it(MIXED, State.TUNNEL, Grade.PSK), Grade.DNS, None)
    clear = replace(PERMISSIVE, owner="clear", stance=Stance.CLEAR)
    assert objection(it(clear), Grade.PSK, None) == "group clear has none (always in clear)"


def test_where_failure_leads() -> None:
    assert failure(PERMISSIVE, BEFORE) is State.PASS and failure(PRIVATE, None) is State.DROP
    kept = replace(PERMISSIVE, keep=True)
    assert failure(kept, BEFORE) is State.DROP and failure(kept, None) is State.PASS
    assert failure(replace(kept, failure=State.REJECT), BEFORE) is State.REJECT


def test_how_ike_ended_in_few_words() -> None:
    assert shorter("max number (3) reached X.  No response to our first IKE message") == NO_ANSWER
    assert shorter("X.  no acceptable response to our first encrypted message").startswith("no answer to IKE_AUTH")
    assert shorter("AUTHENTICATION_FAILED") == "AUTHENTICATION_FAILED"


def test_a_tunnel_keeps_out_other_keys() -> None:
    p = it(MIXED, State.TUNNEL, Grade.DNS)
    p.key = b"its own"
    assert objection(p, Grade.DNS, None, b"its own") == ""
    assert objection(p, Grade.DNS, None, b"another") == LATCHED
    assert objection(p, Grade.DNSSEC, None, b"another") == ""
    p.state = State.BOTH
    assert objection(p, Grade.DNS, None, b"another") == "", "that was a tunnel before this one"
    p.state, p.key = State.TUNNEL, b""
    assert objection(p, Grade.DNS, None, b"another") == "", "nothing was shown then"


def test_the_host_itself_comes_before_a_gateway_that_spoke_for_it() -> None:
    """With a proof as good; a gateway never comes before the host itself, unless it proves more."""
    p = it(MIXED, State.TUNNEL, Grade.DNSSEC)
    host, relay = p.pair.dst, ip_address("192.0.2.99")
    p.key, p.gateway = b"the gateway's", relay
    assert objection(p, Grade.DNSSEC, None, b"its own", host) == "" and p.outranks(Grade.DNSSEC, host)
    assert objection(p, Grade.DNS, None, b"its own", host) != "" and not p.outranks(Grade.DNS, host)
    assert objection(p, Grade.DNSSEC, None, b"another", ip_address("192.0.2.98")) == LATCHED
    p.key, p.gateway = b"its own", host
    assert objection(p, Grade.DNSSEC, None, b"the gateway's", relay) == LATCHED
    assert not p.outranks(Grade.DNSSEC, relay) and not p.outranks(Grade.DNSSEC, host) and p.outranks(Grade.PSK, relay)
