# SPDX-License-Identifier: GPL-2.0-or-later
"""Netlink framing: attributes, messages, and a socket that sends them in bulk.

pyroute2 carries what is asked seldom (links, addresses, events). What comes by the thousand (guard elements, routes,
conntrack deletions) goes through here: one send() of many messages, no thread, no event loop, and only errors answered.
The kernel works on a request inside send(), so every answer is waiting when it returns.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from openswan.base.errors import HostError

NETLINK_ROUTE, NETLINK_NETFILTER = 0, 12
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND = 0x100, 0x200, 0x400, 0x800
NLMSG_ERROR, NLMSG_DONE = 2, 3
SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 270, 10, 11, 12
NLA_F_NESTED, NLA_TYPE_MASK = 0x8000, 0x3FFF
NLMSGERR_ATTR_MSG = 1
BUFFER = 64 << 20
"""Largest datagram the socket may hold, octets: some 500,000 set elements."""
HEADER = struct.Struct("=IHHII")
ATTR = struct.Struct("=HH")


def attr(kind: int, data: bytes) -> bytes:
    """One attribute, padded to four octets."""
    return ATTR.pack(4 + len(data), kind) + data + bytes(-len(data) & 3)


def nest(kind: int, *attrs: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attr(kind | NLA_F_NESTED, b"".join(attrs))


def be32(value: int) -> bytes:
    """Network byte order, as netfilter wants its numbers."""
    return struct.pack(">I", value)


def zstr(text: str) -> bytes:
    """A NUL-terminated string."""
    return text.encode() + b"\0"


def parse_attrs(data: bytes | memoryview) -> Iterator[tuple[int, memoryview]]:
    """The (type, value) pairs of an attribute list; stops at the first one that does not fit."""
    view, at = memoryview(data), 0
    while at + 4 <= len(view):
        length, kind = ATTR.unpack_from(view, at)
        if length < 4 or at + length > len(view):
            return
        yield kind & NLA_TYPE_MASK, view[at + 4 : at + length]
        at += (length + 3) & ~3


@dataclass(frozen=True, slots=True)
class Message:
    """One message to send: its type, NLM_F_* flags beside REQUEST, and what follows the header."""

    kind: int
    flags: int
    body: bytes

    def pack(self, sequence: int) -> bytes:
        """The message as octets, padded."""
        length = HEADER.size + len(self.body)
        return HEADER.pack(length, self.kind, self.flags | NLM_F_REQUEST, sequence, 0) + self.body + bytes(-length & 3)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The kernel's answer to a message it did not carry out; `index` is that message's place in what was sent."""

    index: int
    error: int
    text: str = ""

    def __str__(self) -> str:
        return os.strerror(self.error) + (f" ({self.text})" if self.text else "")


class NetlinkSocket:
    """A blocking netlink socket; HostError when the kernel has no such protocol."""

    def __init__(self, protocol: int, groups: Sequence[int] = (), sock: socket.socket | None = None) -> None:
        """`sock`: one that is bound already, and perhaps older than this process; what it was told is not for us."""
        try:
            self.sock = sock or socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
            if sock is None:
                self.sock.bind((0, 0))
        except OSError as why:
            raise HostError(f"no netlink socket (protocol {protocol}): {why.strerror}") from None
        self.portid: int = self.sock.getsockname()[0]
        self.sequence = 0
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            forced = 32 if option == socket.SO_SNDBUF else 33  # SO_SNDBUFFORCE, SO_RCVBUFFORCE: past the sysctl
            try:
                self.sock.setsockopt(socket.SOL_SOCKET, forced, BUFFER // 2)
            except PermissionError:
                self.sock.setsockopt(socket.SOL_SOCKET, option, BUFFER // 2)
        for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK):
            self.sock.setsockopt(SOL_NETLINK, option, 1)
        for group in groups:
            self.sock.setsockopt(SOL_NETLINK, 1, group)  # NETLINK_ADD_MEMBERSHIP
        if sock is not None:
            self._drain()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptor."""
        self.sock.close()

    def fileno(self) -> int:
        """The descriptor, for an event loop."""
        return self.sock.fileno()

    def send(self, messages: Iterable[Message]) -> list[Refusal]:
        """Send all messages in one datagram; what the kernel refused comes back, the rest is done."""
        first = self.sequence + 1
        packed = []
        for message in messages:
            self.sequence += 1
            packed.append(message.pack(self.sequence))
        if not packed:
            return []
        self.sock.send(b"".join(packed))
        return [Refusal(seq - first, error, text) for seq, error, text in self._errors() if error]

    def ask(self, message: Message) -> list[tuple[int, bytes]]:
        """Send one request and collect its answers, (type, body) each; OSError when the kernel refuses it."""
        self.sequence += 1
        self.sock.send(message.pack(self.sequence))
        answers: list[tuple[int, bytes]] = []
        while True:
            for kind, seq, body in split(self.sock.recv(1 << 20)):
                if seq != self.sequence:
                    continue
                if kind == NLMSG_ERROR:
                    error = -struct.unpack_from("=i", body)[0]
                    if error:
                        raise OSError(error, os.strerror(error))
                    return answers
                if kind == NLMSG_DONE:
                    return answers
                answers.append((kind, bytes(body)))
            if not message.flags & (NLM_F_DUMP | NLM_F_ACK) and answers:
                return answers

    def _drain(self) -> None:
        while True:
            try:
                self.sock.recv(1, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError as why:
                if why.errno != errno.ENOBUFS:
                    raise

    def _errors(self) -> Iterator[tuple[int, int, str]]:
        while True:
            try:
                data = self.sock.recv(1 << 20, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError as why:
                if why.errno != errno.ENOBUFS:
                    raise
                yield 0, errno.ENOBUFS, "too many errors at once"
                continue
            for kind, seq, body in split(data):
                if kind == NLMSG_ERROR and len(body) >= 4:
                    texts = [bytes(v[:-1]).decode() for k, v in parse_attrs(body[20:]) if k == NLMSGERR_ATTR_MSG]
                    yield seq, -struct.unpack_from("=i", body)[0], "".join(texts)


def split(data: bytes) -> Iterator[tuple[int, int, memoryview]]:
    """The (type, sequence number, body) of every message in a received datagram."""
    for kind, seq, _portid, body in split_from(data):
        yield kind, seq, body


def split_from(data: bytes) -> Iterator[tuple[int, int, int, memoryview]]:
    """As split(), with the port id of whoever caused the message in third place (events name their author)."""
    view, at = memoryview(data), 0
    while at + HEADER.size <= len(view):
        length, kind, _flags, seq, portid = HEADER.unpack_from(view, at)
        if length < HEADER.size or at + length > len(view):
            return
        yield kind, seq, portid, view[at + HEADER.size : at + length]
        at += (length + 3) & ~3
