# SPDX-License-Identifier: GPL-2.0-or-later
"""The project's exceptions: each knows whose fault it is and what to tell them."""

from __future__ import annotations


class IpsecError(Exception):
    """Root of every error raised on purpose; its text is one line fit for an operator."""


class ConfigError(IpsecError):
    """A mistake in ipsec.conf, ipsec.secrets or an option: names file, line and remedy.

    `where` is "FILE:LINE" or "" when the text did not come from a file.
    """

    def __init__(self, reason: str, where: str = "") -> None:
        self.reason = reason
        self.where = where
        super().__init__(f"{where}: {reason}" if where else reason)


class WireError(IpsecError):
    """Bytes from the network that are not what they claim to be; `notify` is what to answer, or None.

    `notify` is an IKEv2 Notify Message Type (RFC 7296 3.10.1), for instance 7 (INVALID_SYNTAX).
    `data` is that notification's data.
    """

    def __init__(self, reason: str, notify: int | None = 7, data: bytes = b"") -> None:
        self.notify = notify
        self.data = data
        super().__init__(reason)


class IkeError(IpsecError):
    """An exchange failed; `notify` (0: none) goes to the peer, the text to the log."""

    def __init__(self, reason: str, notify: int = 0, data: bytes = b"") -> None:
        self.notify = notify
        self.data = data
        super().__init__(reason)


class CryptoError(IpsecError):
    """A key, algorithm or signature that cannot be used; the text says which and why."""


class KlipsError(IpsecError):
    """The packet engine refused a command; the text uses the classic words where operators know them."""


class HostError(IpsecError):
    """The operating system refused: no root, no /dev/net/tun, a port in use."""


class AnsweredError(HostError):
    """Somebody elsewhere was asked and has answered, but not with what was wanted."""
