# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests on their way: each is answered once."""

from __future__ import annotations

from openswan.base.entropy import SeededRng
from openswan.engine.core import Core
from openswan.engine.effects import Fetch
from openswan.engine.events import Fetched
from openswan.engine.fetches import Fetches, server_of
from openswan.engine.settings import Settings


def test_each_request_is_answered_once() -> None:
    it, came = Fetches(Core(SeededRng(1), Settings())), list[tuple[str, bytes]]()
    it.start("http://a/", 10, 2.0, lambda event: came.append(("a", event.data)))
    it.start("http://b/", 20, 3.0, lambda event: came.append(("b", event.data)), b"question", "text/plain")
    assert it.core.effects == [
        Fetch(1, "http://a/", 10, 2.0),
        Fetch(2, "http://b/", 20, 3.0, b"question", "text/plain"),
    ]
    it.fetched(Fetched(2, b"two"))
    it.fetched(Fetched(2, b"again"))
    it.fetched(Fetched(7, b"never asked"))
    it.fetched(Fetched(1, b"one"))
    assert came == [("b", b"two"), ("a", b"one")] and not it.under_way


def test_servers() -> None:
    assert server_of("http://PKI.test:8080/a/b?c") == "http://pki.test:8080" == server_of("HTTP://pki.test:8080")
