# SPDX-License-Identifier: GPL-2.0-or-later
"""What arrives, sorted out: which messages count, which repeat the last one, who takes them (RFC 7296 2.1, 2.21).

Nothing that is not authentic, fresh and in its place changes anything but a counter; IKE_SA_INIT alone comes in clear.
"""

from __future__ import annotations

from collections.abc import Callable

from openswan.base.address import Endpoint
from openswan.base.errors import CryptoError, IkeError, WireError
from openswan.base.interval import Duration, Instant
from openswan.base.log import Rc
from openswan.ike import rules
from openswan.ike.effects import Effect, Gone, Heard, PeerMoved, Work
from openswan.ike.later import Job, Unsettled
from openswan.ike.rules import Shape
from openswan.ike.v2.core import CLEAR, Core, error
from openswan.ike.v2.msgid import Order
from openswan.ike.v2.protect import Opened
from openswan.ike.v2.states import State
from openswan.ike.v2.task import Task
from openswan.ike.v2.tasks import (
    auth_answer,
    child_answer,
    child_delete,
    child_rekey,
    crash,
    followup,
    ike_delete,
    ike_rekey,
    init,
    intermediate,
    mobike,
    redirect,
    resume,
    streams,
    tell,
)
from openswan.ike.v2.tasks.ike_rekey import IkeRekey, inherit
from openswan.ike.v2.tasks.opening import OpeningTask
from openswan.ike.v2.values import Aside, Ignored
from openswan.wire.header import NO_SPI, Header
from openswan.wire.message import Message
from openswan.wire.payload import parse_chain
from openswan.wire.v2.body import Payload
from openswan.wire.v2.cp import Cp
from openswan.wire.v2.delete import Delete
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import CfgType, ExchangeType, NotifyType, ProtocolId
from openswan.wire.v2.sa import Sa

ESTABLISHED_EXCHANGES = (ExchangeType.CREATE_CHILD_SA, ExchangeType.INFORMATIONAL, ExchangeType.IKE_FOLLOWUP_KE)
MOST_ASIDE: Duration = 1.0
"""For how long a request may wait for what its answer depends on: others wait behind it once the window is full."""
FATAL = frozenset({NotifyType.AUTHENTICATION_FAILED, NotifyType.INVALID_SYNTAX})
"""Protected notifications that end an IKE SA without a Delete (RFC 7296 2.21)."""


class Receiver(Core):
    """An IKE SA's ears."""

    def receive(self, data: bytes, local: Endpoint, remote: Endpoint, now: Instant) -> list[Effect]:
        """Take a datagram whose SPIs are this SA's (no non-ESP marker). Never raises; what is bad is counted."""
        try:
            header = Header.parse(data)
            header.require_v2()
        except WireError:
            self.counters[Ignored.MALFORMED] += 1
        else:
            self._sort(header, data, local, remote, now)
        if self.state is State.R0:
            # Made for a first request that was none.
            self.vanish()
        return self.drain()

    def _sort(self, header: Header, data: bytes, local: Endpoint, remote: Endpoint, now: Instant) -> None:
        if self.state is State.GONE:
            self.counters[Ignored.OUT_OF_PLACE] += 1
        elif header.exchange in CLEAR:
            self._receive_init(header, data, local, remote, now)
        else:
            self._receive_protected(header, data, local, remote, now)

    # --- IKE_SA_INIT

    def _receive_init(self, header: Header, data: bytes, local: Endpoint, remote: Endpoint, now: Instant) -> None:
        if not self.is_initiator and not header.is_response:
            self._init_request(header, data, local, remote, now)
        elif self.is_initiator and header.is_response and self.state is State.I1:
            self._init_response(header, data, now)
        else:
            self.counters[Ignored.OUT_OF_PLACE] += 1

    def _init_request(self, header: Header, data: bytes, local: Endpoint, remote: Endpoint, now: Instant) -> None:
        if self.state is not State.R0 and header.exchange == ExchangeType.IKE_SESSION_RESUME and data != self.init_i:
            self.counters[Ignored.OUT_OF_PLACE] += 1
            return
        if self.state is not State.R0:
            self._repeat(0, data, local, remote)
            return
        if not header.from_initiator or header.message_id or header.spi_r != NO_SPI or header.spi_i == NO_SPI:
            self.counters[Ignored.FOREIGN] += 1
            return
        try:
            message = Message.parse(data)
        except WireError as why:
            init.refuse(self, header, why, local, remote)
            return
        if header.exchange == ExchangeType.IKE_SESSION_RESUME:
            resume.respond(self, message, data, local, remote, now)
        else:
            init.respond(self, message, data, local, remote, now)

    def _init_response(self, header: Header, data: bytes, now: Instant) -> None:
        task = self.task
        first = isinstance(task, OpeningTask) and header.exchange == task.exchange
        if header.spi_i != self.spi_i or header.from_initiator or header.message_id or not first:
            self.counters[Ignored.FOREIGN] += 1
            return
        try:
            message = Message.parse(data)
        except WireError:
            self.counters[Ignored.MALFORMED] += 1
            return
        assert isinstance(task, OpeningTask)
        if not task.consider(self, message, data, now):
            return
        self.answered_after += sum(now - flight.outstanding.sent for flight in self.flights.values())
        self.flights.clear()
        self.send_window.answered(0)
        self.last_heard = now
        self.move(State.I2)
        self.log(f"transition from state {State.I1.label} to state {State.I2.label}")
        self.log(f"{self.state.label}: {self.state.story} {{auth=IKEv2 {self.chosen}}}", self.state.code)
        policy = task.policy
        self.attempt(lambda when: intermediate.proceed(self, policy, when), now)

    # --- everything else

    def _receive_protected(self, header: Header, data: bytes, local: Endpoint, remote: Endpoint, now: Instant) -> None:
        """Sort out a message that must be encrypted; only one that is authentic changes anything."""
        if header.spi_i != self.spi_i or header.spi_r != self.spi_r or header.from_initiator is self.is_initiator:
            self.counters[Ignored.FOREIGN] += 1
            return
        if not self.is_keyed():
            self.counters[Ignored.NO_KEYS] += 1
            return
        if header.is_response:
            self._receive_response(header, data, local, remote, now)
            return
        order = self.receive_window.order(header.message_id)
        if order is Order.REPEATED:
            self._repeat(header.message_id, data, local, remote)
        elif order is Order.OUTSIDE:
            self.counters[Ignored.OUTSIDE_WINDOW] += 1
        elif not self._takes(header.exchange):
            self.counters[Ignored.OUT_OF_PLACE] += 1
        else:
            self._receive_request(header, data, local, remote, now)

    def _takes(self, exchange: ExchangeType) -> bool:
        """Is a request of this exchange to be answered in this state at all?"""
        if self.state is State.R1:
            # In the middle of EAP an initiator may say that it gives up.
            return (
                (exchange == ExchangeType.IKE_AUTH and self.postponed is None)
                or (exchange == ExchangeType.INFORMATIONAL and self.rounds is not None)
                or (exchange == ExchangeType.IKE_INTERMEDIATE and intermediate.takes(self))
            )
        if self.state in (State.I3, State.R2, State.REPLACED, State.CLOSING):
            return exchange in ESTABLISHED_EXCHANGES
        return False

    def _repeat(self, message_id: int, data: bytes, local: Endpoint, remote: Endpoint) -> None:
        """The peer did not get our last answer: once more, to where it asks from.

        A fragmented request may come back cut in smaller pieces (RFC 7383 2.5.1); its first piece counts.
        """
        datagrams = self.replies.answer(message_id, data)
        if not datagrams and self.channel is not None and self.channel.is_authentic(data):
            datagrams = self.replies.reply(message_id)
        if not datagrams:
            self.counters[Ignored.REPEATED] += 1
        self.dispatch(datagrams, local, remote)

    def _open(self, data: bytes, now: Instant) -> Opened | None:
        try:
            message = Message.parse(data)
            if self.channel is None or message.encrypted is None:
                self.counters[Ignored.IN_CLEAR] += 1
                crash.heard(self, message, now)
                return None
            opened = self.channel.open(message, data)
        except WireError:
            self.counters[Ignored.MALFORMED] += 1
            return None
        except CryptoError:
            self.counters[Ignored.INTEGRITY] += 1
            return None
        if opened is None:
            self.counters[Ignored.FRAGMENT] += 1
        return opened

    def _heard(self, local: Endpoint, remote: Endpoint, now: Instant, answer: bool = False) -> None:
        """An authentic, fresh message: the peer lives, and may have another address now (RFC 7296 2.23)."""
        self.last_heard = now
        if self.silent:
            self.count_anew()
            self.emit(Heard())
        if (local, remote) == (self.local, self.remote) or local.stream is not self.local.stream:
            return
        if self.state is State.R1:
            # The initiator has moved to the NAT traversal ports, or its mapping changed before anything depended on it.
            self.local, self.remote = local, remote
        elif local.stream:
            if not self.opens:
                streams.follow(self, local, remote)
        elif self.nat_there:
            self.log(f"new NAT mapping, was {self.remote}, now {remote}")
            self.local, self.remote = local, remote
            self.emit(PeerMoved(local, remote))
        elif answer:
            mobike.heard_elsewhere(self, local, remote, now)

    def _receive_response(self, header: Header, data: bytes, local: Endpoint, remote: Endpoint, now: Instant) -> None:
        flight = self.flights.get(header.message_id)
        if flight is None or header.exchange != flight.task.exchange:
            self.counters[Ignored.OUTSIDE_WINDOW] += 1
            return
        opened = self._open(data, now)
        if opened is None:
            return
        self.send_window.answered(header.message_id)
        task = flight.task
        self.answered_after += now - flight.outstanding.sent
        if not flight.outstanding.repeats:
            self.round_trip = now - flight.asked
        del self.flights[header.message_id]
        self._heard(local, remote, now, answer=True)
        self.opening = opened
        self.attempt(lambda when: self._take_answer(task, header, opened, when), now)

    def _read(self, header: Header, opened: Opened) -> Message:
        message = Message(header, tuple(parse_chain(opened.first, opened.content)))
        if self.watch is not None:
            self.watch(False, header, message.payloads)
        return message

    def _take_answer(self, task: Task, header: Header, opened: Opened, now: Instant) -> None:
        try:
            answer = self._read(header, opened)
            self._window_size(answer)
            if self.state is State.CLOSING and isinstance(task, IkeRekey):
                task.unwanted(self, answer, now)
            elif self.state is State.CLOSING and not isinstance(task, ike_delete.IkeDelete):
                task.failed(self, "the IKE SA is being closed")
            else:
                task.answered(self, answer, now)
        except (IkeError, CryptoError, WireError) as why:
            self._bad_answer(task, why, now)
        if not any(flight.task.exchange == ExchangeType.CREATE_CHILD_SA for flight in self.flights.values()):
            self.closed_early.clear()
        self.pump(now)

    def _bad_answer(self, task: Task, why: IkeError | CryptoError | WireError, now: Instant) -> None:
        """An authentic answer that cannot be used: the request fails; a malformed one ends the SA."""
        notify = 0 if isinstance(why, CryptoError) else why.notify or 0
        if self.state is State.I2:
            self.fail(f"unusable answer to IKE_AUTH: {why}", notify)
            self.vanish()
            return
        task.failed(self, str(why), notify)
        if isinstance(why, WireError) and self.is_established:
            self.log(f"malformed answer from the peer: {why}; closing the IKE SA", Rc.LOG_SERIOUS)
            self.close(now)

    def _receive_request(self, header: Header, data: bytes, local: Endpoint, remote: Endpoint, now: Instant) -> None:
        opened = self._open(data, now)
        if opened is None:
            return
        self._heard(local, remote, now)
        self.receive_window.accept(header.message_id)
        try:
            request = self._read(header, opened)
        except WireError as why:
            self._malformed(Message(header), opened, why, local, remote, now)
            return
        if header.exchange == ExchangeType.IKE_INTERMEDIATE:
            try:
                intermediate.respond(self, request, opened, local, remote, now)
            except WireError as why:
                self._malformed(request, opened, why, local, remote, now)
            return
        if header.exchange == ExchangeType.IKE_AUTH:
            self.attempt(lambda when: self._judge(request, opened, local, remote, when), now)
            return
        self._window_size(request)
        self._answer(request, opened, local, remote, now, self._has_room_aside())

    def _answer(
        self, request: Message, opened: Opened, local: Endpoint, remote: Endpoint, now: Instant, may_wait: bool
    ) -> None:
        """Answer a request, or set it aside until that can be done."""
        header, mark = request.header, len(self._effects)
        answer: Callable[[Message, Endpoint, Endpoint, Instant], tuple[Payload, ...]]
        answer = {
            ExchangeType.INFORMATIONAL: self._informational,
            ExchangeType.IKE_FOLLOWUP_KE: self._followup,
        }.get(header.exchange, self._create_child)
        try:
            payloads = answer(request, local, remote, now)
        except WireError as why:
            self._malformed(request, opened, why, local, remote, now)
            return
        except (IkeError, CryptoError) as why:
            if may_wait and isinstance(why, Unsettled):
                del self._effects[mark:]
                self.aside.append(Aside(why, request, opened, local, remote, now + MOST_ASIDE))
                self.emit(Work(why.job))
                return
            payloads = (self._refusal(header, why),)
        self.reply(header, opened, payloads, local, remote)
        self._after_request(request, now)
        self.pump(now)

    def _refusal(self, header: Header, why: IkeError | CryptoError) -> Notify:
        """What a request that comes to nothing is told, and the log."""
        kind = NotifyType((0 if isinstance(why, CryptoError) else why.notify) or NotifyType.NO_PROPOSAL_CHOSEN)
        self.log(f"refusing {header.exchange} request: {why}; sending {kind}", Rc.NOTIFICATION + int(kind))
        return error(kind, b"" if isinstance(why, CryptoError) else why.data)

    def _has_room_aside(self) -> bool:
        """May one more request wait? Only where others may come meanwhile, as the peer has shown to know."""
        return self.windows and len(self.aside) < self.receive_window.size - 1

    def resume(self, job: Job, result: bytes | CryptoError, now: Instant) -> list[Effect]:
        """A job is done: also requests that were set aside for it are answered."""
        for one in self._take_aside(lambda one: one.why.job == job):
            if self._takes(one.request.header.exchange):
                self._answer(one.request, one.opened, one.local, one.remote, now, may_wait=False)
        return super().resume(job, result, now)

    def refuse_aside(self, now: Instant) -> None:
        """What was set aside for too long is to be asked again (RFC 7296 2.25)."""
        for one in self._take_aside(lambda one: now >= one.until):
            header = one.request.header
            if self._takes(header.exchange):
                self.reply(header, one.opened, (self._refusal(header, one.why),), one.local, one.remote)

    def _take_aside(self, wanted: Callable[[Aside], bool]) -> list[Aside]:
        """Those of what was set aside, which it is not any more."""
        found = [one for one in self.aside if wanted(one)]
        self.aside = [one for one in self.aside if one not in found]
        return found

    def _judge(self, request: Message, opened: Opened, local: Endpoint, remote: Endpoint, now: Instant) -> None:
        """The initiator proves itself."""
        auth_answer.respond(self, request, opened, local, remote, now)
        self._window_size(request)
        self.pump(now)

    def _malformed(
        self, request: Message, opened: Opened, why: WireError, local: Endpoint, remote: Endpoint, now: Instant
    ) -> None:
        """An authentic request that is not one: INVALID_SYNTAX ends the SA on both sides (RFC 7296 2.21.3)."""
        kind = NotifyType(why.notify or NotifyType.INVALID_SYNTAX)
        self.log(f"malformed {request.header.exchange} request: {why}; sending {kind}", Rc.LOG_SERIOUS)
        if self.state is State.R1:
            auth_answer.refuse(self, request, opened, why, local, remote, now)
            return
        self.reply(request.header, opened, (error(kind, why.data),), local, remote)
        if kind in FATAL:
            self.end(Gone.PEER, now, linger=True)

    def _window_size(self, message: Message) -> None:
        size = message.notify(NotifyType.SET_WINDOW_SIZE)
        if size is not None and self.policy is not None:
            self.send_window.set_peer_size(size.data, self.policy.window)
            self.windows = True

    def _create_child(self, request: Message, local: Endpoint, remote: Endpoint, now: Instant) -> tuple[Payload, ...]:
        body = request.first(Sa)
        if body is not None and any(p.protocol == ProtocolId.IKE for p in body.proposals):
            return ike_rekey.respond(self, request, now)
        rules.check(Shape.CHILD_REQUEST, request.payloads, encrypted=True)
        if not self.is_established or isinstance(self.task, IkeRekey):
            return (error(NotifyType.TEMPORARY_FAILURE),)
        rekey = request.notify(NotifyType.REKEY_SA)
        if rekey is not None:
            return child_rekey.respond(self, rekey, request, local, remote, now)
        return child_answer.respond(self, request, local, remote, now)

    def _followup(self, request: Message, local: Endpoint, remote: Endpoint, now: Instant) -> tuple[Payload, ...]:
        return followup.respond(self, request, now)

    def _informational(self, request: Message, local: Endpoint, remote: Endpoint, now: Instant) -> tuple[Payload, ...]:
        rules.check(Shape.INFO_REQUEST, request.payloads, encrypted=True)
        deletes = request.all(Delete)
        tell.heard(self, [n for n in request.all(Notify) if n.kind not in FATAL])
        if any(d.protocol == ProtocolId.IKE for d in deletes):
            return ()
        redirect.heard(self, request)
        # A question about what there is to configure gets an answer, if an empty one (RFC 7296 3.15).
        answers = tuple(Cp(CfgType.REPLY) for cp in request.all(Cp) if cp.kind == CfgType.REQUEST)
        moved = mobike.respond(self, request, local, remote, now)
        tokens = crash.respond(self, request)
        return (*answers, *moved, *tokens, *child_delete.respond(self, deletes))

    def _after_request(self, request: Message, now: Instant) -> None:
        """What an INFORMATIONAL request ends, once its answer is on its way."""
        if request.header.exchange != ExchangeType.INFORMATIONAL:
            return
        if self.state is State.R1:
            auth_answer.given_up(self, request, now)
            return
        # Some say both: why, and that it is over.
        fatal = next((n for n in request.all(Notify) if n.kind in FATAL), None)
        if fatal is not None:
            self.log(f"the peer ends the IKE SA: {fatal.kind}", Rc.NOTIFICATION + int(fatal.kind))
            self.end(Gone.PEER, now, linger=True)
        elif any(d.protocol == ProtocolId.IKE for d in request.all(Delete)):
            if self.heir is not None:
                # The peer finished its rekeying without noticing ours: forget ours (RFC 7296 2.8.2).
                inherit(self, self.heir, False, now, self.task.token if self.task else 0)
            else:
                self.log("received Delete SA payload: deleting IKE SA")
            self.end(Gone.PEER, now, linger=True)
