# SPDX-License-Identifier: GPL-2.0-or-later
"""Phase 2 proposals: a pair of ESP or AH SAs, perhaps with IPComp beside it (RFC 2407 4.4, 4.5, RFC 2409 5.5).

Proposals of one number belong together and are taken or refused as a whole: a bundle here is ESP or AH, and IPComp.
The first bundle of the peer's that will do is taken, in it the first transform. What is passed over leaves one line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, groupby, product
from typing import TypeAlias

from openswan.base.errors import IkeError
from openswan.crypto import registry
from openswan.crypto.registry import Kind
from openswan.ike.policy import ChosenChild
from openswan.ike.v1 import life as lives
from openswan.ike.v1 import names
from openswan.ike.v1.life import Life
from openswan.ike.v1.phase1 import UNSAID_BITS
from openswan.policy.proposal import Proposal, Transform
from openswan.wire.attribute import Attribute
from openswan.wire.v1.numbers import Encapsulation, IpcompId, IpsecAttribute, NotifyType, ProtocolId
from openswan.wire.v1.sa import Proposal as WireProposal
from openswan.wire.v1.sa import Sa
from openswan.wire.v1.sa import Transform as WireTransform

Algorithms: TypeAlias = tuple[Transform | None, Transform | None, bool]
"""Cipher, integrity, and whether sequence numbers have 64 bits."""
MOST_TRANSFORMS = 32
"""Ours, of one offer."""
MOST_LINES = 12
"""Lines about what was passed over, of one offer."""
LEAST_SPI = 256
"""Smaller ones are reserved (RFC 4303 2.1), as are smaller CPIs (RFC 3173 3.3)."""
MOST_CPI = 61439
"""Larger ones are not for negotiation (RFC 3173 3.3)."""
LIFE = (IpsecAttribute.SA_LIFE_TYPE, IpsecAttribute.SA_LIFE_DURATION)
EXTENDED = 1
"""Extended Sequence Number: 64 bits (RFC 4304 2)."""
COMMON = frozenset({IpsecAttribute.GROUP_DESCRIPTION, IpsecAttribute.ENCAPSULATION_MODE})
KNOWN = {
    ProtocolId.ESP: COMMON
    | {IpsecAttribute.AUTH_ALGORITHM, IpsecAttribute.KEY_LENGTH, IpsecAttribute.EXTENDED_SEQUENCE_NUMBER},
    ProtocolId.AH: COMMON | {IpsecAttribute.AUTH_ALGORITHM, IpsecAttribute.EXTENDED_SEQUENCE_NUMBER},
    ProtocolId.IPCOMP: COMMON,
}
"""Attributes each protocol's transforms may have beside a life; others are refused (RFC 2407 4.5)."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What one connection agrees to for a pair of SAs with one peer."""

    name: str
    """The connection's."""
    peer: str
    """The peer's address, for the log."""
    proposals: tuple[Proposal, ...]
    """All ESP or all AH, best first."""
    modes: tuple[Encapsulation, ...]
    """Encapsulation modes that will do: tunnel or transport, in UDP or not; the first is the one to offer."""
    life: Life
    group: Transform | None = None
    """The group of PFS that is offered; None lets the peer decide, as far as the next ones do."""
    compress: bool = False
    """IPComp is offered, and taken when it is offered."""
    insists: bool = False
    """As responder: there has to be a group."""
    groups: tuple[Transform, ...] = ()
    """As responder: those that will do; empty: all that are not weak, and `agreed`."""
    agreed: Transform | None = None
    """Phase 1's group, which the configuration names if it is weak: what a peer takes that names none for phase 2."""

    @property
    def protocol(self) -> ProtocolId:
        """ESP or AH."""
        return ProtocolId(self.proposals[0].protocol)


@dataclass(frozen=True, slots=True)
class ChosenIpsec:
    """What both ends agree to."""

    child: ChosenChild
    mode: Encapsulation
    life: Life
    spi: int
    """The peer's: packets to it carry it. Host order."""
    bundle: tuple[WireProposal, ...]
    """The proposals taken, each with its one transform and the peer's SPI."""
    cpi: int = 0
    """The peer's, 0: no IPComp."""

    def answer(self, spi: int, cpi: int = 0) -> Sa:
        """The SA payload that says so, with SPI and CPI of our own."""
        return Sa(
            tuple(
                replace(
                    one, spi=cpi.to_bytes(2, "big") if one.protocol == ProtocolId.IPCOMP else spi.to_bytes(4, "big")
                )
                for one in self.bundle
            )
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an offer."""

    chosen: ChosenIpsec | None
    """None: nothing in it will do."""
    refused: tuple[str, ...]
    """Lines for the log about what was passed over, MOST_LINES at most."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """One transform, understood."""

    wire: WireTransform
    mode: Encapsulation
    life: Life
    group: int
    """0: none."""
    encr: Transform | None = None
    integ: Transform | None = None
    esn: bool = False


def offer(terms: Terms, spi: int, cpi: int = 0) -> Sa:
    """The SA payload that offers the terms under our SPI: with IPComp and without when there is a CPI."""
    own = [_wire(one, terms) for one in _algorithms(terms.proposals)[:MOST_TRANSFORMS]]
    transforms = tuple(WireTransform(num, *one) for num, one in enumerate(own, 1))
    main = WireProposal(1, terms.protocol, spi.to_bytes(4, "big"), transforms)
    if not cpi:
        return Sa((main,))
    deflate = WireTransform(1, IpcompId.DEFLATE, _common(terms))
    return Sa((main, WireProposal(1, ProtocolId.IPCOMP, cpi.to_bytes(2, "big"), (deflate,)), replace(main, num=2)))


def choose(offered: Sa, terms: Terms) -> Outcome:
    """The first of the peer's bundles that the terms allow.

    IkeError (BAD_PROPOSAL_SYNTAX) when proposals of one number do not stand together (RFC 2408 4.2).
    """
    lines: dict[str, None] = {}
    for bundle in _bundles(offered):
        try:
            return Outcome(_judge(bundle, terms, lines), _bounded(tuple(lines)))
        except IkeError as why:
            if str(why):
                lines[str(why)] = None
    return Outcome(None, _bounded(tuple(lines)))


def accept(answer: Sa, offered: Sa, terms: Terms) -> ChosenIpsec:
    """What the responder chose.

    IkeError (BAD_PROPOSAL_SYNTAX, NO_PROPOSAL_CHOSEN) unless it is one bundle, with one transform of each protocol, out
    of one that we offered (RFC 2408 4.2). A life of the responder's own counts when it is shorter.
    """
    bundles = _bundles(answer)
    if len(bundles) != 1 or any(len(one.transforms) != 1 for one in bundles[0]):
        raise IkeError("the peer answered with more than one choice in IPsec SA", NotifyType.BAD_PROPOSAL_SYNTAX)
    if not any(_out_of(bundles[0], ours) for ours in _bundles(offered)):
        raise IkeError("the peer chose a proposal for IPsec SA that we did not make", NotifyType.NO_PROPOSAL_CHOSEN)
    lines: dict[str, None] = {}
    try:
        return _judge(bundles[0], terms, lines)
    except IkeError as why:
        raise IkeError("; ".join([*lines, *filter(None, [str(why)])]), NotifyType.NO_PROPOSAL_CHOSEN) from None


# --- what we say


@lru_cache(maxsize=64)
def _algorithms(proposals: tuple[Proposal, ...]) -> tuple[Algorithms, ...]:
    """Every set of algorithms the proposals stand for, once."""
    found = (product(one.encr or (None,), one.integ or (None,), one.esn) for one in proposals)
    return tuple(dict.fromkeys(chain.from_iterable(found)))


def _wire(chosen: Algorithms, terms: Terms) -> tuple[int, tuple[Attribute, ...]]:
    """Transform ID and attributes of one set of algorithms."""
    encr, integ, esn = chosen
    attributes = list(_common(terms))
    digest = registry.get_ikev1(Kind.INTEG, integ.name) if integ else None
    if encr is not None:
        cipher = registry.get_ikev1(Kind.ENCR, encr.name)
        number, bits = cipher.ikev1_esp, cipher.attribute_bits(encr.key_bits)
        if bits is not None:
            attributes.append(Attribute(IpsecAttribute.KEY_LENGTH, bits))
    else:
        number = digest.ikev1_ah if digest else 0
    if digest:
        attributes.append(Attribute(IpsecAttribute.AUTH_ALGORITHM, digest.ikev1_esp or digest.ikev1_ah))
    if esn:
        attributes.append(Attribute(IpsecAttribute.EXTENDED_SEQUENCE_NUMBER, EXTENDED))
    return number, tuple(attributes)


def _common(terms: Terms) -> tuple[Attribute, ...]:
    """What every transform of an offer has: life, mode, and the one group of all (RFC 2409 5.5)."""
    found = [Attribute(IpsecAttribute.ENCAPSULATION_MODE, int(terms.modes[0])), *lives.emit(terms.life, *LIFE)]
    if terms.group is not None:
        number = registry.get_ikev1(Kind.DH, terms.group.name).ikev1
        found.append(Attribute(IpsecAttribute.GROUP_DESCRIPTION, number))
    return tuple(found)


# --- what the peer says


def _bundles(sa: Sa) -> list[tuple[WireProposal, ...]]:
    """The proposals, those of one number together."""
    found = [tuple(one) for _, one in groupby(sa.proposals, lambda one: one.num)]
    if len({bundle[0].num for bundle in found}) != len(found):
        raise IkeError("proposals of one number do not stand together in IPsec SA", NotifyType.BAD_PROPOSAL_SYNTAX)
    return found


def _judge(bundle: Sequence[WireProposal], terms: Terms, lines: dict[str, None]) -> ChosenIpsec:
    """The bundle as an agreement; IkeError when it is none, with its line or, when all were put into `lines`, empty."""
    main, compression = _parts(bundle, terms)
    spi = _spi(main)
    readings = _readings(main, terms, lines)
    if compression is None:
        if not readings:
            raise _no("")
        return _agreed(readings[0], main, spi)
    cpi = _cpi(compression)
    beside = _readings(compression, terms, lines)
    for one, other in product(readings, beside):
        # Who has no keys needs no group: strongSwan says it for ESP alone.
        if other.group in (0, one.group):
            return _agreed(one, main, spi, (other, compression), cpi)
    name = names.classic(main.protocol, "PROTO_IPSEC_")
    raise _no(f"GROUP_DESCRIPTION inconsistent with that of {name} in IPsec SA" if readings and beside else "")


def _agreed(
    taken: _Reading,
    main: WireProposal,
    spi: int,
    beside: tuple[_Reading, WireProposal] | None = None,
    cpi: int = 0,
) -> ChosenIpsec:
    group = registry.by_ikev1(Kind.DH, taken.group)
    child = ChosenChild(taken.encr, taken.integ, taken.esn, Transform(group.name) if group else None)
    bundle = [replace(main, transforms=(taken.wire,))]
    life = taken.life
    if beside is not None:
        bundle.append(replace(beside[1], transforms=(beside[0].wire,)))
        life = life.within(beside[0].life)
    return ChosenIpsec(child, taken.mode, life, spi, tuple(bundle), cpi)


def _parts(bundle: Sequence[WireProposal], terms: Terms) -> tuple[WireProposal, WireProposal | None]:
    """The ESP or AH proposal, and that of IPComp."""
    of = {one.protocol: one for one in bundle}
    if len(of) != len(bundle) or not of.keys() <= {terms.protocol, ProtocolId.IPCOMP} or terms.protocol not in of:
        what = "+".join(names.classic(one.protocol) for one in bundle[:4])
        raise _no(f'policy for "{terms.name}" wants {terms.protocol}, not {what}, in IPsec SA')
    compression = of.get(ProtocolId.IPCOMP)
    if compression is not None and not terms.compress:
        raise _no(f'compression proposed by {terms.peer}, but policy for "{terms.name}" forbids it')
    return of[terms.protocol], compression


def _spi(proposal: WireProposal) -> int:
    spi = int.from_bytes(proposal.spi, "big")
    if len(proposal.spi) != 4 or spi < LEAST_SPI:
        raise _no(f"invalid SPI 0x{proposal.spi.hex()} in IPsec SA", NotifyType.INVALID_SPI)
    return spi


def _cpi(proposal: WireProposal) -> int:
    """A CPI comes in two octets, or in four that begin with zeros (RFC 3173 4.1)."""
    cpi = int.from_bytes(proposal.spi, "big")
    if len(proposal.spi) not in (2, 4) or not LEAST_SPI <= cpi <= MOST_CPI:
        raise _no(f"invalid IPCOMP CPI 0x{proposal.spi.hex()} in IPsec SA", NotifyType.INVALID_SPI)
    return cpi


def _readings(proposal: WireProposal, terms: Terms, lines: dict[str, None]) -> list[_Reading]:
    """Those of its transforms that will do, in order; a line for each of the others."""
    found: list[_Reading] = []
    for transform in proposal.transforms:
        try:
            found.append(_read(proposal.protocol, transform, terms))
        except IkeError as why:
            lines[str(why)] = None
    return found


def _read(protocol: ProtocolId, transform: WireTransform, terms: Terms) -> _Reading:
    said = _said(protocol, transform)
    mode = said.get(IpsecAttribute.ENCAPSULATION_MODE)
    if mode is None and protocol != ProtocolId.IPCOMP:
        raise _no("IPsec Transform must specify ENCAPSULATION_MODE")
    if mode is not None and mode not in terms.modes:
        raise _no(_unwanted(Encapsulation(mode), terms))
    try:
        life = lives.read(transform.attributes, *LIFE).within(terms.life)
    except IkeError as why:
        raise _no(f"{why} in IPsec SA") from None
    number = said.get(IpsecAttribute.GROUP_DESCRIPTION, 0)
    group = _group(number, terms) if number or protocol != ProtocolId.IPCOMP else 0
    reading = _Reading(transform, Encapsulation(mode or terms.modes[0]), life, group)
    if protocol == ProtocolId.IPCOMP:
        if transform.id != IpcompId.DEFLATE:
            raise _no(f"unsupported IPCOMP compression algorithm {names.classic(IpcompId(transform.id), 'IPCOMP_')}")
        return reading
    esn = _esn(said)
    encr: Transform | None = None
    integ: Transform | None
    if protocol == ProtocolId.ESP:
        encr, integ = _esp(transform.id, said, terms)
    else:
        integ = _ah(transform.id, said, terms)
    if (encr, integ, esn) not in _algorithms(terms.proposals):
        raise _no(f"IPsec Transform [{_words(transform.id, encr, said, esn)}] refused due to strict flag")
    return replace(reading, encr=encr, integ=integ, esn=esn)


def _unwanted(mode: Encapsulation, terms: Terms) -> str:
    if names.is_known(mode):
        return f'{mode} is not the ENCAPSULATION_MODE that policy for "{terms.name}" wants'
    return f"unknown ENCAPSULATION_MODE {int(mode)} in IPSec SA"


def _said(protocol: ProtocolId, transform: WireTransform) -> dict[int, int]:
    """The values of all attributes but those of the life."""
    said: dict[int, int] = {}
    for one in transform.attributes:
        kind = IpsecAttribute(one.type)
        if kind in LIFE:
            continue
        if kind in said:
            raise _no(f"repeated {names.classic(kind)} attribute in IPsec Transform {transform.num}")
        if kind not in KNOWN[protocol] or not isinstance(one.value, int):
            raise _no(f"unsupported IPsec attribute {names.classic(kind)} in Transform {transform.num}")
        said[kind] = one.value
    return said


def _group(number: int, terms: Terms) -> int:
    if number and registry.by_ikev1(Kind.DH, number) is None:
        raise _no(f"OAKLEY_GROUP {number} not supported for PFS")
    if not number:
        if terms.group is not None or terms.insists:
            raise _no("we require PFS but Quick I1 SA specifies no GROUP_DESCRIPTION")
        return number
    wanted = (terms.group,) if terms.group is not None else terms.groups
    if not number_fits(number, wanted, terms.agreed):
        raise _no(f'{names.group(number)} is not what policy for "{terms.name}" wants for PFS')
    return number


def number_fits(number: int, wanted: Sequence[Transform], agreed: Transform | None = None) -> bool:
    """Is a group one of those wanted, or where none is named one that is not weak, or phase 1's?"""
    named = wanted or ((agreed,) if agreed is not None else ())
    if number in [registry.get_ikev1(Kind.DH, one.name).ikev1 for one in named]:
        return True
    row = registry.by_ikev1(Kind.DH, number)
    return not wanted and row is not None and not row.weak and not row.refused


def _esn(said: dict[int, int]) -> bool:
    value = said.get(IpsecAttribute.EXTENDED_SEQUENCE_NUMBER)
    if value not in (None, EXTENDED):
        raise _no(f"unknown EXTENDED_SEQUENCE_NUMBER {value} in IPSec SA")
    return value == EXTENDED


def _esp(number: int, said: dict[int, int], terms: Terms) -> tuple[Transform, Transform | None]:
    row = registry.by_ikev1_esp(Kind.ENCR, number)
    if row is None:
        raise _no(f"unsupported ESP Transform {names.esp(number)} from {terms.peer}")
    bits = said.get(IpsecAttribute.KEY_LENGTH)
    if bits is not None and (not row.variable_key or bits not in row.key_bits):
        raise _no(f"unsupported key length {bits} of ESP Transform {names.esp(number)} from {terms.peer}")
    encr = Transform(row.name, (UNSAID_BITS if bits is None else bits) if row.variable_key else 0)
    auth = said.get(IpsecAttribute.AUTH_ALGORITHM, 0)
    if row.aead:
        if auth:
            raise _no(f"{names.esp(number)} brings its own integrity, {names.auth(auth)} does not go with it")
        return encr, None
    integ = registry.by_ikev1_esp(Kind.INTEG, auth)
    if integ is None:
        raise _no(f"unsupported ESP auth alg {names.auth(auth)} from {terms.peer}")
    return encr, Transform(integ.name)


def _ah(number: int, said: dict[int, int], terms: Terms) -> Transform:
    """The transform says the hash, the attribute has to say the same (RFC 2407 4.4.3)."""
    row = registry.by_ikev1_ah(number)
    auth = said.get(IpsecAttribute.AUTH_ALGORITHM, 0)
    if row is None or auth != (row.ikev1_esp or row.ikev1_ah):
        raise _no(f"unsupported AH Transform {number} with {names.auth(auth)} from {terms.peer}")
    return Transform(row.name)


def _words(number: int, encr: Transform | None, said: dict[int, int], esn: bool) -> str:
    cipher = f"{names.esp(number)} ({encr.key_bits}), " if encr and encr.key_bits else f"{names.esp(number)}, "
    numbers = ", ESN" if esn else ""
    return f"{cipher if encr else ''}{names.auth(said.get(IpsecAttribute.AUTH_ALGORITHM, 0))}{numbers}"


def _out_of(taken: Sequence[WireProposal], ours: Sequence[WireProposal]) -> bool:
    """Is each transform taken one of those that `ours` offers for its protocol, and is none left out?"""
    offered = {one.protocol: {_meaning(transform) for transform in one.transforms} for one in ours}
    return {one.protocol for one in taken} == offered.keys() and all(
        _meaning(one.transforms[0]) in offered[one.protocol] for one in taken
    )


def _meaning(transform: WireTransform) -> tuple[int, frozenset[tuple[int, int]]]:
    """What a transform says beside its number and its life, whatever the order and the form of its attributes."""
    said = ((one.type, lives.number(one)) for one in transform.attributes if one.type not in LIFE)
    return transform.id, frozenset(said)


def _bounded(lines: Sequence[str]) -> tuple[str, ...]:
    if len(lines) <= MOST_LINES:
        return tuple(lines)
    return (*lines[: MOST_LINES - 1], f"{len(lines) - MOST_LINES + 1} more transforms of IPsec SA were refused")


def _no(why: str, notify: NotifyType = NotifyType.NO_PROPOSAL_CHOSEN) -> IkeError:
    return IkeError(why, notify)
