# SPDX-License-Identifier: GPL-2.0-or-later
"""How a child's packets behave beside being encrypted: marks, padding, path, and the end of its SAs by use."""

from __future__ import annotations

from dataclasses import dataclass

from openswan.base.entropy import Rng, uniform
from openswan.engine.statedb import ChildState
from openswan.plane.commands import Life
from openswan.policy.connection import Connection

EARLY = {True: (0.70, 0.80), False: (0.85, 0.90)}
"""Part of its octets or packets after which an SA is replaced, by whether we are its initiator: in between, and the
responder later, so that rekeyings seldom collide."""


@dataclass(frozen=True, slots=True)
class Manners:
    """What AddSa wants to know beside keys and addresses."""

    life: Life
    copy_dscp: bool
    """The inner DSCP goes outside,"""
    take_dscp: bool
    """and the outer one inside."""
    tfc: int
    mtu: int
    """Of the outer path, octets; 0: not known."""
    unproven: bool


def life(policy: Connection, octets: int, initiator: bool, rng: Rng) -> Life:
    """So many octets, ipsec-max-packets=: the SA is replaced before they are used up, and ends when they are."""
    part = uniform(rng, *EARLY[initiator])
    soft = part if policy.rekey else 0.0
    return Life(int(octets * soft), octets, int(policy.max_packets * soft), policy.max_packets)


def manners(child: ChildState, octets: int, hide_tos: bool, path: tuple[int, bool], rng: Rng) -> Manners:
    """Those of a new child that may carry so many octets; `path`: its path's MTU, and has that yet to be proven?"""
    policy = child.conn.policy
    copied = not hide_tos if policy.copy_dscp is None else policy.copy_dscp
    return Manners(life(policy, octets, child.initiator, rng), copied, policy.take_dscp, policy.tfc, *path)
