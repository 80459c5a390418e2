# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules about new pairs; tests/netns/test_intercept.py sees a kernel obey."""

from __future__ import annotations

import pytest

from openswan.host import nfnetlink as nf
from openswan.host.intercept import firsts
from openswan.host.intercept.packets import ACCEPT, Addressing
from tests.unit.host.intercept.test_table import expressions


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("queue", firsts.CHAINS.values())
def test_a_flood_of_new_pairs_stays_in_the_kernel(version: int, queue: str) -> None:
    """Pairs that have begun are not concerned; those of hosts that begin few have a limit of their own; the rest is
    dropped and counted."""
    rules = firsts.chain(Addressing(version), queue, [ACCEPT])
    words = [[word for word, _ in expressions(rule)] for rule in rules]
    assert words[0][-2:] == ["lookup", "immediate"] and "limit" not in words[0]
    assert words[1] == ["payload", "dynset", "limit", "payload", "payload", "dynset", "immediate"]
    assert words[2] == ["limit", "payload", "payload", "dynset", "immediate"]
    assert words[3] == ["objref", "immediate"]


def test_each_host_has_a_limit_of_its_own() -> None:
    [(name, attrs)] = expressions([firsts.each("from_open", 2.0, nf.limit(5, 9))])
    assert name == "dynset" and bytes(attrs[1]) == b"from_open\0"
    assert int.from_bytes(attrs[6], "big") == 2000 and b"limit\0" in bytes(attrs[7])
