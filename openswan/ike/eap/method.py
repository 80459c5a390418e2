# SPDX-License-Identifier: GPL-2.0-or-later
"""What an EAP method is to whoever runs it: takes the other side's data, gives its own, ends with a key or an error."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from openswan.base.errors import IpsecError
from openswan.base.interval import Duration
from openswan.wire.v2.eap import EapType

MOST_ROUNDS = 64
"""EAP requests in one IKE SA: a TLS handshake with the longest chain that is read takes half of them."""
PATIENCE: Duration = 60.0
"""Seconds that all rounds together may take an initiator, however fast each is answered."""


class EapError(IpsecError):
    """The method has failed: the other side did not prove itself, or broke the protocol. The text is for our log."""


class ServerMethod(ABC):
    """The authenticator's part: asks."""

    kind: ClassVar[EapType]
    user: str = ""
    """Whom the method has proved the peer to be, once `done`."""
    msk: bytes = b""
    """The shared key, once `done` (RFC 3748 7.10)."""
    done = False
    failed: str = ""
    """Why it has failed, when the peer is still to be told in the method's own way."""

    @abstractmethod
    def begin(self) -> bytes:
        """Type data of the first request."""

    @abstractmethod
    def take(self, data: bytes) -> bytes | None:
        """Type data of the next request after a response; None: no further one, and `done` says how it ended.

        EapError when the peer has failed and there is nothing more to say to it.
        """


class PeerMethod(ABC):
    """The peer's part: answers."""

    kind: ClassVar[EapType]
    msk: bytes = b""
    """The shared key, once `done`."""
    done = False
    """Is the method ready for EAP-Success? Before that it is a forgery."""
    failure: str = ""
    """Why EAP-Failure is to be expected."""

    @abstractmethod
    def take(self, data: bytes) -> bytes:
        """Type data of the response to a request; EapError when the server has failed and need not be told."""
