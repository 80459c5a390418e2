# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines, clients and timers that all parts share."""

from openswan.base.entropy import SeededRng
from openswan.base.log import Rc
from openswan.engine.conn import Conn
from openswan.engine.core import Core
from openswan.engine.effects import Log, WhackDone, WhackLine
from openswan.engine.settings import Settings
from openswan.engine.timers import Timer
from tests.sim.pair import tunnel


def core(*names: str) -> tuple[Core, list[Conn]]:
    it = Core(SeededRng(1), Settings())
    conns = [Conn(tunnel(name)[0]) for name in names]
    for conn in conns:
        it.conns.add(conn)
    return it, conns


def test_a_line_goes_to_the_log_and_to_those_who_wait() -> None:
    it, (conn,) = core("x")
    it.attach(5, conn)
    it.say(conn, "hello", serial=3)
    it.say(conn, "oh", Rc.LOG_SERIOUS)
    it.say(conn, "psst", Rc.COMMENT)
    assert it.effects == [
        Log('"x" #3: hello', False, ""),
        WhackLine(5, 2, '"x" #3: hello'),
        Log('"x": oh', True, ""),
        WhackLine(5, 3, '"x": oh'),
        WhackLine(5, 0, '"x": psst'),
    ]


def test_a_client_is_let_go_when_the_last_connection_it_waits_for_is_settled() -> None:
    it, (a, b) = core("a", "b")
    for conn in (a, b, a):
        it.attach(5, conn)
    it.release(a)
    it.release(a)
    assert it.effects == []
    it.release(b)
    assert it.effects == [WhackDone(5)]
    assert it.waiting == {}


def test_one_that_hangs_up_hears_no_more() -> None:
    it, (a,) = core("a")
    it.attach(5, a)
    it.gone(5)
    it.gone(6)
    it.say(a, "x")
    it.release(a)
    assert [type(effect) for effect in it.effects] == [Log]


def test_nobody_is_client_zero() -> None:
    it, (a,) = core("a")
    it.attach(0, a)
    it.reply(0, 2, "x")
    it.release(a)
    assert it.effects == [] and it.waiting == {}


def test_after_counts_from_now() -> None:
    it, _ = core()
    it.now = 100.0
    it.after(Timer.RETRY, "x", 5.0, lambda: None)
    assert it.timers.next() == 105.0
