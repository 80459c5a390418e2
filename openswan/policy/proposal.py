# SPDX-License-Identifier: GPL-2.0-or-later
"""Proposals: what ike= and esp= offer, and choosing one (RFC 7296 3.3)."""

from __future__ import annotations

from dataclasses import dataclass


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
