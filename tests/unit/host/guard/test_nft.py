# SPDX-License-Identifier: GPL-2.0-or-later
"""What is the nft back end's own; tests/netns/test_guard.py sees the kernel obey."""

from __future__ import annotations

from openswan.host.guard.matches import OwnStream
from openswan.host.guard.nft import NftBackend
from openswan.host.guard.rules import CHAINS


def test_a_kernel_that_knows_no_sockets_has_all_the_other_rules() -> None:
    backend = object.__new__(NftBackend)
    for known in (True, False):
        backend.sockets = known
        left_out = [rule for chain in CHAINS for rule in chain.rules if rule not in list(backend.rules(chain))]
        assert len(left_out) == (0 if known else 2)
        assert all(OwnStream() in rule.tests for rule in left_out)
