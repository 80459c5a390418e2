# SPDX-License-Identifier: GPL-2.0-or-later
"""What is being fetched by HTTP, and who waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from openswan.engine.core import Core
from openswan.engine.effects import Fetch
from openswan.engine.events import Fetched

Taker: TypeAlias = Callable[[Fetched], None]


class Fetches:
    """Requests on their way; each is answered once, by what came or by why nothing did."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.under_way: dict[int, Taker] = {}
        self.last = 0
        """The token used last."""

    def start(
        self, uri: str, limit: int, timeout: float, taker: Taker, body: bytes = b"", content_type: str = ""
    ) -> None:
        """Fetch at most `limit` octets within `timeout` seconds and give them to `taker`; `body`: by POST."""
        self.last += 1
        self.under_way[self.last] = taker
        self.core.emit(Fetch(self.last, uri, limit, timeout, body, content_type))

    def fetched(self, event: Fetched) -> None:
        """An answer, or the news that there is none."""
        taker = self.under_way.pop(event.token, None)
        if taker is not None:
            taker(event)


def server_of(uri: str) -> str:
    """What fails together: the server of a URI."""
    return "/".join(uri.split("/", 3)[:3]).lower()
