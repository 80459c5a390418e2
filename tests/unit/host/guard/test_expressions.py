# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules as nf_tables takes them; tests/netns/test_guard.py and test_lastguard.py see the kernel obey."""

from __future__ import annotations

import pytest

from openswan.host import nfnetlink as nf
from openswan.host.guard.expressions import FIRST, Versions, by_ethertype, by_nfproto, compile_rule, compile_test
from openswan.host.guard.matches import Family, HasSocket
from openswan.host.guard.rules import CHAINS, LAST_CHAINS, NAT_CHAINS
from openswan.host.nlmsg import parse_attrs


@pytest.mark.parametrize("versions", [by_nfproto, by_ethertype])
def test_every_rule_compiles_to_tests_and_one_verdict(versions: Versions) -> None:
    for chain in (*CHAINS, *NAT_CHAINS, *LAST_CHAINS):
        for rule in chain.rules:
            names = []
            for expression in compile_rule(rule, versions):
                ((_, value),) = parse_attrs(expression)
                names.append(bytes(dict(parse_attrs(value))[1]).rstrip(b"\0").decode())
            last = {"drop": "immediate", "mark": "meta", "keep": "nat"}.get(rule.action, "immediate")
            assert names[-1] == last and len(names) > len(rule.tests)
            assert rule.action != "drop" or names[-2] == "objref"


def test_each_family_of_tables_asks_for_the_version_in_its_way() -> None:
    assert compile_test(Family(6)) == [nf.meta("nfproto", FIRST), nf.compare(FIRST, b"\x0a")]
    assert compile_test(Family(6), by_ethertype) == [nf.meta("protocol", FIRST), nf.compare(FIRST, b"\x86\xdd")]
    assert nf.meta("skuid", FIRST) in compile_test(HasSocket(), by_ethertype)
