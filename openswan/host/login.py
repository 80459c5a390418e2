# SPDX-License-Identifier: GPL-2.0-or-later
"""Passwords of XAUTH users, judged by PAM or by ipsec.d/passwd: `user:hash`, or `user:hash:conn` for one conn alone.

The hash is whatever the system's crypt(3) makes, as `htpasswd` and `mkpasswd` write it. Judging takes time on purpose
and is done in a thread; a user nobody has takes as long as one with a wrong password.
"""

from __future__ import annotations

import asyncio
import ctypes
import hmac
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ctypes.util import find_library
from pathlib import Path

from openswan.base.errors import HostError
from openswan.engine.effects import Login
from openswan.host.pam import Judge
from openswan.policy.connection import XauthBy

MOST_OCTETS = 1 << 20
"""Of the file."""
NOBODY = b"$6$nobodyhasthisone$"
"""The salt a name is judged by that is not in the file."""
INCORRECT = "Incorrect Username or Password"


class Logins:
    """The users of one machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._thread = ThreadPoolExecutor(1, "login")
        self._pam = Judge()

    async def check(self, login: Login) -> bytes:
        """Nothing when the password is right; HostError says why it is not."""
        if login.by is XauthBy.PAM:
            await self._pam.check(login.user, str(login.remote), login.password)
            return b""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._check, login.connection, login.user, login.password)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False)

    def _check(self, connection: str, user: str, password: bytes) -> bytes:
        try:
            text = self.path.read_bytes()[:MOST_OCTETS].decode("utf-8", "replace")
        except OSError as why:
            raise HostError(f"{self.path}: {why.strerror}") from None
        found = list(hashes(text, connection, user)) or [NOBODY]
        good = [hmac.compare_digest(crypt(password, known) or b"*", known) for known in found]
        if not any(good):
            raise HostError(INCORRECT)
        return b""


def hashes(text: str, connection: str, user: str) -> Iterator[bytes]:
    """The hashes that a file has of a user for a connection."""
    for line in text.splitlines():
        name, _, rest = line.strip().partition(":")
        known, _, conn = rest.partition(":")
        if name == user and known and not name.startswith("#") and conn.partition(":")[0] in ("", connection):
            yield known.encode()


def crypt(password: bytes, known: bytes) -> bytes | None:
    """crypt(3) of a password by the salt of a known hash; None when there is no such method."""
    library = ctypes.CDLL(find_library("crypt") or "libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    made = library.crypt(password, known)
    return made if isinstance(made, bytes) and not made.startswith(b"*") else None
