# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys and rules as nf_tables takes them; tests/netns/test_guard.py sees the kernel obey."""

from __future__ import annotations

from openswan.host.guard.nft import NftBackend, compile_rule, device_key, pack_key, set_type
from openswan.host.guard.rules import CHAINS, NAT_CHAINS, OwnStream, set_names
from openswan.host.nlmsg import parse_attrs


def test_keys_are_padded_field_by_field() -> None:
    first, last = pack_key("port4", ((1, 2), (3, 4), (6, 6), (80, 80), (0, 65535)))
    assert first.hex() == "0000000100000003060000000050000000000000"
    assert last.hex() == "00000002000000040600000000500000ffff0000"
    assert [len(part) for part in pack_key("lr6", ((0, 2**128 - 1), (1, 1)))] == [32, 32]
    for name in (*set_names(4), *set_names(6)):
        fields = len(set_type(name).fields)
        assert len(pack_key(name, ((0, 0),) * fields)[0]) == set_type(name).key_length


def test_device_names_fill_their_field() -> None:
    assert device_key("ipsec0") == b"ipsec0" + bytes(10)


def test_every_rule_compiles_to_tests_and_one_verdict() -> None:
    for chain in (*CHAINS, *NAT_CHAINS):
        for rule in chain.rules:
            names = []
            for expression in compile_rule(rule):
                ((_, value),) = parse_attrs(expression)
                names.append(bytes(dict(parse_attrs(value))[1]).rstrip(b"\0").decode())
            last = {"drop": "immediate", "mark": "meta", "keep": "nat"}.get(rule.action, "immediate")
            assert names[-1] == last and len(names) > len(rule.tests)
            assert rule.action != "drop" or names[-2] == "objref"


def test_a_kernel_that_knows_no_sockets_has_all_the_other_rules() -> None:
    backend = object.__new__(NftBackend)
    for known in (True, False):
        backend.sockets = known
        left_out = [rule for chain in CHAINS for rule in chain.rules if rule not in list(backend._rules(chain))]
        assert len(left_out) == (0 if known else 2)
        assert all(OwnStream() in rule.tests for rule in left_out)
