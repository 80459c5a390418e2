# SPDX-License-Identifier: GPL-2.0-or-later
"""Eroute targets as the compiled engine numbers them: an SA is 0, a shunt its classic SPI."""

from __future__ import annotations

from openswan.base.said import Said, Shunt

SA_ACTION = 0
"""The action of an eroute that names an SA."""


def action_of(target: Said | Shunt) -> int:
    """What _fast calls this target."""
    return int(target) if isinstance(target, Shunt) else SA_ACTION


def target_of(action: int, said: Said | None) -> Said | Shunt:
    """The target behind an action; `said` is what the eroute's owner named, needed for SA_ACTION alone."""
    if action != SA_ACTION:
        return Shunt(action)
    if said is None:
        raise ValueError("an SA eroute without the name of its SA")
    return said
