# SPDX-License-Identifier: GPL-2.0-or-later
"""Debugging lines: who wants which, and what they never have in them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from openswan.base.debugclasses import CLASSES, classes_of
from openswan.engine import debugwords
from openswan.engine.debugging import MOST_LINES
from openswan.engine.effects import RunUpdown
from openswan.engine.settings import Settings
from tests.sim.pair import Pair, SimHost, make_pair, tunnel
from tests.sim.test_groups import PRIVATE, ready
from tests.sim.v1 import v1_tunnel


def lines(host: SimHost) -> list[str]:
    return [line for line in host.lines if line.startswith("| ")]


def up(pair: Pair, v1: bool = False, **more: object) -> None:
    west, east = (v1_tunnel if v1 else tunnel)(**more)
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    assert pair.run(60.0, pair.up)
    pair.run(1.0)


@pytest.fixture
def pair() -> Pair:
    return make_pair()


def test_nothing_is_told_that_nobody_wants(pair: Pair) -> None:
    up(pair)
    assert lines(pair.west) == lines(pair.east) == []
    assert "debug none" in [text for _, text in pair.west.say("status")]


@pytest.mark.parametrize("v1", [False, True], ids=["ikev2", "ikev1"])
@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("control", r"#1: state \S+: "),
        ("control", r"#1: state \S+ -> \S+: "),
        ("control", "whack asks: initiate 'net-net'"),
        ("control", "sending [0-9]+ octets from 192.0.2.1:500 to 198.51.100.7:500"),
        ("raw", r"  ([0-9a-f]{2} ){8} ([0-9a-f]{2} ){7}[0-9a-f]{2}$"),
        ("emitting", r"emit \S+ (request|message)"),
        ("emitting", r'"net-net" #1: emit   (AUTH|HASH|Hash): '),
        ("parsing", r'"net-net" #1: parse   (AUTH|HASH|Hash): '),
        ("klips", "SetEroute"),
        ("pfkey", "AddSa"),
        ("lifecycle", r'"net-net" #2: SAs >0x[0-9a-f]{8} <0x[0-9a-f]{8}: '),
        ("crypt", r'"net-net" #1: (IKE|ISAKMP) SA with @east: '),
    ],
)
def test_classes(pair: Pair, v1: bool, word: str, told: str) -> None:
    assert pair.west.say("debug", words=[word]) == []
    up(pair, v1)
    assert any(re.search(told, line) for line in lines(pair.west)), lines(pair.west)
    assert lines(pair.east) == []


def test_no_key_and_no_secret_is_ever_told(pair: Pair) -> None:
    assert pair.west.say("debug", words=["all", "private"]) == [
        (0, "private is not obeyed: keys and passwords are never written to the log")
    ]
    up(pair)
    text = "\n".join(lines(pair.west))
    keys = [key for sa in pair.west.klips.sas.values() for key in (sa.enc_key, sa.auth_key) if key]
    shared = [one.shared for one in pair.west.secrets.secrets if one.shared]
    assert len(keys) >= 2 and shared
    for key in keys + shared:
        assert key.hex() not in text and key.hex(" ") not in text and repr(key)[2:-1] not in text
    secrets = [one for one in pair.west.secrets.secrets if one.kind.name == "PSK"]
    assert secrets and all(repr(one) not in text for one in secrets)


def test_a_single_conn(pair: Pair) -> None:
    assert pair.west.say("debug", words=["control"], name="nobody") == [(21, 'no connection named "nobody"')]
    up(pair, debug=("klips", "private"))
    told = [text for _, text in pair.west.say("status")]
    assert '"net-net":   debug: KLIPS' in told and "debug none" in told
    assert lines(pair.west) and all("control" not in line for line in lines(pair.west))
    pair.west.say("debug", words=["dpd"], name="net-net")
    assert pair.west.pluto.brain.debugging.conns == {"net-net": {"dpd"}}
    pair.west.say("delete", name="net-net")
    assert not pair.west.pluto.brain.debugging.active


def test_more_and_less(pair: Pair) -> None:
    debugging = pair.west.pluto.brain.debugging
    pair.west.say("debug", words=["raw", "dpd"])
    pair.west.say("debug", add=["dns"], remove=["raw"])
    assert debugging.text() == "dns+dpd"
    assert pair.west.say("debug", add=["pasing"])[0][0] == 1 and debugging.text() == "dns+dpd"
    pair.west.say("debug", add=["none"])
    assert debugging.text() == "none" and not debugging.active


def test_another_debug_alone_touches_nothing_that_runs(pair: Pair) -> None:
    up(pair)
    before = len(pair.west.klips.history)
    policy = replace(tunnel()[0], debug=("dpd",))
    pair.west.say("add", connection=policy, renew=True)
    assert pair.west.pluto.brain.debugging.conns == {"net-net": {"dpd"}}
    assert len(pair.west.klips.history) == before and pair.up()


def test_what_cannot_be_told_changes_nothing_else(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(debugwords.EFFECTS, RunUpdown, ("control", lambda effect: effect.nothing))
    pair.west.say("debug", words=["control"])
    up(pair)
    assert any("this cannot be told: AttributeError" in line for line in lines(pair.west))


def test_there_are_so_many_lines_a_second() -> None:
    pair = make_pair(settings=Settings(debug=classes_of(["all"])))
    debugging = pair.west.pluto.brain.debugging
    assert debugging.text() == "+".join(CLASSES)
    before = len(lines(pair.west))
    for _ in range(MOST_LINES + 50):
        debugging.say("control", "x")
    told = len(debugging.core.effects)
    assert MOST_LINES - before - 50 <= told <= MOST_LINES
    debugging.core.now += 1.0
    debugging.core.effects = []
    debugging.say("control", "y")
    assert re.match(r"\| [0-9]+ further lines left out", debugging.core.effects[0].text)  # type: ignore[union-attr]


def test_a_groups_classes_are_its_own_and_can_be_taken_back() -> None:
    pair = make_pair()
    ready(pair.west, replace(PRIVATE, debug=("oppo",)), private="198.51.100.0/24\n203.0.113.9/32\n")
    debugging = pair.west.pluto.brain.debugging
    assert debugging.conns == {"private": {"oppo"}}
    pair.west.say("debug", words=["none"], name="private")
    assert not debugging.active and not debugging.conns


def test_states_are_not_remembered_while_nobody_wants_them(pair: Pair) -> None:
    pair.west.say("debug", words=["control"])
    up(pair)
    assert pair.west.pluto.brain.debugging._states
    pair.west.say("debug", words=["none"])
    assert not pair.west.pluto.brain.debugging._states
