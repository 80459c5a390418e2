# SPDX-License-Identifier: GPL-2.0-or-later
"""What the machine of opportunistic encryption is told and what it wants: frozen dataclasses, both ways."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from math import inf
from typing import TypeAlias

from openswan.base.address import Address
from openswan.base.interval import Duration, Instant
from openswan.base.said import Shunt
from openswan.engine.oestates import State
from openswan.policy.gateways import Gateway
from openswan.policy.grade import Grade
from openswan.policy.groups import Stance


@dataclass(frozen=True, slots=True)
class Pair:
    """Two addresses of one family, seen from us: source and destination. Everything is decided by pair."""

    src: Address
    dst: Address
    _hash: int = field(init=False, repr=False, compare=False)
    """Worked out once: a pair is looked up twenty times before it is decided."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.src, self.dst)))

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return f"{self.src} -> {self.dst}"


@dataclass(frozen=True, slots=True)
class Terms:
    """What policy says of a pair."""

    owner: str
    """Name of the conn."""
    stance: Stance
    failure: State = State.DROP
    """PASS, DROP or REJECT: failureshunt=."""
    negotiation: Shunt = Shunt.HOLD
    """HOLD, PASS or DROP: negotiationshunt=."""
    hold_timeout: Duration = 3.0
    keying_tries: int = 3
    """Rounds over all gateways; 0: no end."""
    lifetime: Duration = 900.0
    """Of a shunt, or an idle tunnel, that nobody uses."""
    least: Grade = Grade.NULL
    """authgrade=."""
    keep: bool = False
    """keepgrade=yes."""
    asks_dns: bool = True
    """The DNS may know the peer's key."""
    calls_directly: bool = False
    """IKE can do without: a shared secret, certificates of one authority, or no proof at all."""
    behind: bool = False
    """Of hosts behind this one."""


class Verdict(Enum):
    """What a look-up of a destination's gateways came to."""

    GATEWAYS = "gateways"
    NONE = "none"
    FAILED = "failed"
    BOGUS = "bogus"


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet of a pair that nothing has been decided about, outbound."""

    pair: Pair
    terms: Terms


@dataclass(frozen=True, slots=True)
class Learned:
    """What the DNS says about a destination; answers Ask."""

    destination: Address
    verdict: Verdict
    gateways: tuple[Gateway, ...] = ()
    """Best first."""
    ttl: Duration = 900.0
    reason: str = ""
    """For the log and status, when there are none."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The peer of a call has answered IKE_SA_INIT."""

    pair: Pair


@dataclass(frozen=True, slots=True)
class Hinted:
    """Somebody says, without proof, that the peer of a call cannot or will not."""

    pair: Pair
    text: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A call has ended without a tunnel: never answered, or refused with proof."""

    pair: Pair
    reason: str


@dataclass(frozen=True, slots=True)
class Parting:
    """A call has come to nothing because of us, and until then its peer is told: it believes in a tunnel, and takes
    nothing in clear."""

    pair: Pair
    until: Instant


@dataclass(frozen=True, slots=True)
class Up:
    """A tunnel for the pair stands, whoever began it. `sa` names it in Close."""

    pair: Pair
    terms: Terms
    sa: int
    grade: Grade
    gateway: Address
    ours: bool = True
    """We began it: it answers a Call."""
    key: bytes = b""
    """The public key that its peer has shown; empty: none."""


@dataclass(frozen=True, slots=True)
class Down:
    """That tunnel is gone."""

    pair: Pair
    sa: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Used:
    """These pairs have carried packets since it was last said."""

    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Remove:
    """The operator, or another policy, wants the pair forgotten."""

    pair: Pair


@dataclass(frozen=True, slots=True)
class Due:
    """The instant that next_timer() named has come."""

    by: Instant = inf
    """What had arrived by then has been told: waits that end later go on."""


OeEvent: TypeAlias = Packet | Learned | Answered | Hinted | Failed | Parting | Up | Down | Used | Remove | Due


@dataclass(frozen=True, slots=True)
class SetShunt:
    """From now on packets of the pair meet this; those that are kept go that way, or stay kept (HOLD)."""

    pair: Pair
    shunt: Shunt
    owner: str


@dataclass(frozen=True, slots=True)
class SetTunnel:
    """From now on packets of the pair go through that tunnel, those that are kept first."""

    pair: Pair
    sa: int


@dataclass(frozen=True, slots=True)
class DelPair:
    """Nothing is decided about the pair any more; packets that are kept are dropped."""

    pair: Pair


@dataclass(frozen=True, slots=True)
class Ask:
    """Look a destination's gateways up; Learned answers, once for all pairs that wait."""

    destination: Address


@dataclass(frozen=True, slots=True)
class Call:
    """Begin IKE for the pair; Answered, Hinted, then Failed or Up answer. `gateway` None: the destination itself."""

    pair: Pair
    owner: str
    gateway: Gateway | None


@dataclass(frozen=True, slots=True)
class Inform:
    """The key the peer of the running call must show."""

    pair: Pair
    gateway: Gateway


@dataclass(frozen=True, slots=True)
class Hang:
    """End the call that is under way for the pair."""

    pair: Pair


@dataclass(frozen=True, slots=True)
class Close:
    """Delete a tunnel."""

    pair: Pair
    sa: int


@dataclass(frozen=True, slots=True)
class Overflow:
    """No room for another pair: the packet is dropped and counted, in every group."""

    pair: Pair


@dataclass(frozen=True, slots=True)
class Tell:
    """A line for the log."""

    pair: Pair
    text: str
    serious: bool = False


OeEffect: TypeAlias = SetShunt | SetTunnel | DelPair | Ask | Call | Inform | Hang | Close | Overflow | Tell
