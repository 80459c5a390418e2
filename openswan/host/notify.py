# SPDX-License-Identifier: GPL-2.0-or-later
"""What a service manager is told: ready, stopping, still alive; sd_notify(3) in one small module.

The manager names a datagram socket in NOTIFY_SOCKET, a path or an abstract name that begins with @, and how often it
wants to hear of us in WATCHDOG_USEC. Without them nothing is said.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

from openswan.host.logsink import clean

SOCKET = "NOTIFY_SOCKET"
WATCHDOG = "WATCHDOG_USEC"
WATCHDOG_PID = "WATCHDOG_PID"
LONGEST_STATUS = 512


class Notifier:
    """Says what becomes of us to the service manager, if there is one; never waits and never fails.

    `address` is its socket (empty: nobody listens), `watchdog` the seconds within which it wants to hear `alive` (0: it
    does not).
    """

    def __init__(self, address: str = "", watchdog: float = 0.0) -> None:
        self._address = address
        self.watchdog = watchdog if address else 0.0

    @classmethod
    def inherit(cls, environment: MutableMapping[str, str] | None = None) -> Notifier:
        """The manager that started us; its variables are taken out, so that no child of ours speaks in our name."""
        given = os.environ if environment is None else environment
        address, microseconds, pid = (given.pop(name, "") for name in (SOCKET, WATCHDOG, WATCHDOG_PID))
        if not address.startswith(("/", "@")):
            return cls()
        meant = not pid or pid == str(os.getpid())
        number = microseconds.isascii() and microseconds.isdecimal()
        return cls(address, int(microseconds) / 1e6 if meant and number else 0.0)

    def ready(self, status: str) -> None:
        """We serve. `status` is one line for whoever looks."""
        self._say("READY=1", _status(status))

    def stopping(self, status: str) -> None:
        """We have begun to end."""
        self._say("STOPPING=1", _status(status))

    def alive(self) -> None:
        """Put the watchdog off once more."""
        self._say("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for whoever looks."""
        self._say(_status(text))

    def _say(self, *assignments: str) -> None:
        if not self._address:
            return
        # An abstract name begins with a zero octet; @ stands for it where names are text (unix(7)).
        where = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
                sock.sendto("\n".join(assignments).encode(errors="replace"), where)
        except OSError:
            pass  # A manager that does not listen is none.


def _status(text: str) -> str:
    return f"STATUS={clean(text)[:LONGEST_STATUS]}"
