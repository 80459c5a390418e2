# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests for a child that wait until the IKE SA they will run on is established."""

from __future__ import annotations

from dataclasses import dataclass, field

from openswan.ike.events import CreateChild


@dataclass(slots=True)
class Pending:
    """First come, first served; a request that was called off is forgotten."""

    waiting: dict[int, CreateChild] = field(default_factory=dict)

    def add(self, request: CreateChild) -> None:
        """Wait."""
        self.waiting[request.token] = request

    def cancel(self, token: int) -> bool:
        """Wait no more; False when it was not waiting."""
        return self.waiting.pop(token, None) is not None

    def release(self) -> list[CreateChild]:
        """The IKE SA is there: everything that waits, in order."""
        requests = list(self.waiting.values())
        self.waiting.clear()
        return requests

    def __len__(self) -> int:
        return len(self.waiting)
