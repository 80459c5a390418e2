# SPDX-License-Identifier: GPL-2.0-or-later
"""Interception as the daemon uses it: a plan and decisions in, packets that wait for decisions out as events.

NFQUEUE -> Holding -> Intercepted -> pluto -> Decide -> verdicts of what waits, the last one teaches the table
                                                    -> nothing waits: the table is told

What a daemon before this one held is asked about once the groups' nets are known again; until then it goes on waiting.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections.abc import Callable, Mapping

from openswan.base.address import Address
from openswan.base.errors import HostError
from openswan.base.marks import DEFAULT_MARKS, Marks
from openswan.engine.effects import Decide, Decision, Intercept
from openswan.engine.events import Intercepted
from openswan.host.guard.boxes import Range
from openswan.host.guard.events import Events
from openswan.host.intercept.holding import Holding, Hosts, read_head
from openswan.host.intercept.spans import within
from openswan.host.intercept.table import PASS_LIFE, QUEUES, TABLE, Note, Table, selves
from openswan.host.nfqueue import NfQueue, Queued, overflows
from openswan.host.readable import readable

LENGTHS = {"closed": 16_384, "open": 16_384, "trigger": 1024}
"""Packets the kernel keeps for us at most."""
SETTLE, POLL = 0.05, 2.0
"""Seconds between a foreign change and the look at what it did, and between looks without one."""
KNOWN, NOTHING = 0.3, 10.0
"""Seconds without another change after which a plan is taken for whole, and after which none is expected any more."""
ASKED = 64
"""Pairs asked about before anything else has its turn."""
LATE = 3.0
"""Seconds after which nobody asks about a pair any more: no packet waits longer for somebody silent either."""
TEACHING = (Decision.PASS, Decision.TUNNEL, Decision.REFUSE)
"""What the verdict of the last packet tells the table."""
KEPT = ("closed", "open")
"""Queues whose packets outlive a daemon. What only triggers goes on without one."""
WITHOUT = "first packets of hosts behind this one are held by the packet engine"
BY_QUEUE, BY_ROUTE = "by NFQUEUE", "by the route into ipsecN"


class Interceptor:
    """Tables and queues. Where the kernel has no queues the routes into ipsecN and the engine's hold do their work."""

    def __init__(
        self,
        post: Callable[[Intercepted], None],
        log: Callable[[str, bool], None],
        inherited: Mapping[str, socket.socket] | None = None,
        keep: Callable[[Mapping[str, socket.socket]], None] = lambda sockets: None,
        marks: Marks = DEFAULT_MARKS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """HostError when not even tables can be had.

        `inherited`: `sockets` of a daemon that has died; `keep` is given ours as soon as there is anything to hold, and
        raises OSError.
        """
        self._post, self._log, self._keep, self._clock = post, log, keep, clock
        known = inherited or {}
        self._heir, self._kept = bool(known), False
        self._plan = Intercept()
        self._selves: dict[int, list[Range]] = {4: [], 6: []}
        self._decided: dict[Hosts, int] = {}
        """What we have told the tables, or have let them learn."""
        self._pending: dict[Hosts, Note] = {}
        """What they are told when the loop comes round: a transaction each would take milliseconds a pair."""
        self._queues: dict[int, NfQueue] = {}
        self._unasked: dict[Hosts, tuple[float, bool]] = {}
        """Pairs whose first packets have come, oldest first: when, and whether they came in."""
        self._asking = False
        """More of them are asked about when the loop comes round."""
        self.late = 0
        """Packets that waited too long to be asked about."""
        self._watch: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._later: asyncio.TimerHandle | None = None
        self._listening = False
        self._told = False
        self._codes = {
            Decision.PASS: marks.clear, Decision.DROP: marks.dropped, Decision.TUNNEL: marks.tunnel,
            Decision.REFUSE: marks.refused,
        }  # fmt: skip
        self._lives = {marks.clear: PASS_LIFE, marks.dropped: PASS_LIFE}
        """Seconds for which a decision is noted; tunnels: until they end."""
        self.holding = Holding(self._verdict, marks=marks, spares=self._spares)
        self.tables = {version: Table(version, known.get(f"table{version}"), marks) for version in (4, 6)}
        self._lost: set[str] = set()
        """Queues that we had; whoever has one now may let go of it again."""
        try:
            for name in QUEUES:
                self._open(name, known.get(name))
        except HostError as why:
            log(f"{why}: {WITHOUT}", False)
            self._drop_queues()

    @property
    def how(self) -> str:
        """How first packets of hosts behind us are met."""
        queued = self._queues and all(table.queue is not None for table in self.tables.values())
        return BY_QUEUE if queued else BY_ROUTE

    @property
    def sockets(self) -> dict[str, socket.socket]:
        """By name, for a keeper."""
        queues = {name: self._queues[QUEUES[name]].sock for name in KEPT if QUEUES[name] in self._queues}
        return queues | {f"table{version}": table.sock for version, table in self.tables.items()}

    def start(self) -> None:
        """Listen from now on (inside a running event loop)."""
        self._loop = asyncio.get_running_loop()
        self._watch = self._loop.create_task(self._follow())
        if self._heir:
            self._later = self._loop.call_later(KNOWN if self._plan.nets else NOTHING, self._listen)
        else:
            self._listen()

    def set(self, plan: Intercept) -> None:
        """These are the groups' nets from now on; without any the tables go."""
        if plan == self._plan:
            return
        self._plan = plan
        self._selves = {version: selves(plan, version) for version in (4, 6)}
        self._load()
        if plan.nets and not self._kept:
            self._have_kept()
        if self._later is not None and self._loop is not None:
            self._later.cancel()
            self._later = self._loop.call_later(KNOWN, self._listen)

    def decide(self, effect: Decide) -> None:
        """A pair's packets go this way from now on, those that wait first."""
        hosts = (effect.src, effect.dst)
        waited = self.holding.decide(hosts, effect.decision)
        if waited:
            self._queues_flush()
        code = self._codes.get(effect.decision, 0)
        if waited and effect.decision in TEACHING:
            self._decided[hosts] = code  # its last packet teaches the table
            self._pending.pop(hosts, None)
            return
        if effect.decision is Decision.LEAVE or (not code and hosts not in self._decided) or not self._plan.nets:
            return
        there = self._pending[hosts].there if hosts in self._pending else hosts in self._decided
        if code:
            self._decided[hosts] = code
        else:
            del self._decided[hosts]
        if self._loop is None:
            self._note([Note(hosts, code, self._lives.get(code, 0.0), there)])
            return
        if not self._pending:
            self._loop.call_soon(self._note_all)
        self._pending[hosts] = Note(hosts, code, self._lives.get(code, 0.0), there)

    def _note_all(self) -> None:
        notes, self._pending = list(self._pending.values()), {}
        for version in (4, 6):
            self._note([note for note in notes if note.hosts[0].version == version])

    def _note(self, notes: list[Note]) -> None:
        if not notes:
            return
        try:
            self.tables[notes[0].hosts[0].version].note(notes)
        except (HostError, OSError) as why:
            # The routes lead the pair's packets to the engine, which knows.
            self._complain(f"a decision could not be noted: {why}")

    def close(self, keep: bool) -> None:
        """End; with `keep` tables stay, and queues as long as a keeper has them."""
        self._note_all()
        if self._watch is not None:
            self._watch.cancel()
        if self._later is not None:
            self._later.cancel()
        if self._loop is not None and self._listening:
            for queue in self._queues.values():
                self._loop.remove_reader(queue.fileno())
        for table in self.tables.values():
            if not keep:
                try:
                    table.clear()
                except (HostError, OSError) as why:
                    self._log(f"interception: {why}", True)
            table.close()
        self._drop_queues()

    def counters(self) -> dict[str, int]:
        """What waits, and what was dropped: here, in queues that were full, and of more new pairs than may begin."""
        queued = overflows() if self._queues else {}
        return {
            "held": self.holding.count,
            "dropped": self.holding.drops,
            "late": self.late,
            "overflows": sum(queued.get(QUEUES[name], 0) for name in KEPT),
            "refused": sum(table.refused() for table in self.tables.values()) if self._plan.nets else 0,
        }

    def drops(self) -> dict[str, int]:
        """Those of the counters that are about packets which were lost here."""
        return {name: count for name, count in self.counters().items() if name != "held"}

    # -- queues -------------------------------------------------------------------------------------------------------

    def _open(self, name: str, inherited: socket.socket | None = None) -> NfQueue:
        number = QUEUES[name]
        try:
            queue = NfQueue(number, LENGTHS[name], name == "trigger", inherited)
        except HostError:
            if inherited is None:
                raise
            queue = NfQueue(number, LENGTHS[name], name == "trigger")  # it has been lost before
        self._queues[number] = queue
        return queue

    def _listen(self) -> None:
        """Hear of packets from now on, those first that a daemon before this one held."""
        self._later, self._listening = None, True
        for queue in self._queues.values():
            if self._heir:
                queue.again()
            if self._loop is not None:
                self._loop.add_reader(queue.fileno(), self._read, queue)

    def _tend(self) -> None:
        """Find out whether queues are lost, and have those again that are."""
        for queue in list(self._queues.values()):
            queue.probe()
            if queue.lost:
                self._lose(queue)
        if self._lost:
            self._regain()

    def _lose(self, queue: NfQueue) -> None:
        """Nobody has it, or somebody else: it is bound anew, or done without as long as that cannot be."""
        if self._loop is not None:
            self._loop.remove_reader(queue.fileno())
        del self._queues[queue.number]
        queue.close()
        self.holding.forget(queue.number)
        self._lost.add(next(name for name, number in QUEUES.items() if number == queue.number))
        if not self._regain():
            self._log(f"interception: NFQUEUE {queue.number} is somebody else's now: {WITHOUT}", True)
            self._load()

    def _regain(self) -> bool:
        """Bind what is lost; False: not all of it can be had."""
        names = sorted(self._lost)
        for name in names:
            try:
                queue = self._open(name)
            except HostError:
                continue
            self._lost.remove(name)
            if self._loop is not None and self._listening:
                self._loop.add_reader(queue.fileno(), self._read, queue)
        if self._lost:
            return False
        self._log(f"interception: NFQUEUE {', '.join(str(QUEUES[name]) for name in names)} was lost: bound anew", True)
        if any(table.queue is None for table in self.tables.values()):
            for table in self.tables.values():
                table.queue = True
            self._load()
        if self._kept:
            self._have_kept()
        return True

    def _have_kept(self) -> None:
        try:
            self._keep(self.sockets)
            self._kept = True
        except (OSError, subprocess.SubprocessError) as why:
            self._complain(f"nobody keeps what is held when pluto dies: {why}")

    def _read(self, queue: NfQueue) -> None:
        now = self._clock()
        for queued in queue.read():
            if inbound := queue.number == QUEUES["trigger"]:
                # It goes on at once: whether it may come in is for the guard to say.
                queue.verdict(queued.id, True)
            hosts = self._inbound(queued) if inbound else self.holding.take(queue.number, queued)
            if hosts is not None and not (inbound and hosts in self._unasked):  # a packet that waits comes first
                self._unasked.pop(hosts, None)
                self._unasked[hosts] = (now, inbound)
        self._queues_flush()
        if self._unasked and not self._asking:
            self._ask()
        if queue.lost:
            self._lose(queue)

    def _spares(self, dst: Address) -> bool:
        return within(self._selves[dst.version], int(dst))

    @staticmethod
    def _inbound(queued: Queued) -> Hosts | None:
        """The pair of a packet that comes in, seen from us."""
        head = read_head(queued.head)
        return (head.hosts[1], head.hosts[0]) if head is not None else None

    def _ask(self) -> None:
        """Ask about pairs, those that came last first: where there are more than can be decided some are in time.

        A few at a time, so that answers about those that were asked about before are heard in between.
        """
        self._asking = False
        self._give_up()
        for _ in range(min(ASKED, len(self._unasked))):
            hosts, (_, inbound) = self._unasked.popitem()
            self._post(Intercepted(*hosts, inbound))
        if self._unasked and self._loop is not None:
            self._asking = True
            self._loop.call_soon(self._ask)

    def _give_up(self) -> None:
        """Drop what has waited too long to be decided in time: whoever sent it sends it again."""
        late = self._clock() - LATE
        while self._unasked:
            hosts = next(iter(self._unasked))
            since, inbound = self._unasked[hosts]
            if since > late:
                break
            del self._unasked[hosts]
            if not inbound:
                self.late += self.holding.give_up(hosts)
        self._queues_flush()

    def _verdict(self, queue: int, number: int, accept: bool, mark: int | None) -> None:
        self._queues[queue].verdict(number, accept, mark)

    def _queues_flush(self) -> None:
        for queue in self._queues.values():
            try:
                queue.flush()
            except OSError as why:
                self._complain(f"verdicts could not be told: {why}")

    def _drop_queues(self) -> None:
        for queue in self._queues.values():
            queue.close()
        self._queues.clear()

    # -- tables -------------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        self._decided.clear()
        self._pending.clear()
        for table in self.tables.values():
            if not self._queues or self._lost:
                table.queue = None
            try:
                if self._plan.nets:
                    table.load(self._plan)
                else:
                    table.clear()
            except (HostError, OSError) as why:
                self._complain(f"no table of decisions: {why}; all goes through the packet engine")

    def _complain(self, text: str) -> None:
        if not self._told:
            self._told = True
            self._log(f"interception: {text}", True)

    def _look(self) -> None:
        self._tend()
        if self._plan.nets and not all(table.check() for table in self.tables.values()):
            self._load()
            self._log("interception: somebody changed its tables; restored", True)

    async def _follow(self) -> None:
        """Put back what somebody else takes away; routes and engine do without meanwhile."""
        try:
            events = Events({table.portid for table in self.tables.values()}, (TABLE,))
        except HostError as why:
            self._log(f"interception: {why}: foreign changes are noticed by looking only", False)
            while True:
                await asyncio.sleep(POLL)
                self._look()
        try:
            while True:
                if not await readable(events.fileno(), POLL):
                    self._tend()
                    continue
                await asyncio.sleep(SETTLE)
                if events.read().ours:
                    self._look()
        finally:
            events.close()
