# SPDX-License-Identifier: GPL-2.0-or-later
"""All rules, and their findings in order."""

from __future__ import annotations

from openswan.diagnosis import configuration, keys, local, opportunistic, peer, traffic
from openswan.diagnosis.facts import Facts
from openswan.diagnosis.finding import ALARM, Finding, Rule

RULES: tuple[Rule, ...] = (
    *configuration.RULES,
    *keys.RULES,
    *local.RULES,
    *peer.RULES,
    *opportunistic.RULES,
    *traffic.RULES,
)


def judge(facts: Facts) -> list[Finding]:
    """Every cause found, the most likely first; each once, however many conns suffer from it."""
    found = sorted((one for rule in RULES for one in rule(facts)), key=lambda one: -one.weight)
    kept: dict[tuple[str, str, str], Finding] = {}
    for one in found:
        if not any(_explains(other, one) for other in kept.values()):
            kept.setdefault((one.code, one.remedy, one.cause), one)
    return list(kept.values())


def _explains(stronger: Finding, one: Finding) -> bool:
    """Has all that was seen of one a better reason already? Another guess about it sends people the wrong way."""
    about = stronger.conn in ("", one.conn) and stronger.weight > one.weight
    return about and bool(one.evidence) and set(one.evidence) <= set(stronger.evidence)


def alarming(findings: list[Finding]) -> list[Finding]:
    """Those that are more than a remark."""
    return [one for one in findings if one.weight >= ALARM]
