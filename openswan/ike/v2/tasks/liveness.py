# SPDX-License-Identifier: GPL-2.0-or-later
"""Is the peer alive: an empty INFORMATIONAL exchange (RFC 7296 2.4)."""

from __future__ import annotations

from collections.abc import Sequence

from openswan.base.interval import Instant
from openswan.ike.effects import ProbeAnswered
from openswan.ike.events import Probe
from openswan.ike.v2.core import Core
from openswan.ike.v2.task import Task
from openswan.ike.v2.tasks.background import Background
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload


class Liveness(Task):
    """Our question; that it is answered at all is the answer."""

    def __init__(self, probe: Probe) -> None:
        super().__init__(probe)
        self.patience, self.pressing = probe.patience, probe.pressing

    def build(self, sa: Core, now: Instant) -> Sequence[Payload]:
        """Nothing inside."""
        return ()

    def answered(self, sa: Core, answer: Message, now: Instant) -> None:
        """Alive."""
        sa.emit(ProbeAnswered(self.token))


class QuietLiveness(Liveness, Background):
    """The same question, asked without need: no answer ends nothing."""
