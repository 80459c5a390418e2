# SPDX-License-Identifier: GPL-2.0-or-later
"""What every part of an IKE SA shares: its values, its unanswered requests, its answers, its effects."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from cryptography.x509 import Certificate

from openswan.base.address import Address, Endpoint
from openswan.base.entropy import Rng, uniform
from openswan.base.errors import CryptoError, IpsecError
from openswan.base.interval import Duration, Instant
from openswan.base.log import Rc
from openswan.crypto.keymat import IkeKeys
from openswan.crypto.prf import Prf
from openswan.ike.effects import ChildGone, Effect, Forget, Gone, IkeFailed, IkeGone, Log, RequestFailed, Send, Work
from openswan.ike.events import CreateChild, Request
from openswan.ike.later import Job, Later
from openswan.ike.policy import ChosenIke, IkePolicy, Responder
from openswan.ike.resumption import Session
from openswan.ike.retransmit import Outstanding, ReplyCache
from openswan.ike.v2.child import Child
from openswan.ike.v2.msgid import ReceiveWindow, SendWindow
from openswan.ike.v2.protect import Channel, Opened
from openswan.ike.v2.states import ALLOWED, ESTABLISHED, KEYED, State
from openswan.policy.identity import Identity
from openswan.policy.modecfg import Assigned
from openswan.wire.header import NO_SPI, SPI_OCTETS, Flags, Header
from openswan.wire.message import Message
from openswan.wire.v2.authmethods import Announcement
from openswan.wire.v2.body import Payload
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import ExchangeType, NotifyType

if TYPE_CHECKING:
    from openswan.ike.v2.sa import IkeSaV2
    from openswan.ike.v2.tasks.eap_auth import ServerRounds
    from openswan.ike.v2.tasks.followup import Pending

LINGER: Duration = 20.0
"""How long an SA that ended by the peer's request still answers its repetitions."""
HALF_OPEN: Duration = 60.0
"""How long a responder waits for IKE_AUTH."""
RETRY_AFTER: tuple[Duration, Duration] = (4.0, 9.0)
"""After TEMPORARY_FAILURE: anything between these, so that two ends do not collide again (RFC 7296 2.25)."""
RETRY_FOR: Duration = 180.0
"""Several minutes of TEMPORARY_FAILURE mean that the two ends disagree: the IKE SA is closed (RFC 7296 2.25)."""


CLEAR = (ExchangeType.IKE_SA_INIT, ExchangeType.IKE_SESSION_RESUME)
"""Exchanges before there are keys."""


class Ignored(Enum):
    """Why a datagram changed nothing."""

    MALFORMED = "not an IKEv2 message"
    FOREIGN = "SPIs or direction of another SA"
    NO_KEYS = "encrypted, but there are no keys yet"
    IN_CLEAR = "in clear where only an encrypted message counts"
    OUT_OF_PLACE = "exchange that this state does not take"
    OUTSIDE_WINDOW = "message ID outside the window"
    INTEGRITY = "integrity check failed"
    REPEATED = "repetition without a reply to give"
    FRAGMENT = "fragment of a message not complete yet"
    BAD_ANSWER = "IKE_SA_INIT response that cannot be used"


class Task(ABC):
    """One request of ours: builds it and takes its answer."""

    exchange: ExchangeType = ExchangeType.INFORMATIONAL
    alone: bool = False
    """No other request may be unanswered at the same time, whatever the window."""
    background: bool = False
    """It gives way to any other, and no answer to it means nothing while no other waits."""
    whole: bool = False
    """Its datagrams must not be fragmented by IP."""
    interval: Duration = 0.0
    """First wait before a repetition; 0: the policy's."""
    patience: Duration = 0.0
    """How long it is repeated at most; 0: as long as the policy says."""
    parent: Task | None = None
    """The request on whose behalf this one is made: as long as it is unanswered, so is that."""
    first_deferred: Instant | None = None
    """When the peer first said TEMPORARY_FAILURE."""

    def __init__(self, request: Request | None = None) -> None:
        self.request = request

    @property
    def token(self) -> int:
        """The asker's number."""
        return self.request.token if self.request else 0

    def cut(self, sa: Core, header: Header, payloads: Sequence[Payload]) -> tuple[bytes, ...]:
        """The datagrams of the request."""
        return sa.wrap(header, payloads)

    def hurry(self, sa: Core, now: Instant) -> None:  # noqa: B027 (most requests cannot)
        """Another request waits for this one's answer."""

    @abstractmethod
    def build(self, sa: Core, now: Instant) -> Sequence[Payload] | None:
        """The payloads to send, or None when there is nothing to do any more; IpsecError when it cannot be done."""

    @abstractmethod
    def answered(self, sa: Core, answer: Message, now: Instant) -> None:
        """Take the response; IpsecError fails the request."""

    def failed(self, sa: Core, reason: str, notify: int = 0) -> None:
        """The request came to nothing."""
        if self.request is not None:
            sa.emit(RequestFailed(self.request, reason, notify))


@dataclass(slots=True)
class Flight:
    """A request of ours that waits for its answer."""

    task: Task
    outstanding: Outstanding
    asked: Instant
    """When it was first sent."""
    excused: int = 0
    """Of its repetitions, those before the peer was last heard or an end moved: they say nothing about it now."""


@dataclass(frozen=True, slots=True)
class Postponed:
    """A step that is done again once a job is done."""

    job: Job
    step: Callable[[Instant], None]
    until: Instant
    """When we stop waiting."""


class Core:
    """State of one IKE SA and how it sends. Everything here may be read from outside, nothing changed."""

    def __init__(
        self, is_initiator: bool, local: Endpoint, remote: Endpoint, responder: Responder, rng: Rng, now: Instant
    ) -> None:
        self.is_initiator = is_initiator
        self.local = local
        self.remote = remote
        self.ask = responder
        self.rng = rng
        self.state = State.I0 if is_initiator else State.R0
        self.spi_i = self.new_spi() if is_initiator else NO_SPI
        self.spi_r = NO_SPI
        self.policy: IkePolicy | None = None
        self.chosen: ChosenIke | None = None
        self.peer_id: Identity | None = None
        self.my_id: Identity | None = None
        self.resumed: Session | None = None
        """The session of before that this IKE SA resumes (RFC 5723)."""
        self.ticket = b""
        """As responder: the ticket it was resumed by, until that is spent."""
        self.childless = False
        """IKE_AUTH may go without a child: the responder has said so (RFC 6023)."""
        self.followups: dict[bytes, Pending] = {}
        """As responder: agreements whose additional key exchanges are still to come, by their link (RFC 9370)."""
        self.intermediate = False
        """Both ends know IKE_INTERMEDIATE (RFC 9242)."""
        self.intermediates = 0
        """How many such exchanges there have been."""
        self.intermediate_i = b""
        """IntAuth_i: what AUTH covers of the initiator's messages in them."""
        self.intermediate_r = b""
        self.auth_id = 0
        """IKE_AUTH_MID: message ID of the first IKE_AUTH request."""
        self.opening: Opened | None = None
        """The content of the message that is being handled."""
        self.uses_ppk = False
        """Both ends said USE_PPK (RFC 8784)."""
        self.keys_without_ppk: IkeKeys | None = None
        """While it is not decided whether a PPK is used: the keys without."""
        self.unused_keys: IkeKeys | None = None
        """Those decided against, until the step that did so is over."""
        self.rounds: ServerRounds | None = None
        """As responder: EAP under way."""
        self.anonymous = False
        """The peer has proved nothing: null authentication (RFC 7619)."""
        self.prf: Prf | None = None
        self.keys: IkeKeys | None = None
        self.channel: Channel | None = None
        self.nonce_i = b""
        self.nonce_r = b""
        self.init_i = b""
        """RealMessage1 as sent (RFC 7296 2.15)."""
        self.init_r = b""
        """RealMessage2."""
        self.children: dict[int, Child] = {}
        self.assigned: Assigned | None = None
        """Addresses the peer has given us."""
        self.granted: Assigned | None = None
        """Addresses we have given the peer."""
        self.closed_early: set[tuple[int, int]] = set()
        """Protocol and SPI of unknown children that the peer closed while our requests for children were unanswered:
        they may be what those have made, and the answers are still to come."""
        self.nat_here = False
        self.nat_there = False
        self.encapsulate = False
        self.forced = False
        """encapsulation=yes, and the peer can do it."""
        self.opens = False
        """The TCP connection is ours to open, also when it breaks (RFC 9329 6.1)."""
        self.redirectable = False
        """As responder: the peer goes to another gateway when it is sent there (RFC 5685)."""
        self.mobike = False
        """Both ends can follow changes of address (RFC 4555)."""
        self.decides = False
        """We made the first IKE SA of this line: which addresses are used is our choice."""
        self.peer_addresses: tuple[Address, ...] = ()
        """Where the peer can be reached too."""
        self.moves = 0
        """Changes of address so far."""
        self.moved_by = -1
        """Message ID of the peer's last update of addresses: an older one that comes late counts no more."""
        self.peer_token = b""
        """What proves in clear that the peer has lost this IKE SA (RFC 6290)."""
        self.doubted = float("-inf")
        """When something unauthenticated last made us ask whether the peer lives."""
        self.takes_probes = False
        """The peer answers an INFORMATIONAL in fragments."""
        self.own_peer = False
        """The peer is built from this project too."""
        self.peer_fragments = False
        self.peer_hashes: tuple[str, ...] = ()
        """SIGNATURE_HASH_ALGORITHMS of the peer; empty: it does not know method 14 (RFC 7427)."""
        self.peer_methods: tuple[Announcement, ...] = ()
        """How it can be proved to that we are who we are, as it has announced (RFC 9593); empty: it has not said."""
        self.peer_authorities: tuple[bytes, ...] | None = None
        """Hashes of its certificate requests; None: it asked for none."""
        self.peer_chain: tuple[Certificate, ...] = ()
        """By which it proved itself, its own certificate first; empty: it did so in another way."""
        self.initial: tuple[CreateChild, ...] = ()
        """As initiator: the children to begin with, the first of them inside IKE_AUTH."""
        self.created = now
        self.last_heard = now
        self.established: Instant | None = None
        self.counters: Counter[Ignored] = Counter()
        self.silent = False
        """That nobody answers has been told."""
        self.flights: dict[int, Flight] = {}
        """Our unanswered requests by message ID, oldest first."""
        self.queue: deque[Task] = deque()
        self.deferred: list[tuple[Instant, Task]] = []
        self.windows = False
        """The peer has named a window of its own: it knows what ours means."""
        self.round_trip: Duration | None = None
        """From a request to its answer, the last time it needed no repetition."""
        self.deadline: Instant | None = None
        """When an unfinished, replaced or lingering SA ends by itself."""
        self.heir: IkeSaV2 | None = None
        """Successor from the peer's exchange while ours is not decided (RFC 7296 2.8.2)."""
        self.heir_nonce = b""
        """The lower nonce of that exchange."""
        self.provisional = False
        """A successor that has not inherited anything (yet)."""
        self.postponed: Postponed | None = None
        """The step that waits for something to be done."""
        self.results: dict[Job, bytes | CryptoError] = {}
        """Of the jobs the step at work has asked for."""
        self.send_window = SendWindow()
        self.receive_window = ReceiveWindow()
        self.replies = ReplyCache()
        self._effects: list[Effect] = []

    # --- views

    @property
    def my_spi(self) -> bytes:
        """The SPI we chose: it names this SA in what we receive."""
        return self.spi_i if self.is_initiator else self.spi_r

    @property
    def peer_spi(self) -> bytes:
        """The SPI the peer chose."""
        return self.spi_r if self.is_initiator else self.spi_i

    @property
    def is_established(self) -> bool:
        """Both sides authenticated and neither closing?"""
        return self.state in ESTABLISHED

    @property
    def proving(self) -> bool:
        """As initiator: is IKE_AUTH unanswered, so that the peer may have an SA that we do not?"""
        return self.state is State.I2

    @property
    def task(self) -> Task | None:
        """The oldest unanswered request; the only one, if it is `alone`."""
        flight = next(iter(self.flights.values()), None)
        return flight.task.parent or flight.task if flight is not None else None

    @property
    def outstanding(self) -> Outstanding | None:
        """The retransmissions of that request."""
        flight = next(iter(self.flights.values()), None)
        return flight.outstanding if flight is not None else None

    @outstanding.setter
    def outstanding(self, value: Outstanding) -> None:
        self.flights[value.message_id].outstanding = value

    @property
    def tasks(self) -> tuple[Task, ...]:
        """All unanswered requests, oldest first."""
        return tuple(flight.task.parent or flight.task for flight in self.flights.values())

    @property
    def busy(self) -> bool:
        """Is a request of ours unanswered or waiting, other than one that gives way?"""
        return any(not task.background for task in self.tasks) or bool(self.queue) or bool(self.deferred)

    def need_policy(self) -> IkePolicy:
        """The policy, which exists in every state but the first of a responder."""
        if self.policy is None:
            raise IpsecError("this IKE SA has no policy yet")
        return self.policy

    def need_keys(self) -> tuple[Prf, IkeKeys, ChosenIke]:
        """PRF, keys and algorithms, which exist in every state of KEYED."""
        if self.prf is None or self.keys is None or self.chosen is None:
            raise IpsecError("this IKE SA has no keys yet")
        return self.prf, self.keys, self.chosen

    # --- small tools

    def new_spi(self) -> bytes:
        """An IKE SPI: 8 octets, not all zero."""
        return self.rng.octets(SPI_OCTETS - 1) + bytes([self.rng.octets(1)[0] | 1])

    def emit(self, effect: Effect) -> None:
        """Add an effect to what the present call returns."""
        self._effects.append(effect)

    def drain(self) -> list[Effect]:
        """What the present call returns."""
        effects, self._effects = self._effects, []
        return effects

    def log(self, text: str, code: int = Rc.LOG) -> None:
        """A line for log and whack."""
        self.emit(Log(int(code), text))

    def move(self, target: State) -> None:
        """Go to another state; only what TRANSITIONS lists is possible."""
        if (self.state, target) not in ALLOWED:
            raise RuntimeError(f"no transition from {self.state.label} to {target.label}")
        self.state = target

    def header(self, exchange: ExchangeType, message_id: int, response: bool) -> Header:
        """A header of ours."""
        flags = (Flags.INITIATOR if self.is_initiator else Flags.NONE) | (Flags.RESPONSE if response else Flags.NONE)
        return Header(self.spi_i, self.spi_r, exchange, flags, message_id)

    @property
    def fragments(self) -> bool:
        """Do both ends fragment IKE messages (RFC 7383)? In TCP nobody has to."""
        return self.policy is not None and not self.local.stream and self.policy.fragmentation and self.peer_fragments

    def wrap(self, header: Header, payloads: Sequence[Payload]) -> tuple[bytes, ...]:
        """The datagrams of a message of ours, encrypted unless it is IKE_SA_INIT."""
        if header.exchange in CLEAR or self.channel is None:
            return (Message(header, tuple(payloads)).emit(),)
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
        if self.task is not None:
            self.task.hurry(self, now)
        self.pump(now)

    def pump(self, now: Instant) -> None:
        """Send the waiting requests, in order, as long as the window is open."""
        while self.queue and self.state not in (State.LINGER, State.GONE):
            if self.send_window.exhausted and not self.flights:
                self.log("message IDs are used up", Rc.LOG_SERIOUS)
                self.end(Gone.LOCAL, now)
                return
            if not self.send_window.open:
                return
            if self.flights and (self.queue[0].alone or any(task.alone for task in self.tasks)):
                return
            task = self.queue.popleft()
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
        self.deferred.append((now + uniform(self.rng, *RETRY_AFTER), task))

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

    def is_keyed(self) -> bool:
        """Can encrypted messages be opened?"""
        return self.state in KEYED and self.channel is not None


def error(kind: NotifyType, data: bytes = b"") -> Notify:
    """A notification about no SA in particular."""
    return Notify(kind, data)


def first_error(message: Message) -> Notify | None:
    """The first error notification of a message."""
    return next((n for n in message.all(Notify) if n.is_error), None)
