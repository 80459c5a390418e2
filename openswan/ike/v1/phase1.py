# SPDX-License-Identifier: GPL-2.0-or-later
"""Phase 1 proposals: what we offer, taking the first of the peer's that will do, checking its answer (RFC 2409 5).

An offer is one proposal of transforms in the offering end's order, each a complete set of algorithms. Whatever is
passed over leaves one line that says why, in pluto's words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from openswan.base.errors import IkeError
from openswan.crypto import registry
from openswan.crypto.registry import Kind
from openswan.ike.v1 import life as lives
from openswan.ike.v1 import names
from openswan.ike.v1.life import UNSAID, Life
from openswan.ike.v1.methods import METHODS
from openswan.policy.algorithms import MOST_OFFERED
from openswan.policy.proposal import Proposal, Transform
from openswan.wire.attribute import Attribute
from openswan.wire.v1.numbers import (
    AuthMethod,
    IsakmpId,
    NotifyType,
    OakleyAttribute,
    OakleyEncr,
    OakleyHash,
    ProtocolId,
)
from openswan.wire.v1.sa import Proposal as WireProposal
from openswan.wire.v1.sa import Sa
from openswan.wire.v1.sa import Transform as WireTransform

LONGEST_LIFE = 86400
"""Seconds: a peer that asks for more is refused."""
MOST_LINES = 12
"""Lines about transforms passed over, of one offer: it may hold 255 of them."""
UNSAID_BITS = 128
"""The key size of AES without a Key Length attribute (RFC 3602 5.3 wants one; old peers leave it out)."""
MANDATORY = (
    OakleyAttribute.ENCRYPTION_ALGORITHM,
    OakleyAttribute.HASH_ALGORITHM,
    OakleyAttribute.AUTHENTICATION_METHOD,
    OakleyAttribute.GROUP_DESCRIPTION,
)
LIFE = (OakleyAttribute.LIFE_TYPE, OakleyAttribute.LIFE_DURATION)
KNOWN = frozenset({*MANDATORY, *LIFE, OakleyAttribute.KEY_LENGTH})


@dataclass(frozen=True, slots=True)
class Terms:
    """What one connection agrees to."""

    proposals: tuple[Proposal, ...]
    """IKE proposals without a PRF, best first."""
    methods: tuple[AuthMethod, ...]
    """How both ends may prove themselves, best first."""
    life: Life
    unable: tuple[tuple[AuthMethod, str], ...] = ()
    """Methods that are allowed and cannot be done, and why."""

    def allow(self, chosen: ChosenIsakmp) -> bool:
        """Could this have been agreed on these terms?"""
        agreed = (chosen.encr in p.encr and chosen.hash in p.integ and chosen.dh in p.dh for p in self.proposals)
        return chosen.method in self.methods and any(agreed)


@dataclass(frozen=True, slots=True)
class ChosenIsakmp:
    """The algorithms of an ISAKMP SA."""

    encr: Transform
    hash: Transform
    """By the name of the integrity algorithm made of it."""
    method: AuthMethod
    dh: Transform
    life: Life = UNSAID

    @property
    def hash_name(self) -> str:
        """The hash as hashlib spells it."""
        return registry.get_ikev1(Kind.INTEG, self.hash.name).hash

    def __str__(self) -> str:
        """`auth=OAKLEY_PRESHARED_KEY cipher=aes_128 prf=sha1 group=modp2048`."""
        encr = registry.get_ikev1(Kind.ENCR, self.encr.name).short
        return f"auth={names.oakley(self.method)} cipher={encr}{self._bits} prf={self._prf} group={self._group}"

    @property
    def suite(self) -> str:
        """The algorithms as listings show them: `aes_cbc_128-sha1-MODP2048`."""
        return f"{self.encr.name}{self._bits}-{self._prf}-{self._group.upper()}"

    @property
    def _bits(self) -> str:
        return f"_{self.encr.key_bits}" if self.encr.key_bits else ""

    @property
    def _prf(self) -> str:
        return registry.get_ikev1(Kind.INTEG, self.hash.name).short

    @property
    def _group(self) -> str:
        return registry.get_ikev1(Kind.DH, self.dh.name).short


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an offer."""

    chosen: ChosenIsakmp | None
    """None: nothing in it will do."""
    answer: Sa | None
    """The chosen transform as it goes back, None as above."""
    refused: tuple[str, ...]
    """Lines for the log about what was passed over, MOST_LINES at most."""


def offer(terms: Terms) -> Sa:
    """The SA payload with the first MOST_OFFERED combinations, numbered from 1; those of one proposal go by group last.

    That means: cipher by cipher, in each hash by hash, in each method by method, in each group by group.
    """
    transforms: list[WireTransform] = []
    for chosen in _combinations(terms):
        if len(transforms) == MOST_OFFERED:
            break
        transforms.append(WireTransform(len(transforms) + 1, IsakmpId.KEY_IKE, _attributes(chosen)))
    return Sa((WireProposal(1, ProtocolId.ISAKMP, b"", tuple(transforms)),))


def choose(offered: Sa, terms: Terms) -> Outcome:
    """The first transform of the peer's that the terms allow.

    IkeError (BAD_PROPOSAL_SYNTAX) unless there is exactly one proposal, for ISAKMP (RFC 2409 5).
    """
    proposal = _only(offered)
    lines: dict[str, None] = {}
    for transform in proposal.transforms:
        try:
            chosen = _judge(transform, terms)
        except IkeError as why:
            lines[str(why)] = None
        else:
            answer = Sa((WireProposal(proposal.num, proposal.protocol, proposal.spi, (transform,)),))
            return Outcome(chosen, answer, _bounded(tuple(lines)))
    return Outcome(None, None, _bounded(tuple(lines)))


def accept(answer: Sa, offered: Sa, terms: Terms) -> ChosenIsakmp:
    """What the responder chose.

    IkeError unless it is one transform of ours: BAD_PROPOSAL_SYNTAX when there is not exactly one, NO_PROPOSAL_CHOSEN
    when it is none of those offered (RFC 2408 4.2). A life of the responder's own counts when it is shorter.
    """
    proposal = _only(answer)
    if len(proposal.transforms) != 1:
        raise IkeError("the peer answered with more than one Oakley Transform", NotifyType.BAD_PROPOSAL_SYNTAX)
    [taken] = proposal.transforms
    if _meaning(taken) not in [_meaning(one) for one in offered.proposals[0].transforms]:
        raise IkeError("the peer chose an Oakley Transform that we did not offer", NotifyType.NO_PROPOSAL_CHOSEN)
    return _judge(taken, terms)


def _combinations(terms: Terms) -> Iterator[ChosenIsakmp]:
    """Every set of algorithms the terms stand for, once."""
    seen: set[ChosenIsakmp] = set()
    for one in terms.proposals:
        for encr, integ, method, dh in product(one.encr, one.integ, terms.methods, one.dh):
            chosen = ChosenIsakmp(encr, integ, method, dh, terms.life)
            if chosen not in seen:
                seen.add(chosen)
                yield chosen


def _attributes(chosen: ChosenIsakmp) -> tuple[Attribute, ...]:
    encr = registry.get_ikev1(Kind.ENCR, chosen.encr.name)
    bits = encr.attribute_bits(chosen.encr.key_bits)
    found = [Attribute(OakleyAttribute.ENCRYPTION_ALGORITHM, encr.ikev1)]
    if bits is not None:
        found.append(Attribute(OakleyAttribute.KEY_LENGTH, bits))
    found += (
        Attribute(OakleyAttribute.HASH_ALGORITHM, registry.get_ikev1(Kind.INTEG, chosen.hash.name).ikev1),
        Attribute(OakleyAttribute.AUTHENTICATION_METHOD, int(chosen.method)),
        Attribute(OakleyAttribute.GROUP_DESCRIPTION, registry.get_ikev1(Kind.DH, chosen.dh.name).ikev1),
        *lives.emit(chosen.life, *LIFE),
    )
    return tuple(found)


def _only(sa: Sa) -> WireProposal:
    if len(sa.proposals) != 1:
        raise IkeError("Proposal Payload must be alone in Oakley SA", NotifyType.BAD_PROPOSAL_SYNTAX)
    [proposal] = sa.proposals
    if proposal.protocol != ProtocolId.ISAKMP:
        raise IkeError(
            f"unexpected Protocol ID ({names.classic(proposal.protocol, 'PROTO_')}) found in Oakley Proposal",
            NotifyType.INVALID_PROTOCOL_ID,
        )
    return proposal


def _meaning(transform: WireTransform) -> tuple[int, frozenset[tuple[int, int]]]:
    """What a transform says beside its number and its life, whatever the order and the form of its attributes."""
    said = ((one.type, lives.number(one)) for one in transform.attributes if one.type not in LIFE)
    return transform.id, frozenset(said)


def _judge(transform: WireTransform, terms: Terms) -> ChosenIsakmp:
    """The transform as algorithms; IkeError with the line for the log when it will not do."""
    if transform.id != IsakmpId.KEY_IKE:
        raise _no(f"expected KEY_IKE but found {transform.id} in Oakley Transform {transform.num}")
    said = _said(transform)
    encr = _cipher(said)
    digest = registry.by_ikev1(Kind.INTEG, said[OakleyAttribute.HASH_ALGORITHM])
    if digest is None:
        name = names.oakley(OakleyHash(said[OakleyAttribute.HASH_ALGORITHM]))
        raise _no(f"{name} is not supported", OakleyAttribute.HASH_ALGORITHM)
    method = _method(AuthMethod(said[OakleyAttribute.AUTHENTICATION_METHOD]), terms)
    number = said[OakleyAttribute.GROUP_DESCRIPTION]
    group = registry.by_ikev1(Kind.DH, number)
    if group is None:
        raise _no(f"OAKLEY_GROUP {number} not supported", OakleyAttribute.GROUP_DESCRIPTION)
    chosen = ChosenIsakmp(encr, Transform(digest.name), method, Transform(group.name), _life(transform, terms))
    if not any(encr in p.encr and chosen.hash in p.integ and chosen.dh in p.dh for p in terms.proposals):
        cipher = names.oakley(OakleyEncr(said[OakleyAttribute.ENCRYPTION_ALGORITHM]))
        bits = f" ({encr.key_bits})" if encr.key_bits else ""
        what = f"{cipher}{bits}, {names.oakley(OakleyHash(digest.ikev1))}, {names.group(number)}"
        raise _no(f"Oakley Transform [{what}] refused due to strict flag")
    return chosen


def _said(transform: WireTransform) -> dict[int, int]:
    """The values of all attributes but those of the life."""
    said: dict[int, int] = {}
    for one in transform.attributes:
        kind = OakleyAttribute(one.type)
        if kind in LIFE:
            continue
        if kind in said:
            raise _no(f"repeated {names.oakley(kind)} attribute in Oakley Transform {transform.num}")
        if kind not in KNOWN or not isinstance(one.value, int):
            # Those known here are of the short form always (RFC 2409 appendix A).
            raise _no("unsupported OAKLEY attribute", kind, long=not isinstance(one.value, int))
        said[kind] = one.value
    missing = [kind.name for kind in MANDATORY if kind not in said]
    if missing:
        raise _no(f"missing mandatory attribute(s) {'+'.join(missing)} in Oakley Transform {transform.num}")
    return said


def _cipher(said: dict[int, int]) -> Transform:
    number = said[OakleyAttribute.ENCRYPTION_ALGORITHM]
    row = registry.by_ikev1(Kind.ENCR, number)
    name = names.oakley(OakleyEncr(number))
    if row is None:
        raise _no(f"{name} is not supported", OakleyAttribute.ENCRYPTION_ALGORITHM)
    bits = said.get(OakleyAttribute.KEY_LENGTH)
    if not row.variable_key:
        if bits is not None:
            raise _no(f"{name} has no key length to choose", OakleyAttribute.KEY_LENGTH)
        return Transform(row.name)
    if bits is not None and bits not in row.key_bits:
        raise _no(f"{name} has no {bits}-bit keys", OakleyAttribute.KEY_LENGTH)
    return Transform(row.name, UNSAID_BITS if bits is None else bits)


def _method(method: AuthMethod, terms: Terms) -> AuthMethod:
    if method not in METHODS:
        raise _no(
            f"Pluto does not support {names.oakley(method)} authentication", OakleyAttribute.AUTHENTICATION_METHOD
        )
    for one, why in terms.unable:
        if one == method:
            raise _no(why, OakleyAttribute.AUTHENTICATION_METHOD)
    if method not in terms.methods:
        raise _no(f"policy does not allow {names.oakley(method)} authentication", OakleyAttribute.AUTHENTICATION_METHOD)
    return method


def _life(transform: WireTransform, terms: Terms) -> Life:
    try:
        said = lives.read(transform.attributes, *LIFE)
    except IkeError as why:
        raise _no(str(why), OakleyAttribute.LIFE_DURATION) from None
    if said.seconds > LONGEST_LIFE:
        raise _no(
            f"peer requested {said.seconds} seconds which exceeds our limit {LONGEST_LIFE} seconds",
            OakleyAttribute.LIFE_DURATION,
            long=True,
        )
    return said.within(terms.life)


def _bounded(lines: Sequence[str]) -> tuple[str, ...]:
    if len(lines) <= MOST_LINES:
        return tuple(lines)
    return (*lines[: MOST_LINES - 1], f"{len(lines) - MOST_LINES + 1} more Oakley Transforms were refused")


def _no(why: str, attribute: OakleyAttribute | None = None, *, long: bool = False) -> IkeError:
    """A transform passed over; `long`: the attribute came in the long form."""
    where = f".  Attribute {names.oakley(attribute)}{' (variable length)' if long else ''}" if attribute else ""
    return IkeError(why + where, NotifyType.NO_PROPOSAL_CHOSEN)
