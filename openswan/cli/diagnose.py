# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec diagnose [CONN|ADDRESS]`: why it does not work, the most likely cause first, and what to do about it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from ipaddress import ip_address

from openswan.base.address import Address
from openswan.cli.gather import gather
from openswan.cli.syntax import Given, Option, Syntax, run
from openswan.diagnosis.facts import Facts
from openswan.diagnosis.finding import Finding
from openswan.diagnosis.judge import alarming, judge
from openswan.host import process

SHOWN = 5
"""Causes printed without --all."""
VERSION = 1
"""Of the JSON form."""

SYNTAX = Syntax(
    "diagnose",
    "say why it does not work, the most likely cause first",
    (
        Option("--json", "print JSON"),
        Option("--all", f"print every cause and remark, not the first {SHOWN} causes"),
        Option("--quiet", "print nothing, the exit status tells"),
        Option("--no-ping", "do not ask the peers whether they are there"),
    ),
    "[CONN|ADDRESS]",
    most=1,
    details=(
        "It looks at ipsec.conf, ipsec.secrets and the certificates, at the daemon, its SAs, counters and the "
        "latest lines of its log, at addresses, routes, forwarding, packet filters and NAT of this host, at the DNS "
        "where a peer is a name, and asks the peers by an IKE ping. It changes nothing and takes less than three "
        "seconds: what has not answered by then is named as not looked at. With CONN it looks at that connection "
        "alone, with ADDRESS at those whose peer, or what is behind it, has the address; where a policy group has it, "
        "at what the DNS has told the daemon of it, and whether that is true.",
        "Each cause is followed by what was seen (after a hyphen) and by the command to run or the line to change "
        "(after an arrow). A weaker cause is not listed where a stronger one explains all that was seen of it. What "
        "the two ends disagree about is known best by the end that refused: run it there too.",
        "The JSON form has version, target, unseen (what was not looked at in time) and findings, each with code, "
        "kind, weight (0 to 100; below 30 it is a remark), cause, evidence, remedy and conn. Codes do not change.",
    ),
    statuses={
        0: "nothing wrong was found",
        1: "not root",
        2: "usage error",
        10: "the first cause is in ipsec.conf",
        11: "it is in ipsec.secrets or among the certificates",
        12: "the daemon does not run, or has not been told",
        13: "it is on this host: kernel, addresses, routes, forwarding, firewall",
        14: "it is between here and the peer",
        15: "it is at the peer",
        16: "the tunnel is up, traffic does not pass",
    },
    see=("ipsec_verify(8)", "ipsec_ikeping(8)", "ipsec_status(8)", "ipsec_barf(8)"),
)


def lines(findings: Sequence[Finding], most: int) -> list[str]:
    """As people read it."""
    text = []
    for number, one in enumerate(findings[:most], 1):
        text.append(f"{number}. {one.cause} [{one.code}]")
        text += [f"   - {each}" for each in one.evidence]
        text += [f"   -> {one.remedy}"] if one.remedy else []
    if len(findings) > most:
        text.append(f"({len(findings) - most} more: --all)")
    return text


def hurried(facts: Facts) -> list[str]:
    """What there was no time for, as a line; none when all was looked at."""
    return [f"not looked at in time: {', '.join(facts.unseen)}"] if facts.unseen else []


def healthy(facts: Facts) -> str:
    """One line when nothing is wrong."""
    up = [conn.name for conn in facts.config.conns if facts.children(conn.name)]
    return f"nothing wrong was found; up: {', '.join(up) or 'no connection'}"


def plain(facts: Facts, findings: Sequence[Finding]) -> dict[str, object]:
    """As programs read it."""
    return {
        "version": VERSION,
        "target": str(facts.address or facts.target),
        "unseen": list(facts.unseen),
        "findings": [{**asdict(one), "kind": one.kind.name.lower()} for one in findings],
    }


def status(findings: Sequence[Finding]) -> int:
    """The exit status: where the first cause lies."""
    alarms = alarming(list(findings))
    return int(alarms[0].kind) if alarms else 0


def _target(given: Given) -> tuple[str, Address | None]:
    if not given.operands:
        return "", None
    try:
        return "", ip_address(given.operands[0])
    except ValueError:
        return given.operands[0], None


def _act(given: Given) -> int:
    if not process.is_root():
        print("ipsec diagnose: permission denied (must be root)", file=sys.stderr)
        return 1
    target, address = _target(given)
    facts = gather(target, address, ping="--no-ping" not in given)
    findings = judge(facts)
    if "--json" in given:
        print(json.dumps(plain(facts, findings)))
    elif "--quiet" not in given:
        every = "--all" in given
        shown = findings if every else alarming(findings)
        text = lines(shown, len(shown) if every else SHOWN) if shown else [healthy(facts)]
        print("\n".join((*text, *hurried(facts))))
    return status(findings)


def main(argv: list[str]) -> int:
    """Look, judge, print; the exit status says where the first cause lies (see Kind)."""
    return run(SYNTAX, argv, _act)
