# SPDX-License-Identifier: GPL-2.0-or-later
"""Causes between hosts under policy groups: what the DNS advertises and nobody keeps."""

from __future__ import annotations

from collections.abc import Iterator

from openswan.base.numbers import IKE_PORT
from openswan.diagnosis import firewall
from openswan.diagnosis.facts import Facts, Peer, Row
from openswan.diagnosis.finding import Finding, Kind
from openswan.diagnosis.firewall import Packet

NO_ANSWER, NO_DNS, WRONG_KEY = "no answer to IKE", "no answer from the DNS", "(wrong key?)"
"""In what the daemon says of a pair."""
CLEAR = "%pass"
STRICT, OPEN = 79, 58
"""Weights for what is held or dropped, and for what goes in clear."""


def _waiting(facts: Facts) -> Row | None:
    """A pair with the address asked about that has no tunnel: one whose packets go nowhere before one in clear."""
    rows = [row for row in facts.pairs if row["meets"] != "tunnel"]
    return min(rows, key=lambda row: row["meets"] == CLEAR, default=None)


def _silent(row: Row, peer: Peer) -> bool:
    """Is nobody there who speaks IKE? The daemon has to have seen so; before it knows, who was asked has not answered.

    A busy host may be late for a ping, so one that has answered the daemon counts as alive.
    """
    if peer.way is not None and peer.way.error:
        return False
    if not row["reason"] or str(row["reason"]).startswith(NO_DNS):
        return bool(peer.answers) and not any(peer.answers.values())
    return row["reason"] == NO_ANSWER and not any(peer.answers.values())


def _story(facts: Facts, row: Row) -> tuple[str, ...]:
    """What the DNS says, and what the daemon makes of the pair."""
    return (*(f"DNS: {one}" for one in facts.records), f"pair {row['src']} {row['text']}")


def _seen(peer: Peer) -> str:
    """How the silence of a gateway shows."""
    why = peer.errors.get(IKE_PORT) or (f"ip neigh: {peer.neighbour}" if peer.neighbour else "")
    asked = "no answer on UDP ports 500 and 4500" if peer.answers else "not asked"
    return f"IKE ping of {peer.address}: {asked}" + (f" ({why})" if why else "")


def _here(row: Row) -> str:
    """Which line of which group lets packets to a silent host go in clear."""
    if row["meets"] == CLEAR:
        return ""
    group, _, line = str(row["line"]).partition("#")
    host = f"{row['dst']}/{128 if ':' in row['dst'] else 32}"
    what = f"move the line {line} of ipsec.d/policies/{group}" if line == host else f"write the line {host}"
    return (
        f"; here, to reach it in clear: {what} into ipsec.d/policies/private-or-clear (clear while it does not answer) "
        "or clear (always), then: ipsec auto --rereadgroups"
    )


def filtered(facts: Facts) -> Iterator[Finding]:
    """Our own firewall keeps IKE from a gateway, which is not dead then."""
    if _waiting(facts) is None:
        return
    for one in facts.records:
        peer = facts.gateways[one.gateway]
        local = peer.way.source if peer.way else None
        if local is None or any(peer.answers.values()):
            continue
        device = peer.way.device if peer.way else ""
        outbound = Packet(firewall.UDP, local, one.gateway, IKE_PORT, outward=device)
        inbound = Packet(firewall.UDP, one.gateway, local, IKE_PORT, inward=device)
        for hook, packet, way in (("output", outbound, "out"), ("input", inbound, "in")):
            rule = facts.firewall.stops(hook, packet)
            if rule is not None:
                yield Finding(
                    f"firewall-{way}-{IKE_PORT}",
                    Kind.MACHINE,
                    81,
                    f"this host's firewall drops IKE ({way}) {'to' if way == 'out' else 'from'} {one.gateway}",
                    (rule.text, f"DNS: {one}"),
                    rule.remove or "let it pass",
                )


def dead(facts: Facts) -> Iterator[Finding]:
    """The DNS advertises a gateway where nobody speaks IKE, and no other one that does."""
    row = _waiting(facts)
    peers = [facts.gateways[address] for address in dict.fromkeys(one.gateway for one in facts.records)]
    if row is None or not peers or not all(_silent(row, peer) for peer in peers) or any(filtered(facts)):
        return
    names = ", ".join(str(peer.address) for peer in peers)
    clear = row["meets"] == CLEAR
    fate = "goes in clear" if clear else "is dropped"
    yield Finding(
        "dead-record",
        Kind.PEER,
        OPEN if clear else STRICT,
        f"the DNS says that {row['dst']} encrypts, and nobody answers IKE at {names}: what is sent there {fate}",
        (*_story(facts, row), *map(_seen, peers)),
        f"at {names}: ipsec setup start; or take the record away where the zone of {facts.records[0].owner} is kept "
        f"(ipsec publish --remove there){_here(row)}",
    )


def another_key(facts: Facts) -> Iterator[Finding]:
    """A gateway answers, and has not the key that the DNS has for it."""
    row = _waiting(facts)
    if row is None or not facts.records or WRONG_KEY not in str(row["reason"]):
        return
    yield Finding(
        "record-key",
        Kind.PEER,
        STRICT - 1,
        f"the DNS has another key for {row['dst']} than the host that answers",
        _story(facts, row),
        f"at {facts.records[0].gateway}: ipsec verify --oe says which keys differ, ipsec publish puts the right one "
        f"under {facts.records[0].owner}; if that host is not the right one, look for who has its address{_here(row)}",
    )


RULES = (filtered, dead, another_key)
