# SPDX-License-Identifier: GPL-2.0-or-later
"""What the driver of IKE SAs asks of their machines in either version: bytes, requests, the clock in; effects out.

IkeSaV2 and IsakmpSa both satisfy `Machine`. How one is begun, and what may be asked of it beyond this, is its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from cryptography.x509 import Certificate

from openswan.base.address import Endpoint
from openswan.base.errors import CryptoError
from openswan.base.interval import Duration, Instant
from openswan.ike.events import Request
from openswan.ike.later import Job
from openswan.plane.commands import Encap
from openswan.policy.grade import Grade
from openswan.policy.identity import Identity
from openswan.policy.modecfg import Assigned


class Stage(Protocol):
    """Where a machine stands; its str() is the classic name."""

    @property
    def story(self) -> str:
        """The same in a few words."""


Watch: TypeAlias = Callable[[bool, object, Sequence[object]], None]
"""(is it ours?, header, payloads): sees what travels encrypted, for lines of debugging."""


class Machine(Protocol):
    """An IKE SA. Methods that take `now` return effects to be carried out in order; bad input raises nothing."""

    local: Endpoint
    remote: Endpoint
    serial: int
    """The owner's number, for lines of the log."""
    watch: Watch | None
    """None: nobody looks."""

    # --- what goes in

    def receive(self, data: bytes, local: Endpoint, remote: Endpoint, now: Instant) -> Sequence[object]:
        """A datagram that came for this SA, without non-ESP marker."""

    def request(self, request: Request, now: Instant) -> Sequence[object]:
        """Something is wanted of it; what it cannot do ends in RequestFailed."""

    def timer(self, now: Instant) -> Sequence[object]:
        """What `next_timer` has named is due."""

    def next_timer(self) -> Instant | None:
        """When `timer` wants to be called; None: never as things stand."""

    def resume(self, job: Job, result: bytes | CryptoError, now: Instant) -> Sequence[object]:
        """What Work asked for is done."""

    def reconnected(self, local: Endpoint, remote: Endpoint, now: Instant) -> Sequence[object]:
        """There is another TCP connection for it."""

    def doubt(self, why: str, now: Instant) -> Sequence[object]:
        """Somebody unauthenticated says that the peer is gone: at most it is asked."""

    def abandon(self, now: Instant) -> Sequence[object]:
        """End without a word to the peer."""

    def mapped(self, remote: Endpoint) -> None:
        """An authentic ESP packet has shown where the peer behind a NAT is now."""

    def encap(self) -> Encap | None:
        """The ports ESP uses at this moment, of TCP if IKE does; None for raw protocol 50."""

    # --- what can be seen

    @property
    def state(self) -> Stage:
        """Where it stands."""

    @property
    def ended(self) -> bool:
        """Is there nothing left but to answer repetitions?"""

    @property
    def is_established(self) -> bool:
        """Are both ends authenticated, and neither closing?"""

    @property
    def proving(self) -> bool:
        """Is the proof under way with which the peer may make a child of its own accord?"""

    @property
    def busy(self) -> bool:
        """Is a request unanswered or waiting?"""

    @property
    def created(self) -> Instant:
        """When it was made,"""

    @property
    def last_heard(self) -> Instant:
        """and when a message of the peer was last found good."""

    @property
    def round_trip(self) -> Duration | None:
        """Of the last request; None: not known."""

    @property
    def answered_after(self) -> Duration | None:
        """How long it has waited for answers so far, each from the last repetition on; None: not known."""

    @property
    def spi_i(self) -> bytes:
        """The initiator's SPI or cookie, 8 octets;"""

    @property
    def spi_r(self) -> bytes:
        """the responder's, zero before it is known;"""

    @property
    def my_spi(self) -> bytes:
        """ours of the two, under which it is found."""

    @property
    def chosen(self) -> object:
        """Its algorithms, for listings; None before they are agreed."""

    @property
    def peer_id(self) -> Identity | None:
        """Who the peer has proved to be."""

    @property
    def anonymous(self) -> bool:
        """Has the peer proved nothing (RFC 7619)?"""

    @property
    def peer_grade(self) -> Grade | None:
        """How good its key is, which the DNS had; None: it was not looked up for this IKE SA."""

    @property
    def peer_key(self) -> bytes:
        """The public key it proved itself by (openswan.crypto.dnskey.raw_octets); empty: in another way."""

    @property
    def peer_chain(self) -> tuple[Certificate, ...]:
        """The certificates the peer has proved itself by, leaf first."""

    @property
    def nat_here(self) -> bool:
        """Are we behind a NAT?"""

    @property
    def nat_there(self) -> bool:
        """Is the peer?"""

    # --- what it can do

    @property
    def assigned(self) -> Assigned | None:
        """Addresses the peer has given us."""

    @property
    def fragments(self) -> bool:
        """May messages be cut (RFC 7383)?"""

    @property
    def takes_probes(self) -> bool:
        """Is the peer of our own kind, which path probes and dummy packets are for?"""

    @property
    def mobike(self) -> bool:
        """May ends move (RFC 4555)?"""

    @property
    def decides(self) -> bool:
        """Is it we who move it?"""

    @property
    def opens(self) -> bool:
        """Is its TCP connection ours to open?"""

    @property
    def redirectable(self) -> bool:
        """Can the peer be sent elsewhere (RFC 5685)?"""


class Modest:
    """What a machine says of all that only IKEv2 can."""

    proving = False
    round_trip: Duration | None = None
    answered_after: Duration | None = None
    anonymous = False
    peer_grade: Grade | None = None
    peer_key = b""
    peer_chain: tuple[Certificate, ...] = ()
    assigned: Assigned | None = None
    fragments = False
    takes_probes = False
    mobike = False
    decides = False
    opens = False
    redirectable = False

    def resume(self, job: Job, result: bytes | CryptoError, now: Instant) -> Sequence[object]:
        """It never asks for work."""
        return ()

    def reconnected(self, local: Endpoint, remote: Endpoint, now: Instant) -> Sequence[object]:
        """It never travels in TCP."""
        return ()
