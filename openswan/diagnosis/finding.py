# SPDX-License-Identifier: GPL-2.0-or-later
"""What a diagnosis finds, and the shape of the rules that find it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from openswan.diagnosis.facts import Facts


class Kind(IntEnum):
    """Where the cause lies; the exit status of `ipsec diagnose`."""

    CONFIG = 10
    """ipsec.conf."""
    KEYS = 11
    """ipsec.secrets and certificates."""
    DAEMON = 12
    """pluto does not run, or has not been told."""
    MACHINE = 13
    """This host: kernel, addresses, forwarding, its firewall."""
    NETWORK = 14
    """Between here and the peer."""
    PEER = 15
    """The peer is not there, or wants something else."""
    TRAFFIC = 16
    """The tunnel is up; what should go through it does not."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause."""

    code: str
    """Stable, for programs."""
    kind: Kind
    weight: int
    """How sure it explains why it does not work, 0 to 100; less than ALARM is a remark."""
    cause: str
    """One sentence."""
    evidence: tuple[str, ...] = ()
    """What was seen."""
    remedy: str = ""
    """The command to run or the line to change."""
    conn: str = ""
    """The connection that suffers; empty: all."""


ALARM = 30
Rule: TypeAlias = Callable[[Facts], Iterator[Finding]]
