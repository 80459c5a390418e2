# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec ikeping`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from openswan.base.marks import Marks
from openswan.cli import ikeping
from openswan.cli.ikeping import Asking, answer_line, main
from openswan.host.ikeping import Answer, Target
from openswan.wire.header import Header

HOST = Target(ip_address("192.0.2.1"), 500, ())


def test_two_questions_that_ask_for_nothing() -> None:
    echo, version = Asking(0, 244, True, False, False).messages(b"i" * 8)
    assert echo.hex() == "69" * 8 + "00" * 8 + "00" + "10" + "f4" + "00" + "00000000" + "0000001c"
    assert Header.parse(version).major == 3 and len(version) == 28
    (marked,) = Asking(0, 200, False, True, False).messages(b"i" * 8)
    assert marked[:4] == bytes(4) and marked[22] == 200


def test_what_came_back_is_named() -> None:
    (echo,) = Asking(0, 245, False, True, False).messages(b"i" * 8)
    assert answer_line(Answer(HOST, echo)) == "received 245(echo-reply) packet from 192.0.2.1/500 of len: 28"
    assert answer_line(Answer(HOST, echo, 0.0123), True).endswith("len: 28 after 12.3 ms, IKE 1.0")
    assert "is not IKE" in answer_line(Answer(HOST, b"hello"))
    assert answer_line(Answer(HOST, error="Connection refused")) == "192.0.2.1/500: Connection refused"


def test_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def ask(targets: list[Target], *_: Any, marks: Marks) -> Iterator[Answer]:
        assert marks.mask == 0x0F000000
        yield Answer(targets[0], targets[0].messages[0])

    monkeypatch.setenv("PLUTO_FWMARK_MASK", "0x0f000000")
    monkeypatch.setattr(ikeping, "ask", ask)
    assert main(["192.0.2.1"]) == 0
    assert main(["192.0.2.1/600", "192.0.2.2"]) == 1
    out, err = capsys.readouterr()
    assert "from 192.0.2.1/600 of len: 28" in out and err == "no answer from 192.0.2.2/500\n"
    assert main(["--nat-t", "192.0.2.1"]) == 0
    assert "192.0.2.1/4500" in capsys.readouterr().out


def test_others_are_answered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    sent: list[bytes] = []
    (question,) = Asking(0, 244, False, True, False).messages(b"i" * 8)

    def listen(*_: Any, marks: Marks) -> Iterator[tuple[bytes, str, int, Callable[[bytes], None]]]:
        yield question, "192.0.2.9", 4500, sent.append
        yield b"junk", "192.0.2.9", 4500, sent.append

    monkeypatch.setattr(ikeping, "listen", listen)
    assert main(["--listen", "--nat-t"]) == 0
    assert [data[22] for data in sent] == [245] and sent[0][:4] == bytes(4)
    assert "received 244(echo-request) packet from 192.0.2.9/4500 of len: 28" in capsys.readouterr().out


def test_refusals(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main(["192.0.2.1/x"]) == 2
    assert main(["--inet", "--inet6", "h"]) == 2
    assert main(["--wait", "x", "192.0.2.1"]) == 2
    assert main(["--ikeaddress", "x", "192.0.2.1"]) == 1
