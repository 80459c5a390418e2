# SPDX-License-Identifier: GPL-2.0-or-later
"""Carrying out pluto's effects: one table, Effect type -> function."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from openswan.base.address import Address, Subnet
from openswan.base.errors import AnsweredError, IpsecError, KlipsError
from openswan.base.numbers import IpProtocol
from openswan.base.said import Said
from openswan.crypto.sign import Scheme
from openswan.crypto.tokenkey import TokenKey
from openswan.engine.effects import (
    CountPackets,
    CountUse,
    Decide,
    DelGuard,
    Effect,
    Fetch,
    FlushConntrack,
    GuardEntry,
    HaveDevice,
    Intercept,
    KeepPeers,
    KlipsCommand,
    LearnGateways,
    LearnKeys,
    Listen,
    Log,
    Login,
    OpenFlows,
    OpenStream,
    ReadCertificates,
    ReadGroups,
    ReadSecrets,
    Resolve,
    RunUpdown,
    SendDatagram,
    SendKeepalive,
    SetGuard,
    Shutdown,
    Sign,
    WhackDone,
    WhackLine,
)
from openswan.engine.events import (
    CertificatesRead,
    EffectFailed,
    EngineEvent,
    Fetched,
    FlowsUsed,
    GatewaysLearned,
    GroupsRead,
    HostResolved,
    KeysLearned,
    LoggedIn,
    PacketsCounted,
    SecretsRead,
    Signed,
    StreamRefused,
    UpdownDone,
)
from openswan.engine.oeevents import Learned
from openswan.host.ikesock import Kind, Outer, OuterSockets, PortInUseError
from openswan.host.streamsock import StreamSockets
from openswan.host.updown import Outcome
from openswan.host.wholesock import WholeSender
from openswan.plane.commands import AttachSocket, Command, DetachSocket, DetachStream, SendInStream
from openswan.plane.events import ErouteView, SaView
from openswan.policy.gateways import Published
from openswan.policy.selector import FlowKey

KEEPALIVE = b"\xff"
LISTEN_AGAIN = 5.0
"""Seconds until sockets that could not be opened are tried again."""
GUARD_AGAIN = 2.0
"""Seconds until a guard the kernel refused is tried again."""
FLUSH_PAUSE = 0.25
"""Seconds between two readings of the connection tracking table."""


class Engine(Protocol):
    """The part of klips.Klips this needs."""

    def execute(self, command: Command) -> None:
        """Carry out one command; KlipsError when refused."""

    def sa(self, said: Said) -> SaView | None:
        """The row of one SA."""

    def eroutes(self) -> list[ErouteView]:
        """Rows of the eroute table."""


class Guard(Protocol):
    """The leak guard."""

    def set(self, connection: str, entries: tuple[GuardEntry, ...], block_families: tuple[int, ...]) -> None:
        """Replace what is guarded for one connection; HostError when that fails (what was guarded stays so)."""

    def delete(self, connection: str) -> None:
        """Guard nothing for it any more."""

    def leave_open(self, flows: tuple[FlowKey, ...]) -> None:
        """What may be said in clear although it is guarded; HostError."""


class Control(Protocol):
    """The control socket's server."""

    def reply(self, client: int, code: int, text: str) -> None:
        """Send one line."""

    def finish(self, client: int) -> None:
        """End the conversation."""


class Logger(Protocol):
    """Where lines of the log go."""

    def __call__(self, text: str, serious: bool, event: str = "") -> None:
        """One line, and its event code or nothing."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything effects act on."""

    engine: Engine
    guard: Guard
    control: Control
    run_updown: Callable[[str, dict[str, str]], Outcome | Coroutine[Any, Any, Outcome]]
    """(command, environment) -> (status, output lines), to be awaited where that takes time; IpsecError."""
    resolve: Callable[[str, int], Coroutine[Any, Any, tuple[tuple[Address, ...], str, float]]]
    """(name, version) -> (addresses, reason, seconds)."""
    learn_gateways: Callable[[Address], Coroutine[Any, Any, tuple[Learned, tuple[str, ...]]]]
    """What the DNS says about a destination, and complaints about its records."""
    learn_keys: Callable[[str], Coroutine[Any, Any, tuple[Published, tuple[str, ...]]]]
    """The same about the keys of a name."""
    read_secrets: Callable[[int], SecretsRead]
    read_certificates: Callable[[int], CertificatesRead]
    read_groups: Callable[[tuple[str, ...], int], GroupsRead]
    """(names of files in ipsec.d/policies, client) -> what is in them."""
    flush_conntrack: Callable[[tuple[tuple[Subnet, Subnet], ...]], object]
    log: Logger
    shutdown: Callable[[bool], None]
    """Called with keep_guard once pluto has said its last word."""
    interface_mtu: Callable[[str], int]
    fetch: Callable[[str, int, float, bytes, str], Coroutine[Any, Any, bytes]]
    """(URI, most octets, seconds, body, its type) -> what the server sent; HostError."""
    sign: Callable[[TokenKey, Scheme, bytes], Coroutine[Any, Any, bytes]]
    """What a token signs; HostError."""
    login: Callable[[Login], Coroutine[Any, Any, bytes]]
    """(conn, user, password) -> nothing; HostError when they are not right."""
    have_device: Callable[[str, str], None] = lambda device, interface: None
    """(virtual interface for strangers, physical one below)."""
    intercept: Callable[[Intercept], None] = lambda plan: None
    """For whom packets are stopped from now on,"""
    decide: Callable[[Decide], None] = lambda decision: None
    """and what becomes of those of a pair."""
    keep_peers: Callable[[KeepPeers], None] = lambda effect: None
    """Written down for the next daemon."""
    listen_only: tuple[Address, ...] = ()
    """Use only these local addresses; empty: all."""


class Performer:
    """Carries effects out one after the other; what takes time goes on in tasks whose end is an event."""

    def __init__(self, parts: Parts, post: Callable[[EngineEvent], None]) -> None:
        self._parts = parts
        self._post = post
        self._tasks: set[asyncio.Task[None]] = set()
        self._look_ups: set[asyncio.Task[None]] = set()
        self._flows: list[tuple[Subnet, Subnet]] = []
        self._flushed = float("-inf")
        self._again: asyncio.TimerHandle | None = None
        self._refused: list[str] = []
        self._unguarded: dict[str, SetGuard] = {}
        self.in_use: list[str] = []
        """One line for each port that another program had when we last tried to listen."""
        self.sockets: OuterSockets | None = None
        self.streams: StreamSockets | None = None
        self.whole = WholeSender()
        self._table: Mapping[type[Any], Callable[[Any], None]] = {
            SendDatagram: self._send,
            SendKeepalive: self._keepalive,
            OpenStream: self._open_stream,
            KlipsCommand: self._klips,
            CountPackets: self._count,
            CountUse: self._count_use,
            SetGuard: self._set_guard,
            DelGuard: self._del_guard,
            OpenFlows: self._open_flows,
            HaveDevice: lambda effect: parts.have_device(effect.device, effect.interface),
            Intercept: parts.intercept,
            Decide: parts.decide,
            KeepPeers: parts.keep_peers,
            RunUpdown: self._updown,
            Resolve: self._resolve,
            LearnGateways: self._learn_gateways,
            LearnKeys: self._learn_keys,
            ReadSecrets: lambda effect: post(parts.read_secrets(effect.client)),
            ReadGroups: lambda effect: post(parts.read_groups(effect.names, effect.client)),
            ReadCertificates: lambda effect: post(parts.read_certificates(effect.client)),
            Fetch: self._fetch,
            Sign: self._sign,
            Login: self._login,
            Listen: self._listen,
            FlushConntrack: self._flush,
            WhackLine: self._whack_line,
            WhackDone: lambda effect: parts.control.finish(effect.client),
            Log: lambda effect: parts.log(effect.text, effect.serious, effect.event),
            Shutdown: lambda effect: parts.shutdown(effect.keep_guard),
        }

    def __call__(self, effect: Effect) -> None:
        """Carry out one effect."""
        self._table[type(effect)](effect)

    def _send(self, effect: SendDatagram) -> None:
        if effect.local.stream:
            self._klips(KlipsCommand(SendInStream(effect.local, effect.remote, effect.data)))
            return
        if not self.sockets:
            return
        if effect.whole:
            self.whole.send(effect.local, effect.remote, self.sockets.marked(effect.local, effect.data))
        else:
            self.sockets.send(effect.local, effect.remote, effect.data)

    def _keepalive(self, effect: SendKeepalive) -> None:
        if self.sockets:
            self.sockets.send_raw(effect.local, effect.remote, KEEPALIVE)

    def _open_stream(self, effect: OpenStream) -> None:
        if self.streams:
            self.streams.open(effect)
        else:
            self._post(StreamRefused(effect.token, "nothing here opens connections"))

    def _klips(self, effect: KlipsCommand) -> None:
        command = effect.command
        if isinstance(command, DetachStream) and self.streams:
            self.streams.ended(command.local, command.remote)
        try:
            self._parts.engine.execute(effect.command)
        except KlipsError as why:
            if effect.token:
                self._post(EffectFailed(effect.token, str(why)))
            else:
                self._parts.log(f"packet engine refused {type(effect.command).__name__}: {why}", True)

    def _count(self, effect: CountPackets) -> None:
        out, into = self._parts.engine.sa(effect.out), self._parts.engine.sa(effect.into)
        if into is not None:
            # A dummy packet is none, but its SA has been used.
            came = into.packets or int(into.idle >= 0)
            self._post(PacketsCounted(effect.token, out.packets if out is not None else 0, came))

    def _count_use(self, effect: CountUse) -> None:
        rows = self._parts.engine.eroutes()
        used = (row.key for row in rows if 0 <= row.idle <= effect.seconds)
        hosts = (key for key in used if key.src.num_addresses == key.dst.num_addresses == 1)
        inbound = ((key, self._parts.engine.sa(said)) for key, said in effect.tunnels)
        heard = (key for key, sa in inbound if sa is not None and 0 <= sa.idle <= effect.seconds)
        self._post(FlowsUsed(tuple(dict.fromkeys((*hosts, *heard)))))

    def _set_guard(self, effect: SetGuard) -> None:
        self._unguarded.pop(effect.connection, None)
        try:
            self._parts.guard.set(effect.connection, effect.entries, effect.block_families)
        except IpsecError as why:
            # Routes and eroutes stay, they protect too; the guard is tried again until it is in or nobody wants it.
            self._parts.log(f'"{effect.connection}": the leak guard could not be set, trying again: {why}', True)
            self._unguarded[effect.connection] = effect
            asyncio.get_running_loop().call_later(GUARD_AGAIN, self._guard_again, effect)

    def _guard_again(self, effect: SetGuard) -> None:
        if self._unguarded.get(effect.connection) is effect:
            self._set_guard(effect)

    def _del_guard(self, effect: DelGuard) -> None:
        self._unguarded.pop(effect.connection, None)
        try:
            self._parts.guard.delete(effect.connection)
        except IpsecError as why:
            self._parts.log(f'"{effect.connection}": the leak guard could not be taken back: {why}', True)

    def _open_flows(self, effect: OpenFlows) -> None:
        try:
            self._parts.guard.leave_open(effect.flows)
        except IpsecError as why:
            self._parts.log(f"what this host asks its resolvers stays closed: {why}", True)

    def _updown(self, effect: RunUpdown) -> None:
        try:
            done = self._parts.run_updown(effect.command, effect.environment)
        except IpsecError as why:
            done = 1, (str(why),)
        if isinstance(done, tuple):
            self._post(UpdownDone(effect.token, *done))
            return

        async def run() -> None:
            try:
                status, output = await done
            except IpsecError as why:
                status, output = 1, (str(why),)
            self._post(UpdownDone(effect.token, status, output))

        self._start(run())

    def _resolve(self, effect: Resolve) -> None:
        async def run() -> None:
            addresses, reason, ttl = await self._parts.resolve(effect.name, effect.version)
            self._post(HostResolved(effect.name, addresses, reason, ttl))

        self._dispensable(run())

    def _learn_gateways(self, effect: LearnGateways) -> None:
        async def run() -> None:
            self._post(GatewaysLearned(*await self._parts.learn_gateways(effect.destination)))

        self._dispensable(run())

    def _learn_keys(self, effect: LearnKeys) -> None:
        async def run() -> None:
            self._post(KeysLearned(effect.name, *await self._parts.learn_keys(effect.name)))

        self._dispensable(run())

    def _fetch(self, effect: Fetch) -> None:
        answer = self._parts.fetch(effect.uri, effect.limit, effect.timeout, effect.body, effect.content_type)
        self._dispensable(self._told(answer, partial(Fetched, effect.token)))

    def _sign(self, effect: Sign) -> None:
        answer = self._parts.sign(effect.key, effect.scheme, effect.octets)
        self._dispensable(self._told(answer, lambda data, reason, answered: Signed(effect.token, data, reason)))

    def _login(self, effect: Login) -> None:
        answer = self._parts.login(effect)
        self._dispensable(self._told(answer, lambda data, reason, answered: LoggedIn(effect.token, reason)))

    async def _told(self, answer: Coroutine[Any, Any, bytes], event: Callable[[bytes, str, bool], EngineEvent]) -> None:
        """Post what comes of it, whatever that is: somebody waits."""
        try:
            told = event(await answer, "", False)
        except IpsecError as why:
            told = event(b"", str(why), isinstance(why, AnsweredError))
        except Exception as why:
            self._post(event(b"", f"a mistake of this program: {why!r}", False))
            raise
        self._post(told)

    def _dispensable(self, work: Coroutine[Any, Any, None]) -> None:
        """Work that nobody needs any more once the daemon ends."""
        task = self._start(work)
        self._look_ups.add(task)
        task.add_done_callback(self._look_ups.discard)

    def _flush(self, effect: FlushConntrack) -> None:
        # Each flush reads the kernel's whole table, so those of one moment share a single reading. The guard is in
        # already: an old entry can spoil its flow a little longer, but not let it out.
        if not self._flows:
            loop = asyncio.get_running_loop()
            loop.call_at(max(loop.time(), self._flushed + FLUSH_PAUSE), self._flush_all)
        self._flows += effect.flows

    def _flush_all(self) -> None:
        flows, self._flows = tuple(self._flows), []
        self._flushed = asyncio.get_running_loop().time()
        try:
            self._parts.flush_conntrack(flows)
        except IpsecError as why:
            self._parts.log(f"connection tracking entries could not be deleted: {why}", True)

    def _whack_line(self, effect: WhackLine) -> None:
        # Client 0 is the daemon itself, bringing up what ipsec.conf asks for.
        if effect.client:
            self._parts.control.reply(effect.client, effect.code, effect.text)

    def _listen(self, effect: Listen) -> None:
        if self.sockets is None:
            return
        only = self._parts.listen_only
        addresses = {address: name for address, name in effect.addresses if not only or address in only}
        if self._again:
            self._again.cancel()
            self._again = None
        refused = self.sockets.follow(addresses)
        refused += self.streams.follow(addresses) if self.streams else []
        self.in_use = [str(why) for why in refused if isinstance(why, PortInUseError)]
        lines = [str(why) for why in refused]
        for line in lines:
            if line not in self._refused:
                self._parts.log(line, True)
        self._refused = lines
        if refused:
            # What stands in the way may go away by itself: another daemon ends, an address becomes usable.
            self._again = asyncio.get_running_loop().call_later(LISTEN_AGAIN, self._listen, effect)

    def attach(self, outer: Outer) -> None:
        """A socket has opened: the engine gets the ones that carry ESP."""
        if outer.kind is not Kind.IKE:
            mtu = self._parts.interface_mtu(outer.interface)
            self._klips(
                KlipsCommand(
                    AttachSocket(outer.local, outer.fds, mtu, outer.spread, outer.kind.protocol or IpProtocol.ESP)
                )
            )

    def detach(self, outer: Outer) -> None:
        """A socket is about to close."""
        if outer.kind is not Kind.IKE:
            self._klips(KlipsCommand(DetachSocket(outer.local, outer.kind.protocol or IpProtocol.ESP)))

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (why := task.exception()) is not None:
            self._parts.log(f"EXPECTATION FAILED in a background task: {why!r}", True)

    async def finish(self, patience: float = 5.0) -> None:
        """Wait for what still runs, then cancel it; nobody needs a host's address or a list any more."""
        self.whole.close()
        if self._again:
            self._again.cancel()
        for task in tuple(self._look_ups):
            task.cancel()
        if self._tasks:
            _, pending = await asyncio.wait(self._tasks, timeout=patience)
            for task in pending:
                task.cancel()
