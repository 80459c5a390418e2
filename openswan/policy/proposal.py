# SPDX-License-Identifier: GPL-2.0-or-later
"""Proposals: what ike= and esp= offer, and choosing one (RFC 7296 3.3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from openswan.crypto.registry import Kind, find


@dataclass(frozen=True, slots=True)
class Transform:
    """One algorithm of a proposal: its name in crypto.registry and its key length in bits (0: the only one)."""

    name: str
    key_bits: int = 0


@dataclass(frozen=True, slots=True)
class Proposal:
    """One proposal: every kind's alternatives, best first; an AEAD has no integ. `protocol` is 1 IKE, 2 AH, 3 ESP."""

    protocol: int
    encr: tuple[Transform, ...]
    integ: tuple[Transform, ...] = ()
    prf: tuple[Transform, ...] = ()
    dh: tuple[Transform, ...] = ()
    esn: tuple[bool, ...] = (False,)
    """ESP only: which sequence number sizes are acceptable, best first."""
    addke: tuple[tuple[Transform, ...], ...] = ()
    """Additional key exchanges, up to seven; NO_KE among the alternatives of one: it may be left out (RFC 9370)."""


NO_KE = Transform("none")
MOST_ADDKE = 7
IKE, AH, ESP = 1, 2, 3
"""Protocol IDs (RFC 7296 3.3.1)."""


def choose(offered: Iterable[Proposal], ours: Iterable[Proposal], *, with_dh: bool = True) -> Proposal | None:
    """The one proposal, a single transform of each kind, that serves both; None when there is none.

    Our order decides, as responder: our first proposal that fits any of theirs, and in it our first fitting transform
    of each kind (RFC 7296 3.3). `with_dh` False leaves key exchange out of it, as in IKE_AUTH (RFC 7296 1.2). A
    proposal of ours without groups takes the first group offered, if any: a peer that wants PFS gets it.
    """
    theirs = tuple(offered)
    for mine in ours:
        for other in theirs:
            if mine.protocol == other.protocol and (chosen := _common(mine, other, with_dh)) is not None:
                return chosen
    return None


def _common(mine: Proposal, other: Proposal, with_dh: bool) -> Proposal | None:
    encr = _first(mine.encr, other.encr)
    integ = _first(mine.integ, other.integ)
    prf = _first(mine.prf, other.prf)
    dh = _first(mine.dh or other.dh, other.dh) if with_dh else ()
    esn = tuple(choice for choice in mine.esn if choice in other.esn)[:1] if mine.protocol != IKE else (False,)
    if encr is None or integ is None or prf is None or dh is None or not esn:
        return None
    return Proposal(mine.protocol, encr, integ, prf, dh, esn)


def _first(mine: tuple[Transform, ...], other: tuple[Transform, ...]) -> tuple[Transform, ...] | None:
    """Our first transform that they offer too; empty when neither has any; None when they do not meet."""
    if not mine and not other:
        return ()
    return next(((transform,) for transform in mine if transform in other), None)


def transform_text(kind: Kind, transform: Transform) -> str:
    """As listings show it: AES_GCM_16_256, HMAC_SHA2_256_128, X25519."""
    row = find(kind, transform.name)
    name = row.display if row else transform.name.upper()
    return f"{name}_{transform.key_bits}" if transform.key_bits else name


def proposal_text(proposal: Proposal) -> str:
    """Kinds joined by `-`, alternatives by `+`: AES_GCM_16_256+AES_GCM_16_128-HMAC_SHA2_512-X25519."""
    kinds = ((Kind.ENCR, proposal.encr), (Kind.INTEG, proposal.integ), (Kind.PRF, proposal.prf), (Kind.DH, proposal.dh))
    parts = ["+".join(transform_text(kind, one) for one in many) for kind, many in kinds if many]
    for number, alternatives in enumerate(proposal.addke, 1):
        if alternatives:
            parts.append(f"ADDKE{number}:" + "+".join(transform_text(Kind.DH, one) for one in alternatives))
    return "-".join(parts)


def proposals_text(proposals: Iterable[Proposal]) -> str:
    """Proposals in order, joined by a comma and a blank."""
    return ", ".join(map(proposal_text, proposals))
