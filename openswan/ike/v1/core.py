# SPDX-License-Identifier: GPL-2.0-or-later
"""What every part of an ISAKMP SA does: remembers, logs, moves, sends, refuses, ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from cryptography.x509 import Certificate

from openswan.base.address import Endpoint
from openswan.base.entropy import Rng
from openswan.base.errors import CryptoError, IkeError
from openswan.base.interval import Duration, Instant
from openswan.base.log import Rc
from openswan.crypto.dh import DhPair
from openswan.ike.effects import (
    ChildGone,
    Forget,
    Gone,
    Heard,
    IkeFailed,
    IkeGone,
    Log,
    PeerMoved,
    RequestFailed,
    Send,
    Silent,
    Work,
)
from openswan.ike.events import CreateChild, RekeyChild, Request
from openswan.ike.later import Job, Later
from openswan.ike.machine import Modest, Watch
from openswan.ike.retransmit import Outstanding
from openswan.ike.v1 import natt
from openswan.ike.v1.child import Child
from openswan.ike.v1.dpd import Prober
from openswan.ike.v1.effects import Effect
from openswan.ike.v1.exchange import Quick
from openswan.ike.v1.keys import IsakmpKeys
from openswan.ike.v1.phase1 import ChosenIsakmp
from openswan.ike.v1.pieces import Assembler, cut
from openswan.ike.v1.policy import IsakmpPolicy, Owner
from openswan.ike.v1.states import ALLOWED, BEGINNING, KEYED, State
from openswan.policy.identity import Identity
from openswan.policy.modecfg import Assigned
from openswan.wire.v1.body import Payload
from openswan.wire.v1.header import NO_COOKIE, Flags, Header
from openswan.wire.v1.ident import Id
from openswan.wire.v1.message import Message
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import ExchangeType, NotifyType, ProtocolId
from openswan.wire.v1.sa import Sa
from openswan.wire.v1.vendor import FRAGMENTATION

if TYPE_CHECKING:
    from openswan.ike.v1.exchanges import Exchanges
    from openswan.ike.v1.transactions import Talk

T = TypeVar("T")

HALF_OPEN: Duration = 60.0
"""How long a responder waits for the whole of Main Mode."""
MOST_REPLAYS = 5
"""How often one answer is repeated."""
SILENT = 3
"""Repetitions after which a peer counts as silent."""
MOST_NOTIFIES = 3
"""Notifications in clear for one negotiation: whoever sends garbage gets no more answers than that."""
COOKIE_OCTETS = 8
MOST_HINTS = 3
HINTS_WITHIN: Duration = 60.0


class Core(Modest):
    """An ISAKMP SA without ears and face."""

    heir: Exchanges | None = None
    """The one that has taken its place; children are common to both then."""
    before: tuple[Exchanges, ...] = ()
    """Those whose place this one has taken."""

    def __init__(
        self, is_initiator: bool, local: Endpoint, remote: Endpoint, owner: Owner, rng: Rng, now: Instant
    ) -> None:
        self.is_initiator = is_initiator
        self.local, self.remote = local, remote
        self.ask, self.rng = owner, rng
        self.state = State.MAIN_I0 if is_initiator else State.MAIN_R0
        self.created = now
        self.established: Instant = 0.0
        self.cookie_i = self.cookie() if is_initiator else NO_COOKIE
        self.cookie_r = NO_COOKIE
        self.policy: IsakmpPolicy | None = None
        self.chosen: ChosenIsakmp | None = None
        self.peer_id: Identity | None = None
        self.peer_chain: tuple[Certificate, ...] = ()
        """The certificates the peer has proved itself by, leaf first."""
        self.wants_certificate = False
        """The peer has asked for a certificate."""
        self.me: Id | None = None
        """Aggressive Mode: the identity we have sent,"""
        self.him: Id | None = None
        """and the one the initiator has."""
        self.mode = ExchangeType.MAIN
        """Phase 1's exchange."""
        self.results: dict[Job, bytes | CryptoError] = {}
        """Of the jobs that the present step needs."""
        self.postponed: Postponed | None = None
        self.settled = self.state
        """What phase 1 ended in."""
        self.contact = False
        """The peer remembers no other SA with us."""
        self.user = ""
        """Who the peer has proved to be by XAUTH."""
        self.failed_login = False
        """It has not, and was let in all the same."""
        self.refused_at: Instant | None = None
        """When a client with a wrong password hears that it is."""
        self.assigned: Assigned | None = None
        """What the peer has given us,"""
        self.granted: Assigned | None = None
        """and we the peer."""
        self.talks: dict[int, Talk] = {}
        """Transactions by Message ID."""
        self.asking: Talk | None = None
        """The one of ours that waits for an answer."""
        self.offered: Sa | None = None
        """The initiator's SA payload, which both proofs cover."""
        self.pair: DhPair | None = None
        self.nonce = b""
        self.keys: IsakmpKeys | None = None
        self.announced: set[bytes] = set()
        """The peer's vendor IDs that we heed."""
        self.method: natt.Method | None = None
        """The dialect of NAT traversal, None: none."""
        self.nat: natt.Found | None = None
        """Who is behind a NAT, None: not known."""
        self.outstanding: Outstanding | None = None
        """As initiator: what has yet to be answered."""
        self.deadline: Instant | None = None if is_initiator else now + HALF_OPEN
        self.last_heard: Instant = now
        self.heard = b""
        """The digest of the datagram last acted on in this phase 1."""
        self.reply = b""
        """What was sent for it."""
        self.replays = 0
        self.confirmed = False
        """The peer has said something since phase 1."""
        self.last_word = b""
        """AI2, as long as nothing shows that the responder has it."""
        self.notified = 0
        self.hints = Hints()
        self.serial = 0
        """The owner's number, for the log."""
        self.watch: Watch | None = None
        self.children: dict[int, Child] = {}
        """By inbound SPI."""
        self.again: list[tuple[Instant, Child]] = []
        """Pairs whose Delete is to be said once more, and when."""
        self.quicks: dict[int, Quick] = {}
        """By Message ID: those under way, and for a while those that are over."""
        self.spent: set[int] = set()
        """Every Message ID there has been: none is good for a second exchange."""
        self.waiting: deque[CreateChild | RekeyChild] = deque()
        """Quick Modes that have yet to begin."""
        self.prober = Prober()
        self.assembler = Assembler()
        self.silent = False
        """A message of an established SA has been repeated a few times, and nothing was heard since."""
        self.about = 0
        """The request that what is done now is about; 0: none."""
        self._effects: list[Effect] = []

    # --- what is known by now

    @property
    def spi_i(self) -> bytes:
        """The initiator's cookie, 8 octets;"""
        return self.cookie_i

    @property
    def spi_r(self) -> bytes:
        """the responder's, zero before it is known;"""
        return self.cookie_r

    @property
    def my_spi(self) -> bytes:
        """ours of the two."""
        return self.cookie_i if self.is_initiator else self.cookie_r

    @property
    def ended(self) -> bool:
        """Is it over?"""
        return self.state is State.GONE

    def need_policy(self) -> IsakmpPolicy:
        """The policy; RuntimeError before there is one."""
        return _there(self.policy)

    def need_chosen(self) -> ChosenIsakmp:
        """The algorithms; RuntimeError before they are agreed."""
        return _there(self.chosen)

    def need_offered(self) -> Sa:
        """The initiator's proposals; RuntimeError before they are known."""
        return _there(self.offered)

    def need_keys(self) -> IsakmpKeys:
        """The keys; RuntimeError before there are any."""
        return _there(self.keys)

    @property
    def is_established(self) -> bool:
        """May Quick Modes be made?"""
        return self.state in KEYED

    @property
    def nat_here(self) -> bool:
        """Are we behind a NAT?"""
        return self.nat is not None and self.nat.here

    @property
    def nat_there(self) -> bool:
        """Is the peer?"""
        return self.nat is not None and self.nat.there

    @property
    def encapsulate(self) -> bool:
        """Does ESP travel in UDP?"""
        return self.nat is not None and self.nat.any

    @property
    def cookies(self) -> natt.Cookies:
        """Both, as the hashes of NAT detection want them."""
        return natt.Cookies(self.cookie_i, self.cookie_r)

    def need(self, job: Job) -> bytes:
        """The result of a job; Later when it has yet to be done, CryptoError when it failed."""
        result = self.results.get(job)
        if result is None:
            raise Later(job)
        if isinstance(result, CryptoError):
            raise result
        return result

    def postpone(self, postponed: Postponed) -> None:
        """Have a job done, and go on then."""
        self.postponed = postponed
        self.emit(Work(postponed.job))

    def cookie(self) -> bytes:
        """A fresh one, which is never zero (RFC 2408 2.5.3)."""
        while True:
            found = self.rng.octets(COOKIE_OCTETS)
            if found != NO_COOKIE:
                return found

    def new_message_id(self) -> int:
        """One that this SA has not had."""
        while True:
            found = int.from_bytes(self.rng.octets(4), "big")
            if found and found not in self.spent:
                self.spent.add(found)
                return found

    # --- what goes on under it

    def decline(self, request: Request, why: str, notify: int = 0) -> None:
        """Nothing comes of what was asked."""
        self.emit(RequestFailed(request, why, notify))

    def believe(self, message: Message, ends: tuple[Endpoint, Endpoint], now: Instant) -> None:
        """The peer, and nobody else, says this now."""
        self.spent.add(message.header.message_id)
        self.confirmed = True
        self.last_word, self.outstanding = b"", None
        self.last_heard = now
        if self.silent:
            self.silent = False
            self.emit(Heard())
        if self.nat_there and ends != (self.local, self.remote):
            self.local, self.remote = ends
            self.emit(PeerMoved(*ends))

    def heard_last(self) -> Instant:
        """When the peer was last heard here, or on another ISAKMP SA with which this one shares its pairs."""
        newest = self.heir or self
        return max(one.last_heard for one in (self, newest, *newest.before))

    def count(self, outstanding: Outstanding) -> None:
        """It has been repeated: at some point a peer of whom nothing at all is heard counts as silent."""
        if outstanding.repeats >= SILENT and not self.silent and self.heard_last() <= outstanding.begun:
            self.silent = True
            self.emit(Silent())

    # --- what comes out

    def emit(self, effect: Effect) -> None:
        """One more effect."""
        self._effects.append(effect)

    def drain(self) -> list[Effect]:
        """All effects since the last time."""
        self.about = 0
        effects, self._effects = self._effects, []
        return effects

    def log(self, text: str, code: int = Rc.LOG) -> None:
        """A line about this SA, or what it is at."""
        self.emit(Log(code, text, self.about))

    def move(self, target: State) -> None:
        """Change state; a move that is not in the table is a bug."""
        if (self.state, target) not in ALLOWED:
            raise RuntimeError(f"no transition from {self.state} to {target}")
        self.state = target

    def header(self, exchange: ExchangeType, message_id: int = 0, *, encrypted: bool = False) -> Header:
        """A header of ours."""
        flags = Flags.ENCRYPTION if encrypted else Flags.NONE
        return Header(self.cookie_i, self.cookie_r, exchange, flags, message_id)

    @property
    def cuts(self) -> bool:
        """May messages come in pieces, both ways?"""
        return self.policy is not None and self.policy.fragmentation and FRAGMENTATION in self.announced

    def send(self, data: bytes) -> None:
        """One message to where the peer is now."""
        for datagram in cut(data, self.need_policy().fragment_size if self.cuts else 0):
            self.emit(Send(self.local, self.remote, datagram))

    def clear(self, payloads: Sequence[Payload]) -> bytes:
        """The datagram of a phase 1 message in clear."""
        return Message.clear(self.header(self.mode), payloads).emit()

    def refuse(self, why: str, notify: int | None, now: Instant) -> None:
        """Say what was wrong with a message of phase 1: to the log, and in clear to the peer, MOST_NOTIFIES times.

        The state stays as it is, as anybody may have sent the message; but a responder that has none yet keeps nothing.
        """
        self.log(why, Rc.LOG_SERIOUS)
        if notify and self.notified < MOST_NOTIFIES and self.cookie_i != NO_COOKIE:
            self.notified += 1
            kind = NotifyType(notify)
            self.log(f"sending notification {kind} to {self.remote}")
            message_id = max(1, int.from_bytes(self.rng.octets(4), "big"))
            told = Notify(kind, protocol=ProtocolId.ISAKMP, spi=self.cookie_i + self.cookie_r)
            self.send(Message.clear(self.header(ExchangeType.INFORMATIONAL, message_id), [told]).emit())
        if self.state in BEGINNING:
            self.fail(why, notify or 0)

    def fail(self, why: str, notify: int = 0, *, timeout: bool = False) -> None:
        """The negotiation came to nothing."""
        self.emit(IkeFailed(why, notify, timeout))
        self.end(Gone.TIMEOUT if timeout else Gone.REFUSED)

    def hint(self, text: str, now: Instant) -> None:
        """A line about what nobody has proved to be the peer's: a few in a while, as anybody may have sent it."""
        if self.hints.may(now):
            self.log(text, Rc.LOG_SERIOUS)

    def lose(self, child: Child, reason: Gone) -> None:
        """A pair of IPsec SAs has ended."""
        del self.children[child.spi_in]
        self.emit(ChildGone(child.spi_in, child.spi_out, reason, child.replaced_by, child.token))

    def end(self, reason: Gone) -> None:
        """Nothing more comes of this SA; its keys are wiped.

        Its pairs of IPsec SAs end too: there would be nobody to renew or delete them, or to ask whether the peer lives.
        """
        self.move(State.GONE)
        self.outstanding = self.deadline = self.pair = self.postponed = None
        self.results.clear()
        self.talks.clear()
        self.asking = self.refused_at = None
        self.waiting.clear()
        self.prober.forget()
        self.assembler.forget()
        for child in list(self.children.values()):
            self.lose(child, Gone.IKE_GONE)
        if self.keys is not None:
            self.keys.wipe()
        self.emit(IkeGone(reason))
        self.emit(Forget())


@dataclass(frozen=True, slots=True)
class Postponed:
    """A step that waits for a job, and is done again from its start then."""

    job: Job
    step: Callable[[Instant], None]
    until: Instant
    """When it is given up."""


class Hints:
    """How many lines strangers may cause: MOST_HINTS in HINTS_WITHIN seconds."""

    __slots__ = ("count", "since")

    def __init__(self) -> None:
        self.count = 0
        self.since: Instant = 0.0

    def may(self, now: Instant) -> bool:
        """May there be one more?"""
        if not self.count or now - self.since >= HINTS_WITHIN:
            self.count, self.since = 0, now
        self.count += 1
        return self.count <= MOST_HINTS


def malformed(why: str, notify: NotifyType = NotifyType.PAYLOAD_MALFORMED) -> IkeError:
    """What to raise for a message that is not what it has to be."""
    return IkeError(why, notify)


def _there(value: T | None) -> T:
    if value is None:
        raise RuntimeError("this is not known in this state")
    return value
