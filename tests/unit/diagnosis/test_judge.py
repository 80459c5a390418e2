# SPDX-License-Identifier: GPL-2.0-or-later
"""Order, and silence where nothing is wrong."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from openswan.diagnosis import judge as judging
from openswan.diagnosis.finding import ALARM, Finding, Kind
from openswan.diagnosis.judge import alarming, judge
from tests.unit.diagnosis.world import codes, down, first, up

SOURCE = Path(__file__).resolve().parents[3] / "openswan/diagnosis"


def test_nothing_wrong_nothing_said() -> None:
    assert codes(up()) == []


def test_the_cause_comes_before_what_follows_from_it() -> None:
    facts = down(("failed", '"net" #1: negotiation failed: the peer refuses the child SA: NO_PROPOSAL_CHOSEN'))
    facts = replace(facts, daemon=replace(facts.daemon, alive=False, answers=False))
    facts = replace(facts, machine=replace(facts.machine, owners={500: "charon (process 7)"}))
    assert codes(facts)[:2] == ["port-in-use", "daemon-not-running"]
    assert first(facts).remedy.startswith("stop charon")


def test_remarks_are_no_alarm() -> None:
    found = judge(down(wanted=False))
    assert [one.code for one in found] == ["not-up"] and found[0].weight < ALARM and alarming(found) == []


@pytest.mark.parametrize(
    ("event", "text", "code"),
    [
        ("failed", '"net": PSK authentication failed AUTH mismatch!', "psk-mismatch"),
        ("failed", '"net" #1: the peer refuses IKE_AUTH: AUTHENTICATION_FAILED', "peer-refuses-auth"),
        ("failed", '"net" #1: the peer refuses the child SA: NO_PROPOSAL_CHOSEN', "peer-refuses-esp"),
        ("failed", '"net" #1: something nobody has thought of', "negotiation-failed"),
    ],
)
def test_what_a_line_is_known_to_come_from_is_the_only_thing_said_of_it(event: str, text: str, code: str) -> None:
    assert codes(down((event, text))) == [code]


def finding(code: str, weight: int, *evidence: str, conn: str = "net") -> Finding:
    return Finding(code, Kind.PEER, weight, f"{code} of {conn}", evidence, code, conn)


STRONG = finding("strong", 70, "a line", "a count")


@pytest.mark.parametrize(
    ("weaker", "listed"),
    [
        (finding("weak", 60, "a line"), False),
        (finding("weak", 60, "a count", "a line"), False),
        (finding("remark", 20, "a count"), False),
        (finding("weak", 60, "a line", "a route"), True),
        (finding("weak", 60), True),
        (finding("weak", 70, "a line"), True),
        (finding("weak", 60, "a line", conn="other"), True),
        (finding("weak", 60, "a line", conn=""), True),
    ],
)
def test_a_weaker_cause_needs_evidence_of_its_own(
    weaker: Finding, listed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "RULES", (lambda facts: iter((weaker, STRONG)),))
    assert (weaker in judge(up())) is listed and STRONG in judge(up())


def test_what_is_true_of_all_explains_what_is_seen_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    everywhere, here = finding("strong", 70, "a line", conn=""), finding("weak", 60, "a line")
    monkeypatch.setattr(judging, "RULES", (lambda facts: iter((here, everywhere)),))
    assert judge(up()) == [everywhere]


def test_every_code_has_a_remedy_and_is_said_once() -> None:
    text = "".join(path.read_text() for path in SOURCE.glob("*.py"))
    codes = re.findall(r'(?:Finding|saying)\(\s*(?:r"[^\n]*",\s*)?"([a-z0-9-]+)"', text)
    assert len(set(codes)) > 60 and all(re.fullmatch(r"[a-z0-9-]+", code) for code in codes)
