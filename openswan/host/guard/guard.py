# SPDX-License-Identifier: GPL-2.0-or-later
"""The guard as the daemon uses it: connections in, a back end kept in step, and restored when somebody meddles."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Iterable, Iterator, MutableSet
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from openswan.base.address import Address, Subnet
from openswan.base.errors import HostError
from openswan.base.marks import DEFAULT_MARKS, Marks
from openswan.base.numbers import IKE_PORT, NATT_PORT
from openswan.engine.effects import GuardEntry
from openswan.engine.events import GuardSeen
from openswan.host.guard import journal
from openswan.host.guard.events import Events
from openswan.host.guard.iptables import IptablesBackend
from openswan.host.guard.last import LastGuard
from openswan.host.guard.model import Change, GuardModel, Held, Match
from openswan.host.guard.nft import NftBackend
from openswan.host.guard.rules import TABLE
from openswan.host.readable import readable
from openswan.policy.selector import FlowKey

T = TypeVar("T")
STATE_FILE = "guard.journal"
NO_HOOK = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOENT, errno.EAFNOSUPPORT)
"""What kernels say that have no netdev egress."""
SETTLE = 0.05
"""Seconds between a foreign change and the look at what it did; a flush is many events."""
POLL = 0.9
"""Seconds between looks at what sends no events."""


class Backend(Protocol):
    """What keeps the model's elements in the kernel."""

    name: str

    def load(self, model: GuardModel) -> None:
        """Make the kernel hold exactly the model without a moment of holding less than before and after."""

    def apply(self, change: Change) -> None:
        """Carry a change out whole or not at all; HostError."""

    def check(self, model: GuardModel) -> bool:
        """Does the kernel hold what the model says?"""

    def clear(self) -> None:
        """Take everything away."""

    def follow_nat(self) -> None:
        """Have the NAT exemption from when somebody else translates sources."""

    def counters(self) -> dict[str, int]:
        """Packets dropped, by counter name."""

    def close(self) -> None:
        """Let go, leaving everything as it is."""

    @property
    def portid(self) -> int:
        """The netlink address its changes come from, 0 when it has none."""


def choose(
    backend: str, ports: Iterable[int], stream_ports: Iterable[int] = (), marks: Marks = DEFAULT_MARKS
) -> Backend:
    """nft where the kernel has it, else iptables; HostError names what is missing."""
    if backend not in ("auto", "nft", "iptables"):
        raise HostError(f"no such guard back end: {backend}")
    if backend != "iptables":
        try:
            return NftBackend(ports, stream_ports, marks)
        except HostError as why:
            if backend == "nft":
                raise
            reason = str(why)
        try:
            return IptablesBackend(ports, stream_ports, marks=marks)
        except HostError as why:
            raise HostError(f"no leak guard is possible here: {reason}; {why}") from None
    return IptablesBackend(ports, stream_ports, marks=marks)


def choose_last(ports: Iterable[int], stream_ports: Iterable[int], marks: Marks = DEFAULT_MARKS) -> LastGuard | None:
    """The last guard, or None where the kernel has no hook for it."""
    try:
        return LastGuard(ports, stream_ports, marks)
    except HostError:
        return None


class Guard:
    """What is protected, and the kernel kept in step with it. Calls are synchronous and short."""

    def __init__(
        self, backend: Backend, path: Path | None, log: Callable[[str, bool], None], last: LastGuard | None = None
    ) -> None:
        self.backend, self.last = backend, last
        self._last_complaint = ""
        self.model = GuardModel()
        self._log = log
        self._pending: list[tuple[str, Held | None]] | None = None
        self._journal = journal.Journal(path)
        self._watch: asyncio.Task[None] | None = None

    @classmethod
    def open(
        cls,
        backend: str = "auto",
        rundir: Path | None = None,
        ports: Iterable[int] = (IKE_PORT, NATT_PORT),
        stream_ports: Iterable[int] = (),
        log: Callable[[str, bool], None] = lambda line, serious: None,
        last: bool = True,
        marks: Marks = DEFAULT_MARKS,
    ) -> Guard:
        """Take over what a predecessor left (its journal in `rundir`), or begin with nothing.

        What was protected before stays so throughout; prune() drops what is no connection any more. HostError when
        neither nftables nor iptables can be used. `ports` are pluto's own in UDP, `stream_ports` those it takes TCP on.
        `last`: with the last guard, where there can be one.
        """
        path = rundir / STATE_FILE if rundir is not None else None
        recovered = journal.read(path) if path is not None else journal.Recovered({}, ())
        ports, stream_ports = tuple(ports), tuple(stream_ports)
        chosen = choose(backend, ports, stream_ports, marks)
        guard = cls(chosen, path, log, choose_last(ports, stream_ports, marks) if last else None)
        for line in recovered.complaints:
            log(line, True)
        try:
            for name, held in recovered.held.items():
                guard.model.replace(name, held)
            guard.backend.load(guard.model)
            guard._journal.rewrite(guard.model.held)
        except HostError:
            guard._let_go()
            raise
        guard._begin_last()
        return guard

    def _begin_last(self) -> None:
        """A kernel without the hook has no last guard, and nobody is told."""
        if self.last is None:
            return
        try:
            self.last.load(self.model)
        except (HostError, OSError) as why:
            cause = why if isinstance(why, OSError) else why.__cause__
            if not isinstance(cause, OSError) or cause.errno not in NO_HOOK:
                self._log(f"last leak guard: {why}", True)
            self.last.close()
            self.last = None

    def set(self, connection: str, entries: tuple[GuardEntry, ...], block_families: tuple[int, ...] = ()) -> None:
        """Replace what is guarded for one connection; HostError when that fails (what was guarded stays so)."""
        self._replace(connection, Held(tuple(entries), tuple(block_families)))

    def delete(self, connection: str) -> None:
        """Guard nothing for it any more; unknown names are fine."""
        self._replace(connection, None)

    @contextmanager
    def batch(self) -> Iterator[None]:
        """All changes inside go to the kernel at once, at the end; thousands cost little more than one."""
        if self._pending is not None:
            yield
            return
        self._pending = []
        try:
            yield
        finally:
            pending, self._pending = self._pending, None
            self._carry_out(pending)

    def prune(self, valid: Iterable[str]) -> tuple[str, ...]:
        """Drop what a predecessor guarded for connections that are no more; returns their names."""
        gone = tuple(sorted(self.model.held.keys() - set(valid)))
        with self.batch():
            for name in gone:
                self.delete(name)
        return gone

    def settle(self, routes: Iterable[tuple[Subnet, str]]) -> None:
        """Tell where destinations live: (subnet, device) of every route but default ones and those into ipsecN.

        What has been decrypted for one of these subnets leaves by one of its devices or not at all; for destinations
        nobody knows a route to but the default one, any device does.
        """
        change = self.model.settle(routes)
        if change:
            self._apply(change)

    def follow_devices(self) -> None:
        """Have the last guard on every device there is now."""
        self._with_last(lambda one: one.follow())

    def leave_open(self, flows: Iterable[FlowKey]) -> None:
        """Tell what this host may ask in clear although it is guarded, to one port of another host each; HostError."""
        change = self.model.open(flows)
        if change:
            self._apply(change)

    def entries(self) -> dict[str, Held]:
        """What is guarded for whom."""
        return dict(self.model.held)

    def lookup(
        self, src: Address, dst: Address, protocol: int = 0, src_port: int = 0, dst_port: int = 0
    ) -> tuple[Match, ...]:
        """Whose guard a packet meets, the most specific first; empty: none."""
        return tuple(self.model.find(src, dst, protocol, src_port, dst_port))

    def counters(self) -> dict[str, int]:
        """Packets the guard has dropped: out4, out6, in4, in6, and last4, last6 where there is a last guard."""
        return self.backend.counters() | (self.last.counters() if self.last is not None else {})

    def seen(self) -> GuardSeen:
        """How it stands now. What cannot be asked is left out."""
        last = self.last
        try:
            dropped = self.backend.counters()
        except HostError:
            dropped = {}
        on = last.devices() if last is not None else None
        return GuardSeen(self.backend.name, dropped, on, last.counters() if last is not None else {})

    def check(self) -> bool:
        """Is everything in force that should be?"""
        return self.backend.check(self.model) and (self.last is None or self.last.check(self.model))

    def restore(self) -> bool:
        """Put back what is missing; was anything?"""
        if self.check():
            return False
        if not self.backend.check(self.model):
            self.backend.load(self.model)
        self._with_last(lambda one: one.load(self.model))
        return True

    def start(self) -> None:
        """Watch for foreign changes from now on (inside a running event loop)."""
        if self._watch is None:
            self.backend.follow_nat()
            self._watch = asyncio.get_running_loop().create_task(self._follow())

    def close(self, keep: bool) -> None:
        """End; with `keep` protection stays in force (a restart), else it is taken away."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if keep:
            self._journal.close()
        else:
            self._with_last(lambda one: one.clear())
            self.backend.clear()
            self._journal.forget()
        self._let_go()

    def _let_go(self) -> None:
        self.backend.close()
        if self.last is not None:
            self.last.close()

    def _with_last(self, act: Callable[[LastGuard], None]) -> None:
        """Have the last guard do something. It is one more line, so its failure is told once and fails nothing."""
        if self.last is None:
            return
        try:
            act(self.last)
            self._last_complaint = ""
        except (HostError, OSError) as why:
            if str(why) != self._last_complaint:
                self._last_complaint = str(why)
                self._log(f"last leak guard: {why}", True)

    def _replace(self, connection: str, held: Held | None) -> None:
        if self._pending is not None:
            self._pending.append((connection, held))
            return
        self._carry_out([(connection, held)])

    def _carry_out(self, wanted: list[tuple[str, Held | None]]) -> None:
        net = Change()
        undo: list[tuple[str, Held | None]] = []
        for name, held in wanted:
            if held is None and name not in self.model.held:
                continue
            undo.append((name, self.model.held.get(name)))
            merge(net, self.model.replace(name, held))
        try:
            if net:
                self._apply(net)
            if len(undo) > 1:
                self._journal.rewrite(self.model.held)
            elif undo:
                self._journal.note(undo[0][0], self.model.held.get(undo[0][0]), self.model.held)
        except HostError:
            for name, before in reversed(undo):
                if before is not None or name in self.model.held:
                    self.model.replace(name, before)
            raise

    def _apply(self, change: Change) -> None:
        try:
            self.backend.apply(change)
        except HostError as why:
            # The kernel does not hold what we think it does: somebody flushed. Load the whole, or fail for good.
            if self.backend.check(self.model):
                raise
            self._log(f"leak guard: {why}; loading it afresh", True)
            self.backend.load(self.model)
        self._with_last(lambda one: self._apply_last(one, change))

    def _apply_last(self, last: LastGuard, change: Change) -> None:
        try:
            last.apply(change)
        except HostError:
            last.load(self.model)

    async def _follow(self) -> None:
        try:
            own = {self.backend.portid} | ({self.last.portid} if self.last is not None else set())
            events = Events(own, (TABLE,) if self.backend.portid else (TABLE, "mangle", "nat"))
        except HostError as why:
            self._log(f"leak guard: {why}: foreign changes are noticed by looking only", False)
            while True:
                await asyncio.sleep(POLL)
                self._look(True, True)
        try:
            while True:
                if await readable(events.fileno(), POLL):
                    await asyncio.sleep(SETTLE)
                seen = events.read()
                self._look(seen.ours or self.backend.portid == 0, seen.chains or self.backend.portid != 0)
        finally:
            events.close()

    def _look(self, ours: bool, nat: bool) -> None:
        try:
            if ours and self.restore():
                self._log("leak guard: somebody changed it; restored", True)
            if nat:
                self.backend.follow_nat()
        except (HostError, OSError) as why:
            self._log(f"leak guard: {why}", True)


def merge(net: Change, step: Change) -> None:
    """Let `net` be itself followed by `step`."""
    _merge(net.add, net.remove, step.add, step.remove)
    _merge(net.devices_add, net.devices_remove, step.devices_add, step.devices_remove)


def _merge(add: MutableSet[T], remove: MutableSet[T], new: Iterable[T], gone: Iterable[T]) -> None:
    for one in gone:
        if one in add:
            add.discard(one)
        else:
            remove.add(one)
    for one in new:
        if one in remove:
            remove.discard(one)
        else:
            add.add(one)
