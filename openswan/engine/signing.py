# SPDX-License-Identifier: GPL-2.0-or-later
"""Signatures by keys in tokens: asked for here, made elsewhere, taken back to the IKE SA that waits for them."""

from __future__ import annotations

from collections.abc import Callable

from openswan.base.errors import CryptoError
from openswan.engine.core import Core
from openswan.engine.effects import Sign
from openswan.engine.events import Signed
from openswan.ike.later import SignJob


class Signing:
    """The signatures that are on their way."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.under_way: dict[int, Callable[[bytes | CryptoError], None]] = {}
        self.last = 0

    def start(self, job: SignJob, done: Callable[[bytes | CryptoError], None]) -> None:
        """Have a token sign; `done` is called with the signature, or with why there is none."""
        self.last += 1
        self.under_way[self.last] = done
        self.core.emit(Sign(self.last, job.key, job.scheme, job.octets))

    def signed(self, event: Signed) -> None:
        """The token has answered."""
        done = self.under_way.pop(event.token, None)
        if done is not None:
            done(CryptoError(f"the token does not sign: {event.reason}") if event.reason else event.signature)
