# SPDX-License-Identifier: GPL-2.0-or-later
"""Pairs in words."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from openswan.engine import oeevents as ev
from openswan.engine.oeevents import Verdict
from openswan.engine.oetext import explain, risk, short
from openswan.policy.grade import Grade
from openswan.policy.groups import Stance
from tests.unit.engine.oeplay import MIXED, NULL, PAIR, PERMISSIVE, PRIVATE, Play, gateway


def clock(now: float) -> datetime:
    """Instant 1000, when plays begin, is 12:03 on the first day of 2026."""
    return datetime.fromtimestamp(datetime(2026, 1, 1, 12, 3, tzinfo=UTC).timestamp() + now - 1000.0, UTC)


def said(play: Play) -> str:
    return explain(play.it, play.now, clock)


@pytest.mark.parametrize(
    ("seconds", "want"),
    [
        (0, "0 s"),
        (-5, "0 s"),
        (0.2, "1 s"),
        (60, "1 m"),
        (61, "61 s"),
        (119, "119 s"),
        (121, "3 m"),
        (540, "9 m"),
        (3600, "1 h"),
        (5000, "84 m"),
        (7300, "3 h"),
    ],
)
def test_durations(seconds: float, want: str) -> None:
    assert short(seconds) == want


def test_in_clear() -> None:
    play = Play()
    play.packet(replace(NULL, keying_tries=1))
    for wait in (0, 61, 121, 241):
        play.after(wait)
        play.used()
        play.failed()
    play.after(1.0)
    assert said(play) == "10.0.0.7: clear since 12:03, no answer to IKE, next try in 8 m"
    assert risk(play.it) == "who sits on the path can read and change everything"
    play.after(600.0)
    assert said(play).endswith("next try with its next packet")


def test_while_it_waits() -> None:
    play = Play()
    play.packet(PERMISSIVE)
    assert said(play) == "10.0.0.7: held since 12:03:00, DNS is asked"
    play.learned(Verdict.GATEWAYS, gateway())
    play.tell(ev.Hinted(PAIR, "ICMP port unreachable"))
    assert said(play) == (
        "10.0.0.7: held since 12:03:00, IKE with 10.0.0.7 is under way, somebody says: ICMP port unreachable"
    )
    play.tell(ev.Answered(PAIR))
    assert "it has answered" in said(play)
    play = Play()
    play.packet(MIXED)
    assert said(play) == "10.0.0.7: held since 12:03:00, DNS is asked, IKE with 10.0.0.7 is under way"
    play.after(3.5)
    assert said(play) == (
        "10.0.0.7: clear since 12:03:03, DNS is asked, IKE with 10.0.0.7 is under way, no answer to IKE"
    )


def test_dropped_and_refused() -> None:
    play = Play()
    play.packet(PRIVATE)
    play.learned(Verdict.BOGUS, reason="DNSSEC signatures about 7.0.0.10.in-addr.arpa are wrong")
    assert said(play) == (
        "10.0.0.7: dropped since 12:03:00, DNSSEC signatures about 7.0.0.10.in-addr.arpa are wrong, next try in 1 m"
    )
    assert risk(play.it) == "nothing leaves in clear; who sits on the path can keep it from ever leaving"
    play = Play()
    play.packet(replace(PRIVATE, owner="block", stance=Stance.BLOCK))
    play.after(100000.0 - 1000.0 - 98500.0)
    assert said(play) == "10.0.0.7: refused since 12:03, group block: always refused"


def test_encrypted() -> None:
    play = Play()
    play.packet(NULL)
    play.up(NULL, Grade.NULL)
    assert said(play) == "10.0.0.7: encrypted since 12:03:00, grade null"
    assert risk(play.it) == "who sits on the path can be the peer"
    for _ in range(200):
        play.after(500.0)
        play.used()
    play.it.gateway = gateway().address + 1
    assert said(play) == "10.0.0.7: encrypted since 2026-01-01 12:03 through 10.0.0.8, grade null"


def test_undecided() -> None:
    play = Play()
    play.packet(PERMISSIVE)
    play.it.shunt = None
    assert said(play) == "10.0.0.7: undecided"
