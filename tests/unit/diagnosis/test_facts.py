# SPDX-License-Identifier: GPL-2.0-or-later
"""Looking things up among the facts."""

from dataclasses import replace

from openswan.diagnosis.facts import Line
from tests.unit.diagnosis.world import NOW, config, down, up


def test_whose_end_is_ours() -> None:
    facts = up()
    [conn] = facts.config.conns
    assert facts.ours(conn) == (conn.left, conn.right)
    text = "conn net\n\tleft=198.51.100.7\n\tright=192.0.2.1\n\tauthby=secret\n\tauto=add\n"
    turned = replace(facts, config=config(text))
    [conn] = turned.config.conns
    assert turned.ours(conn) == (conn.right, conn.left)
    assert replace(facts, machine=replace(facts.machine, addresses=())).ours(conn) is None


def test_rows() -> None:
    facts = up()
    assert facts.loaded("net") is not None and facts.loaded("other") is None
    assert [row["serial"] for row in facts.children("net")] == [2] and facts.children("ne") == []
    assert facts.counted("net", "in") == 9 and len(facts.ikes("net")) == 1
    instance = replace(facts, child_sas=({"serial": 2, "connection": "net[3]"},))
    assert len(instance.children("net")) == 1


def test_lines_since_it_last_was_up() -> None:
    said = (("failed", '"net" #1: old'), ("child-established", '"net" #2: up'), ("ike", '"net" #3: new'),
            ("ike", "packet from 1.2.3.4:500: x"), ("ike", '"other" #4: y'))  # fmt: skip
    assert [line.text for line in down(*said).lines("net")] == ["packet from 1.2.3.4:500: x", '"net" #3: new']
    assert list(replace(down(), log=(Line(NOW, "", "plain"),)).lines("net")) == [Line(NOW, "", "plain")]
