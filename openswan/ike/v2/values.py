# SPDX-License-Identifier: GPL-2.0-or-later
"""What one IKE SA remembers, and what can be seen of it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from cryptography.x509 import Certificate

from openswan.base.address import Address, Endpoint
from openswan.base.entropy import Rng
from openswan.base.errors import CryptoError, IpsecError
from openswan.base.interval import Duration, Instant
from openswan.base.log import Rc
from openswan.crypto.keymat import IkeKeys
from openswan.crypto.prf import Prf
from openswan.ike.effects import Effect, Log
from openswan.ike.events import CreateChild
from openswan.ike.later import Job, Unsettled
from openswan.ike.machine import Watch
from openswan.ike.policy import ChosenIke, IkePolicy, Responder
from openswan.ike.resumption import Session
from openswan.ike.retransmit import Outstanding, ReplyCache
from openswan.ike.v2.child import Child
from openswan.ike.v2.msgid import ReceiveWindow, SendWindow
from openswan.ike.v2.protect import Channel, Opened
from openswan.ike.v2.states import ALLOWED, ENDED, ESTABLISHED, KEYED, State
from openswan.ike.v2.task import Flight, Task
from openswan.policy.grade import Grade
from openswan.policy.identity import Identity
from openswan.policy.modecfg import Assigned
from openswan.wire.header import NO_SPI, SPI_OCTETS
from openswan.wire.message import Message
from openswan.wire.v2.authmethods import Announcement

if TYPE_CHECKING:
    from openswan.ike.v2.sa import IkeSaV2
    from openswan.ike.v2.tasks.eap_auth import ServerRounds
    from openswan.ike.v2.tasks.followup import Pending


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


@dataclass(frozen=True, slots=True)
class Postponed:
    """A step that is done again once a job is done."""

    job: Job
    step: Callable[[Instant], None]
    until: Instant
    """When we stop waiting."""


@dataclass(frozen=True, eq=False, slots=True)
class Aside:
    """A request that has been taken and is answered once a job is done; repetitions are not heard meanwhile."""

    why: Unsettled
    """Its job, and what it is told when that takes too long."""
    request: Message
    opened: Opened
    local: Endpoint
    remote: Endpoint
    """Where it came from."""
    until: Instant
    """When it is refused for the moment instead."""


class Values:
    """State of one IKE SA. Everything here may be read from outside, nothing changed."""

    def __init__(
        self, is_initiator: bool, local: Endpoint, remote: Endpoint, responder: Responder, rng: Rng, now: Instant
    ) -> None:
        self.is_initiator = is_initiator
        self.serial = 0
        """The owner's number."""
        self.watch: Watch | None = None
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
        self.peer_fetches = False
        """It takes hash and URL instead of a certificate."""
        self.peer_chain: tuple[Certificate, ...] = ()
        """By which it proved itself, its own certificate first; empty: it did so in another way."""
        self.peer_grade: Grade | None = None
        """How good its key is, which the DNS had; None: it was not looked up for this IKE SA."""
        self.peer_key = b""
        """The public key it proved itself by (openswan.crypto.dnskey.raw_octets); empty: it did so in another way."""
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
        self.answered_after: Duration = 0.0
        """All waits for answers until now, each from the last repetition on: what is lost counts for nothing."""
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
        self.aside: list[Aside] = []
        """Requests of the peer that wait for something to be done."""
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
    def ended(self) -> bool:
        """Is there nothing left but to answer repetitions?"""
        return self.state in ENDED

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
        return any(not task.background for task in (*self.tasks, *self.queue)) or bool(self.deferred)

    def idle(self, task: Task) -> bool:
        """Does nobody wait for the answer to this request?"""
        return task.background and all(other.background for other in self.queue)

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

    def is_keyed(self) -> bool:
        """Can encrypted messages be opened?"""
        return self.state in KEYED and self.channel is not None

    @property
    def fragments(self) -> bool:
        """Do both ends fragment IKE messages (RFC 7383)? In TCP nobody has to."""
        return self.policy is not None and not self.local.stream and self.policy.fragmentation and self.peer_fragments

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
