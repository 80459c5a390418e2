# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules and sets as nf_tables takes them; tests/netns/test_intercept.py sees a kernel obey."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from openswan.base.marks import DEFAULT_MARKS
from openswan.engine.effects import Intercept, Way
from openswan.host import nfnetlink as nf
from openswan.host.intercept.table import DEVICES, QUEUES, Table, native
from openswan.host.nlmsg import parse_attrs

PLAN = Intercept(
    ((ip_network("0.0.0.0/0"), Way.CLOSED), (ip_network("192.0.2.0/24"), Way.OPEN), (ip_network("::/0"), Way.OPEN)),
    (ip_network("10.1.0.0/24"), ip_network("2001:db8:1::/64")),
    (ip_network("192.0.2.1/32"),),
    ((ip_network("10.9.0.0/16"), ip_network("0.0.0.0/0")),),
)


def expressions(rule: list[bytes]) -> list[tuple[str, dict[int, Any]]]:
    found = []
    for expression in rule:
        ((_, value),) = parse_attrs(expression)
        attrs = dict(parse_attrs(value))
        name = bytes(attrs[1]).rstrip(b"\0").decode()
        found.append((name, dict(parse_attrs(attrs[2]))))
    return found


def queues(table: Table) -> dict[int, int]:
    """Number and flags of every queue the rules lead to, by iptables' target."""
    found = {}
    for _, _, rules in table._chains():
        for rule in rules:
            for name, attrs in expressions(rule):
                if name == "target":
                    words = memoryview(bytes(attrs[3])).cast("H")
                    found[words[0]] = words[2]
    return found


@pytest.mark.parametrize("version", [4, 6])
def test_every_rule_ends_in_something(version: int) -> None:
    table = Table(version)
    table.queue = False
    for name, hook, rules in table._chains():
        assert rules and (hook is None or hook[1] in ("prerouting", "output")), name
        assert all(expressions(rule)[-1][0] in ("immediate", "target") for rule in rules), name
    table.close()


def test_only_open_groups_let_pass_what_nobody_listens_for() -> None:
    table = Table(4)
    table.queue = False
    assert queues(table) == {
        QUEUES["closed"]: 0,
        QUEUES["open"]: nf.QUEUE_BYPASS,
        QUEUES["trigger"]: nf.QUEUE_BYPASS,
    }
    table.queue = None
    assert queues(table) == {}
    table.close()


def test_sets_are_full_before_chains_look_into_them() -> None:
    table = Table(6)
    table._plan = PLAN
    kinds = [message.kind & 0xFF for message in table._everything()]
    assert kinds[0] == nf.NEWTABLE and kinds.index(nf.NEWCHAIN) > max(
        at for at, kind in enumerate(kinds) if kind in (nf.NEWSET, nf.NEWSETELEM)
    )
    assert kinds.index(nf.NEWRULE) > max(at for at, kind in enumerate(kinds) if kind == nf.NEWCHAIN)
    assert list(table._ends([(0, 5), (7, 2**128 - 1)])) == [
        (bytes(16), (6).to_bytes(16, "big")),
        ((7).to_bytes(16, "big"), None),
    ]
    assert "lo" in DEVICES and "ipsec1" in DEVICES
    table.close()


def test_a_flood_of_triggers_stays_in_the_kernel() -> None:
    """The limit stands before the pair is noted: whoever is over it may come again."""
    table = Table(4)
    table.queue = False
    [trigger] = [rules for name, _, rules in table._chains() if name == "trigger"]
    names = [name for name, _ in expressions(trigger[-1])]
    assert names[-3:] == ["limit", "dynset", "target"]
    table.close()


@pytest.mark.parametrize(("version", "rules"), [(4, 4), (6, 3)])
def test_what_the_host_answers_to_forged_senders_is_limited(version: int, rules: int) -> None:
    """A packet to a closed port has an ICMP error or RST answer it, one to an open port SYN and ACK, which would begin
    a tunnel with whoever was named. Where there is one they are not counted.
    """
    table = Table(version)
    table.queue = False
    chains = {name: each for name, _, each in table._chains()}
    limited = [rule for rule in chains["ours"] if b"answers" in b"".join(rule)]
    assert len(limited) == rules
    from_ours = [at for at, rule in enumerate(chains["output"]) if b"ours" in b"".join(rule)]
    assert len(from_ours) == 2, "what goes from no address that a group is of has no tunnel to begin"
    codes = (DEFAULT_MARKS.tunnel, DEFAULT_MARKS.refused)
    for code, rule in zip(codes, chains["output"][from_ours[0] - 2 : from_ours[0]], strict=True):
        assert nf.compare(table.at.after, native(code)) in rule
    assert expressions(chains["answers"][0])[0][0] == "limit"
    table.close()
