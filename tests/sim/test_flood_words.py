# SPDX-License-Identifier: GPL-2.0-or-later
"""ddos-ike-threshold= and max-halfopen-ike= of config setup, from the file to what a flood of first messages gets."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from openswan.base.address import Endpoint
from openswan.config.load import load
from openswan.daemon import main
from openswan.daemon.options import parse
from openswan.engine.events import Datagram
from openswan.wire.message import Message
from openswan.wire.v2.numbers import NotifyType
from tests.sim.net import Packet
from tests.sim.pair import WEST
from tests.unit.engine.test_demux import HERE, first_message, host

FLOOD = 20


def flooded(directory: Path, monkeypatch: pytest.MonkeyPatch, *lines: str) -> tuple[int, int, bool]:
    """Half-open IKE SAs after FLOOD first messages, how many of them got a cookie, whether some were ignored."""
    monkeypatch.setenv("IPSEC_CONFS", str(directory))
    (directory / "ipsec.conf").write_text("config setup\n" + "".join(f"    {line}\n" for line in lines))
    settings = main._wanted(parse([]), load()).settings
    it, data, sent, west = host(settings), first_message(), list[Packet](), ip_address(WEST)
    it.net.attach(west, sent.append)
    for n in range(FLOOD):
        it.post(Datagram(HERE, Endpoint(west, 1000 + n), bytes([n + 1]) + data[1:]))
    half_open = it.pluto.core.states.half_open_total
    it.net.run(0.2)
    cookies = sum(Message.parse(each.body).notify(NotifyType.COOKIE) is not None for each in sent)
    return half_open, cookies, any("too many half-open" in line for line in it.lines)


def test_without_a_word_a_few_are_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert flooded(tmp_path, monkeypatch, "nhelpers=0") == (FLOOD, 0, False)


def test_from_the_threshold_on_cookies_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert flooded(tmp_path, monkeypatch, "ddos-ike-threshold=5") == (5, FLOOD - 5, False)


def test_there_are_no_more_half_open_than_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert flooded(tmp_path, monkeypatch, "max-halfopen-ike=7") == (7, 0, True)
