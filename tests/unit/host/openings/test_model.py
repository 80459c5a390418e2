# SPDX-License-Identifier: GPL-2.0-or-later
"""Openings as rules, and as lines of their file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openswan.host.openings.model import LONGEST_REMARK, by_hook, from_line, to_line
from openswan.policy.selector import FlowKey
from tests.unit.host.openings.samples import FAR, LAN, opening


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


def test_a_remark_is_no_longer_than_a_filter_takes() -> None:
    (one, _) = opening("x" * 300).accepts()
    assert one.remark == "x" * LONGEST_REMARK


def test_what_has_no_ports_is_opened_without() -> None:
    """The selector's port fields of ICMP are type and code."""
    for ports in ({"src_port": 0x0800}, {"dst_port": 0x0800}, {"src_port": 0x0800, "dst_port": 0x0800}):
        for one in opening(protocol=1, **ports).accepts():
            assert (one.protocol, one.source_port, one.target_port, one.icmp) == (1, 0, 0, (8, 0))
    for protocol in (1, 47, 58):
        for one in opening(protocol=protocol, src_port=0 if protocol == 1 else 3).accepts():
            assert (one.protocol, one.source_port, one.target_port, one.icmp) == (protocol, 0, 0, None)


def test_a_tunnel_of_several_flows_opens_each() -> None:
    one = replace(opening(), flows=(FlowKey(LAN, FAR), FlowKey(FAR, LAN, 6, 22, 0)))
    assert [(each.way, each.source, each.source_port) for each in one.accepts()] == [
        ("iifname", FAR, 0), ("oifname", LAN, 0), ("iifname", LAN, 0), ("oifname", FAR, 22)
    ]  # fmt: skip
    assert from_line(to_line(one)) == one


def test_nothing_wanted_is_no_rule() -> None:
    assert list(opening(forward=False).accepts()) == []


def test_lines_of_the_file() -> None:
    one = opening(protocol=6, dst_port=443)
    assert from_line(to_line(one)) == one
    for bad in ("", "{}", "[]", '["a","b","c",[["10.0.0.0/8","fd00::/8",0,0,0]],true,true]', "[" * 9999):
        with pytest.raises((ValueError, TypeError, RecursionError)):
            from_line(bad)


def test_a_device_in_the_file_is_a_device() -> None:
    """The file is read by a process that may do anything."""
    one = opening()
    for name in ("", "a" * 16):
        with pytest.raises(ValueError, match="no opening"):
            from_line(to_line(replace(one, device=name)))
    assert from_line(to_line(replace(one, flows=(FlowKey(FAR, LAN),)))).flows == (FlowKey(FAR, LAN),)
