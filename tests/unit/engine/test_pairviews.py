# SPDX-License-Identifier: GPL-2.0-or-later
"""Pairs in the status, in JSON and one by one."""

from __future__ import annotations

import json
from ipaddress import ip_address

import pytest

from openswan.engine import pairviews
from openswan.engine.pairviews import PairViews
from openswan.policy.connection import Connection
from openswan.policy.gateways import Gateway
from openswan.policy.grade import Grade
from tests.sim.pair import EAST, WEST, Pair, SimHost, make_pair
from tests.sim.test_groups import PERMISSIVE, PRIVATE, both, ready


def views(host: SimHost) -> PairViews:
    return host.pluto.brain.pairviews


def text(host: SimHost) -> list[str]:
    return [line for code, line in host.say("status") if code == 0 and line.startswith("pair ")]


def alone(policy: Connection = PERMISSIVE) -> Pair:
    pair = make_pair()
    ready(pair.west, policy, **{policy.name.replace("-", "_"): "198.51.100.0/24\n"})
    return pair


def test_a_peer_that_does_not_answer() -> None:
    pair = alone()
    assert text(pair.west) == []
    pair.send(pair.west, WEST, EAST)
    pair.run(1.0)
    [line] = text(pair.west)
    assert line.startswith(f"pair {WEST} {EAST}: held since ") and "IKE with 198.51.100.7 is under way" in line
    pair.run(10.0)
    [line] = text(pair.west)
    assert f"{EAST}: clear since 00:00" in line and "no answer to IKE, next try in " in line
    assert line.endswith("; who sits on the path can read and change everything")
    [row] = json.loads(pair.west.say("status", json=True)[0][1])["pairs"]
    assert (row["src"], row["dst"], row["meets"], row["state"]) == (WEST, EAST, "%pass", "pass")
    assert row["line"] == "private-or-clear#198.51.100.0/24" and row["grade"] is row["best"] is None
    assert row["since"].startswith("2026-01-01T00:00:0") and 0 < row["next_try"] <= 60
    assert row["text"] in line and row["risk"] in line


def test_a_tunnel_and_its_grade() -> None:
    pair = both(PRIVATE, PRIVATE)
    pair.send(pair.west, WEST, EAST)
    assert pair.run(3.0, lambda: not pair.missing())
    [line] = text(pair.west)
    assert "encrypted since" in line and line.endswith("grade null; who sits on the path can be the peer")
    found, row = views(pair.west).about(ip_address(WEST), ip_address(EAST))
    assert found[0].startswith(f"pair    {EAST}: encrypted since") and found[1].startswith("risk    who sits on")
    assert row is not None and (row["meets"], row["grade"], row["best"]) == ("tunnel", "null", "null")
    assert row["gateway"] == EAST and row["next_try"] is None
    assert views(pair.west).about(ip_address(EAST), ip_address(WEST)) == ([], None)


def test_whom_the_dns_advertises() -> None:
    """Of a pair that has asked; and of one that was not asked about, because nobody answered the other."""
    pair = alone()
    pair.send(pair.west, WEST, EAST)
    brain = pair.west.pluto.brain
    [p] = brain.pairs.machine.pairs.values()
    one = Gateway(ip_address(EAST), None, b"key", 10, "IPSECKEY", Grade.DNSSEC)
    shown = [{"gateway": EAST, "record": "IPSECKEY", "signed": True}]
    assert brain.pairviews.row(p)["advertised"] == []
    p.gateways = (one,)
    assert brain.pairviews.row(p)["advertised"] == shown
    p.gateways = ()
    known = brain.pairs.machine.peers.note(ip_address(EAST))
    known.gateways = (one,)
    assert brain.pairviews.row(p)["advertised"] == []
    known.deaf_until = brain.core.now + 60.0
    assert brain.pairviews.row(p)["advertised"] == shown


def test_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest are shown, and that there are more."""
    monkeypatch.setattr(pairviews, "MOST_LINES", 2)
    monkeypatch.setattr(pairviews, "MOST_ROWS", 3)
    pair = alone()
    for last in range(1, 6):
        pair.send(pair.west, WEST, f"198.51.100.{last}")
    lines = list(views(pair.west).lines())
    assert [line.split(":")[0].split()[-1] for line in lines[:2]] == ["198.51.100.5", "198.51.100.4"]
    assert lines[2].startswith("and 3 pairs more") and len(views(pair.west).rows()) == 3
    pair.west.pluto.brain.pairs.overflows = 4
    assert list(views(pair.west).lines())[-1] == "4 first packets dropped for want of room"
