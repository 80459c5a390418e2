# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole gateway in one loop: pluto, the packet engine, the guard, routes, sockets and devices wired together."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from openswan.base.address import Address
from openswan.base.errors import ConfigError, HostError, IpsecError, WireError
from openswan.base.log import Rc
from openswan.config.load import load_authorities
from openswan.config.secretsfile import load_secrets
from openswan.daemon import autostart
from openswan.daemon.interfaces import Interfaces
from openswan.daemon.keying import Keying
from openswan.daemon.klipsdebug import KlipsDebug, TracedKlips, at_start
from openswan.daemon.leftovers import STALE, Leftovers
from openswan.daemon.manual import Manual
from openswan.daemon.queries import Queries
from openswan.daemon.rawpath import RawPath, attach_pass
from openswan.daemon.surroundings import Surroundings
from openswan.daemon.wanted import Wanted
from openswan.daemon.watchdog import Watchdog
from openswan.engine.effects import DelGuard, Effect, SetGuard
from openswan.engine.events import (
    CertificatesRead,
    Datagrams,
    EngineEvent,
    SecretsRead,
    SendFailed,
    WhackGone,
    WhackRequest,
)
from openswan.engine.pluto import Pluto
from openswan.host import clock, keeper
from openswan.host.anchors import load_anchors
from openswan.host.conntrack import Conntrack
from openswan.host.crashsecret import read_or_make
from openswan.host.ctlsock import ControlServer
from openswan.host.dnslookup import DnsLookup, prepare
from openswan.host.entropy import SystemRng
from openswan.host.explain import explain
from openswan.host.fetch import Fetcher
from openswan.host.files import read_certificates, read_groups
from openswan.host.guard.guard import Guard
from openswan.host.icmpsock import IcmpEar
from openswan.host.ikesock import Kind, Outer, OuterSockets
from openswan.host.intercept.intercept import Interceptor
from openswan.host.journal import Journal
from openswan.host.login import Logins
from openswan.host.logsink import Sink
from openswan.host.notify import Notifier
from openswan.host.oelookup import OeLookup
from openswan.host.openings.together import Together
from openswan.host.peersfile import PeersFile
from openswan.host.perform import Parts, Performer
from openswan.host.reactor import Reactor
from openswan.host.resolvedit import ResolvEdit
from openswan.host.resolver import Resolver
from openswan.host.routes import Routes
from openswan.host.rtnetlink import Rtnetlink
from openswan.host.streamsock import StreamSockets
from openswan.host.token import Tokens
from openswan.host.updown import Updown, World
from openswan.plane.events import SaExpired, StreamClosed
from openswan.plane.orders import plain_to_order
from openswan.policy.groups import group_end
from openswan.wire.whack import decode_request

RESOLVERS_AGAIN = 2.0
"""Seconds between looks at resolv.conf, for which nobody calls."""
LETTING_GO = ("unroute", "delete")
"""Requests that end a connection's protection, also when a daemon before this one began it."""


class Gateway:
    """One daemon. `run` returns when it has ended cleanly; HostError or KlipsError when it cannot begin."""

    def __init__(self, wanted: Wanted, log: Sink, manager: Notifier | None = None) -> None:
        self._wanted = wanted
        self._sink = log
        self._journal = Journal(clock.unix)
        self._manager = manager or Notifier()
        self._keep_guard = True
        self._beating = False
        self.control = ControlServer(wanted.places.control, self._request, self._gone)

    def _log(self, text: str, serious: bool, event: str = "") -> None:
        self._journal.note(text, serious, event)
        self._sink(text, serious, event)

    async def run(self, ready: Callable[[], None], signals: bool = True) -> None:
        """Bring everything up, call `ready` once whack is answered, serve until told to stop, take it all down.

        `signals`: SIGTERM, SIGINT and SIGHUP are ours (only the main thread can have them).
        """
        loop = asyncio.get_running_loop()
        places, settings, marks = self._wanted.places, self._wanted.settings, self._wanted.marks
        self._klips = TracedKlips(pinned=self._wanted.pinned)
        self._debug = self._klips.debug = KlipsDebug(self._log, self._klips.drops)
        self._debug.change(at_start(dict(self._wanted.setup).get("klipsdebug", "")))
        ports = settings.ike_port, settings.natt_port
        stream_port = settings.natt_port if self._wanted.listen_tcp else 0
        streams = (stream_port,) if stream_port else ()
        self._guard = Guard.open(rundir=places.rundir, ports=ports, stream_ports=streams, log=self._log, marks=marks)
        # A start that fails leaves things as they were: guarded if a predecessor had guarded them.
        self._keep_guard = bool(self._guard.entries())
        self._routes = Routes(self._log, marks)
        self._leftovers = Leftovers(self._guard, self._routes, self._tell_kept, self._log)
        self._interfaces = Interfaces(self._wanted, self._klips, self._routes, self._post, self._log)
        self._keying = Keying(
            self._klips,
            self._log,
            self._interfaces.all,
            self._interfaces.wire,
            self._debug.change,
            clock.now,
            settings.hide_tos,
            self._want_bare,
        )
        self._openings = Together(places.rundir, self._log)
        self._resolv = ResolvEdit(places.rundir)
        self._updown = Updown(World(self._routes, self._guard, self._openings, self._resolv), marks=marks)
        self._manual = Manual(self._keying, self._perform, self._updown.run, self._log, self._interfaces.device_of)
        self._tasks: set[asyncio.Task[None]] = set()
        self._tokens = Tokens()
        self._logins = Logins(places.ipsec_d / "passwd")
        self._peers_file = PeersFile(places.rundir, self._log)
        self._authorities = self._wanted.authorities
        self._interceptor = self._intercept()
        self._surroundings = Surroundings(self._guard, self._routes, self._interceptor, self._post, self._log)
        self._routes.on_change = self._surroundings.look
        self._performer = Performer(self._parts(), self._post)
        self._performer.sockets = OuterSockets(
            lambda local, messages: self._reactor.post(Datagrams(local, messages)),
            lambda local, remote, why: self._reactor.post(SendFailed(local, remote, why)),
            self._socket_opened,
            self._socket_closes,
            settings.ike_port,
            settings.natt_port,
            self._klips.workers,
            self._wanted.buffer,
            marks,
        )
        self._performer.streams = StreamSockets(self._klips.execute, self._post, self._log, stream_port, marks)
        rng = SystemRng()
        secret, complaint = read_or_make(places.ipsec_d, rng)
        if complaint:
            self._log(complaint, True)
        self._pluto = Pluto(rng, replace(settings, crash_secret=secret), clock.calendar_of)
        self._raw = RawPath(self._klips, self._raw_endpoints, self._interfaces.mtu_of, self._log, marks)
        self._icmp = IcmpEar(self._post)
        self._reactor = Reactor(self._pluto, self._perform, self._log)
        tables = {
            "klipsdebug": (self._debug.text, self._debug.rows),
            "events": (self._journal.text, self._journal.rows),
            "setup": (lambda: "".join(f"{k}={v}\n" for k, v in self._wanted.setup), lambda: dict(self._wanted.setup)),
        }
        self._queries = Queries(self._klips, self._explain, self._droppers(), tables)
        try:
            self._klips.start()
            for line in self._openings.sweep():
                self._log(line, True)
            self._sweep_resolv()
            self._performer.whole = attach_pass(self._klips, marks, self._log)
            for line in self._routes.collisions():
                self._log(line, True)
            if self._wanted.packet_sockets:
                self._raw.start()
            loop.add_reader(self._klips.event_fd(), self._klips_events)
            self._listen_to_icmp()
            self._reactor.post(self._peers_file.recall())
            await self._interfaces.look()
            self._look_around()
            self._autostart()
            if self._performer.in_use:
                raise HostError(self._performer.in_use[0])
            self._keep_guard = True
            self._guard.start()
            self._routes.start()
            self._openings.start()
            if self._interceptor is not None:
                self._interceptor.start()
            watching = loop.create_task(self._interfaces.follow(self._surroundings.look))
            self._look_at_resolvers()
            await self.control.serve()
            if self._wanted.in_turn:
                autostart.start_in_turn(self._wanted.connections or (), self._wanted.places.control)
            if signals:
                self._take_signals()
            self._manager.ready(f"{len(self._wanted.connections or ())} connections of ipsec.conf")
            ready()
            if any((end := group_end(conn)) is not None and end.dns_key for conn in self._wanted.connections or ()):
                loop.run_in_executor(None, prepare)
            feeding = loop.create_task(Watchdog(self._klips, self._manager, self._log).follow())
            await self._reactor.run()
            watching.cancel()
            feeding.cancel()
            self._resolver_timer.cancel()
        finally:
            self._manager.stopping("saying goodbye to peers")
            await self._end()

    def _intercept(self) -> Interceptor | None:
        try:
            rundir, marks = self._wanted.places.rundir, self._wanted.marks
            return Interceptor(self._post, self._log, keeper.recall(rundir), partial(keeper.keep, rundir), marks)
        except HostError as why:
            self._log(f"{why}: all packets of policy groups go through the packet engine", False)
            return None

    def _droppers(self) -> dict[str, Callable[[], Mapping[str, int]]]:
        """Who drops packets beside the engine, and how to ask how many."""
        found: dict[str, Callable[[], Mapping[str, int]]] = {"guard": self._guard.counters}
        if self._interceptor is not None:
            found["interception"] = self._interceptor.drops
        return found

    def _parts(self) -> Parts:
        places = self._wanted.places
        marks = self._wanted.marks
        resolver = Resolver(marks=marks)
        anchors, complaints = load_anchors(self._wanted.anchors)
        for line in complaints:
            self._log(line, True)
        opportunism = OeLookup(DnsLookup(anchors=anchors, mark=marks.own, signed=self._wanted.dnssec))
        return Parts(
            engine=self._klips,
            guard=self._guard,
            control=self.control,
            run_updown=self._updown.start,
            resolve=resolver.look_up,
            learn_gateways=opportunism.learn,
            learn_keys=opportunism.published,
            fetch=Fetcher(resolver.look_up, self._wanted.fetch_interface).fetch,
            sign=self._tokens.sign,
            login=self._logins.check,
            read_secrets=lambda client: SecretsRead(
                *load_secrets(places.secrets, self._tokens.public, places.ipsec_d), client
            ),
            read_certificates=self._read_certificates,
            read_groups=lambda names, client: read_groups(places.ipsec_d / "policies", names, client),
            flush_conntrack=Conntrack().flush,
            log=self._log,
            shutdown=self._shutdown,
            interface_mtu=self._interfaces.mtu_of,
            have_device=self._interfaces.beside,
            intercept=self._surroundings.stop_packets,
            decide=self._interceptor.decide if self._interceptor is not None else lambda decision: None,
            keep_peers=self._peers_file.keep,
            listen_only=self._wanted.listen,
        )

    def _read_certificates(self, client: int) -> CertificatesRead:
        """The directories of ipsec.d; when somebody asks for it, the ca sections of ipsec.conf anew too."""
        complaints: tuple[str, ...] = ()
        if client:
            try:
                self._authorities, complaints = load_authorities(self._wanted.places.config)
            except ConfigError as why:
                complaints = (str(why),)
        found = read_certificates(self._wanted.places.ipsec_d, client, self._authorities)
        return replace(found, complaints=(*complaints, *found.complaints))

    # -- events -------------------------------------------------------------------------------------------------------

    def _perform(self, effect: Effect) -> None:
        if isinstance(effect, SetGuard):
            self._leftovers.guarded.add(effect.connection)
        elif isinstance(effect, DelGuard):
            self._leftovers.guarded.discard(effect.connection)
        self._performer(effect)

    def _post(self, event: EngineEvent) -> None:
        self._reactor.post(event)

    def _klips_events(self) -> None:
        events = []
        for event in self._klips.poll_events():
            if self._raw.take(event):
                continue
            if isinstance(event, StreamClosed) and self._performer.streams:
                self._performer.streams.ended(event.local, event.remote)
            if not (isinstance(event, SaExpired) and self._keying.expired(event.said, event.hard)):
                events.append(event)
        self._reactor.post_all(events)

    def _request(self, client: int, line: bytes) -> None:
        """One whack request: the packet engine's tables are answered here, everything else is pluto's."""
        try:
            verb, arguments = decode_request(line)
        except WireError as why:
            self.control.reply(client, Rc.WHACK_PROBLEM, f"whack error: {why}")
            self.control.finish(client)
            return
        if self._queries.knows(verb):
            for code, text in self._queries.answer(verb, arguments):
                self.control.reply(client, code, text)
            self.control.finish(client)
            return
        if verb == "klips":
            try:
                self._keying.carry_out(plain_to_order(arguments))
            except IpsecError as why:
                self.control.reply(client, Rc.WHACK_PROBLEM, str(why))
            self.control.finish(client)
            self._beat()
            return
        if verb == "manual":
            self._start(self._manual_request(client, arguments))
            return
        if verb == "status":
            self._reactor.post_all(self._surroundings.stopped())
        if verb in LETTING_GO:
            self._leftovers.let_go(str(arguments.get("name")))
        self._reactor.post(WhackRequest(client, verb, arguments))

    def _explain(self, src: Address, dst: Address, protocol: int, port: int) -> tuple[list[str], dict[str, Any]]:
        netlink = Rtnetlink()
        try:
            known = self._klips.eroutes(), self._guard, netlink, self._wanted.marks
            lines, data = explain(src, dst, protocol, port, *known)
        finally:
            netlink.close()
        about, pair = self._pluto.brain.pairviews.about(src, dst)
        return [*lines, *about], {**data, "pair": pair}

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _manual_request(self, client: int, arguments: dict[str, Any]) -> None:
        await self._manual.request(arguments, lambda code, text: self.control.reply(client, code, text))
        self.control.finish(client)
        self._beat()

    def _beat(self) -> None:
        """Once a second, as long as there is something to look at that often."""
        if not self._beating and (self._keying.timed or self._debug.flags):
            self._beating = True
            asyncio.get_running_loop().call_later(1.0, self._tick)

    def _tick(self) -> None:
        self._beating = False
        self._keying.tick()
        self._debug.tick(clock.now())
        self._beat()

    def _look_at_resolvers(self) -> None:
        self._interfaces.look_at_resolvers()
        self._resolver_timer = asyncio.get_running_loop().call_later(RESOLVERS_AGAIN, self._look_at_resolvers)

    def _gone(self, client: int) -> None:
        self._reactor.post(WhackGone(client))

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._sigterm)
        line = 'Pluto ignores SIGHUP -- perhaps you want "whack --listen"'
        loop.add_signal_handler(signal.SIGHUP, self._log, line, False)

    def _sigterm(self) -> None:
        self._reactor.post(WhackRequest(autostart.SELF, "shutdown", {"keep_guard": True}))

    # -- parts that may be missing -------------------------------------------------------------------------------------

    def _raw_endpoints(self) -> list[tuple[Address, str]]:
        outers = self._performer.sockets or ()
        return [(each.local.address, each.interface) for each in outers if each.kind is Kind.ESP]

    def _socket_opened(self, outer: Outer) -> None:
        self._performer.attach(outer)
        if outer.kind is Kind.ESP:
            self._raw.forget(outer.interface)

    def _socket_closes(self, outer: Outer) -> None:
        if outer.kind is Kind.ESP:
            self._raw.forget(outer.interface)
        self._performer.detach(outer)

    def _sweep_resolv(self) -> None:
        try:
            self._resolv.sweep()
        except HostError as why:
            self._log(f"what a daemon before this one has put into resolv.conf stays there: {why}", True)

    def _want_bare(self, address: Address) -> None:
        for why in self._performer.sockets.want_bare(address) if self._performer.sockets else ():
            self._log(str(why), True)

    def _listen_to_icmp(self) -> None:
        try:
            self._icmp.open()
        except HostError as why:
            self._log(f"routers that say a packet is too big go unheard: {why}", True)

    # -- beginning and end --------------------------------------------------------------------------------------------

    def _autostart(self) -> None:
        connections = self._wanted.connections
        if connections is None:
            return
        # One guard transaction for all of them, which is in force before anything is routed by the tasks that follow.
        with self._guard.batch():
            self._leftovers.guard_ahead(self._wanted, self._pluto.core.plugs)
            self._reactor.post_all(autostart.requests(connections, not self._wanted.in_turn))
        ours = [address for each in self._interfaces.all() for address, _ in each.addresses]
        self._start(self._manual.start(self._wanted.manual, ours))
        names = self._leftovers.keep_named(self._wanted)
        asyncio.get_running_loop().call_later(STALE, self._leftovers.prune, names)

    def _look_around(self) -> None:
        """Who is behind this host is known before anything is routed for them."""
        try:
            self._surroundings.look()
        except (HostError, OSError) as why:
            self._log(f"where nets are by the routes: {why}", True)

    def _tell_kept(self, names: set[str]) -> None:
        self._pluto.brain.router.kept = names

    def _shutdown(self, keep_guard: bool) -> None:
        self._keep_guard = keep_guard
        self._reactor.stop()

    async def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._klips.event_fd())
        self._icmp.close()
        self._raw.stop()
        if self._interceptor is not None:
            self._interceptor.close(self._keep_guard)
        if not self._keep_guard:
            keeper.release(self._wanted.places.rundir)
        await self._performer.finish()
        if self._performer.sockets:
            self._performer.sockets.close()
        if self._performer.streams:
            self._performer.streams.close()
        await self.control.close()
        self._tokens.close()
        self._logins.close()
        self._interfaces.detach()
        self._klips.stop()
        self._openings.stop()
        if not self._keep_guard:
            self._routes.teardown()
            self._interfaces.remove()
        self._routes.close()
        # The guard goes last, when nothing is left that it might have to stop.
        self._guard.close(self._keep_guard)
