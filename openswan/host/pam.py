# SPDX-License-Identifier: GPL-2.0-or-later
"""Names and passwords judged by PAM in a process of its own: its modules may block, fork or crash, the gateway may not.

The service is `pluto' (/etc/pam.d/pluto). Authentication and account management both have to succeed; the peer's
address is PAM_RHOST. The helper is this module as a program: user, address and password come on standard input with
zero octets between them, the status 0 lets the user in, with any other standard output says why not.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from collections.abc import Sequence
from ctypes.util import find_library
from typing import Any

from openswan.base.errors import HostError

SERVICE = "pluto"
PATIENCE = 30.0
"""Seconds a judgement may take."""
MOST_AT_ONCE = 8
"""Helpers side by side; who comes then waits."""
ECHO_OFF, ECHO_ON = 1, 2
"""What a module asks for: a secret, or a name (PAM_PROMPT_ECHO_OFF, PAM_PROMPT_ECHO_ON)."""
RHOST = 4
"""The item with the peer's address."""
SUCCESS, BUFFER_ERROR, CONVERSATION_ERROR = 0, 5, 19
MOST_MESSAGES = 32
"""Questions a module may ask at once (PAM_MAX_NUM_MSG)."""


class Message(ctypes.Structure):
    """struct pam_message"""

    _fields_ = (("style", ctypes.c_int), ("text", ctypes.c_char_p))


class Response(ctypes.Structure):
    """struct pam_response; PAM frees the text."""

    _fields_ = (("text", ctypes.c_void_p), ("code", ctypes.c_int))


CONVERSE = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_int,
    ctypes.POINTER(ctypes.POINTER(Message)),
    ctypes.POINTER(ctypes.POINTER(Response)),
    ctypes.c_void_p,
)


class Conversation(ctypes.Structure):
    """struct pam_conv"""

    _fields_ = (("converse", CONVERSE), ("data", ctypes.c_void_p))


class Judge:
    """Asks PAM from the event loop."""

    def __init__(self, service: str = SERVICE, directory: str = "") -> None:
        self.service, self.directory = service, directory
        self._room = asyncio.Semaphore(MOST_AT_ONCE)

    async def check(self, user: str, remote: str, password: bytes) -> None:
        """Return when PAM lets the user in; HostError says why it does not."""
        if b"\0" in password or "\0" in user:
            raise HostError("a name or password with a zero octet")
        async with self._room:
            helper = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                __name__,
                self.service,
                self.directory,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                told = helper.communicate(b"\0".join((user.encode(), remote.encode(), password)))
                said, _ = await asyncio.wait_for(told, PATIENCE)
            except TimeoutError:
                raise HostError(f"PAM has not answered for {PATIENCE:g} s") from None
            finally:
                if helper.returncode is None:
                    helper.kill()
                    await helper.wait()
        if helper.returncode:
            raise HostError(said.decode(errors="replace").strip()[:200] or f"PAM's helper: exit {helper.returncode}")


def authenticate(user: bytes, remote: bytes, password: bytes, service: str, directory: str = "") -> str:
    """Why PAM does not let a user in; empty: it does. `directory`: where services are described; empty: /etc/pam.d."""
    library = load()
    if isinstance(library, str):
        return library
    conversation = Conversation(_answering(user, password), None)
    handle = ctypes.c_void_p()
    begin = (service.encode(), user, ctypes.byref(conversation))
    if directory:
        status = library.pam_start_confdir(*begin, directory.encode(), ctypes.byref(handle))
    else:
        status = library.pam_start(*begin, ctypes.byref(handle))
    if status != SUCCESS:
        return f"PAM does not begin with service {service}: error {status}"
    try:
        if remote:
            library.pam_set_item(handle, RHOST, ctypes.c_char_p(remote))
        for step in (library.pam_authenticate, library.pam_acct_mgmt):
            status = step(handle, 0)
            if status != SUCCESS:
                return f"PAM: {library.pam_strerror(handle, status).decode(errors='replace')}"
        return ""
    finally:
        library.pam_end(handle, status)


def load() -> ctypes.CDLL | str:
    """PAM's library, or why there is none."""
    try:
        library = ctypes.CDLL(find_library("pam") or "libpam.so.0")
    except OSError:
        return "xauthby=pam: there is no PAM library (libpam.so.0); install it, or say xauthby=file"
    library.pam_strerror.restype = ctypes.c_char_p
    library.pam_strerror.argtypes = [ctypes.c_void_p, ctypes.c_int]
    for name in ("pam_authenticate", "pam_acct_mgmt", "pam_end"):
        getattr(library, name).argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.pam_set_item.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p]
    return library


def _answering(user: bytes, password: bytes) -> Any:
    """A conversation that answers questions by the password, or where an answer may be seen by the name."""
    libc = ctypes.CDLL(None)
    libc.calloc.restype = libc.strdup.restype = ctypes.c_void_p
    libc.calloc.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
    answers = {ECHO_OFF: password, ECHO_ON: user}

    def converse(count: int, messages: Any, responses: Any, data: object) -> int:
        if not 0 < count <= MOST_MESSAGES:
            return CONVERSATION_ERROR
        place = libc.calloc(count, ctypes.sizeof(Response))
        if not place:
            return BUFFER_ERROR
        given = ctypes.cast(place, ctypes.POINTER(Response))
        for number in range(count):
            answer = answers.get(messages[number].contents.style)
            if answer is not None:
                given[number].text = libc.strdup(answer)
        responses[0] = given
        return SUCCESS

    return CONVERSE(converse)


def main(argv: Sequence[str]) -> int:
    """The helper: `python -m openswan.host.pam SERVICE DIRECTORY`."""
    service, directory = (*argv, "", "")[:2]
    user, remote, password = (*sys.stdin.buffer.read(1 << 14).split(b"\0", 2), b"", b"")[:3]
    why = authenticate(user, remote, password, service or SERVICE, directory)
    print(why, flush=True)
    # Nothing that a module has registered for the end may change what has been said.
    os._exit(1 if why else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
