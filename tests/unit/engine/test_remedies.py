# SPDX-License-Identifier: GPL-2.0-or-later
"""What to do about a failure is said once, on a line of its own that no pattern for the classic ones finds."""

from __future__ import annotations

import re

import pytest

from openswan.diagnosis.sayings import SAID
from openswan.diagnosis.sayingsv1 import LIKELY
from openswan.engine.remedies import AGAIN, MOST, Remedies
from tests.sim.pair import make_pair, psk
from tests.sim.v1 import v1_pair, v1_tunnel, v1_up

REACHED = "max number of retransmissions (20) reached STATE_MAIN_I1.  No response (or no acceptable response)"
CLASSIC = re.compile(
    r"no connection has been authorized|no suitable connection|no acceptable|cannot respond to|no connection is known|"
    r"ignoring |max number of retransmissions|SA established|is not supported|mismatch of preshared|cannot install|"
    r"STATE_|Possible authentication failure|does not match my proposal|Signature check|no RSA public key"
)


def test_a_cause_is_named_once_and_again_when_the_conn_was_up_or_time_has_passed() -> None:
    it = Remedies()
    first = it.after(REACHED, "net", "net", 10.0)
    assert first.startswith("likely cause: the peer is not there") and "; remedy: " in first
    assert it.after(REACHED, "net", "net", 20.0) == "" and it.after(REACHED, "other", "other", 20.0) == first
    assert it.after(REACHED, "net", "net", 10.0 + AGAIN) == first
    it.forget("net")
    assert it.after(REACHED, "net", "net", 11.0 + AGAIN) == first
    assert it.after("STATE_MAIN_I1: initiate", "net", "net", 0.0) == ""


def test_what_is_remembered_is_bounded() -> None:
    it = Remedies()
    for number in range(MOST + 5):
        assert it.after(REACHED, str(number), "net", 0.0)
    assert len(it.told) == MOST and it.after(REACHED, "0", "net", 0.0)


def test_no_remedy_looks_like_a_classic_line() -> None:
    for said in (*LIKELY, *SAID):
        words = dict.fromkeys(said.pattern.groupindex, "x") | {"conn": "net"}
        text = f"likely cause: {said.cause.format(**words)}; remedy: {said.remedy.format(**words)}"
        assert not CLASSIC.search(text), text


def after(lines: list[str], words: str) -> str:
    """The line behind the first with these words; the remedy that it is must be the only one."""
    at = next(number for number, line in enumerate(lines) if words in line)
    assert lines.count(lines[at + 1]) == 1
    return lines[at + 1]


def test_nobody_answers() -> None:
    pair = v1_pair()
    pair.west.load(v1_tunnel(keying_tries=3, retransmit_timeout=5.0)[0])
    client = pair.west.request("initiate", name="net-net")
    pair.run(60.0)
    hint = after(pair.west.lines, "reached STATE_MAIN_I1")
    assert hint.startswith('"net-net" #1: likely cause: the peer is not there')
    assert sum("likely cause" in line for line in pair.west.lines) == 1
    assert [code for code, text in pair.west.whack[client] if "likely cause" in text] == [0]


def test_two_preshared_keys() -> None:
    pair = make_pair(1, east_secrets=psk("@east", "@west", b"another phrase"))
    west, east = v1_tunnel(keying_tries=1, retransmit_timeout=5.0)
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    pair.run(60.0)
    assert "the peer does not believe who we are" in after(pair.west.lines, "reached STATE_MAIN_I3")
    assert "different preshared secrets" in after(pair.east.lines, "mismatch of preshared secrets")


@pytest.mark.parametrize("aggressive", [False, True])
def test_what_works_needs_no_remedy(aggressive: bool) -> None:
    pair = v1_up(aggressive=aggressive, ipsec_lifetime=40.0, ike_lifetime=60.0, rekey_margin=20.0)
    pair.run(120.0)
    assert not [line for host in (pair.west, pair.east) for line in host.lines if "likely cause" in line]
