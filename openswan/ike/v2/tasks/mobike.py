# SPDX-License-Identifier: GPL-2.0-or-later
"""MOBIKE: an IKE SA and its children keep their keys while addresses change (RFC 4555).

```
initiator                                          responder
HDR, SK {..., N(MOBIKE_SUPPORTED), N(ADDITIONAL_*_ADDRESS)}   -->              IKE_AUTH
                                                   <--  HDR, SK {..., N(MOBIKE_SUPPORTED), N(ADDITIONAL_*)}
HDR, SK {N(UPDATE_SA_ADDRESSES), N(NATD) x2, N(COOKIE2)}      -->              from the new address
                                                   <--  HDR, SK {N(NATD) x2, N(COOKIE2)}
                                                   <--  HDR, SK {N(NATD) x2, N(COOKIE2)}   really there?
HDR, SK {N(NATD) x2, N(COOKIE2)}                   -->
                                                   <--  HDR, SK {N(ADDITIONAL_*)}   the responder's have changed
```
Only the end that made the first IKE SA decides which addresses are used, also after rekeyings by the other.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from openswan.base.address import Address, Endpoint
from openswan.base.errors import IkeError
from openswan.base.interval import Instant
from openswan.base.log import Rc
from openswan.ike.effects import PeerMoved
from openswan.ike.events import MoveIke, TellAddresses
from openswan.ike.policy import IkePolicy
from openswan.ike.retransmit import Outstanding
from openswan.ike.v2.core import Core, first_error
from openswan.ike.v2.task import Task
from openswan.ike.v2.tasks import natd
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType

COOKIE_OCTETS = 16
LEAST_COOKIE, MOST_COOKIE = 8, 64
"""Octets of the peer's COOKIE2 (RFC 4555 4.2.5)."""
MOST_ADDRESSES = 8
"""Further addresses that are told or remembered."""
ADDITIONAL = {4: NotifyType.ADDITIONAL_IP4_ADDRESS, 6: NotifyType.ADDITIONAL_IP6_ADDRESS}
ABOUT_ADDRESSES = frozenset((*ADDITIONAL.values(), NotifyType.NO_ADDITIONAL_ADDRESSES))
CONFIRMED = "confirmed"
"""PeerMoved.why: the peer has followed us, and a NAT may have come or gone."""
UNANSWERED = 2
"""Repetitions of a request after which the peer's other addresses are tried too."""


# --- IKE_AUTH


def announce(sa: Core, policy: IkePolicy) -> list[Payload]:
    """What IKE_AUTH says about it, on either side."""
    if not policy.mobike or sa.local.stream or (not sa.is_initiator and not sa.mobike):
        return []
    others = additional(sa.ask.other_addresses(sa.local.address))
    fixed = [_no_nats(sa)] if sa.is_initiator and policy.encapsulation == natd.NEVER else []
    return [Notify(NotifyType.MOBIKE_SUPPORTED), *others, *fixed]


def learn(sa: Core, policy: IkePolicy, message: Message) -> None:
    """What the peer's IKE_AUTH message says about it."""
    sa.mobike = policy.mobike and not sa.local.stream and message.notify(NotifyType.MOBIKE_SUPPORTED) is not None
    sa.decides = sa.mobike and sa.is_initiator
    if sa.mobike:
        sa.peer_addresses = _addresses(message.all(Notify))


def additional(addresses: Iterable[Address]) -> list[Payload]:
    """Addresses we can be reached at beside the present one."""
    return [Notify(ADDITIONAL[address.version], address.packed) for address in list(addresses)[:MOST_ADDRESSES]]


def _addresses(notifies: Iterable[Notify]) -> tuple[Address, ...]:
    found: list[Address] = []
    for notify in notifies:
        if (notify.kind, len(notify.data)) in ((ADDITIONAL[4], 4), (ADDITIONAL[6], 16)):
            address = ip_address(notify.data)
            if not (address.is_multicast or address.is_unspecified or address.is_loopback):
                found.append(address)
    return tuple(dict.fromkeys(found))[:MOST_ADDRESSES]


def _no_nats(sa: Core) -> Notify:
    """Both ends as we know them: whoever sees others knows of a NAT (RFC 4555 4.2.6)."""
    ports = sa.local.port.to_bytes(2, "big") + sa.remote.port.to_bytes(2, "big")
    return Notify(NotifyType.NO_NATS_ALLOWED, sa.local.address.packed + sa.remote.address.packed + ports)


# --- the end that decides


class UpdateAddresses(Task):
    """Tell the peer that we are to be found at the address this comes from."""

    alone = True

    def __init__(self, request: MoveIke | None = None) -> None:
        super().__init__(request)
        self.cookie = b""
        self.moves = 0
        """Which of the moves it tells."""

    def build(self, sa: Core, now: Instant) -> Sequence[Payload] | None:
        """UPDATE_SA_ADDRESSES, how the addresses look from here, and a number that must come back."""
        policy = sa.need_policy()
        self.cookie, self.moves = sa.rng.octets(COOKIE_OCTETS), sa.moves
        payloads: list[Payload] = [
            Notify(NotifyType.UPDATE_SA_ADDRESSES),
            *natd.beside_cookie(sa),
            Notify(NotifyType.COOKIE2, self.cookie),
        ]
        if policy.encapsulation == natd.NEVER:
            payloads.append(_no_nats(sa))
        return payloads

    def answered(self, sa: Core, answer: Message, now: Instant) -> None:
        """The peer has followed, or would not."""
        refused = first_error(answer)
        if refused is not None:
            sa.log(f"the peer does not follow to {sa.local}: {refused.kind}; closing this IKE SA", Rc.LOG_SERIOUS)
            sa.close(now)
            return
        if not came_back(answer, self.cookie):
            sa.log(
                "the peer's answer to our move is not an answer to it (COOKIE2): closing this IKE SA", Rc.LOG_SERIOUS
            )
            sa.close(now)
            return
        if self.moves != sa.moves:
            return  # moved again meanwhile: the next update says where
        natd.look_again(sa, sa.need_policy(), answer)
        sa.log(f"MOBIKE: the peer has followed us to {sa.local}")
        sa.emit(PeerMoved(sa.local, sa.remote, CONFIRMED))


def move(sa: Core, local: Endpoint, remote: Endpoint, now: Instant, request: MoveIke | None = None) -> None:
    """Use these addresses from now on, and tell the peer (RFC 4555 3.5)."""
    if (sa.local, sa.remote) != (local, remote):
        sa.local, sa.remote = local, remote
        sa.moves += 1
        sa.emit(PeerMoved(local, remote, "MOBIKE"))
    for waiting in [task for task in sa.queue if isinstance(task, UpdateAddresses)]:
        sa.queue.remove(waiting)
    # Unanswered requests go on from the new address; the update has to wait for their answers.
    _hasten(sa, now)
    if not sa.is_established:
        return  # IKE_AUTH does; `catch_up` follows
    sa.submit(UpdateAddresses(request), now, front=True)


def catch_up(sa: Core, now: Instant) -> None:
    """We moved while IKE_AUTH was unanswered: the peer may know where we were then."""
    if sa.moves and sa.decides:
        sa.submit(UpdateAddresses(), now, front=True)


def _hasten(sa: Core, now: Instant) -> None:
    sa.count_anew()
    for flight in sa.flights.values():
        flight.outstanding.hasten(now)


def seek(sa: Core, outstanding: Outstanding) -> None:
    """Nobody answers where the peer was: ask at its other addresses too."""
    if not sa.decides or outstanding.repeats < UNANSWERED:
        return
    for address in sa.peer_addresses:
        if address != sa.remote.address and address.version == sa.local.address.version:
            sa.dispatch(outstanding.datagrams, remote=Endpoint(address, sa.remote.port))


def heard_elsewhere(sa: Core, local: Endpoint, remote: Endpoint, now: Instant) -> None:
    """An authentic message came from another address of the peer: that one works."""
    if sa.decides and remote.address != sa.remote.address and remote.address in sa.peer_addresses:
        sa.log(f"MOBIKE: the peer answers at {remote.address} instead of {sa.remote.address}")
        move(sa, local, remote, now)


# --- the end that follows


class ReturnRoutability(Task):
    """Is the peer really where its update came from (RFC 4555 3.7)? No answer ends the IKE SA as always."""

    def __init__(self) -> None:
        super().__init__()
        self.cookie = b""

    def build(self, sa: Core, now: Instant) -> Sequence[Payload]:
        """A number that must come back."""
        self.cookie = sa.rng.octets(COOKIE_OCTETS)
        return (*natd.beside_cookie(sa), Notify(NotifyType.COOKIE2, self.cookie))

    def answered(self, sa: Core, answer: Message, now: Instant) -> None:
        """It has come back, or somebody answers who did not get the question."""
        if not came_back(answer, self.cookie):
            sa.log("the peer is not where it says it is (COOKIE2): closing this IKE SA", Rc.LOG_SERIOUS)
            sa.close(now)


class Tell(Task):
    """Our addresses have changed: the end that decides is told all we have beside the one this comes from."""

    def __init__(self, request: TellAddresses | None = None) -> None:
        super().__init__(request)

    def build(self, sa: Core, now: Instant) -> Sequence[Payload]:
        """ADDITIONAL_*_ADDRESS, or that there are none."""
        return additional(sa.ask.other_addresses(sa.local.address)) or [Notify(NotifyType.NO_ADDITIONAL_ADDRESSES)]

    def answered(self, sa: Core, answer: Message, now: Instant) -> None:
        """Noted."""


def came_back(answer: Message, cookie: bytes) -> bool:
    """Does a message hold just the COOKIE2 we sent?"""
    found = [notify.data for notify in answer.all(Notify) if notify.kind == NotifyType.COOKIE2]
    return len(found) == 1 and hmac.compare_digest(found[0], cookie)


def respond(sa: Core, request: Message, local: Endpoint, remote: Endpoint, now: Instant) -> tuple[Payload, ...]:
    """What an INFORMATIONAL request about addresses is answered with; IkeError refuses an update."""
    if not sa.mobike:
        return ()
    notifies = request.all(Notify)
    kinds = {notify.kind for notify in notifies}
    if kinds & ABOUT_ADDRESSES:
        sa.peer_addresses = _addresses(notifies)
        if sa.decides and remote.address != sa.remote.address:
            sa.peer_addresses = (*sa.peer_addresses, remote.address)
            heard_elsewhere(sa, local, remote, now)
    latest = request.header.message_id > sa.moved_by
    if NotifyType.UPDATE_SA_ADDRESSES in kinds and not sa.decides and latest:
        sa.moved_by = request.header.message_id
        _follow(sa, request, local, remote, now)
        sa.queue.append(ReturnRoutability())
    answer: list[Payload] = []
    if NotifyType.NAT_DETECTION_SOURCE_IP in kinds:
        answer += natd.announce_between(sa, sa.need_policy(), local, remote)
    cookies = [n for n in notifies if n.kind == NotifyType.COOKIE2 and LEAST_COOKIE <= len(n.data) <= MOST_COOKIE]
    return (*answer, *cookies[:1])


def _follow(sa: Core, request: Message, local: Endpoint, remote: Endpoint, now: Instant) -> None:
    """The peer has moved: so do its SAs (RFC 4555 3.5)."""
    fixed = request.notify(NotifyType.NO_NATS_ALLOWED)
    if fixed is not None:
        ports = remote.port.to_bytes(2, "big") + local.port.to_bytes(2, "big")
        if fixed.data != remote.address.packed + local.address.packed + ports:
            raise IkeError(
                f"a NAT has changed the addresses of the peer's update, seen from {remote}, and it wants none",
                NotifyType.UNEXPECTED_NAT_DETECTED,
            )
    if remote.address == local.address or remote.address.is_multicast or remote.address.is_unspecified:
        raise IkeError(f"the peer cannot be at {remote.address}", NotifyType.UNACCEPTABLE_ADDRESSES)
    # Behind a NAT its messages may have moved it already.
    sa.log(f"MOBIKE: the peer has moved{f' from {sa.remote}' if sa.remote != remote else ''} to {remote}")
    sa.local, sa.remote = local, remote
    sa.moves += 1
    _hasten(sa, now)
    if fixed is None:  # else there is none, and the peer does not want ESP in UDP
        natd.look_again(sa, sa.need_policy(), request)
    sa.emit(PeerMoved(local, remote, "MOBIKE"))
