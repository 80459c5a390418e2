# SPDX-License-Identifier: GPL-2.0-or-later
"""IKE SAs as pluto sees them: opening them, asking them for things, and acting on what their machines tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from openswan.base.address import Address, Endpoint
from openswan.base.errors import CryptoError
from openswan.base.log import Rc
from openswan.engine.conn import Conn, Kind
from openswan.engine.effects import SendDatagram, SendKeepalive
from openswan.engine.eventcodes import of_reply
from openswan.engine.settings import ANSWER
from openswan.engine.statedb import IkeState
from openswan.engine.timers import Timer
from openswan.ike.effects import (
    ChildEstablished,
    ChildGone,
    Forget,
    Heard,
    Hinted,
    IkeEstablished,
    IkeFailed,
    IkeGone,
    IkeRekeyed,
    InitAnswered,
    Log,
    NewSuccessor,
    PathProbed,
    PeerMoved,
    ProbeAnswered,
    Redirected,
    RequestFailed,
    Send,
    Silent,
    SpiOffered,
    SpiUnknown,
    TicketReceived,
    Work,
)
from openswan.ike.events import CreateChild, DeleteIke, ProbePath, Request
from openswan.ike.later import CertificateJob, GatewaysJob, Job, KeysJob, RevocationJob, XauthJob
from openswan.ike.policy import ChildPolicy
from openswan.ike.v1.effects import InitialContact, IsakmpEstablished, IsakmpReplaced, Unconfirmed
from openswan.ike.v2.tasks.mobike import CONFIRMED
from openswan.wire.v2.numbers import NotifyType

if TYPE_CHECKING:
    from openswan.engine.brain import Brain


MOST_HELD_BACK = 16
"""Datagrams of one IKE SA that wait for an updown command; repetitions beyond that are not missed."""


class IkeSas:
    """Every IKE SA and the traffic between its machine and the rest of the engine."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core
        self.later: list[tuple[IkeState, Request]] = []
        """Requests that must not be made while a machine's effects are being carried out."""
        self.handlers: dict[type[Any], Callable[[IkeState, Any], None]] = {
            Send: self._send,
            Log: self._log,
            Work: self._work,
            IkeEstablished: self._established,
            IsakmpEstablished: self._established,
            InitialContact: brain.endings.contacted,
            IsakmpReplaced: brain.successions.replaced,
            Unconfirmed: lambda ike, effect: brain.children.unconfirmed(effect.spi_in),
            ChildEstablished: self._child_established,
            SpiOffered: self._spi_offered,
            ChildGone: self._child_gone,
            RequestFailed: self._request_failed,
            ProbeAnswered: self._probe_answered,
            TicketReceived: self._ticket_received,
            PathProbed: self._path_probed,
            Redirected: brain.redirects.redirected,
            InitAnswered: self._answered,
            Hinted: self._hinted,
            Silent: self._silent,
            SpiUnknown: self._spi_unknown,
            Heard: self._heard,
            NewSuccessor: brain.successions.begun,
            IkeRekeyed: brain.successions.rekeyed,
            PeerMoved: self._moved,
            IkeFailed: brain.endings.failed,
            IkeGone: brain.endings.gone,
            Forget: brain.endings.forget,
        }

    # -- into the machines --------------------------------------------------------------------------------------------

    def open(self, conn: Conn, child: ChildPolicy | None, replaces: IkeState | None = None) -> IkeState:
        """Begin an IKE SA whose first child is for `conn`, or one that is to take the place of another."""
        core, oriented, dialect = self.core, conn.oriented, self.brain.dialect(conn)
        if oriented is None or oriented.peer is None:
            raise ValueError(f"{conn.label} has no peer address")
        port = core.settings.ike_port
        ends = self.brain.streams.ends(conn)
        local, remote = ends or (Endpoint(oriented.me, port), Endpoint(oriented.peer, port))
        if replaces is not None:  # a NAT between the ends lets through what comes by the ports in use
            local, remote = replaces.machine.local, replaces.machine.remote
        machine = dialect.initiator(conn, local, remote)
        ike = IkeState(core.states.serial(), machine, True, core.now, conn, version=dialect.version, replaces=replaces)
        core.states.add_ike(ike)
        core.states.share(ike, oriented.me, oriented.peer, conn.signature)
        first = None
        if child is not None:
            first = CreateChild(child, core.states.serial())
            core.states.begin(ike, first.token, conn)
        self.brain.launches.begun(ike.serial)
        if dialect.greeting:
            core.say(conn, dialect.greeting, Rc.LOG, ike.serial)
        begin = partial(self._initiate, ike, first)
        if ends is not None:
            self.brain.streams.begin(ike, begin)
        else:
            begin()
        return ike

    def _initiate(self, ike: IkeState, child: CreateChild | None) -> None:
        self.run(ike, self.brain.dialects[ike.version].begin(ike, child))

    def unreachable(self, ike: IkeState, reason: str) -> None:
        """There is no way to the peer: what was to be begun comes to nothing."""
        self.brain.endings.fail_attempts(ike, reason)
        self.abandon(ike)

    def answer(self, version: int, local: Endpoint, remote: Endpoint) -> IkeState:
        """A machine for a stranger's first message, which is to be given to `receive` next."""
        machine = self.brain.dialects[version].responder(local, remote)
        return IkeState(self.core.states.serial(), machine, False, self.core.now, version=version)

    def receive(self, ike: IkeState, data: bytes, local: Endpoint, remote: Endpoint) -> None:
        """Give a machine a datagram that bears its SPI."""
        self.core.asking = ike
        effects = ike.machine.receive(data, local, remote, self.core.now)
        self.core.asking = None
        self.run(ike, effects)

    def request(self, ike: IkeState, request: Request) -> None:
        """Ask a machine for something."""
        if self.brain.debugging.active:
            self.brain.debugging.asked(ike, request)
        self.run(ike, ike.machine.request(request, self.core.now))

    def abandon(self, ike: IkeState) -> None:
        """End an IKE SA without a word to the peer."""
        self.run(ike, ike.machine.abandon(self.core.now))

    def close(self, ike: IkeState) -> None:
        """End an IKE SA and tell the peer; one not established, or whose address has gone, is dropped silently."""
        if ike.closing:
            return
        ike.closing = True
        self.core.states.unshare(ike)
        if ike.established is None or ike.machine.local.address not in self.core.plugs.addresses:
            self.abandon(ike)
        else:
            self.request(ike, DeleteIke())

    def run(self, ike: IkeState, effects: Iterable[object]) -> None:
        """Carry out what a machine wants, then note when it wants to be called next."""
        debugging = self.brain.debugging
        for effect in effects:
            if debugging.active:
                debugging.machine(ike, effect)
            self.handlers[type(effect)](ike, effect)
        if debugging.active:
            debugging.stands(ike)
        if self.later:
            later, self.later = self.later, []
            for other, request in later:
                self.request(other, request)
        self.arm(ike)

    def arm(self, ike: IkeState) -> None:
        """Note when a machine wants to be called next."""
        self.core.states.learn(ike)
        key = (Timer.IKE, ike.serial)
        when = ike.machine.next_timer() if ike.serial in self.core.states.ikes else None
        if when is None:
            self.core.timers.cancel(key)
        elif self.core.timers.when(key) != when:
            self.core.timers.set(key, when, partial(self._due, ike))

    def _due(self, ike: IkeState) -> None:
        self.run(ike, ike.machine.timer(self.core.now))

    # -- out of the machines ------------------------------------------------------------------------------------------

    def _send(self, ike: IkeState, effect: Send) -> None:
        datagram = SendDatagram(effect.local, effect.remote, effect.data, effect.whole)
        if ike.held_back is None:
            self.core.emit(datagram)
        elif len(ike.held_back) < MOST_HELD_BACK:
            ike.held_back.append(datagram)

    def _work(self, ike: IkeState, effect: Work) -> None:
        job = effect.job
        if isinstance(job, RevocationJob):
            self.brain.revocation.start(job.questions, partial(self._done, ike, job, b""))
        elif isinstance(job, KeysJob):
            self.brain.peerkeys.start(job.name, partial(self._done, ike, job, b""))
        elif isinstance(job, CertificateJob):
            self.brain.certificates.start(job, partial(self._done, ike, job, b""))
        elif isinstance(job, GatewaysJob):
            self.brain.delegations.start(job.host, partial(self._done, ike, job, b""))
        elif isinstance(job, XauthJob):
            self.brain.logins.start(job, partial(self._done, ike, job))
        else:
            self.brain.signing.start(job, partial(self._done, ike, job))

    def _done(self, ike: IkeState, job: Job, result: bytes | CryptoError) -> None:
        """What a machine waited for is there."""
        self.core.asking = ike
        effects = ike.machine.resume(job, result, self.core.now)
        self.core.asking = None
        self.run(ike, effects)

    def hold_back(self, ike: IkeState) -> None:
        """Send nothing until `release`: with the answer the peer's packets come, and their answers need our route."""
        if ike.held_back is None:
            ike.held_back = []
            self.core.after(Timer.ANSWER, ike.serial, ANSWER, partial(self.release, ike))

    def release(self, ike: IkeState) -> None:
        """Send what was held back."""
        self.core.timers.cancel((Timer.ANSWER, ike.serial))
        datagrams, ike.held_back = ike.held_back, None
        for datagram in datagrams or ():
            self.core.emit(datagram)

    def _log(self, ike: IkeState, effect: Log) -> None:
        """A machine's line goes to everybody who waits for a connection on it."""
        token = effect.token
        conn = ike.attempts.get(token) or self.core.states.renewals.get(token) or ike.conn or ike.led_to
        if conn is None:
            remote = ike.machine.remote
            text = f"packet from {remote.address}:{remote.port}: {effect.text}"
            self.core.log(text, effect.code == Rc.LOG_SERIOUS, event=of_reply(effect.code) or "ike")
            if ike.version == 1 and effect.code == Rc.LOG_SERIOUS:
                self.core.advise(effect.text, remote.address)
            return
        clients: dict[int, None] = {}
        if ike.conn is not None:
            clients = dict.fromkeys(c for user in (ike.conn, *ike.attempts.values()) for c in user.clients)
        event = of_reply(effect.code) or "ike"
        self.core.say(conn, effect.text, effect.code, effect.token or ike.serial, clients, event=event)

    def _established(self, ike: IkeState, effect: IkeEstablished | IsakmpEstablished) -> None:
        core = self.core
        core.states.closed(ike)
        ike.established = ike.born = core.now
        if isinstance(effect, IsakmpEstablished):
            ike.login = effect.user, effect.failed_login
        self.brain.launches.up(ike)
        if ike.conn is None:
            ike.conn = self.resolve(effect.policy.name, ike, effect)
        conn = ike.conn
        if conn is None:
            # The connection was deleted while its peer was proving itself.
            core.log(f"no connection {effect.policy.name!r} any more for {ike.machine.remote}", True, "conn-gone")
            self.close(ike)
            return
        conn.newest_ike = ike.serial
        conn.ikes.add(ike.serial)
        if not ike.initiator:
            core.states.share(ike, ike.machine.local.address, ike.machine.remote.address, conn.signature)
        self.brain.lifetimes.start_ike(ike)
        self.brain.liveness.start(ike)
        if not ike.initiator and ike.version == 2:
            self.brain.liveness.let_in(ike)
        self.start_keepalive(ike)
        self.brain.streams.follow(ike)
        if not ike.machine.anonymous:  # nobody is not the same peer as another nobody
            core.states.enter_peer(ike, effect.policy.my_id, effect.peer_id, ike.login[0])
        ike.first_contact = effect.initial_contact and core.settings.uniqueids
        self.brain.dialects[ike.version].established(ike)
        # Those that wait go after the child of this exchange, which has its own effect.
        for request in ike.pending.release():
            self.later.append((ike, request))

    def resolve(self, name: str, ike: IkeState, effect: IkeEstablished | IsakmpEstablished) -> Conn | None:
        """The connection behind a policy's name; a template becomes an instance for this peer."""
        conn = self.core.conns.unique.get(name)
        if conn is None or conn.kind is not Kind.TEMPLATE:
            return conn
        return self.brain.negotiator.instantiate(conn, ike.machine.remote.address, effect.peer_id)

    def start_keepalive(self, ike: IkeState) -> None:
        """Keep a NAT's mapping open when we are behind one (RFC 3948 4)."""
        period, machine = self.core.settings.keep_alive, ike.machine
        self.core.timers.cancel((Timer.KEEPALIVE, ike.serial))
        behind = machine.nat_here or (self.core.settings.force_keepalive and machine.nat_there)
        wanted = ike.conn is None or ike.conn.policy.nat_keepalive
        if not period or not behind or not wanted or ike.closing or machine.local.stream:
            return
        self.core.after(Timer.KEEPALIVE, ike.serial, period, partial(self._keepalive, ike))

    def _keepalive(self, ike: IkeState) -> None:
        self.core.emit(SendKeepalive(ike.machine.local, ike.machine.remote))
        self.start_keepalive(ike)

    def _child_established(self, ike: IkeState, effect: ChildEstablished) -> None:
        while ike.heir is not None and ike.heir.serial in self.core.states.ikes:
            ike = ike.heir  # what was under way when another took its place
        self.brain.children.established(ike, effect)

    def _spi_offered(self, ike: IkeState, effect: SpiOffered) -> None:
        self.brain.children.offered(effect)

    def _child_gone(self, ike: IkeState, effect: ChildGone) -> None:
        self.brain.children.gone(ike, effect)

    def _request_failed(self, ike: IkeState, effect: RequestFailed) -> None:
        request = effect.request
        if isinstance(request, CreateChild):
            conn = self.core.states.end(request.token)
            full = effect.notify == NotifyType.NO_ADDITIONAL_SAS
            negotiator = self.brain.negotiator
            other = conn is not None and (
                negotiator.no_room(ike, conn, request.token) if full else negotiator.lost(ike, conn, request.token)
            )
            if conn is not None and not other:
                self.brain.negotiator.failed(conn, request.token, effect.reason, effect.notify)
        elif isinstance(request, ProbePath):
            self.brain.pathmtus.failed(request)
        else:
            self.brain.lifetimes.failed(ike, request, effect.reason, effect.notify)

    def doubt(self, ike: IkeState, why: str) -> None:
        """Somebody unauthenticated says that the peer is gone: at most it is asked."""
        self.run(ike, ike.machine.doubt(why, self.core.now))

    def _ticket_received(self, ike: IkeState, effect: TicketReceived) -> None:
        """Kept for when the IKE SA is lost; the conn going down takes it away."""
        if ike.shared_as is not None:
            self.core.states.tickets[ike.shared_as] = effect.ticket

    def _probe_answered(self, ike: IkeState, effect: ProbeAnswered) -> None:
        self.brain.liveness.alive(ike)
        self.brain.proofs.answered(effect.token)
        child = self.core.states.children.get(effect.token)
        if child is not None and child.ike is ike:
            # It has had our answer to its request for this child, or it could not answer this.
            self.brain.children.confirm(child)

    def _answered(self, ike: IkeState, effect: InitAnswered) -> None:
        for conn in list(ike.attempts.values()):
            self.brain.pairs.answered(conn)

    def _hinted(self, ike: IkeState, effect: Hinted) -> None:
        for conn in list(ike.attempts.values()):
            self.brain.pairs.hinted(conn, effect.hint)

    def _spi_unknown(self, ike: IkeState, effect: SpiUnknown) -> None:
        machine = ike.machine
        self.doubt_spi(machine.local.address, machine.remote.address, effect.spi, besides=ike)

    def doubt_spi(self, local: Address, remote: Address, spi: int, besides: IkeState | None = None) -> None:
        """A peer says that it does not know an SPI of ours: the IKE SA that it came from is asked whether it lives.

        Not `besides`, on which it has been said: that one does.
        """
        for ike in list(self.core.states.pairs.get((local, remote), {}).values()):
            if any(child.spi_out == spi for child in ike.children.values()):
                if ike is not besides:
                    self.doubt(ike, f"the peer says that it does not know SPI 0x{spi:08x}")
                return

    def _silent(self, ike: IkeState, effect: Silent) -> None:
        self.brain.liveness.silent(ike)

    def _heard(self, ike: IkeState, effect: Heard) -> None:
        self.brain.liveness.heard(ike)

    def _path_probed(self, ike: IkeState, effect: PathProbed) -> None:
        self.brain.pathmtus.probed(effect)

    def _moved(self, ike: IkeState, effect: PeerMoved) -> None:
        if ike.conn is not None and effect.why == "NAT":
            self.core.say(ike.conn, f"new NAT mapping for #{ike.serial}, now {effect.remote}", Rc.LOG, ike.serial)
        self.brain.children.moved(ike, effect.local, effect.remote)
        self.brain.streams.follow(ike)
        self.brain.mobility.moved(ike)
        if effect.why == CONFIRMED:
            self.brain.mobility.confirmed(ike)
