# SPDX-License-Identifier: GPL-2.0-or-later
"""Openings as rules, lines of their file, and words of each filter; tests/netns/test_firewall.py sees packets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_network
from pathlib import Path

import pytest

from openswan.base.errors import HostError
from openswan.host.openings import openings as module
from openswan.host.openings import xtables
from openswan.host.openings.model import Opening, by_hook, from_line, to_line
from openswan.host.openings.openings import Openings
from openswan.host.openings.xtables import Xtables, rule_text
from openswan.policy.selector import FlowKey

LAN, FAR = ip_network("10.1.0.0/24"), ip_network("10.2.0.0/24")


def opening(
    name: str = "net", peer: str = "192.0.2.2", forward: bool = True, host: bool = False, **key: int
) -> Opening:
    return Opening(name, peer, "ipsec0", FlowKey(LAN, FAR, **key), forward, host)


def test_every_rule_names_ipsec0_and_the_selector() -> None:
    for one in opening(host=True, protocol=17, src_port=53).accepts():
        inward = one.way == "iifname"
        assert one.device == "ipsec0" and inward == (one.hook == "input" or one.source == FAR)
        assert (one.source, one.target) == ((FAR, LAN) if inward else (LAN, FAR))
        assert (one.source_port, one.target_port) == ((0, 53) if inward else (53, 0))
    hooks = [one.hook for one in opening(host=True).accepts()]
    assert hooks == ["forward", "forward", "input", "output"]


def test_rules_are_those_of_one_ip_version() -> None:
    assert [len(rules) for rules in by_hook([opening()], (4,)).values()] == [2, 0, 0]
    assert not any(by_hook([opening()], (6,)).values())


def test_a_remark_has_no_character_that_a_filter_would_act_on() -> None:
    (one, _) = opening('x" -j DROP\\').accepts()
    assert one.remark == "x__-j_DROP_"


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        (0, ""),
        (6, " -p tcp -m tcp --sport 80"),
        (17, " -p udp -m udp --sport 80"),
        (136, " -p 136 -m multiport --sports 80"),
        (47, " -p 47"),
    ],
)
def test_iptables_words(protocol: int, words: str) -> None:
    back, _ = opening(protocol=protocol, dst_port=80 if protocol else 0).accepts()
    assert rule_text(back) == f'-s {FAR} -d {LAN} -i ipsec0{words} -m comment --comment "net" -j ACCEPT'


def test_lines_of_the_file() -> None:
    one = opening(protocol=6, dst_port=443)
    assert from_line(to_line(one)) == one
    for bad in ("", "{}", "[]", '["a","b","c",["10.0.0.0/8","fd00::/8",0,0,0],true,true]', "[" * 9999):
        with pytest.raises((ValueError, TypeError, RecursionError)):
            from_line(bad)


class Filter:
    """A place that remembers."""

    def __init__(self) -> None:
        self.open: tuple[Opening, ...] = ()
        self.refuses = ""

    def __str__(self) -> str:
        return "a filter"

    def check(self, openings: Sequence[Opening]) -> bool:
        return self.open == tuple(openings)

    def load(self, openings: Sequence[Opening]) -> None:
        if self.refuses:
            raise HostError(self.refuses)
        self.open = tuple(openings)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Filter]:
    one = Filter()
    monkeypatch.setattr(module, "places", lambda: iter([one]))
    yield one


def test_two_tunnels_that_open_the_same_go_one_by_one(place: Filter, tmp_path: Path) -> None:
    daemon, script = Openings(tmp_path), Openings(tmp_path)
    one, other, moved = opening("a"), opening("b"), opening("a", "192.0.2.9")
    for each in (one, other, one, moved):
        assert daemon.open(each) == ()
    assert set(place.open) == {one, other, moved}
    # Whatever is to be closed is known by whose it is, not by what was open.
    script.close(opening("a", forward=False))
    assert set(place.open) == {other, moved} == set(daemon.held())
    script.close(opening("nobody"))
    daemon.sweep()
    assert place.open == () and (tmp_path / "openings").read_text() == ""


def test_what_is_missing_is_put_back_and_what_cannot_be_is_said_once(place: Filter) -> None:
    lines: list[str] = []
    it = Openings(log=lambda line, serious: lines.append(line))
    it.open(opening())
    assert it.check() and not it.restore()
    place.open = ()
    assert not it.check() and it.restore() and it.check()
    place.open, place.refuses = (), "it belongs to another process"
    assert not it.restore() and not it.restore()
    assert lines == ["leftfirewall=yes has no effect in a filter: it belongs to another process"]
    assert it.open(opening("b")) == tuple(lines)


def test_a_filter_of_iptables_changes_in_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    saved = "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -j LOG\nCOMMIT\n"

    def run(command: Sequence[str], text: str = "") -> str:
        if text:
            said.append(text)
        return saved

    monkeypatch.setattr(xtables, "run", run)
    table = Xtables(4, "iptables-nft")
    table.load([])
    assert said == [], "nothing of ours, nothing to do"
    table.load([opening()])
    lines = said[0].splitlines()
    assert lines[0] == "*filter" and lines[1] == ":ipsec-fw-fwd - [0:0]" and lines[-1] == "COMMIT"
    assert len([line for line in lines if line.startswith("-A ipsec-fw-fwd ")]) == 2
    jump = '-m comment --comment "ipsec: leftfirewall, lefthostaccess" -j ipsec-fw-fwd'
    assert lines[-2] == f"-I FORWARD 1 {jump}"
    ours = "\n".join(line for line in lines if line.startswith("-A"))
    saved = f"*filter\n:ipsec-fw-fwd - [0:0]\n{ours}\n-A FORWARD {jump}\nCOMMIT\n"
    assert table.check([opening()]) and not table.check([]) and not table.check([opening(), opening("b")])
    said.clear()
    table.load([])
    assert said[0].splitlines()[1:-1] == [f"-D FORWARD {jump}", ":ipsec-fw-fwd - [0:0]", "-X ipsec-fw-fwd"]
