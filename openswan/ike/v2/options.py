# SPDX-License-Identifier: GPL-2.0-or-later
"""What is agreed beside a child's algorithms: transport mode, compression, padding, and addresses behind a NAT.

All are notifications in the message that holds the SA payload (RFC 7296 1.3.1, 2.22). In transport mode the selectors
are the two hosts themselves; behind a NAT each end has its own idea of their addresses, so what comes in is first put
into ours (2.23.1), and the addresses as the peer wrote them are kept: its checksums were made with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from openswan.base.address import Address
from openswan.base.errors import IkeError, WireError
from openswan.ike.policy import ChildPolicy, Extras
from openswan.ike.v2.core import Core
from openswan.policy.selector import Selector
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.ipcomp import IpcompOffer
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import IpcompId, NotifyType, ProtocolId

FIRST_CPI, LAST_CPI = 256, 61439
"""Compression Parameter Indices one may choose freely (RFC 3173 3.3)."""
Selectors = tuple[Selector, ...]


def new_cpi(sa: Core) -> int:
    """An inbound CPI nobody uses; IkeError when there seems to be none left."""
    for _ in range(1000):
        cpi = FIRST_CPI + int.from_bytes(sa.rng.octets(4), "big") % (LAST_CPI - FIRST_CPI + 1)
        if not sa.ask.cpi_in_use(cpi) and all(child.extras.cpi_in != cpi for child in sa.children.values()):
            return cpi
    raise IkeError("no Compression Parameter Index is free", NotifyType.NO_ADDITIONAL_SAS)


def behind_nat(sa: Core) -> bool:
    """Was a NAT found between the ends?"""
    return sa.nat_here or sa.nat_there


def passes_nat(sa: Core, protocol: ProtocolId) -> None:
    """IkeError (NO_PROPOSAL_CHOSEN) for AH across a NAT: it protects the addresses a NAT changes (RFC 3715 2.1)."""
    if protocol == ProtocolId.AH and behind_nat(sa):
        raise IkeError(
            "AH cannot pass the NAT between us and the peer, which changes what AH protects: use phase2=esp",
            NotifyType.NO_PROPOSAL_CHOSEN,
        )


def ask(sa: Core, policy: ChildPolicy) -> tuple[list[Payload], int]:
    """The initiator's notifications, and the CPI among them (0: none)."""
    payloads: list[Payload] = []
    cpi = 0
    if policy.compress:
        cpi = new_cpi(sa)
        payloads.append(Notify(NotifyType.IPCOMP_SUPPORTED, IpcompOffer(cpi, IpcompId.DEFLATE).emit()))
    if policy.transport:
        payloads.append(Notify(NotifyType.USE_TRANSPORT_MODE))
    return [*payloads, *_no_padding(policy)], cpi


def _no_padding(policy: ChildPolicy) -> list[Payload]:
    """ESP alone can be padded that way (RFC 4303 2.7)."""
    refused = policy.unpadded and policy.protocol == ProtocolId.ESP
    return [Notify(NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED)] if refused else []


def _unpadded(message: Message) -> bool:
    """Each end says it for what it receives (RFC 7296 3.10.1)."""
    return message.notify(NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED) is not None


def offers(message: Message) -> tuple[IpcompOffer, ...]:
    """The compression algorithms a message names; WireError for one that is cut short."""
    return tuple(IpcompOffer.parse(n.data) for n in message.all(Notify) if n.kind == NotifyType.IPCOMP_SUPPORTED)


def accept(sa: Core, policy: ChildPolicy, answer: Message, cpi: int) -> Extras:
    """What the responder made of `ask`; IkeError when it is not what we asked for."""
    transport = answer.notify(NotifyType.USE_TRANSPORT_MODE) is not None
    if transport and not policy.transport:
        raise IkeError("the peer chose transport mode, which we did not offer")
    if policy.transport and not transport:
        raise IkeError("the peer declines transport mode and offers a tunnel: type=tunnel here or transport there")
    try:
        chosen = offers(answer)
    except WireError as why:
        raise IkeError(str(why)) from None
    if not chosen:
        if cpi:
            sa.log("the peer does without compression")
        return Extras(transport, unpadded=_unpadded(answer))
    if len(chosen) > 1 or not cpi or chosen[0].transform != IpcompId.DEFLATE:
        raise IkeError("the peer chose a compression we did not offer")
    return Extras(transport, cpi, chosen[0].cpi, unpadded=_unpadded(answer))


def answer(sa: Core, policy: ChildPolicy, request: Message, transport: bool) -> tuple[Extras, list[Payload]]:
    """The responder's agreement and the notifications that say so; `transport`: already agreed."""
    payloads: list[Payload] = []
    theirs = next((offer for offer in offers(request) if offer.transform == IpcompId.DEFLATE), None)
    cpi_in = cpi_out = 0
    if theirs is not None and policy.compress:
        cpi_in, cpi_out = new_cpi(sa), theirs.cpi
        payloads.append(Notify(NotifyType.IPCOMP_SUPPORTED, IpcompOffer(cpi_in, IpcompId.DEFLATE).emit()))
    elif theirs is not None:
        sa.log(f'compression proposed by {sa.remote.address}, but policy for "{policy.name}" forbids it')
    if transport:
        payloads.append(Notify(NotifyType.USE_TRANSPORT_MODE))
    return Extras(transport, cpi_in, cpi_out, unpadded=_unpadded(request)), [*payloads, *_no_padding(policy)]


def as_we_see(
    sa: Core, mine: Selectors, theirs: Selectors, local: Address, remote: Address
) -> tuple[Selectors, Selectors, tuple[Address, Address] | None]:
    """The selectors of a transport mode message with the addresses we know the hosts by (RFC 7296 2.23.1).

    Behind a NAT also (the peer's address, ours) as the peer wrote them, which is what its packets' checksums cover.
    IkeError (TS_UNACCEPTABLE) unless each side is one host.
    """
    for selectors in (mine, theirs):
        if len({address for s in selectors for address in (s.first, s.last)}) != 1:
            raise IkeError("transport mode is between two hosts, one address each", NotifyType.TS_UNACCEPTABLE)
    if not behind_nat(sa):
        return mine, theirs, None
    if {mine[0].first.version, theirs[0].first.version} != {local.version}:
        raise IkeError("transport mode of another address family than IKE's", NotifyType.TS_UNACCEPTABLE)
    written = theirs[0].first, mine[0].first
    mine = _put(mine, local) if sa.nat_here else mine
    theirs = _put(theirs, remote) if sa.nat_there else theirs
    # A peer that only pretends a NAT has written what we see.
    return mine, theirs, None if written == (theirs[0].first, mine[0].first) else written


def _put(selectors: Sequence[Selector], address: Address) -> Selectors:
    return tuple(replace(s, first=address, last=address) for s in selectors)


def between_hosts(mine: Selectors, theirs: Selectors, local: Address, remote: Address) -> None:
    """IkeError (TS_UNACCEPTABLE) unless these are the hosts that IKE itself runs between."""
    if any(s.first != local for s in mine) or any(s.first != remote for s in theirs):
        raise IkeError(
            f"transport mode is between {local} and {remote} alone, where IKE runs", NotifyType.TS_UNACCEPTABLE
        )
