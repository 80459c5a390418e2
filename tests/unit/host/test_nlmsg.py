# SPDX-License-Identifier: GPL-2.0-or-later
"""Netlink framing, at its smallest, largest and broken."""

from __future__ import annotations

import struct

import pytest

from openswan.base.errors import HostError
from openswan.host.nlmsg import NETLINK_ROUTE, Message, NetlinkSocket, attr, nest, parse_attrs, split


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 65531])
def test_attributes_are_padded_and_read_back(size: int) -> None:
    data = attr(7, b"x" * size) + attr(9, b"last")
    assert len(data) % 4 == 0
    assert [(kind, bytes(value)) for kind, value in parse_attrs(data)] == [(7, b"x" * size), (9, b"last")]


def test_nested_ones_lose_their_flag() -> None:
    ((kind, inner),) = parse_attrs(nest(3, attr(1, b"ab")))
    assert kind == 3 and [(k, bytes(v)) for k, v in parse_attrs(inner)] == [(1, b"ab")]


def test_truncation_ends_the_list_quietly() -> None:
    whole = attr(1, b"abcd") + attr(2, b"efgh")
    for cut in range(len(whole)):
        assert len(list(parse_attrs(whole[:cut]))) == (1 if cut >= 8 else 0)
    assert list(parse_attrs(struct.pack("=HH", 3, 1))) == []


def test_messages_split_as_they_were_packed() -> None:
    data = Message(20, 4, b"abc").pack(5) + Message(21, 0, b"").pack(6)
    assert [(kind, seq, bytes(body)) for kind, seq, body in split(data)] == [(20, 5, b"abc"), (21, 6, b"")]
    assert list(split(data[:18])) == []


def test_the_kernel_answers_and_refuses() -> None:
    with NetlinkSocket(NETLINK_ROUTE) as netlink:
        links = netlink.ask(Message(18, 0x300, struct.pack("=BBHiII", 0, 0, 0, 0, 0, 0)))
        assert links
        with pytest.raises(OSError):
            netlink.ask(Message(18, 0, struct.pack("=BBHiII", 0, 0, 0, 2**31 - 1, 0, 0)))
        refusals = netlink.send([Message(9999, 4, b"")])
        assert [refusal.index for refusal in refusals] == [0] and str(refusals[0])


def test_no_such_protocol() -> None:
    with pytest.raises(HostError, match="no netlink socket"):
        NetlinkSocket(31)
