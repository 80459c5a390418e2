# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys as nf_tables takes them, and a table kept in step; tests/netns/test_guard.py sees the kernel obey."""

from __future__ import annotations

from openswan.host.guard.last import SETS
from openswan.host.guard.nft import ALL_SETS
from openswan.host.guard.rules import LAST_CHAINS, set_names
from openswan.host.guard.table import pack_key, port_keys, set_type


def test_keys_are_padded_field_by_field() -> None:
    first, last = pack_key("port4", ((1, 2), (3, 4), (6, 6), (80, 80), (0, 65535)))
    assert first.hex() == "0000000100000003060000000050000000000000"
    assert last.hex() == "00000002000000040600000000500000ffff0000"
    assert [len(part) for part in pack_key("lr6", ((0, 2**128 - 1), (1, 1)))] == [32, 32]
    for name in (*set_names(4), *set_names(6)):
        fields = len(set_type(name).fields)
        assert len(pack_key(name, ((0, 0),) * fields)[0]) == set_type(name).key_length


def test_ports_have_no_intervals() -> None:
    assert list(port_keys((500, 4500))) == [(b"\x01\xf4", None), (b"\x11\x94", None)]


def test_the_last_guard_has_the_sets_its_rules_look_into() -> None:
    named = {test.set for chain in LAST_CHAINS for rule in chain.rules for test in rule.tests if hasattr(test, "set")}
    assert named <= set(SETS) < set(ALL_SETS)
