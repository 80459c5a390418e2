# SPDX-License-Identifier: GPL-2.0-or-later
"""NFQUEUE: packets that the kernel keeps until we say what becomes of them, by netlink on a socket of our own.

    kernel  --NFQNL_MSG_PACKET: id, hook, head of the packet-->  read()
    verdict(id, accept or drop, mark), ...                       flush(): all of them in one datagram
    probe()                                                      read() finds out that the queue is lost

The packet itself stays in the kernel, so it is never cut short, whatever its size; we see its head. Numbers are those
of linux/netfilter/nfnetlink_queue.h.
"""

from __future__ import annotations

import errno
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from openswan.base.errors import HostError
from openswan.host.nlmsg import (
    NETLINK_NETFILTER,
    NLM_F_ACK,
    NLMSG_ERROR,
    Message,
    NetlinkSocket,
    attr,
    be32,
    parse_attrs,
    split,
)

QUEUES = Path("/proc/self/net/netfilter/nfnetlink_queue")
SUBSYS_QUEUE = 3
PACKET, VERDICT, CONFIG, VERDICT_BATCH = ((SUBSYS_QUEUE << 8) | kind for kind in range(4))
BIND, UNBIND = 1, 2
COPY_PACKET = 2
FAIL_OPEN, GSO = 0x1, 0x4
NF_DROP, NF_ACCEPT, NF_REPEAT = 0, 1, 4
ANY_FAMILY = 0
HEAD = 128
"""Octets of a packet that we look at: headers, of IPv6 with a few extensions."""
MOST_AT_ONCE = 512
"""Packets taken by one read, so that nothing else waits for long,"""
MOST_VERDICTS = 512
"""and verdicts told by one write."""
ROOM = 4 << 20
"""Octets of packets' heads that wait for us to read them: some 4,000 packets."""
SO_RCVBUFFORCE = 33
LOST = (errno.ENODEV, errno.EPERM)
"""What the kernel answers about a queue that is nobody's, and about somebody else's."""
LAST_ID = 0x7FFFFFFF
"""Ids are compared by difference: everything that is held comes before this one."""


@dataclass(frozen=True, slots=True)
class Queued:
    """A packet that waits for its verdict."""

    id: int
    hook: int
    mark: int
    head: bytes
    """From the IP header on, HEAD octets at most."""


class NfQueue:
    """One queue. HostError when the kernel has none, or somebody else listens to it."""

    def __init__(self, number: int, length: int, fail_open: bool, inherited: socket.socket | None = None) -> None:
        """`length`: packets at most, what comes beyond is dropped, or passes with `fail_open`.

        `inherited`: the socket of a daemon that has died; what it held is asked about anew by again().
        """
        self.number = number
        self.lost = False
        """The kernel says that the queue is gone, or somebody else's: what it held is dropped, and nothing comes."""
        self._verdicts: list[bytes] = []
        self._netlink = NetlinkSocket(NETLINK_NETFILTER, sock=inherited)
        with suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
        try:
            if inherited is None:
                self._config(attr(1, struct.pack(">BBH", BIND, 0, ANY_FAMILY)))
            self._config(attr(2, struct.pack(">IB", HEAD, COPY_PACKET)))
            self._config(attr(3, be32(length)))
            flags = GSO | (FAIL_OPEN if fail_open else 0)
            self._config(attr(4, be32(GSO | FAIL_OPEN)) + attr(5, be32(flags)))
        except OSError as why:
            self._netlink.close()
            raise HostError(f"packets cannot be queued (NFQUEUE {number}): {why.strerror}") from None

    @property
    def sock(self) -> socket.socket:
        """The queue lives as long as somebody has this open."""
        return self._netlink.sock

    def fileno(self) -> int:
        """The descriptor, for an event loop."""
        return self._netlink.fileno()

    def close(self) -> None:
        """Close the descriptor; unless somebody else has it too, all that is held is dropped."""
        self._netlink.close()

    def again(self) -> None:
        """Have all that is held go through the rules once more, as if it came just now."""
        self.sock.send(self._message(VERDICT_BATCH, attr(2, struct.pack(">II", NF_REPEAT, LAST_ID))).pack(0))

    def read(self) -> list[Queued]:
        """What has come since, in order; never blocks."""
        found: list[Queued] = []
        while len(found) < MOST_AT_ONCE:
            try:
                data = self.sock.recv(1 << 17, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except OSError as why:
                if why.errno != errno.ENOBUFS:
                    raise
                continue  # it counts itself what it had no room for: see overflows()
            for kind, _seq, body in split(data):
                if kind == NLMSG_ERROR:
                    # Most are about packets that are gone already.
                    self.lost = self.lost or -struct.unpack_from("=i", body)[0] in LOST
                elif kind == PACKET and (queued := parse(body)) is not None:
                    found.append(queued)
        return found

    def probe(self) -> None:
        """Have the kernel say, to read(), whether the queue is lost; it says nothing if all is well."""
        flags = attr(4, be32(GSO)) + attr(5, be32(GSO))
        try:
            self.sock.send(self._message(CONFIG, flags).pack(0))
        except OSError:
            self.lost = True

    def verdict(self, number: int, accept: bool, mark: int | None = None) -> None:
        """Let packet `number` go on, or drop it; flush() says so to the kernel."""
        body = attr(2, struct.pack(">II", NF_ACCEPT if accept else NF_DROP, number))
        if mark is not None:
            body += attr(3, be32(mark))
        self._verdicts.append(self._message(VERDICT, body).pack(0))

    def flush(self) -> None:
        """Send the verdicts, all at once."""
        verdicts, self._verdicts = self._verdicts, []
        for first in range(0, len(verdicts), MOST_VERDICTS):
            self.sock.send(b"".join(verdicts[first : first + MOST_VERDICTS]))

    def _message(self, kind: int, body: bytes, flags: int = 0) -> Message:
        return Message(kind, flags, struct.pack(">BBH", ANY_FAMILY, 0, self.number) + body)

    def _config(self, body: bytes) -> None:
        self._netlink.ask(self._message(CONFIG, body, NLM_F_ACK))


def overflows() -> dict[int, int]:
    """By queue of this network namespace: packets dropped because the queue, or its reader's socket, was full."""
    try:
        rows = [line.split() for line in QUEUES.read_text().splitlines()]
    except OSError:
        return {}
    return {int(row[0]): int(row[5]) + int(row[6]) for row in rows if len(row) > 6}


def parse(body: memoryview | bytes) -> Queued | None:
    """A packet message, without its netlink header; None: it lacks what it must have."""
    attrs = dict(parse_attrs(memoryview(body)[4:]))
    header, payload = attrs.get(1), attrs.get(10)
    if header is None or len(header) < 7 or payload is None:
        return None
    number, _protocol, hook = struct.unpack_from(">IHB", header)
    mark = attrs.get(3)
    return Queued(number, hook, int.from_bytes(mark, "big") if mark is not None else 0, bytes(payload[:HEAD]))
