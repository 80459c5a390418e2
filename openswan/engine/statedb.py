# SPDX-License-Identifier: GPL-2.0-or-later
"""SAs by serial number: IKE SAs with their machines, child SAs, and the look-ups that messages and events need."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TypeAlias

from openswan.base.address import Address, Endpoint
from openswan.base.interval import Instant
from openswan.base.said import Said
from openswan.engine.conn import NO_LOGIN, Conn
from openswan.engine.effects import SendDatagram
from openswan.engine.pending import Pending
from openswan.ike.machine import Machine
from openswan.ike.policy import ChildPolicy, ChosenChild
from openswan.ike.resumption import Ticket
from openswan.plane.commands import Command, Encap
from openswan.policy.identity import Identity
from openswan.policy.selector import FlowKey, Selector
from openswan.wire.header import NO_SPI

Source: TypeAlias = Address | int
"""Whom half-open IKE SAs are counted for."""


def source_of(address: Address) -> Source:
    """An IPv4 address, or the /64 of an IPv6 one: whoever has one address of it has all."""
    return address if address.version == 4 else int(address) >> 64


@dataclass(eq=False, slots=True, repr=False)
class IkeState:
    """One IKE SA."""

    serial: int
    machine: Machine
    initiator: bool
    """We began it; a successor of a rekeying counts by who began the rekeying."""
    started: Instant
    conn: Conn | None = None
    """The connection whose policy it follows; None while a peer has not said who it is."""
    led_to: Conn | None = None
    """IKEv1: the one that the addresses of a peer that has proved nothing have led to, which its lines are about."""
    shared_as: tuple[Address, Address, Hashable] | None = None
    """Under what it is offered to further connections: both addresses and policies.signature."""
    established: Instant | None = None
    born: Instant | None = None
    """When the peer proved itself: that of the first of a line of rekeyed IKE SAs."""
    children: dict[int, ChildState] = field(default_factory=dict)
    """By serial."""
    attempts: dict[int, Conn] = field(default_factory=dict)
    """Negotiations for a child that run or wait on this IKE SA: token -> connection."""
    pending: Pending = field(default_factory=Pending)
    """Of those attempts, the ones that wait for it to be established."""
    orphans: list[Conn] = field(default_factory=list)
    """Connections that lost their last child because this IKE SA ended; what to do depends on why."""
    half_open_from: Source | None = None
    """Set while it counts as half open for that peer."""
    proven: bool = False
    """Its initiator has shown a cookie."""
    identities: object = None
    """Both ends' identities, and the peer's user name, once established."""
    login: tuple[str, bool] = NO_LOGIN
    """IKEv1: who the peer has proved to be by XAUTH, and whether it was let in although it could not."""
    spi: bytes = b""
    """Our own SPI, under which it is found."""
    pair: tuple[Address, Address] | None = None
    init: tuple[Endpoint, bytes] | None = None
    """Where and under which SPI the peer's first message came in."""
    held_back: list[SendDatagram] | None = None
    """While updown commands of a child the peer asked for run: what is to be sent once they have ended."""
    first_contact: bool = False
    """The peer said INITIAL_CONTACT: older SAs with it go once this one carries a child."""
    doubtful: bool = False
    """The peer is silent, and what has to be was begun anew beside it; nothing further is put on it."""
    version: int = 2
    replaces: IkeState | None = None
    """IKEv1: the ISAKMP SA this one was begun to replace."""
    before: list[IkeState] = field(default_factory=list)
    """IKEv1: those whose place it has taken, which linger."""
    heir: IkeState | None = None
    """And the one that has taken its place."""
    closing: bool = False
    failed: bool = False
    reason: str = ""
    """Why it failed, while the peer is still being told."""

    def __repr__(self) -> str:
        return f"<IKE SA #{self.serial} {self.machine.state}>"


@dataclass(eq=False, slots=True, repr=False)
class ChildState:
    """One pair of ESP or AH SAs, with the IPComp SAs inside them if there are any."""

    serial: int
    ike: IkeState
    conn: Conn
    spi_in: int
    spi_out: int
    said_in: Said
    said_out: Said
    chosen: ChosenChild
    mine: tuple[Selector, ...]
    theirs: tuple[Selector, ...]
    keys: tuple[FlowKey, ...]
    local: Endpoint
    remote: Endpoint
    encap: Encap | None
    initiator: bool
    established: Instant
    policy: ChildPolicy | None = None
    """What it was negotiated under."""
    comp_in: Said | None = None
    comp_out: Said | None = None
    transport: bool = False
    original: tuple[Address, Address] | None = None
    """Transport mode behind a NAT: the peer's address and ours as the peer sees them."""
    alias: tuple[Address, Address] | None = None
    """Behind NAT: our own address, and the one that the peer has given us in its place."""
    waiting: bool = False
    """As responder of a rekeying: outbound traffic stays on the older SA until the peer uses this one."""
    redundant: bool = False
    closing: bool = False
    """Torn down here; only the peer's answer is missing."""
    reported: bool = False
    withheld: tuple[Command, ...] = ()
    """What has yet to be installed of what receives."""
    yields: int = 0
    """IKEv1: both ends have made one at once, and this one will go: the inbound SPI of the other; 0: nothing of it."""
    renewal: int = 0
    """IKEv1: the number of the Quick Mode that is to replace it."""
    gives_way: bool = False
    """The peer refused to rekey it, or fell silent: it goes once a child of another IKE SA carries its traffic."""

    @property
    def first_out(self) -> Said:
        """What an eroute names: the innermost of the SAs that send."""
        return self.comp_out or self.said_out

    @property
    def rank(self) -> tuple[Instant, bool, Instant, int]:
        """Of several children of a connection the highest carries traffic: one of the IKE SA that was begun last.

        A peer that begins anew may have lost the older one, whatever its last answers there were. In IKEv1 a child has
        its number from its first message on, so numbers do not say which is younger.
        """
        since = self.established if self.ike.version == 1 else 0.0
        return (self.ike.born or 0.0, not self.yields, since, self.serial)

    def __repr__(self) -> str:
        return f"<child SA #{self.serial} of {self.conn.unique}>"


class StateDb:
    """All SAs. Serials count up from 1 and are never used twice."""

    def __init__(self) -> None:
        self.counter = 0
        self.ikes: dict[int, IkeState] = {}
        self.children: dict[int, ChildState] = {}
        self.by_spi: dict[bytes, IkeState] = {}
        """By our own IKE SPI, 8 octets."""
        self.by_init: dict[tuple[Endpoint, bytes], IkeState] = {}
        """Responders by the initiator's address and a digest of its whole first message, so that a repetition finds
        them and a forgery that borrows the SPI does not (RFC 7296 2.1)."""
        self.by_machine: dict[int, IkeState] = {}
        self.by_esp: dict[int, ChildState] = {}
        """By inbound SPI, of ESP or AH."""
        self.shared: dict[tuple[Address, Address, Hashable], dict[int, IkeState]] = {}
        """IKE SAs usable for further children, by both addresses and signature."""
        self.renewals: dict[int, Conn] = {}
        """IKEv1: whom Quick Modes by these numbers are for that are to replace a child."""
        self.tokens: dict[int, IkeState] = {}
        """The IKE SA on which a negotiation for a child runs."""
        self.pairs: dict[tuple[Address, Address], dict[int, IkeState]] = {}
        """IKE SAs of any kind between two addresses."""
        self.peers: dict[object, dict[int, IkeState]] = {}
        """Established IKE SAs by both identities."""
        self.lingering: set[int] = set()
        """Inbound SPIs of replaced SAs that still accept what is under way."""
        self.cpis: set[int] = set()
        """Inbound Compression Parameter Indices in use."""
        self.tickets: dict[tuple[Address, Address, Hashable], Ticket] = {}
        """As client: the last ticket for each way to share an IKE SA (RFC 5723)."""
        self.half_open: dict[Source, int] = {}
        self.half_open_total = 0
        self.half_open_v1 = 0
        """Those among them that speak IKEv1, which knows no cookies against floods."""
        self.unproven = 0
        """Half-open IKE SAs whose initiator has shown no cookie: its address may be anybody's."""
        self.on_new: Callable[[IkeState], None] = lambda ike: None
        """Hears of every new IKE SA."""

    def serial(self) -> int:
        """The next state number."""
        self.counter += 1
        return self.counter

    def add_ike(self, ike: IkeState) -> None:
        """Enter an IKE SA; it is found by its SPI from now on."""
        self.ikes[ike.serial] = ike
        ike.machine.serial = ike.serial
        self.learn(ike)
        self.by_machine[id(ike.machine)] = ike
        self.on_new(ike)
        ike.pair = (ike.machine.local.address, ike.machine.remote.address)
        self.pairs.setdefault(ike.pair, {})[ike.serial] = ike
        if ike.conn is not None:
            ike.conn.ikes.add(ike.serial)

    def learn(self, ike: IkeState) -> None:
        """Find an IKE SA by its SPI; a responder chooses that only when it answers the first message."""
        spi = ike.machine.my_spi
        if spi != ike.spi and spi != NO_SPI and ike.serial in self.ikes:
            ike.spi = spi
            self.by_spi[spi] = ike

    def begin(self, ike: IkeState, token: int, conn: Conn) -> None:
        """A negotiation for a child of `conn` runs on `ike` from now on."""
        ike.attempts[token] = conn
        self.tokens[token] = ike
        conn.negotiating = token

    def end(self, token: int) -> Conn | None:
        """That negotiation is over; whose it was, or None when it was called off before."""
        ike = self.tokens.pop(token, None)
        if ike is not None:
            ike.pending.cancel(token)
        return ike.attempts.pop(token, None) if ike is not None else None

    def share(self, ike: IkeState, me: Address, peer: Address, signature: Hashable) -> None:
        """Let other connections with the same signature put children on it."""
        self.unshare(ike)
        ike.shared_as = (me, peer, signature)
        self.shared.setdefault(ike.shared_as, {})[ike.serial] = ike

    def rehome(self, ike: IkeState, me: Address, peer: Address) -> None:
        """An IKE SA has other addresses now."""
        if ike.pair is not None and ike.pair != (me, peer):
            self._leave_pair(ike)
            ike.pair = (me, peer)
            self.pairs.setdefault(ike.pair, {})[ike.serial] = ike
        if ike.shared_as is not None:
            self.share(ike, me, peer, ike.shared_as[2])

    def unshare(self, ike: IkeState) -> None:
        """No further children on it."""
        if ike.shared_as is None:
            return
        users = self.shared.get(ike.shared_as, {})
        users.pop(ike.serial, None)
        if not users:
            self.shared.pop(ike.shared_as, None)
        ike.shared_as = None

    def sharable(self, me: Address, peer: Address, signature: Hashable) -> IkeState | None:
        """The youngest IKE SA a connection can put a child on: an established one rather than one under way."""
        users = self.shared.get((me, peer, signature), {})
        best = None
        for ike in users.values():
            if (
                not ike.closing
                and not ike.doubtful
                and (best is None or (ike.established is not None) >= (best.established is not None))
            ):
                best = ike
        return best

    def established_between(self, me: Address, peer: Address) -> IkeState | None:
        """An IKE SA between two addresses that can carry a message, the youngest."""
        found = reversed(self.pairs.get((me, peer), {}).values())
        return next((ike for ike in found if ike.established is not None and not ike.closing), None)

    def strangers(self, me: Address, peer: Address) -> bool:
        """Is there no IKE SA between two addresses but such as are ending?"""
        return all(ike.closing for ike in self.pairs.get((me, peer), {}).values())

    def enter_peer(self, ike: IkeState, mine: Identity, theirs: Identity, user: str = "") -> None:
        """Note who stands at both ends of an established IKE SA; users of one identity are different peers."""
        ike.identities = (mine, theirs, user)
        self.peers.setdefault(ike.identities, {})[ike.serial] = ike

    def with_same_peer(self, ike: IkeState) -> list[IkeState]:
        """Established IKE SAs between the same two, this one among them."""
        return list(self.peers.get(ike.identities, {}).values())

    def inherit(self, old: IkeState, new: IkeState) -> None:
        """A successor takes over the place of a rekeyed IKE SA."""
        if old.shared_as is not None:
            me, peer, signature = old.shared_as
            self.unshare(old)
            self.share(new, me, peer, signature)
        if old.identities is not None:
            new.identities = old.identities
            self.peers.setdefault(new.identities, {})[new.serial] = new
            self._leave_peer(old)

    def _leave_pair(self, ike: IkeState) -> None:
        if ike.pair is not None:
            self.pairs[ike.pair].pop(ike.serial, None)
            if not self.pairs[ike.pair]:
                del self.pairs[ike.pair]

    def _leave_peer(self, ike: IkeState) -> None:
        users = self.peers.get(ike.identities)
        if users is not None:
            users.pop(ike.serial, None)
            if not users:
                del self.peers[ike.identities]

    def remove_ike(self, ike: IkeState) -> None:
        """Forget an IKE SA and every way to find it; it must be there."""
        if ike.pair is not None:
            self._leave_pair(ike)
            ike.pair = None
        if ike.conn is not None:
            ike.conn.ikes.discard(ike.serial)
        self.unshare(ike)
        self.closed(ike)
        self._leave_peer(ike)
        if ike.init is not None:
            self.by_init.pop(ike.init, None)
        self.ikes.pop(ike.serial, None)
        if self.by_spi.get(ike.spi) is ike:
            del self.by_spi[ike.spi]
        self.by_machine.pop(id(ike.machine), None)

    def opened(self, ike: IkeState, remote: Endpoint, first: bytes, proven: bool = False) -> None:
        """Count a half-open responder; `first` is the digest of the message it answers, `proven`: with a cookie."""
        source = ike.half_open_from = source_of(remote.address)
        ike.proven = proven
        ike.init = (remote, first)
        self.by_init[ike.init] = ike
        self.half_open[source] = self.half_open.get(source, 0) + 1
        self.half_open_total += 1
        self.half_open_v1 += ike.version == 1
        self.unproven += not proven

    def closed(self, ike: IkeState) -> None:
        """It is not half open any more."""
        address = ike.half_open_from
        if address is None:
            return
        ike.half_open_from = None
        self.half_open_total -= 1
        self.half_open_v1 -= ike.version == 1
        self.unproven -= not ike.proven
        left = self.half_open[address] - 1
        if left:
            self.half_open[address] = left
        else:
            del self.half_open[address]

    def add_child(self, child: ChildState) -> None:
        """Enter a child SA."""
        self.children[child.serial] = child
        self.by_esp[child.spi_in] = child
        child.ike.children[child.serial] = child
        if child.comp_in is not None:
            self.cpis.add(child.comp_in.spi)
        if not child.redundant:
            child.conn.children.add(child.serial)

    def remove_child(self, child: ChildState) -> None:
        """Forget a child SA."""
        self.children.pop(child.serial, None)
        self.renewals.pop(child.renewal, None)
        if self.by_esp.get(child.spi_in) is child:
            del self.by_esp[child.spi_in]
        child.ike.children.pop(child.serial, None)
        child.conn.children.discard(child.serial)

    def move_child(self, child: ChildState, ike: IkeState) -> None:
        """A rekeyed IKE SA inherits the child."""
        child.ike.children.pop(child.serial, None)
        child.ike = ike
        ike.children[child.serial] = child
