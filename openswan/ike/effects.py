# SPDX-License-Identifier: GPL-2.0-or-later
"""What an IKE SA wants done or tells: frozen dataclasses, to be carried out first to last.

The order carries meaning: a replacement is always announced before what it replaces goes (make before break), and an
answer that lets the peer use new SAs is sent after the effect that installs them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from openswan.base.address import Address, Endpoint
from openswan.ike.later import Job
from openswan.ike.policy import NO_EXTRAS, ChildPolicy, ChosenChild, ChosenIke, Extras, IkePolicy
from openswan.plane.commands import Encap
from openswan.policy.identity import Identity
from openswan.policy.selector import Selector
from openswan.wire.v2.numbers import ProtocolId

if TYPE_CHECKING:
    from openswan.ike.events import Request
    from openswan.ike.resumption import Ticket
    from openswan.ike.v2.sa import IkeSaV2


class Gone(Enum):
    """Why an SA ended."""

    LOCAL = "closed by us"
    PEER = "closed by the peer"
    REPLACED = "replaced by a rekeyed one"
    REDUNDANT = "lost a simultaneous rekeying"
    UNKNOWN_TO_PEER = "the peer does not know it"
    TIMEOUT = "no answer from the peer"
    REFUSED = "negotiation refused"
    IKE_GONE = "its IKE SA ended"


@dataclass(frozen=True, slots=True)
class Send:
    """Send one IKE message. The non-ESP marker is the host's business (needed when the local port is not 500)."""

    local: Endpoint
    remote: Endpoint
    data: bytes
    whole: bool = False
    """Never in IP fragments (DF): it is lost instead when the path is too narrow."""


@dataclass(frozen=True, slots=True)
class Log:
    """A line for log and whack; whoever prints it puts the connection's name and the state's serial in front.

    `code` is whack's (2: log, 3: serious, 4: success, 10: retransmission, 31: gave up, 133...: new state).
    """

    code: int
    text: str
    token: int = 0
    """The request it is about; 0: the IKE SA."""


@dataclass(frozen=True, slots=True)
class Work:
    """Have a job done and call `IkeSaV2.resume` with its result; the machine waits for it."""

    job: Job


@dataclass(frozen=True, slots=True)
class IkeEstablished:
    """Both sides are authenticated. Comes before the first child's effect."""

    policy: IkePolicy
    peer_id: Identity
    chosen: ChosenIke
    initiator: bool
    initial_contact: bool = False
    """The peer says it remembers no other SA with us: those with the same identities are to go (RFC 7296 2.4)."""


@dataclass(frozen=True, slots=True)
class ChildEstablished:
    """A pair of ESP or AH SAs is ready to be installed.

    Key material is in the order RFC 7296 2.17 takes it; an AEAD's encryption key ends in its 4-octet salt.
    """

    policy: ChildPolicy
    spi_in: int
    """Chosen by us; packets we receive carry it. Host order."""
    spi_out: int
    """Chosen by the peer; packets we send carry it. Host order."""
    chosen: ChosenChild
    enc_in: bytes = field(repr=False)
    auth_in: bytes = field(repr=False)
    enc_out: bytes = field(repr=False)
    auth_out: bytes = field(repr=False)
    mine: tuple[Selector, ...]
    """Agreed selectors of our side; inner packets leave from `mine` to `theirs`."""
    theirs: tuple[Selector, ...]
    local: Endpoint
    """Outer addresses (and ports when encapsulated) at this moment."""
    remote: Endpoint
    encap: Encap | None
    """Set: ESP in UDP between those ports, as our outgoing packets carry them."""
    initiator: bool
    """We asked for it. When false and `replaces` is set, outgoing traffic stays on the replaced SA until that one's
    ChildGone or the first packet on the new one (RFC 7296 2.8)."""
    replaces: int = 0
    """Inbound SPI of the child this one takes over from; 0: none."""
    redundant: bool = False
    """Lost a simultaneous rekeying: install it for what may come in, never route into it; its ChildGone follows."""
    token: int = 0
    extras: Extras = NO_EXTRAS
    """Mode and compression."""
    yields: int = 0
    """IKEv1: both ends have made one at once and this one will go, so outgoing traffic does not use it: the inbound SPI
    of the one that stays; 0: it is no such child."""


@dataclass(frozen=True, slots=True)
class SpiOffered:
    """We have told the peer an SPI to send to, and its answer is awaited: it may send before that answer is here.

    With `withdrawn`, nothing will come of it. A ChildEstablished with that SPI ends the waiting without a word.
    """

    protocol: ProtocolId
    spi_in: int
    local: Endpoint
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class ChildGone:
    """A pair of SAs has ended. For REPLACED packets on the way may still arrive: let the inbound SA linger."""

    spi_in: int
    spi_out: int
    reason: Gone
    replaced_by: int = 0
    """Inbound SPI of the child that has taken over; 0: none."""
    token: int = 0


@dataclass(frozen=True, slots=True)
class RequestFailed:
    """A request came to nothing; the IKE SA lives on."""

    request: Request
    reason: str
    notify: int = 0
    """The peer's Notify Message Type, 0: none (RFC 7296 3.10.1)."""


@dataclass(frozen=True, slots=True)
class Redirected:
    """The peer says that another gateway is to be used (RFC 5685); nothing has changed yet.

    While the IKE SA is not established only our own nonce shows that it may be the peer who says so.
    """

    gateway: Address | str


@dataclass(frozen=True, slots=True)
class PathProbed:
    """A datagram of `octets` reaches the peer; one of `refused` octets (0: none was tested so far) did not."""

    token: int
    octets: int
    refused: int


@dataclass(frozen=True, slots=True)
class TicketReceived:
    """The responder lets us resume this IKE SA later (RFC 5723); comes after IkeEstablished."""

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class ProbeAnswered:
    """The peer is alive."""

    token: int


@dataclass(frozen=True, slots=True)
class InitAnswered:
    """Somebody at the peer's address answers our first message and makes keys with us, or wants another first message
    (a cookie, another group); who it is remains to be seen."""


@dataclass(frozen=True, slots=True)
class Hinted:
    """Somebody says without proof that it comes to nothing, in answer to our first message."""

    hint: str


@dataclass(frozen=True, slots=True)
class SpiUnknown:
    """The authenticated peer says that it does not know an SPI which we send ESP or AH with (RFC 7296 1.5)."""

    spi: int


@dataclass(frozen=True, slots=True)
class Silent:
    """A request of an established IKE SA has been repeated a few times: the peer may be gone."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The peer has been heard again after Silent, by a fresh authentic message."""


@dataclass(frozen=True, slots=True)
class NewSuccessor:
    """A rekeyed IKE SA exists: find it by its SPIs from now on. Whether it inherits the children is told later."""

    successor: IkeSaV2


@dataclass(frozen=True, slots=True)
class IkeRekeyed:
    """`successor` has inherited the children, the waiting requests and this SA's place; this SA's Forget follows."""

    successor: IkeSaV2
    initiator: bool
    token: int = 0


@dataclass(frozen=True, slots=True)
class PeerMoved:
    """Outer addresses or ports of the SAs are these from now on, and whether ESP is in UDP may have changed.

    An authenticated message came from a new address or port of a peer behind NAT (RFC 7296 2.23), or MOBIKE (RFC 4555).
    """

    local: Endpoint
    remote: Endpoint
    why: str = "NAT"


@dataclass(frozen=True, slots=True)
class IkeFailed:
    """The negotiation failed before the IKE SA was established; IkeGone follows."""

    reason: str
    notify: int = 0
    """What the peer refused with, or what we refused with; 0: no answer at all."""
    timeout: bool = False


@dataclass(frozen=True, slots=True)
class IkeGone:
    """The IKE SA can carry nothing more and its children are gone (each was told before). Forget follows."""

    reason: Gone


@dataclass(frozen=True, slots=True)
class Forget:
    """Last effect of a machine: it answers nothing more and can be dropped from the look-up by SPI."""


Effect: TypeAlias = (
    Send
    | Log
    | Work
    | IkeEstablished
    | ChildEstablished
    | SpiOffered
    | ChildGone
    | RequestFailed
    | ProbeAnswered
    | TicketReceived
    | PathProbed
    | Redirected
    | InitAnswered
    | Hinted
    | SpiUnknown
    | Silent
    | Heard
    | NewSuccessor
    | IkeRekeyed
    | PeerMoved
    | IkeFailed
    | IkeGone
    | Forget
)
