# SPDX-License-Identifier: GPL-2.0-or-later
"""Queue messages as the kernel sends them; tests/netns/test_intercept.py has real packets in them."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest

from openswan.host import nfqueue
from openswan.host.nfqueue import CONFIG, HEAD, NF_ACCEPT, NF_DROP, VERDICT, NfQueue, Queued, parse
from openswan.host.nlmsg import NLMSG_ERROR, Message, NetlinkSocket, attr, be32, parse_attrs, split

HEADER = attr(1, struct.pack(">IHB", 7, 0x0800, 0))


def message(*attrs: bytes) -> bytes:
    return bytes(4) + b"".join(attrs)


def test_a_packet_is_its_id_hook_mark_and_head() -> None:
    packet = bytes(range(200))
    assert parse(message(HEADER, attr(3, be32(0x30)), attr(10, packet))) == Queued(7, 0, 0x30, packet[:HEAD])
    assert parse(message(HEADER, attr(10, b""))) == Queued(7, 0, 0, b"")


def test_what_lacks_something_is_no_packet() -> None:
    whole = message(HEADER, attr(10, b"x" * 40))
    assert parse(message(attr(10, b"x"))) is None and parse(message(HEADER)) is None
    for length in range(len(whole)):
        found = parse(whole[:length])
        assert found is None or found.head == b"x" * 40 or length >= len(whole) - 3


@pytest.mark.parametrize(("error", "lost"), [(2, False), (19, True), (1, True), (0, False)], ids=str)
def test_the_kernel_says_that_a_queue_is_lost(error: int, lost: bool) -> None:
    """ENOENT is about a packet that is gone; ENODEV and EPERM are about the queue."""
    queue = NfQueue.__new__(NfQueue)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        queue.number, queue.lost = 5, False
        queue._netlink = NetlinkSocket.__new__(NetlinkSocket)
        queue._netlink.sock = ours
        queue.probe()
        [(kind, _, body)] = split(theirs.recv(1024))
        assert kind == CONFIG and bytes(body[2:4]) == b"\0\5"
        theirs.send(Message(NLMSG_ERROR, 0, struct.pack("=i", -error) + bytes(16)).pack(0))
        assert queue.read() == [] and queue.lost is lost
    queue.probe()
    assert queue.lost, "a closed socket has no queue"


def test_verdicts_go_in_one_datagram() -> None:
    queue = NfQueue.__new__(NfQueue)
    queue.number, queue._verdicts = 5, []
    queue.verdict(1, True)
    queue.verdict(2, False)
    queue.verdict(3, True, 0x3000)
    found = []
    for kind, _, body in split(b"".join(queue._verdicts)):
        attrs = dict(parse_attrs(body[4:]))
        assert kind == VERDICT and bytes(body[2:4]) == b"\0\5"
        found.append((*struct.unpack(">II", attrs[2]), bytes(attrs.get(3, b""))))
    assert found == [(NF_ACCEPT, 1, b""), (NF_DROP, 2, b""), (NF_ACCEPT, 3, be32(0x3000))]


def test_what_the_kernel_had_no_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Queue, listener, waiting, mode, range, full queue, full socket, last id, 1."""
    table = tmp_path / "nfnetlink_queue"
    monkeypatch.setattr(nfqueue, "QUEUES", table)
    assert nfqueue.overflows() == {}
    table.write_text(
        " 4950  12345     0 2   128     3     4       99  1\n 4951  12345     0 2   128     0     0  1  1\n"
    )
    assert nfqueue.overflows() == {4950: 7, 4951: 0}
