# SPDX-License-Identifier: GPL-2.0-or-later
"""Causes in ipsec.conf."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from openswan.diagnosis.facts import Config, Line, Machine
from openswan.diagnosis.judge import judge
from tests.unit.diagnosis.world import CONF, NOW, codes, config, down, first, up

SECOND = CONF.replace("conn net", "conn other").replace("198.51.100.7", "203.0.113.9")


def changed(old: str, new: str) -> str:
    assert old in CONF
    return CONF.replace(old, new)


@pytest.mark.parametrize(
    ("text", "code", "remedy"),
    [
        (changed("leftsubnet", "lefftsubnet"), "conf-error", "mend /etc/ipsec.conf:3, then: ipsec auto --replace net"),
        (changed("192.0.2.1", "192.0.2.77"), "not-ours", "must be one of 192.0.2.1, 10.1.0.1, %defaultroute"),
        (changed("198.51.100.7", "10.1.0.1"), "not-ours", "make one of them the peer's address"),
        (changed("10.2.0.0/24", "10.1.0.0/16").replace("leftsubnet=10.1.0.0/24", "leftsubnet=10.3.0.0/24"),
         "client-here", "rightsubnet= must be what is behind the peer alone"),
        (CONF + SECOND, "overlap", "different subnets"),
        (changed("10.2.0.0/24", "10.1.0.0/24"), "same-subnet", "another network"),
        (changed("authby=secret", "authby=rsasig"), "no-public-key", "authby=secret"),
        ("just words\n" + CONF, "conf-error", "mend /etc/ipsec.conf:1"),
    ],
)  # fmt: skip
def test_found_in_the_file(text: str, code: str, remedy: str) -> None:
    facts = replace(down(("failed", "x")), config=config(text), target="net")
    found = next(one for one in judge(facts) if one.code == code)
    assert remedy in found.remedy


def test_conns_of_other_hosts_in_a_file_for_all_of_them_are_no_fault() -> None:
    other = SECOND.replace("192.0.2.1", "192.0.2.77")
    facts = replace(up(), config=config(CONF + other))
    assert [one.weight for one in judge(facts) if one.code == "not-ours"] == [20]
    assert first(replace(facts, target="other", config=config(other))).code == "not-ours"


def test_no_file_and_no_such_conn() -> None:
    nothing = replace(up(), config=Config(error="no such file"), connections=())
    assert codes(nothing)[0] == "no-config"
    typo = replace(up(), target="ned", config=replace(config(), conns=()), connections=())
    assert first(typo).remedy == "did you mean `net'?"
    assert "write a conn" in first(replace(typo, target="zzz")).remedy


def test_an_address_that_no_conn_has() -> None:
    facts = replace(up(), address=ip_address("10.9.0.1"), match="no eroute", config=replace(config(), conns=()))
    assert first(facts).code == "no-conn-covers" and first(facts).evidence == ("no eroute",)


def test_a_nat_that_is_reminded_too_seldom() -> None:
    said = Line(NOW - 50, "ike", '"net" #1: NAT-Traversal: Result using RFC 3947 (NAT-Traversal): i am NATed')
    facts = replace(up(), config=replace(config(), keep_alive=3600.0), log=(said,))
    assert first(facts).code == "no-keepalive" and "keep_alive=20" in first(facts).remedy
    assert codes(replace(facts, log=())) == [] and codes(replace(facts, config=config())) == []


def test_whose_ends_are_ours_is_not_said_of_a_machine_nobody_has_seen() -> None:
    facts = replace(up(), machine=Machine(seen=False))
    assert codes(facts) == []
