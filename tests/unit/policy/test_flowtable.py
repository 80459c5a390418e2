# SPDX-License-Identifier: GPL-2.0-or-later
"""The flow table: the most specific rule wins, as in the eroute table; raced against looking at all rules."""

import random
from ipaddress import ip_address, ip_network

import pytest

from openswan.policy.flowtable import Flow, FlowTable, Rule, Standing
from openswan.policy.selector import FlowKey


def rule(text: str, owner: str, standing: Standing = Standing.GROUP) -> Rule:
    """`SRC DST [PROTOCOL SPORT DPORT]`."""
    src, dst, *rest = text.split()
    return Rule(FlowKey(ip_network(src), ip_network(dst), *map(int, rest)), owner, standing)


def flow(text: str) -> Flow:
    src, dst, *rest = text.split()
    return Flow(ip_address(src), ip_address(dst), *map(int, rest))


def owner(table: FlowTable, text: str) -> str:
    found = table.match(flow(text))
    return found.owner if found else ""


def filled(*rules: Rule) -> FlowTable:
    table = FlowTable()
    assert list(table.extend(rules)) == []
    return table


def test_the_longest_prefix_wins() -> None:
    table = filled(
        rule("192.0.2.1/32 0.0.0.0/0", "private-or-clear"),
        rule("192.0.2.1/32 10.0.0.0/8", "private"),
        rule("192.0.2.1/32 10.1.0.0/16", "clear"),
        rule("192.0.2.1/32 10.1.2.3/32", "block"),
    )
    assert owner(table, "192.0.2.1 8.8.8.8") == "private-or-clear"
    assert owner(table, "192.0.2.1 10.9.9.9") == "private"
    assert owner(table, "192.0.2.1 10.1.9.9") == "clear"
    assert owner(table, "192.0.2.1 10.1.2.3") == "block"
    assert owner(table, "192.0.2.2 10.1.2.3") == ""


def test_the_source_counts_first() -> None:
    table = filled(rule("0.0.0.0/0 10.1.2.3/32", "gateway"), rule("192.0.2.1/32 0.0.0.0/0", "host"))
    assert owner(table, "192.0.2.1 10.1.2.3") == "host"
    assert owner(table, "192.0.2.9 10.1.2.3") == "gateway"


def test_protocol_and_ports() -> None:
    table = filled(
        rule("192.0.2.1/32 10.0.0.0/8", "private"),
        rule("192.0.2.1/32 10.0.0.0/8 6 0 0", "tcp"),
        rule("192.0.2.1/32 10.0.0.0/8 6 0 22", "ssh"),
        rule("192.0.2.1/32 10.0.0.0/8 6 22 0", "sshd"),
    )
    assert owner(table, "192.0.2.1 10.0.0.1 17 5 53") == "private"
    assert owner(table, "192.0.2.1 10.0.0.1 6 5 80") == "tcp"
    assert owner(table, "192.0.2.1 10.0.0.1 6 5 22") == "ssh"
    assert owner(table, "192.0.2.1 10.0.0.1 6 22 22") == "sshd"
    assert owner(table, "192.0.2.1 10.0.0.1 6 22 5000") == "sshd"


def test_a_conn_comes_before_a_group_of_the_same_key_only() -> None:
    table = filled(
        rule("192.0.2.1/32 10.0.0.0/8", "private"),
        rule("192.0.2.1/32 10.0.0.0/8", "corp", Standing.CONN),
        rule("192.0.2.1/32 10.1.0.0/16", "clear"),
    )
    assert owner(table, "192.0.2.1 10.9.0.1") == "corp"
    assert owner(table, "192.0.2.1 10.1.0.1") == "clear"


def test_an_exemption_gives_way_to_any_conn_and_to_a_line_about_that_host_or_service() -> None:
    dns = rule("192.0.2.1/32 10.0.0.53/32 17 0 53", "DNS", Standing.EXEMPT)
    group = rule("192.0.2.1/32 10.0.0.0/8", "private")
    named = rule("192.0.2.1/32 10.0.0.53/32", "private")
    assert owner(filled(dns, named), "192.0.2.1 10.0.0.53 17 999 53") == "private"
    assert owner(filled(dns, group), "192.0.2.1 10.0.0.53 17 999 53") == "DNS"
    assert owner(filled(dns, group), "192.0.2.1 10.0.0.53 17 999 54") == "private"
    line = rule("192.0.2.1/32 10.0.0.53/32 17 0 53", "private")
    assert owner(filled(dns, line), "192.0.2.1 10.0.0.53 17 999 53") == "private"
    conn = rule("0.0.0.0/0 10.0.0.0/8", "corp", Standing.CONN)
    assert owner(filled(dns, group, conn), "192.0.2.1 10.0.0.53 17 999 53") == "corp"


def test_the_first_of_a_key_stays_and_is_named() -> None:
    table = FlowTable()
    first, second = rule("192.0.2.1/32 10.0.0.0/8", "clear"), rule("192.0.2.1/32 10.0.0.0/8", "private")
    assert list(table.extend([first, second])) == [(second, first)]
    assert len(table) == 1 and table.match(flow("192.0.2.1 10.0.0.1")) is first
    assert table.remove(first) and not table.remove(first) and not table.remove(second)
    assert len(table) == 0 and not table.lengths and table.match(flow("192.0.2.1 10.0.0.1")) is None
    assert table.add(second) is None


def test_families_do_not_mix() -> None:
    table = filled(rule("0.0.0.0/0 0.0.0.0/0", "four"), rule("::/0 2001:db8::/32", "six"))
    assert owner(table, "2001:db8::1 2001:db8::2") == "six"
    assert owner(table, "192.0.2.1 192.0.2.2") == "four"
    assert owner(table, "::1 3::1") == ""
    assert table.match(Flow(ip_address("::1"), ip_address("192.0.2.1"))) is None
    with pytest.raises(ValueError, match="one family"):
        table.add(rule("::/0 0.0.0.0/0", "both"))


def test_text() -> None:
    assert str(flow("192.0.2.1 192.0.2.2 6 1024 22")) == "192.0.2.1:1024 -> 192.0.2.2:22 protocol 6"
    assert str(flow("192.0.2.1 192.0.2.2")) == "192.0.2.1 -> 192.0.2.2"


def slow(rules: list[Rule], packet: Flow) -> Rule | None:
    """The definition, rule by rule."""

    def fits(each: Rule) -> bool:
        return packet.src in each.key.src and packet.dst in each.key.dst and each.covers(packet)

    def rank(each: Rule) -> tuple[int, ...]:
        key = each.key
        return (
            -key.src.prefixlen,
            -key.dst.prefixlen,
            not key.protocol,
            not key.src_port,
            not key.dst_port,
            each.standing,
        )

    found = sorted(filter(fits, rules), key=rank)
    if found and found[0].standing is Standing.EXEMPT:
        return next((each for each in found if each.standing is not Standing.EXEMPT and not each.yields), found[0])
    return found[0] if found else None


@pytest.mark.parametrize("seed", range(4))
def test_race_against_the_definition(seed: int) -> None:
    dice = random.Random(seed)
    width, bits = (32, 0xC0000200) if seed % 2 else (128, 0x20010DB8 << 96)

    def net() -> str:
        length = dice.choice((0, width - 8, width - 4, width - 1, width))
        return str(ip_network((bits + dice.randrange(16), length), strict=False))

    table, rules = FlowTable(), []
    for number in range(300):
        protocol = dice.choice((0, 0, 6))
        ports = (dice.choice((0, 1)), dice.choice((0, 1))) if protocol else (0, 0)
        key = FlowKey(ip_network(net()), ip_network(net()), protocol, *ports)
        made = Rule(key, str(number), dice.choice(list(Standing)))
        if table.add(made) is None:
            rules.append(made)
        if number % 5 == 0:
            gone = dice.choice(rules)
            rules.remove(gone)
            assert table.remove(gone)
    for _ in range(500):
        packet = Flow(
            ip_address(bits + dice.randrange(18)),
            ip_address(bits + dice.randrange(18)),
            dice.choice((0, 6, 17)),
            dice.randrange(3),
            dice.randrange(3),
        )
        assert table.match(packet) is slow(rules, packet)
    assert len(table) == len(rules)
