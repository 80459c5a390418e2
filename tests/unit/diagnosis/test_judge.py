# SPDX-License-Identifier: GPL-2.0-or-later
"""Order, and silence where nothing is wrong."""

import re
from dataclasses import replace
from pathlib import Path

from openswan.diagnosis.finding import ALARM
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


def test_every_code_has_a_remedy_and_is_said_once() -> None:
    text = "".join(path.read_text() for path in SOURCE.glob("*.py"))
    codes = re.findall(r'(?:Finding|saying)\(\s*(?:r"[^\n]*",\s*)?"([a-z0-9-]+)"', text)
    assert len(set(codes)) > 60 and all(re.fullmatch(r"[a-z0-9-]+", code) for code in codes)
