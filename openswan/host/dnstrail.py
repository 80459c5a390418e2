# SPDX-License-Identifier: GPL-2.0-or-later
"""From a DNS message to what it says about one name: along CNAME and DNAME to the records, or that there are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from openswan.policy.dnsanswer import DnsStatus

if TYPE_CHECKING:
    import dns.message
    import dns.name
    import dns.rrset

MOST_LINKS = 16
"""CNAMEs and DNAMEs of one message that are followed."""
MOST_RECORDS = 64
MOST_OCTETS = 1 << 15
"""Of one name's records; what is beyond is left out."""
NEGATIVE_TTL = 60.0
"""Of a denial that does not say how long it holds,"""
LONGEST_NEGATIVE = 900.0
"""and no denial holds longer: fifteen minutes, as a shunt."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What one message says."""

    status: DnsStatus
    records: tuple[bytes, ...] = ()
    secure: bool = False
    """The AD bit."""
    ttl: float = 0.0
    trail: tuple[str, ...] = ()
    onward: str = ""
    """The message ends on the way: this name is to be asked for."""
    reason: str = ""
    faults: tuple[str, ...] = ()
    nothing: bool = False
    """The last name of the trail does not exist (NXDOMAIN), which goes for all names below it."""


def follow(message: dns.message.Message, name: str, kind: str) -> Piece:
    """What `message` says about records of `kind` that `name` has. Never raises for what is in it."""
    import dns.flags
    import dns.name
    import dns.rcode
    import dns.rdatatype

    faults = tuple(f"malformed record: {' '.join(str(each.exception).split())[:120]}" for each in message.errors[:8])
    secure = bool(message.flags & dns.flags.AD)
    code = message.rcode()
    if code is dns.rcode.SERVFAIL:
        return Piece(DnsStatus.BOGUS, reason=f"DNSSEC signatures about {name} are wrong")
    if code not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return Piece(DnsStatus.FAILED, reason=dns.rcode.to_text(code))
    wanted = dns.rdatatype.from_text(kind)
    here, ttls, trail = dns.name.from_text(name), [float("inf")], [name]
    for _ in range(MOST_LINKS):
        found = _find(message, here, wanted)
        if found is not None and len(found):
            records, over = _records(found)
            ttl = min(*ttls, float(found.ttl))
            faults += ("more records than are looked at",) if over else ()
            return Piece(DnsStatus.FOUND, records, secure, ttl, tuple(trail[1:]), faults=faults)
        link = _link(message, here)
        if link is None:
            break
        here, ttl = link
        ttls.append(float(ttl))
        trail.append(_text(here))
        if trail[-1] in trail[:-1]:
            return Piece(DnsStatus.FAILED, reason=f"CNAMEs that lead from {trail[-1]} to itself")
    else:
        return Piece(DnsStatus.FAILED, reason=f"more than {MOST_LINKS} CNAMEs")
    return _denial(message, tuple(trail), ttls, secure, kind, faults)


def _denial(
    message: dns.message.Message,
    trail: tuple[str, ...],
    ttls: list[float],
    secure: bool,
    kind: str,
    faults: tuple[str, ...],
) -> Piece:
    """The trail ends without records: they do not exist, or the message does not go that far."""
    import dns.rcode

    nothing = message.rcode() is dns.rcode.NXDOMAIN
    soa = _soa_ttl(message)
    if len(trail) > 1 and not nothing and soa is None:
        return Piece(DnsStatus.ABSENT, (), secure, min(ttls), trail[1:], trail[-1], faults=faults)
    ttl = min(*ttls, NEGATIVE_TTL if soa is None else soa, LONGEST_NEGATIVE)
    reason = f"{trail[-1]} does not exist" if nothing else f"no {kind} record for {trail[-1]}"
    if faults and not nothing:
        reason = f"{reason} that can be read ({faults[0]})"
    return Piece(DnsStatus.ABSENT, (), secure, ttl, trail[1:], "", reason, faults, nothing)


def _find(message: dns.message.Message, name: dns.name.Name, kind: int) -> dns.rrset.RRset | None:
    return next((each for each in message.answer if each.name == name and each.rdtype == kind), None)


def _link(message: dns.message.Message, name: dns.name.Name) -> tuple[dns.name.Name, int] | None:
    """Where CNAME, or a DNAME above the name, leads, and for how long (RFC 6672 2.2)."""
    import dns.exception
    import dns.name
    import dns.rdatatype

    cname = _find(message, name, dns.rdatatype.CNAME)
    if cname is not None and len(cname):
        return cname[0].target, cname.ttl
    for each in message.answer:
        if each.rdtype == dns.rdatatype.DNAME and name != each.name and name.is_subdomain(each.name) and len(each):
            try:
                return name.relativize(each.name).derelativize(each[0].target), each.ttl
            except dns.exception.DNSException:
                return None  # too long a name (YXDOMAIN)
    return None


def _records(found: dns.rrset.RRset) -> tuple[tuple[bytes, ...], bool]:
    """The records' data within the bounds, and whether some did not fit."""
    records: list[bytes] = []
    room = MOST_OCTETS
    for record in found:
        data = record.to_wire()
        room -= len(data)
        if room < 0 or len(records) == MOST_RECORDS:
            return tuple(records), True
        records.append(data)
    return tuple(records), False


def _soa_ttl(message: dns.message.Message) -> float | None:
    """How long a denial holds (RFC 2308 5): the SOA's minimum or TTL, whichever is less."""
    import dns.rdatatype

    for each in message.authority:
        if each.rdtype == dns.rdatatype.SOA and len(each):
            return float(min(each.ttl, each[0].minimum))
    return None


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()
