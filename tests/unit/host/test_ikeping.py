# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams out, answers in."""

from __future__ import annotations

import socket
import threading
from ipaddress import ip_address

import pytest

from openswan.base.errors import HostError
from openswan.base.marks import DEFAULT_MARKS
from openswan.host.ikeping import Target, ask, listen

LOCAL = ip_address("127.0.0.1")


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_question_and_answer() -> None:
    port = free_port()
    heard: list[bytes] = []

    def serve() -> None:
        for data, host, _, reply in listen(4, LOCAL, port, 5, marks=DEFAULT_MARKS):
            heard.append(data)
            assert host == "127.0.0.1"
            reply(data.upper())
            if len(heard) == 2:
                return

    ready = threading.Thread(target=serve)
    ready.start()
    answers = []
    while not answers:  # until the thread listens, the kernel refuses
        answers = [
            one for one in ask([Target(LOCAL, port, (b"a", b"b"))], 2, enough=2, marks=DEFAULT_MARKS) if not one.error
        ]
    ready.join(5)
    assert heard == [b"a", b"b"] and [one.data for one in answers] == [b"A", b"B"] and answers[0].delay < 2


def test_a_closed_port_is_told_at_once() -> None:
    (answer,) = ask([Target(LOCAL, free_port(), (b"x",))], 5, marks=DEFAULT_MARKS)
    assert answer.error == "Connection refused"


def test_silence_ends() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        assert list(ask([Target(LOCAL, sock.getsockname()[1], (b"x",))], 0.05, marks=DEFAULT_MARKS)) == []
        assert list(listen(4, LOCAL, free_port(), 0.05, marks=DEFAULT_MARKS)) == []


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(HostError, match=r"cannot use 192\.0\.2\.77 port 0"):
        list(ask([Target(LOCAL, 9, (b"x",))], 1, ip_address("192.0.2.77"), marks=DEFAULT_MARKS))
