# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose tables and chains come and go, as nf_tables tells it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from openswan.host.guard.events import Events, Seen
from openswan.host.nfnetlink import Nftables

Namespace = Callable[[Callable[[], Any]], Any]
NOTHING = Seen()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("add table inet other", (False, True, False)),
        ("add table inet mine", (True, True, False)),
        ("add set inet mine s { type ipv4_addr; }", (True, False, False)),
        ("add chain inet other c", (False, True, False)),
        ("add rule inet other there accept", (False, False, True)),
        ("add set inet other s { type ipv4_addr; }", (False, False, False)),
    ],
)
def test_what_others_do(namespace: Namespace, text: str, told: tuple[bool, bool, bool]) -> None:
    def work() -> None:
        if " table " not in text:
            before = "add table inet mine; add table inet other; add chain inet other there"
            subprocess.run(["nft", before], check=True)
        events = Events({0}, ("mine",))
        assert events.read() == NOTHING
        subprocess.run(["nft", text], check=True)
        assert events.read() == told and events.read() == NOTHING
        events.close()

    namespace(work)


def test_what_we_do_is_no_news(namespace: Namespace) -> None:
    def work() -> None:
        nft = Nftables("mine")
        events = Events({nft.socket.portid}, ("mine",))
        nft.commit([nft.new_table(0), nft.chain("c")])
        assert events.read() == NOTHING
        nft.close()
        events.close()

    namespace(work)
