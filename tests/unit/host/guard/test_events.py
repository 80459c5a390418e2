# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose tables and chains come and go, as nf_tables tells it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from openswan.host.guard.events import Events
from openswan.host.nfnetlink import Nftables

Namespace = Callable[[Callable[[], Any]], Any]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("add table inet other", (False, True)),
        ("add table inet mine", (True, True)),
        ("add set inet mine s { type ipv4_addr; }", (True, False)),
        ("add chain inet other c", (False, True)),
        ("add set inet other s { type ipv4_addr; }", (False, False)),
    ],
)
def test_what_others_do(namespace: Namespace, text: str, told: tuple[bool, bool]) -> None:
    def work() -> None:
        before = "add table inet mine; add table inet other" if " set " in text or "chain" in text else "list tables"
        subprocess.run(["nft", before], check=True, capture_output=True)
        events = Events({0}, ("mine",))
        assert events.read() == (False, False)
        subprocess.run(["nft", text], check=True)
        assert events.read() == told and events.read() == (False, False)
        events.close()

    namespace(work)


def test_what_we_do_is_no_news(namespace: Namespace) -> None:
    def work() -> None:
        nft = Nftables("mine")
        events = Events({nft.socket.portid}, ("mine",))
        nft.commit([nft.new_table(0), nft.chain("c")])
        assert events.read() == (False, False)
        nft.close()
        events.close()

    namespace(work)
