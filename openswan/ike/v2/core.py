# SPDX-License-Identifier: GPL-2.0-or-later
"""What every part of an IKE SA does: steps that need time, requests, answers, its end."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from openswan.base.address import Endpoint
from openswan.base.entropy import uniform
from openswan.base.errors import CryptoError, IpsecError
from openswan.base.interval import Duration, Instant
from openswan.base.log import Rc
from openswan.ike.effects import ChildGone, Effect, Forget, Gone, IkeFailed, IkeGone, Send, Work
from openswan.ike.later import Job, Later
from openswan.ike.retransmit import Outstanding
from openswan.ike.v2.protect import Opened
from openswan.ike.v2.states import State
from openswan.ike.v2.task import Flight, Task
from openswan.ike.v2.values import Postponed, Values
from openswan.wire.header import Flags, Header
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import ExchangeType, NotifyType

if TYPE_CHECKING:
    from openswan.ike.v2.sa import IkeSaV2

LINGER: Duration = 20.0
"""How long an SA that ended by the peer's request still answers its repetitions."""
HALF_OPEN: Duration = 60.0
"""How long a responder waits for IKE_AUTH."""
RETRY_AFTER: tuple[Duration, Duration] = (4.0, 9.0)
"""After TEMPORARY_FAILURE: anything between these, so that two ends do not collide again (RFC 7296 2.25)."""
RETRY_SOON: Duration = 0.3
"""The least pause where the task may be tried again soon; it doubles."""
RETRY_FOR: Duration = 180.0
"""Several minutes of TEMPORARY_FAILURE mean that the two ends disagree: the IKE SA is closed (RFC 7296 2.25)."""
CLEAR = (ExchangeType.IKE_SA_INIT, ExchangeType.IKE_SESSION_RESUME)
"""Exchanges before there are keys."""


class Core(Values):
    """An IKE SA without ears and face: how it sends, waits and ends."""

    def header(self, exchange: ExchangeType, message_id: int, response: bool) -> Header:
        """A header of ours."""
        flags = (Flags.INITIATOR if self.is_initiator else Flags.NONE) | (Flags.RESPONSE if response else Flags.NONE)
        return Header(self.spi_i, self.spi_r, exchange, flags, message_id)

    def wrap(self, header: Header, payloads: Sequence[Payload]) -> tuple[bytes, ...]:
        """The datagrams of a message of ours, encrypted unless it is IKE_SA_INIT."""
        if header.exchange in CLEAR or self.channel is None:
            return (Message(header, tuple(payloads)).emit(),)
        if self.watch is not None:
            self.watch(True, header, payloads)
        most = self.need_policy().fragment_size if self.fragments else 0
        return self.channel.seal(header, payloads, self.rng, most)

    # --- steps that need time

    def need(self, job: Job) -> bytes:
        """The result of a job; Later when it has yet to be done, CryptoError when it failed."""
        result = self.results.get(job)
        if result is None:
            raise Later(job)
        if isinstance(result, CryptoError):
            raise result
        return result

    def attempt(self, step: Callable[[Instant], None], now: Instant) -> None:
        """Do a step of the handshake, or begin what it cannot go on without and do it again then."""
        mark, keys, other = len(self._effects), self.keys, self.keys_without_ppk
        try:
            step(now)
        except Later as later:
            del self._effects[mark:]
            self.keys, self.keys_without_ppk, self.unused_keys = keys, other, None
            self.postponed = Postponed(later.job, step, now + HALF_OPEN)
            self.emit(Work(later.job))
        else:
            self.results.clear()
            self.forget_unused()

    def forget_unused(self) -> None:
        """Wipe the keys that a choice between two has left over."""
        if self.unused_keys is not None:
            for secret in (self.unused_keys.d, self.unused_keys.pi, self.unused_keys.pr):
                secret.wipe()
            self.unused_keys = None

    def resume(self, job: Job, result: bytes | CryptoError, now: Instant) -> list[Effect]:
        """A job is done: go on where it was needed, unless this SA has ended meanwhile."""
        if self.postponed is not None and self.postponed.job == job and self.state not in (State.LINGER, State.GONE):
            step, self.postponed = self.postponed.step, None
            self.results[job] = result
            self.attempt(step, now)
        return self.drain()

    # --- our requests

    def submit(self, task: Task, now: Instant, front: bool = False) -> None:
        """Queue a request and send it when the window has room."""
        if front:
            self.queue.appendleft(task)
        else:
            self.queue.append(task)
        if not task.background:
            for flight in list(self.flights.values()):
                flight.task.hurry(self, now)
        self.pump(now)

    def pump(self, now: Instant) -> None:
        """Send the waiting requests, those that give way last, as long as the window is open."""
        while self.queue and self.state not in (State.LINGER, State.GONE):
            if self.send_window.exhausted and not self.flights:
                self.log("message IDs are used up", Rc.LOG_SERIOUS)
                self.end(Gone.LOCAL, now)
                return
            if not self.send_window.open:
                return
            task = next((waiting for waiting in self.queue if not waiting.background), self.queue[0])
            if self.flights and (task.alone or any(other.alone for other in self.tasks)):
                return
            self.queue.remove(task)
            try:
                payloads = task.build(self, now)
            except IpsecError as why:
                task.failed(self, str(why), getattr(why, "notify", None) or 0)
                continue
            if payloads is not None and self.state not in (State.LINGER, State.GONE):
                self.transmit(task, payloads, now)

    def transmit(self, task: Task, payloads: Sequence[Payload], now: Instant) -> None:
        """Send a request and begin to wait for its answer."""
        policy = self.need_policy()
        header = self.header(task.exchange, self.send_window.take(), response=False)
        datagrams = task.cut(self, header, (*payloads, *self.tell_window(task.exchange)))
        outstanding = Outstanding.start(
            header.message_id,
            datagrams,
            task.interval or policy.retransmit_interval,
            min(task.patience or policy.retransmit_timeout, policy.retransmit_timeout),
            now,
            policy.brisk if task.pressing or self.state in (State.I1, State.I2) else 0.0,
        )
        self.flights[header.message_id] = Flight(task, outstanding, now)
        self.dispatch(datagrams, whole=task.whole)

    def tell_window(self, exchange: ExchangeType) -> tuple[Notify, ...]:
        """SET_WINDOW_SIZE, once on each IKE SA: in IKE_AUTH, and after a rekeying for peers that know what it means.

        From then on the promise holds.
        """
        if exchange == ExchangeType.IKE_AUTH:
            first = self.state is State.I2 or self.is_established
        else:
            first = self.is_established and self.windows
        window = self.need_policy().window
        if not first or self.receive_window.size >= window:
            return ()
        self.receive_window.size = window
        return (Notify(NotifyType.SET_WINDOW_SIZE, window.to_bytes(4, "big")),)

    def dispatch(
        self,
        datagrams: Sequence[bytes],
        local: Endpoint | None = None,
        remote: Endpoint | None = None,
        whole: bool = False,
    ) -> None:
        """Hand datagrams over to be sent, to the peer's usual address unless told otherwise."""
        for data in datagrams:
            self.emit(Send(local or self.local, remote or self.remote, data, whole))

    def defer(self, task: Task, now: Instant) -> None:
        """The peer said TEMPORARY_FAILURE: try later, and give the IKE SA up after minutes of it (RFC 7296 2.25)."""
        task.first_deferred = now if task.first_deferred is None else task.first_deferred
        if now - task.first_deferred >= RETRY_FOR:
            task.failed(self, "the peer has been busy for minutes", NotifyType.TEMPORARY_FAILURE)
            self.log("the peer says TEMPORARY_FAILURE for minutes: closing this IKE SA", Rc.LOG_SERIOUS)
            self.close(now)
            return
        between = RETRY_AFTER
        if task.soon:
            pause = RETRY_SOON * 2 ** (type(task).soon - task.soon)
            between, task.soon = (pause, 2 * pause), task.soon - 1
        self.deferred.append((now + uniform(self.rng, *between), task))

    def count_anew(self) -> None:
        """What has been repeated so far no longer speaks against the peer."""
        self.silent = False
        for flight in self.flights.values():
            flight.excused = flight.outstanding.repeats

    # --- answers

    def reply(
        self, request: Header, opened: Opened, payloads: Sequence[Payload], local: Endpoint, remote: Endpoint
    ) -> None:
        """Answer a request to where it came from, and keep the answer for its repetitions (RFC 7296 2.1, 2.11)."""
        payloads = (*payloads, *self.tell_window(request.exchange))
        datagrams = self.wrap(self.header(request.exchange, request.message_id, response=True), payloads)
        self.replies.remember(request.message_id, opened.request, datagrams, self.receive_window.size)
        self.dispatch(datagrams, local, remote)

    # --- ends

    @abstractmethod
    def close(self, now: Instant) -> None:
        """Close this SA from our side, telling the peer."""

    def fail(self, reason: str, notify: int = 0, timeout: bool = False, gone: Gone = Gone.REFUSED) -> None:
        """The negotiation is over before it succeeded: tell, and be gone or linger as the state says next."""
        self.log(reason, Rc.NORETRANSMISSION if timeout else Rc.NOTIFICATION + notify if notify else Rc.LOG_SERIOUS)
        self.drop_requests(reason, notify)
        self.emit(IkeFailed(reason, notify, timeout))
        self.emit(IkeGone(gone))

    def drop_requests(self, reason: str, notify: int = 0, keep_current: bool = False) -> None:
        """Nothing waiting will be done any more."""
        waiting = [*self.queue, *(task for _, task in self.deferred)]
        self.queue.clear()
        self.deferred.clear()
        if not keep_current:
            waiting[:0] = self.tasks
            self.flights.clear()
        for task in waiting:
            task.failed(self, reason, notify)

    def drop_children(self, reason: Gone) -> None:
        """All children have ended."""
        for child in self.children.values():
            self.emit(ChildGone(child.spi_in, child.spi_out, reason, child.replaced_by))
        self.children = {}

    def end(self, reason: Gone, now: Instant, linger: bool = False) -> None:
        """An SA that was established ends: children, then itself; `linger` to answer repetitions for a while."""
        replaced = self.state is State.REPLACED or self.provisional
        told = self.state is State.CLOSING
        self.drop_requests(f"IKE SA ended: {reason.value}")
        if not replaced and not told:
            self.drop_children(Gone.IKE_GONE)
            self.emit(IkeGone(reason))
        if linger:
            self.move(State.LINGER)
            self.deadline = now + LINGER
        else:
            self.vanish()

    def vanish(self) -> None:
        """The machine says its last word and forgets its keys."""
        if self.state is State.GONE:
            return
        self.drop_requests("IKE SA ended")
        self.move(State.GONE)
        self.deadline = self.postponed = None
        self.aside.clear()
        self.forget_unused()
        if self.keys is not None:
            self.keys.wipe()
            self.keys = None
        if self.channel is not None:
            self.channel.wipe()
            self.channel = None
        self.emit(Forget())

    @abstractmethod
    def create_others(self, now: Instant, done: int = 1) -> None:
        """Ask for the initial children that had no place in IKE_AUTH; `done`: how many had one."""

    @abstractmethod
    def make_successor(self, is_initiator: bool, now: Instant) -> IkeSaV2:
        """An IKE SA that inherits policy, peer and addresses, with windows and SPIs of its own."""


def error(kind: NotifyType, data: bytes = b"") -> Notify:
    """A notification about no SA in particular."""
    return Notify(kind, data)


def first_error(message: Message) -> Notify | None:
    """The first error notification of a message."""
    return next((n for n in message.all(Notify) if n.is_error), None)
