# SPDX-License-Identifier: GPL-2.0-or-later
"""Proposals: what we offer, choosing from what the peer offers, and checking what the peer chose (RFC 7296 2.7, 3.3).

Policies name algorithms as crypto.registry does; this is where the names meet the wire's numbers. A proposal of the
peer that holds a transform type we do not know is passed over (3.3.6), and so is every single transform with an unknown
attribute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from openswan.base.errors import IkeError
from openswan.crypto import registry
from openswan.crypto.registry import Kind
from openswan.ike.policy import ChosenChild, ChosenIke
from openswan.policy.proposal import MOST_ADDKE, NO_KE, Proposal, Transform
from openswan.wire.v2.numbers import DhId, EsnId, IntegId, NotifyType, ProtocolId, TransformType
from openswan.wire.v2.sa import Proposal as WireProposal
from openswan.wire.v2.sa import Sa
from openswan.wire.v2.sa import Transform as WireTransform

ADDKE_TYPES = tuple(TransformType(TransformType.ADDKE1 + n) for n in range(MOST_ADDKE))
KNOWN_TYPES = frozenset(
    {TransformType.ENCR, TransformType.PRF, TransformType.INTEG, TransformType.DH, TransformType.ESN, *ADDKE_TYPES}
)
SPI_OCTETS = {ProtocolId.IKE: 8, ProtocolId.AH: 4, ProtocolId.ESP: 4}


class Dh(Enum):
    """What a fresh key exchange is to this negotiation."""

    NEVER = "no exchange possible"  # the child inside IKE_AUTH
    REQUIRED = "required"  # IKE SAs; children with PFS
    PREFERRED = "offered, and done without where there is none"  # children with PFS for peers that can
    WELCOME = "taken when the peer wants it"  # children without PFS


@dataclass(frozen=True, slots=True)
class Match:
    """One agreement: our proposal's index, the algorithms, and the proposal as it goes back to the initiator."""

    index: int
    encr: Transform | None
    """None for AH."""
    integ: Transform | None
    prf: Transform | None
    dh: Transform | None
    esn: bool
    wire: WireProposal
    addke: tuple[Transform, ...] = ()

    def ike(self) -> ChosenIke:
        """As an IKE SA's algorithms."""
        if self.encr is None or self.prf is None or self.dh is None:
            raise IkeError("IKE proposal without encryption, PRF or group", NotifyType.NO_PROPOSAL_CHOSEN)
        return ChosenIke(self.encr, self.integ, self.prf, self.dh, self.addke)

    def child(self) -> ChosenChild:
        """As a child's algorithms."""
        return ChosenChild(self.encr, self.integ, self.esn, self.dh, self.addke)


def number(kind: Kind, transform: Transform) -> int:
    """The transform's IKEv2 number; CryptoError when nobody has it."""
    return registry.get(kind, transform.name).number


def group_transform(group: int) -> Transform | None:
    """The group with that number, None when we do not have it (or refuse it)."""
    row = registry.by_number(Kind.DH, group)
    return Transform(row.name) if row and not row.kem else None


def with_groups(proposals: Sequence[Proposal], dh: Dh, default: Transform) -> tuple[Proposal, ...]:
    """ESP or AH proposals with the groups this negotiation uses: none, or their own, or `default` if they name none.

    PREFERRED: each with a group, and behind them all once more without.
    """
    without = tuple(replace(p, dh=(), addke=()) for p in proposals)
    if dh not in (Dh.REQUIRED, Dh.PREFERRED):
        return without
    grouped = tuple(p if p.dh else replace(p, dh=(default,)) for p in proposals)
    return grouped + without if dh is Dh.PREFERRED else grouped


def keeping_prf(proposals: Sequence[Proposal], prf: Transform) -> tuple[Proposal, ...]:
    """The proposals that can go on with `prf`, and with no other one; empty when none can.

    For the rekeying of an IKE SA. The successor's keys are expanded with its own PRF (RFC 7296 2.18), yet strongSwan up
    to 6.0 expands them with the old one: as long as the PRF stays the same both are right.
    """
    return tuple(replace(p, prf=(prf,)) for p in proposals if prf in p.prf)


def offer(proposals: Sequence[Proposal], protocol: ProtocolId, spi: bytes = b"") -> Sa:
    """The SA payload that offers these proposals, numbered from 1."""
    return Sa(
        tuple(WireProposal(index, protocol, spi, _transforms(p, protocol)) for index, p in enumerate(proposals, 1))
    )


def choose(offered: Sa, mine: Sequence[Proposal], protocol: ProtocolId, dh: Dh, ke_group: int = 0) -> Match | None:
    """The first of our proposals that one of the peer's satisfies; `ke_group` is preferred among its groups.

    The match's wire proposal still holds the peer's SPI and number.
    """
    candidates = [p for p in offered.proposals if p.protocol == protocol and len(p.spi) in (0, SPI_OCTETS[protocol])]
    for index, own in enumerate(mine):
        for theirs in candidates:
            match = _match(index, own, theirs, protocol, dh, ke_group)
            if match is not None:
                return match
    return None


def accept(answer: Sa, mine: Sequence[Proposal], protocol: ProtocolId, dh: Dh) -> Match:
    """What the responder chose; IkeError (NO_PROPOSAL_CHOSEN) unless it is one proposal out of what we offered."""
    if len(answer.proposals) == 1:
        chosen = answer.proposals[0]
        single = len({t.type for t in chosen.transforms}) == len(chosen.transforms)
        if single and chosen.protocol == protocol and 1 <= chosen.num <= len(mine):
            match = _match(chosen.num - 1, mine[chosen.num - 1], chosen, protocol, dh, 0)
            if match is not None:
                return match
    raise IkeError("the peer chose a proposal we did not make", NotifyType.NO_PROPOSAL_CHOSEN)


def _transforms(own: Proposal, protocol: ProtocolId) -> tuple[WireTransform, ...]:
    rows: list[WireTransform] = []
    for kind, transforms in ((Kind.ENCR, own.encr), (Kind.PRF, own.prf), (Kind.INTEG, own.integ), (Kind.DH, own.dh)):
        rows += [wire_transform(kind, transform) for transform in transforms]
    for kind_of_ke, alternatives in zip(ADDKE_TYPES, own.addke, strict=False):
        rows += [_addke_transform(kind_of_ke, one) for one in alternatives]
    if protocol != ProtocolId.IKE:
        rows += [WireTransform(TransformType.ESN, EsnId.ESN if esn else EsnId.NO_ESN) for esn in own.esn]
    return tuple(rows)


def wire_transform(kind: Kind, transform: Transform) -> WireTransform:
    """One algorithm as it is offered; only ciphers of variable key length say theirs (RFC 7296 3.3.5)."""
    row = registry.get(kind, transform.name)
    bits = row.attribute_bits(transform.key_bits) if kind is Kind.ENCR else None
    return WireTransform(TransformType(kind), row.number, bits)


def _addke_transform(kind: TransformType, transform: Transform) -> WireTransform:
    return WireTransform(kind, DhId.NONE if transform == NO_KE else number(Kind.DH, transform))


def _additional(
    own: Proposal,
    theirs: dict[TransformType, list[WireTransform]],
    present: set[TransformType],
    taken: Transform | None,
) -> tuple[tuple[Transform, ...], list[WireTransform]] | None:
    """The additional key exchanges and how the answer says so; None when there is no agreement (RFC 9370 2.2.1).

    No method is used twice.
    """
    chosen: list[Transform] = []
    answer: list[WireTransform] = []
    wanted = dict(zip(ADDKE_TYPES, own.addke, strict=False))
    for kind in ADDKE_TYPES:
        alternatives = wanted.get(kind, ()) or (NO_KE,)
        if kind not in present:
            if NO_KE not in alternatives:
                return None
            continue
        free = [one for one in alternatives if one == NO_KE or (one != taken and one not in chosen)]
        found = next((one for one in free if _addke_transform(kind, one) in theirs[kind]), None)
        if found is None:
            return None
        answer.append(_addke_transform(kind, found))
        if found != NO_KE:
            chosen.append(found)
    return tuple(chosen), answer


def _match(
    index: int, own: Proposal, theirs: WireProposal, protocol: ProtocolId, dh: Dh, ke_group: int
) -> Match | None:
    if any(t.type not in KNOWN_TYPES for t in theirs.transforms):
        return None
    usable = [t for t in theirs.transforms if not t.others]
    of = {kind: [t for t in usable if t.type == kind] for kind in KNOWN_TYPES}
    present = {t.type for t in theirs.transforms}
    answer: list[WireTransform] = []
    encr = integ = prf = group = None
    if own.encr:
        encr = _first(Kind.ENCR, own.encr, of[TransformType.ENCR])
        if encr is None:
            return None
        answer.append(encr[1])
    elif TransformType.ENCR in present:
        return None
    if own.prf:
        prf = _first(Kind.PRF, own.prf, of[TransformType.PRF])
        if prf is None:
            return None
        answer.append(prf[1])
    elif TransformType.PRF in present:
        return None
    if own.integ:
        integ = _first(Kind.INTEG, own.integ, of[TransformType.INTEG])
        if integ is None:
            return None
        answer.append(integ[1])
    elif TransformType.INTEG in present:
        # With an AEAD an integrity transform may only say NONE (RFC 5282 8).
        none = [t for t in of[TransformType.INTEG] if t.id == IntegId.NONE]
        if not none:
            return None
        answer.append(none[0])
    found = _group(own, of[TransformType.DH], TransformType.DH in present, dh, ke_group)
    if found is None:
        return None
    group, dh_answer = found
    answer += dh_answer
    more = _additional(own if group is not None else replace(own, addke=()), of, present, group)
    if more is None:
        return None
    answer += more[1]
    esn = False
    if protocol != ProtocolId.IKE and TransformType.ESN in present:
        ids = [t.id for t in of[TransformType.ESN]]
        wanted = [want for want in own.esn if (EsnId.ESN if want else EsnId.NO_ESN) in ids]
        if not wanted:
            return None
        esn = wanted[0]
        answer.append(WireTransform(TransformType.ESN, EsnId.ESN if esn else EsnId.NO_ESN))
    elif (TransformType.ESN in present) if protocol == ProtocolId.IKE else (False not in own.esn):
        return None
    return Match(
        index,
        encr[0] if encr else None,
        integ[0] if integ else None,
        prf[0] if prf else None,
        group,
        esn,
        replace(theirs, transforms=tuple(answer)),
        more[0],
    )


def _first(
    kind: Kind, own: Sequence[Transform], theirs: Sequence[WireTransform]
) -> tuple[Transform, WireTransform] | None:
    """The first of our algorithms that is on offer."""
    for transform in own:
        wanted = wire_transform(kind, transform)
        if wanted in theirs:
            return transform, wanted
    return None


def _group(
    own: Proposal, theirs: Sequence[WireTransform], present: bool, dh: Dh, ke_group: int
) -> tuple[Transform | None, list[WireTransform]] | None:
    """The group and how the answer says so; None when there is no agreement."""
    none = [t for t in theirs if t.id == DhId.NONE]
    if dh is Dh.PREFERRED:
        dh = Dh.REQUIRED if own.dh else Dh.NEVER
    if dh is Dh.NEVER:
        return None if present and not none else (None, none[:1])
    groups = own.dh
    if dh is Dh.WELCOME and not groups:
        # Nobody is refused forward secrecy: any group we have will do.
        groups = tuple(g for t in theirs if (g := group_transform(t.id)) is not None)
    preferred = sorted(groups, key=lambda g: number(Kind.DH, g) != ke_group) if ke_group else groups
    found = _first(Kind.DH, preferred, theirs)
    if dh is Dh.WELCOME and (not present or (none and not ke_group)):
        return None, none[:1]
    if found is None:
        return (None, none[:1]) if dh is Dh.WELCOME and none else None
    return found[0], [found[1]]
