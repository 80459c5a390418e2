# SPDX-License-Identifier: GPL-2.0-or-later
"""The keeper: a process that does nothing but have the kernel's queues and our tables' sockets open.

A queue lives as long as somebody has its socket, and so does what the kernel keeps in it; an owned table cannot be
flushed by others meanwhile. So when pluto dies, nothing that was held is lost and nothing opens; the next pluto asks
for the sockets and goes on. It is this file alone, run by itself: nothing of ours, and little of Python, is loaded.

    pluto --"keep", names, descriptors-->  keeper        pluto --"recall"--> keeper --names, descriptors--> pluto
    pluto --"release"--------------------> keeper, which ends
"""

import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SOCKET = "keeper.ctl"
MOST, LONGEST = 16, 1024
"""Descriptors, and octets of a message."""
SIOCGSKNS = 0x894C
PATIENCE = 2.0
"""Seconds that either waits for the other, who is on the same machine and has nothing else to do."""


def keep(rundir: Path, sockets: Mapping[str, socket.socket]) -> None:
    """Have these kept, by the keeper that runs for this directory or a new one; OSError when that cannot be."""
    try:
        conversation = _connect(rundir)
    except OSError:
        _start(rundir)
        conversation = _connect(rundir)
    with conversation:
        text = " ".join(("keep", *sockets)).encode()
        socket.send_fds(conversation, [text], [each.fileno() for each in sockets.values()])
        if conversation.recv(LONGEST) != b"kept":
            raise OSError("the keeper does not want them")


def recall(rundir: Path) -> dict[str, socket.socket]:
    """What a keeper has of a pluto before this one, by name; nothing when there is none, or of another network."""
    try:
        with _connect(rundir) as conversation:
            conversation.send(b"recall")
            text, descriptors, _, _ = socket.recv_fds(conversation, LONGEST, MOST)
    except OSError:
        return {}
    found = dict(zip(text.decode().split(), (socket.socket(fileno=each) for each in descriptors), strict=True))
    for name in [name for name, each in found.items() if not _here(each)]:
        found.pop(name).close()
    return found


def release(rundir: Path) -> None:
    """End the keeper, if there is one: what is still queued is dropped."""
    try:
        with _connect(rundir) as conversation:
            conversation.send(b"release")
            conversation.recv(LONGEST)
    except OSError:
        pass


def _here(sock: socket.socket) -> bool:
    """Does a socket belong to this network namespace?"""
    try:
        theirs = fcntl.ioctl(sock, SIOCGSKNS)
    except OSError:
        return False
    try:
        return os.fstat(theirs).st_ino == Path("/proc/thread-self/ns/net").stat().st_ino
    finally:
        os.close(theirs)


def _connect(rundir: Path) -> socket.socket:
    conversation = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    conversation.settimeout(PATIENCE)
    try:
        conversation.connect(str(rundir / SOCKET))
    except OSError:
        conversation.close()
        raise
    return conversation


def _start(rundir: Path) -> None:
    """Start one: it listens already when this returns, and is nobody's child."""
    path = rundir / SOCKET
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen()
        null = subprocess.DEVNULL
        command = [sys.executable, "-I", "-S", __file__, str(path)]
        subprocess.run(command, stdin=listener.fileno(), stdout=null, stderr=null, start_new_session=True, check=True)


def serve(listener: socket.socket) -> None:
    """Keep what is given until told to release it."""
    kept: dict[str, int] = {}
    while True:
        conversation, _ = listener.accept()
        with conversation:
            conversation.settimeout(PATIENCE)
            try:
                if not _answer(conversation, kept):
                    return
            except OSError:
                continue  # whoever asked is gone


def _answer(conversation: socket.socket, kept: dict[str, int]) -> bool:
    """One request; False: that was the last one."""
    text, descriptors, _, _ = socket.recv_fds(conversation, LONGEST, MOST)
    word, *names = text.decode("ascii", "replace").split() or [""]
    if word == "keep" and len(names) == len(descriptors) and len(kept | dict.fromkeys(names)) <= MOST:
        for name, descriptor in zip(names, descriptors, strict=True):
            if name in kept:
                os.close(kept[name])
            kept[name] = descriptor
        conversation.send(b"kept")
        return True
    for descriptor in descriptors:
        os.close(descriptor)
    if word == "recall":
        socket.send_fds(conversation, [" ".join(kept).encode() or b" "], list(kept.values()))
    if word != "release":
        return True
    for descriptor in kept.values():
        os.close(descriptor)
    conversation.send(b"released")
    return False


if __name__ == "__main__":
    if os.fork():
        os._exit(0)
    with socket.socket(fileno=0) as own:
        serve(own)
    os.unlink(sys.argv[1])
