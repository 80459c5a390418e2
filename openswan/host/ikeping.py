# SPDX-License-Identifier: GPL-2.0-or-later
"""Asking hosts whether anybody speaks IKE there: datagrams out, answers in, nothing kept."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from openswan.base.address import Address
from openswan.base.errors import HostError
from openswan.base.marks import Marks
from openswan.base.numbers import SO_MARK

MOST_OCTETS = 65535


@dataclass(frozen=True, slots=True)
class Target:
    """One peer, and what to send it."""

    address: Address
    port: int
    messages: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One datagram that came back, or why none can."""

    target: Target
    data: bytes = b""
    delay: float = 0.0
    """Seconds."""
    error: str = ""


def _open(version: int, address: Address | None, port: int, marks: Marks) -> socket.socket:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        # Past the routes into tunnels and the guard, as the daemon's own IKE goes; only root may.
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_MARK, marks.own)
        except PermissionError:
            pass
        if port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((str(address) if address else ("0.0.0.0" if version == 4 else "::"), port))
    except OSError as why:
        raise HostError(f"cannot use {address or 'any address'} port {port}: {why.strerror}") from None
    return sock


def ask(
    targets: Sequence[Target],
    wait: float,
    address: Address | None = None,
    port: int = 0,
    enough: int = 1,
    *,
    marks: Marks,
) -> Iterator[Answer]:
    """Send every target its messages and give what comes back within `wait` seconds, as it comes.

    It ends early when each target has given `enough` answers or cannot be reached. HostError: the local address or
    port cannot be used.
    """
    waiting: dict[socket.socket, Target] = {}
    with contextlib.ExitStack() as stack:
        for target in targets:
            waiting[stack.enter_context(_open(target.address.version, address, port, marks))] = target
        counts = dict.fromkeys(waiting, 0)
        begin = time.monotonic()
        for sock, target in list(waiting.items()):
            if why := _send(sock, target):
                del waiting[sock]
                yield Answer(target, error=why)
        while waiting and (left := begin + wait - time.monotonic()) > 0:
            for sock in select.select(list(waiting), [], [], left)[0]:
                target = waiting[sock]
                try:
                    data = sock.recv(MOST_OCTETS)
                except OSError as why:
                    # ICMP: nobody listens there, or the way is closed. It can be forged, but then so can any answer.
                    del waiting[sock]
                    yield Answer(target, error=why.strerror or "unreachable")
                    continue
                counts[sock] += 1
                if counts[sock] >= enough:
                    del waiting[sock]
                yield Answer(target, data, time.monotonic() - begin)


def _send(sock: socket.socket, target: Target) -> str:
    """Why nothing could be sent; empty when all was."""
    try:
        sock.connect((str(target.address), target.port))
        for message in target.messages:
            sock.send(message)
    except OSError as why:
        return why.strerror or "cannot be reached"
    return ""


def listen(
    version: int, address: Address | None, port: int, wait: float, *, marks: Marks
) -> Iterator[tuple[bytes, str, int, Callable[[bytes], None]]]:
    """(datagram, address, port, reply(data)) of whatever comes to a port within `wait` seconds, 0: for ever."""
    sock = _open(version, address, port, marks)
    begin = time.monotonic()
    with sock:
        while not wait or begin + wait > time.monotonic():
            left = begin + wait - time.monotonic() if wait else None
            if not select.select([sock], [], [], left)[0]:
                return
            data, peer = sock.recvfrom(MOST_OCTETS)

            def reply(answer: bytes, peer: Any = peer) -> None:
                sock.sendto(answer, peer)

            yield data, peer[0], peer[1], reply
