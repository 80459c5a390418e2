# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands in nf_tables, put there by nft."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from openswan.host.nfnetlink import NFPROTO_INET, NFPROTO_NETDEV, Nftables
from openswan.host.nftables import foreign_nat_chains, hooks, rule_counts, set_names

Namespace = Callable[[Callable[[], Any]], Any]


def nft(text: str) -> None:
    subprocess.run(["nft", text], check=True, capture_output=True)


@contextmanager
def table(name: str, family: int = NFPROTO_INET) -> Iterator[Nftables]:
    opened = Nftables(name, family=family)
    yield opened
    opened.close()


def test_chains_rules_and_sets_are_those_of_one_table(namespace: Namespace) -> None:
    def work() -> None:
        for name in ("a", "b"):
            nft(f"add table inet {name}; add chain inet {name} c; add set inet {name} s{name} {{ type mark; }}")
        nft("add chain inet a in { type filter hook input priority 0; }")
        nft("add rule inet a c accept; add rule inet a c drop")
        with table("a") as one:
            assert rule_counts(one) == {"c": 2, "in": 0} and set_names(one) == ["sa"]
            assert hooks(one) == {"in": frozenset()}
        with table("none") as none:
            assert rule_counts(none) == hooks(none) == {}
            with pytest.raises(OSError, match="No such file"):
                set_names(none)

    namespace(work)


def test_a_hook_tells_its_devices_whatever_the_chain_is_called(namespace: Namespace) -> None:
    def work() -> None:
        subprocess.run(["ip", "link", "add", "one", "type", "veth", "peer", "name", "two"], check=True)
        nft("add table netdev t; add chain netdev t a { type filter hook ingress device one priority 0; }")
        nft(
            "add chain netdev t b { type filter hook ingress devices = { one, two } priority 1; }; add chain netdev t c"
        )
        with table("t", NFPROTO_NETDEV) as one:
            assert hooks(one) == {"a": {"one"}, "b": {"one", "two"}}

    namespace(work)


def test_nat_of_others(namespace: Namespace) -> None:
    def work() -> None:
        with table("ours") as one:
            for text, there in (
                ("add table inet ours; add chain inet ours c { type nat hook postrouting priority 100; }", False),
                ("add table ip a; add chain ip a c { type nat hook prerouting priority -100; }", False),
                ("add chain ip a f { type filter hook postrouting priority 100; }", False),
                ("add chain ip a s { type nat hook postrouting priority 100; }", True),
            ):
                nft(text)
                assert foreign_nat_chains(one) is there

    namespace(work)
