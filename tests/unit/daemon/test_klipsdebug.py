# SPDX-License-Identifier: GPL-2.0-or-later
"""klipsdebug: the table, and lines that do not come by the thousand."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from openswan.base.drops import Drop
from openswan.base.errors import KlipsError
from openswan.base.numbers import IpProtocol
from openswan.base.said import Said, Shunt
from openswan.config.keyword import Section
from openswan.config.keywords import find
from openswan.daemon.klipsdebug import MOST_LINES, OF_COMMANDS, KlipsDebug, TracedKlips, at_start
from openswan.plane.commands import AddSa, Command, DelEroute, Direction, SetEroute
from openswan.plane.orders import FLAGS, Debug
from openswan.policy.selector import FlowKey

KEY = FlowKey(ip_network("10.1.0.0/24"), ip_network("10.2.0.0/24"))
SA = AddSa(
    Said(IpProtocol.ESP, 0x200, ip_address("192.0.2.2")), ip_address("192.0.2.1"), Direction.OUT, "aes_cbc", b"secret"
)


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.drops: dict[Drop, int] = dict.fromkeys(Drop, 0)

    def __call__(self, text: str, serious: bool) -> None:
        assert not serious
        self.lines.append(text)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def debug(log: Log) -> KlipsDebug:
    return KlipsDebug(log, lambda: log.drops)


def test_the_table(debug: KlipsDebug) -> None:
    debug.change(Debug(("eroute", "tunnel-xmit")))
    text = debug.text()
    assert text.splitlines()[:2] == ["debug_tunnel=00000000.", "debug_tunnel_xmit=00000001."]
    assert len(text.splitlines()) == len(FLAGS) == len(debug.rows()) and debug.rows()["eroute"]
    debug.change(Debug((), ("tunnel-xmit",)))
    assert debug.flags == {"eroute"}


def test_every_word_of_config_setup_has_its_flags() -> None:
    row = find(Section.SETUP, "klipsdebug")
    assert row is not None
    for word in row[0].choices:
        order = at_start(word)
        order.check()
        assert bool(order.flags) is (word != "none")
    assert at_start("all").flags == FLAGS and at_start("") == Debug()
    assert at_start("xmit esp").flags == ("tunnel-xmit", "esp")


def test_commands_are_told_by_flag_and_without_keys(log: Log, debug: KlipsDebug) -> None:
    debug.command(SA, 0.0)
    debug.change(Debug(("eroute",)))
    debug.command(SA, 0.0)
    debug.command(SetEroute(KEY, Shunt.TRAP), 0.0)
    debug.change(Debug(("ah",), ("eroute",)))
    debug.command(SA, 0.0)
    debug.change(Debug(("esp",)))
    debug.command(SA, 0.0, "no")
    assert [line.split("(")[0] for line in log.lines] == ["klips_debug:eroute: SetEroute", "klips_debug:spi: AddSa"]
    assert log.lines[1].endswith(": refused: no") and "secret" not in log.lines[1]


def test_flags_of_commands() -> None:
    assert set(OF_COMMANDS) <= set(Command.__args__) and set(OF_COMMANDS.values()) <= set(FLAGS)  # type: ignore[attr-defined]


def test_drops_are_told_once_a_second(log: Log, debug: KlipsDebug) -> None:
    log.drops[Drop.REPLAY] = 100
    debug.change(Debug(("rcv",)))
    debug.tick(1.0)
    log.drops[Drop.REPLAY] += 7
    log.drops[Drop.NO_EROUTE] += 3
    debug.tick(2.0)
    debug.tick(3.0)
    debug.change(Debug(("tunnel-xmit",), ("rcv",)))
    log.drops[Drop.NO_EROUTE] += 2
    debug.tick(4.0)
    assert log.lines == [
        "klips_debug:rcv: duplicate frame, packet dropped (7 packets)",
        "klips_debug:xmit: shunt SA of DROP or no eroute: dropping. (2 packets)",
    ]


def test_lines_of_a_second_are_bounded(log: Log, debug: KlipsDebug) -> None:
    debug.change(Debug(FLAGS))
    for _ in range(MOST_LINES + 30):
        debug.command(DelEroute(KEY), 5.5)
    assert len(log.lines) == MOST_LINES
    debug.tick(6.0)
    assert log.lines[-1] == "klips_debug: 30 further lines left out"


def test_the_engine_tells_of_its_commands(log: Log) -> None:
    klips = TracedKlips(workers=1)
    klips.debug = KlipsDebug(log, klips.drops)
    klips.execute(SetEroute(KEY, Shunt.TRAP))
    klips.debug.change(Debug(("netlink",)))
    klips.execute(DelEroute(KEY))
    with pytest.raises(KlipsError):
        klips.execute(DelEroute(KEY))
    assert len(log.lines) == 2 and "refused: eroute" in log.lines[1]
