# SPDX-License-Identifier: GPL-2.0-or-later
"""The reactor with a brain of cardboard."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import dns.edns
import dns.message
import dns.rcode

from openswan.base.interval import Instant
from openswan.engine.effects import Effect, Log
from openswan.engine.events import EngineEvent, TimerDue, WhackGone
from openswan.engine.oeevents import Verdict
from openswan.host import clock
from openswan.host.dnslookup import DnsLookup
from openswan.host.oelookup import SOURCES, OeLookup
from openswan.host.reactor import BURST, Reactor


class Cardboard:
    """Answers with what `script` returns, remembers what it was told."""

    def __init__(self, script: Callable[[EngineEvent], list[Effect]]) -> None:
        self.script = script
        self.told: list[EngineEvent] = []
        self.due: Instant | None = None

    def handle(self, event: EngineEvent, now: Instant) -> list[Effect]:
        self.told.append(event)
        return self.script(event)

    def next_timer(self) -> Instant | None:
        return self.due


def test_effects_are_carried_out_in_order_and_their_events_come_after() -> None:
    done: list[str] = []
    lines: list[str] = []

    async def run() -> list[EngineEvent]:
        brain = Cardboard(lambda event: [Log("a"), Log("b")] if event == WhackGone(1) else [])

        def perform(effect: Effect) -> None:
            assert isinstance(effect, Log)
            done.append(effect.text)
            if effect.text == "a":
                reactor.post(WhackGone(3))

        reactor = Reactor(brain, perform, lambda text, _: lines.append(text))
        reactor.post_all([WhackGone(1), WhackGone(2)])
        return brain.told

    assert asyncio.run(run()) == [WhackGone(1), WhackGone(3), WhackGone(2)]
    assert done == ["a", "b"] and not lines


def test_a_bug_is_logged_and_the_daemon_goes_on() -> None:
    lines: list[str] = []

    async def run() -> list[EngineEvent]:
        def script(event: EngineEvent) -> list[Effect]:
            if event == WhackGone(1):
                raise KeyError("oops")
            return [Log("x"), Log("y")]

        performed: list[Effect] = []

        def perform(effect: Effect) -> None:
            performed.append(effect)
            if effect == Log("x"):
                raise ValueError("no")

        brain = Cardboard(script)
        reactor = Reactor(brain, perform, lambda text, _: lines.append(text))
        reactor.post_all([WhackGone(1), WhackGone(2)])
        assert performed == [Log("x"), Log("y")]
        return brain.told

    assert asyncio.run(run()) == [WhackGone(1), WhackGone(2)]
    assert lines[0] == "EXPECTATION FAILED while handling WhackGone:"
    assert any("KeyError: 'oops'" in line for line in lines)
    assert "EXPECTATION FAILED while carrying out Log:" in lines


def test_the_timer_fires_and_is_moved() -> None:
    async def run() -> None:
        brain = Cardboard(lambda event: [])
        reactor = Reactor(brain, lambda _: None, lambda *_: None)
        brain.due = clock.now() + 30
        reactor.post(WhackGone(1))
        brain.due = clock.now() + 0.02

        def script(event: EngineEvent) -> list[Effect]:
            if isinstance(event, TimerDue):
                brain.due = None
                reactor.stop()
            return []

        brain.script = script
        reactor.post(WhackGone(2))
        await asyncio.wait_for(reactor.run(), 2)
        assert brain.told == [WhackGone(1), WhackGone(2), TimerDue(brain.told[-1].by)]

    asyncio.run(run())


def test_a_storm_of_events_leaves_the_loop_its_turn() -> None:
    async def run() -> None:
        turns = 0

        def script(event: EngineEvent) -> list[Effect]:
            return [Log("again")] if len(brain.told) < BURST * 3 else []

        brain = Cardboard(script)
        reactor = Reactor(brain, lambda _: reactor.post(WhackGone(1)), lambda *_: None)
        reactor.post(WhackGone(1))
        while len(brain.told) < BURST * 3:
            turns += 1
            await asyncio.sleep(0)
        assert turns >= 2

    asyncio.run(run())


def test_what_had_arrived_before_a_deadline_is_told_before_it() -> None:
    """However long the loop was busy: two descriptors are readable, and the first one's event takes past the deadline,
    during which a third becomes readable."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        ends = [socket.socketpair() for _ in range(3)]

        def script(event: EngineEvent) -> list[Effect]:
            if event == WhackGone(0):
                while clock.now() < deadline - 0.005:
                    pass
                ends[2][1].send(b"x")
                while clock.now() < deadline + 0.01:
                    pass
            if isinstance(event, TimerDue):
                assert event.by is not None and event.by >= deadline
                brain.due = None
                reactor.stop()
            return []

        def readable(number: int) -> None:
            ends[number][0].recv(1)
            reactor.post(WhackGone(number))

        brain = Cardboard(script)
        reactor = Reactor(brain, lambda _: None, lambda *_: None)
        brain.due = deadline = clock.now() + 0.05
        reactor.post(WhackGone(9))
        for number, (here, there) in enumerate(ends):
            here.setblocking(False)
            loop.add_reader(here.fileno(), readable, number)
            if number < 2:
                there.send(b"x")
        await asyncio.wait_for(reactor.run(), 2)
        for here, there in ends:
            loop.remove_reader(here.fileno())
            here.close()
            there.close()
        assert [each for each in brain.told[1:] if isinstance(each, WhackGone)] == [WhackGone(n) for n in range(3)]
        assert isinstance(brain.told[-1], TimerDue)

    asyncio.run(run())


def test_so_is_what_the_dns_had_answered_by_then(tmp_path: Path) -> None:
    """An answer is in the socket, and the loop is busy until the deadline is over: the tasks it goes by come first."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    server.setblocking(False)
    asked: list[tuple[bytes, tuple[str, int]]] = []
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.1\n")

    async def run() -> None:
        lookup = OeLookup(DnsLookup(resolv, port=server.getsockname()[1]))

        def script(event: EngineEvent) -> list[Effect]:
            if event == WhackGone(9):
                for data, client in asked:
                    answer = dns.message.make_response(dns.message.from_wire(data))
                    answer.set_rcode(dns.rcode.SERVFAIL)
                    answer.use_edns(options=[dns.edns.EDEOption(dns.edns.EDECode.DNSSEC_BOGUS)])
                    server.sendto(answer.to_wire(), client)
                while clock.now() < deadline + 0.01:
                    pass
            if isinstance(event, TimerDue):
                brain.due = None
                reactor.stop()
            return []

        async def learn() -> None:
            learned, _ = await lookup.learn(ip_address("192.0.2.7"))
            assert learned.verdict is Verdict.BOGUS
            reactor.post(WhackGone(1))

        brain = Cardboard(script)
        reactor = Reactor(brain, lambda _: None, lambda *_: None)
        learning = asyncio.ensure_future(learn())
        while len(asked) < len(SOURCES):
            await asyncio.sleep(0.01)
            with suppress(BlockingIOError):
                asked.append(server.recvfrom(4096))
        brain.due = deadline = clock.now() + 0.02
        reactor.post(WhackGone(9))
        await asyncio.wait_for(reactor.run(), 5)
        await learning
        assert [type(each) for each in brain.told] == [WhackGone, WhackGone, TimerDue]

    asyncio.run(run())
    server.close()
