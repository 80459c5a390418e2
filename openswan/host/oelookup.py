# SPDX-License-Identifier: GPL-2.0-or-later
"""Who a destination's gateways are, and whose key a name has: all the questions to the DNS that takes, side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_address

from openswan.base.address import Address
from openswan.crypto.rsakey import PublicKey
from openswan.engine.oeevents import Learned, Verdict
from openswan.host.dnslookup import DnsLookup
from openswan.policy.dnsanswer import DnsAnswer, DnsStatus
from openswan.policy.gateways import (
    MOST_GATEWAYS,
    SOURCES,
    Found,
    Gateway,
    Published,
    gateways,
    keys_of,
    read_records,
    reverse_name,
)
from openswan.policy.grade import Grade

MOST_NAMES = 4
"""Gateways that are names, or that have no key in their record, which are looked up for one destination."""
ADDRESS_OCTETS = (4, 16)
ALONE = 0.5
"""Seconds for which a destination is asked for IPSECKEY records alone: signed ones need no others beside them."""


@dataclass(frozen=True, slots=True)
class NameKeys:
    """The public keys of a name (ID_FQDN, ID_USER_FQDN) or of an address."""

    keys: tuple[tuple[PublicKey, bytes], ...]
    """Each with its octets as the record has them."""
    grade: Grade
    """DNSSEC when they were validated, else DNS."""
    status: DnsStatus
    ttl: float
    reason: str
    complaints: tuple[str, ...]
    names: tuple[str, ...] = ()
    """Gateways that its records name."""


class OeLookup:
    """Asks by one DnsLookup, which shares questions and remembers answers."""

    def __init__(self, lookup: DnsLookup) -> None:
        self._lookup = lookup

    async def learn(self, destination: Address) -> tuple[Learned, tuple[str, ...]]:
        """The gateways of a destination, and a line for each record that cannot be used. Does not raise."""
        owner = reverse_name(destination)
        void = self._lookup.void(owner)
        if void is not None:
            return Learned(destination, Verdict.NONE, (), void[1], f"no IPSECKEY or TXT record for {owner}"), ()
        alone = await self._signed(owner)
        if alone is not None:
            learned, lines = await self._judge(destination, owner, [alone])
            if alone.nothing or learned.verdict is Verdict.GATEWAYS:
                return learned, lines
        return await self._judge(destination, owner, await self._all(owner, SOURCES))

    async def _signed(self, owner: str) -> DnsAnswer | None:
        """The first type of record, if what the DNS says of it is signed and soon there: most have that or nothing."""
        try:
            async with asyncio.timeout(ALONE):
                answer = await self._lookup.ask(owner, SOURCES[0])
        except TimeoutError:
            return None
        return answer if answer.secure and (answer.nothing or answer.status is DnsStatus.FOUND) else None

    async def _judge(
        self, destination: Address, owner: str, answers: list[DnsAnswer]
    ) -> tuple[Learned, tuple[str, ...]]:
        """What answers about a destination come to."""
        if (bogus := _worst(answers)) is not None:
            return Learned(destination, Verdict.BOGUS, (), bogus.ttl, bogus.reason), ()
        complaints: list[str] = []
        usable: list[Gateway] = []
        for answer in answers:
            found = _read(answer)
            names, reasons = await self._addresses(found)
            made, refused = gateways(destination, found, signed=answer.secure, names=names)
            usable += made
            complaints += [*found.complaints, *answer.faults, *reasons, *refused]
        usable.sort(key=lambda one: (one.preference, -one.grade.rank, SOURCES.index(one.source)))
        best: dict[tuple[Address, bytes], Gateway] = {}
        for one in usable:
            best.setdefault((one.address, one.octets), one)
        ready = await self._with_keys(list(best.values())[:MOST_GATEWAYS], complaints)
        ttl = min(answer.ttl for answer in answers)
        lines = tuple(dict.fromkeys(complaints))
        if ready:
            ttl = min(answer.ttl for answer in answers if answer.status is DnsStatus.FOUND)
            return Learned(destination, Verdict.GATEWAYS, ready, ttl), lines
        failed = next((answer for answer in answers if answer.status is DnsStatus.FAILED), None)
        if failed is not None:
            return Learned(destination, Verdict.FAILED, (), failed.ttl, failed.reason), lines
        reason = lines[0] if lines else f"no IPSECKEY or TXT record for {owner}"
        return Learned(destination, Verdict.NONE, (), ttl, reason), lines

    async def keys(self, name: str) -> NameKeys:
        """The keys that a name has in IPSECKEY, TXT and KEY records. Does not raise."""
        answers = await self._all(name, SOURCES)
        bogus = _worst(answers)
        if bogus is not None:
            return NameKeys((), Grade.DNS, DnsStatus.BOGUS, bogus.ttl, bogus.reason, ())
        found = [answer for answer in answers if answer.status is DnsStatus.FOUND]
        # Either all of it is signed or none of it counts as signed: a forger could add a record of another type.
        best = [answer for answer in found if answer.secure] or found
        keys: dict[bytes, PublicKey] = {}
        complaints: list[str] = []
        for answer in best:
            read = _read(answer)
            made, refused = keys_of(name, read)
            keys |= dict(made)
            complaints += [*read.complaints, *answer.faults, *refused]
        grade = Grade.DNSSEC if best and best[0].secure else Grade.DNS
        named = tuple(dict.fromkeys(one for answer in best for one in _read(answer).names()))[:MOST_NAMES]
        failed = next((answer for answer in answers if answer.status is DnsStatus.FAILED), None)
        status = DnsStatus.FOUND if keys else DnsStatus.FAILED if failed is not None else DnsStatus.ABSENT
        reason = "" if keys else failed.reason if failed is not None else f"no key is published for {name}"
        ttl = min(answer.ttl for answer in (best if keys else answers))
        pairs = tuple((key, octets) for octets, key in keys.items())
        return NameKeys(pairs, grade, status, ttl, reason, tuple(dict.fromkeys(complaints)), named)

    async def published(self, name: str) -> tuple[Published, tuple[str, ...]]:
        """The same without their octets, and a line for each record that cannot be used. Does not raise."""
        found = await self.keys(name)
        keys, bogus = tuple(key for key, _ in found.keys), found.status is DnsStatus.BOGUS
        return Published(keys, found.grade, found.ttl, found.reason, found.names, bogus), found.complaints

    async def _all(self, name: str, kinds: Iterable[str]) -> list[DnsAnswer]:
        """All answers, or those there are when one is bogus: then none counts."""
        asked = [asyncio.ensure_future(self._lookup.ask(name, kind)) for kind in kinds]
        for each in asyncio.as_completed(asked):
            if (await each).status is DnsStatus.BOGUS:
                break
        return [task.result() for task in asked if task.done()]

    async def _addresses(self, found: Found) -> tuple[dict[str, tuple[Address, ...]], list[str]]:
        """Addresses of the gateways that are names, and why some have none."""
        names: dict[str, tuple[Address, ...]] = {}
        reasons: list[str] = []
        for name in found.names()[:MOST_NAMES]:
            answers = await self._all(name, ("A", "AAAA"))
            octets = [data for answer in answers for data in answer.records if len(data) in ADDRESS_OCTETS]
            names[name] = tuple(ip_address(data) for data in octets)
            if not octets:
                reasons.append(
                    f"gateway {name}: {next((each.reason for each in answers if each.reason), 'no address')}"
                )
        return names, reasons

    async def _with_keys(self, listed: list[Gateway], complaints: list[str]) -> tuple[Gateway, ...]:
        """Gateways whose record has no key get those under what it calls them, name or address; a grade is the weaker
        one of the two. Keys under the address of a name are no better than the look-up of that address, which may be
        unsigned."""
        ready: list[Gateway] = []
        left = MOST_NAMES
        for one in listed:
            if one.key is not None:
                ready.append(one)
                continue
            left -= 1
            if left < 0:
                continue
            own = await self.keys(one.name or reverse_name(one.address))
            if one.name and own.status is DnsStatus.ABSENT:
                own = replace(await self.keys(reverse_name(one.address)), grade=Grade.DNS)
            complaints += own.complaints or ((own.reason,) if own.reason else ())
            grade = own.grade if one.grade.beats(own.grade) else one.grade
            ready += [replace(one, key=key, octets=octets, grade=grade) for key, octets in own.keys]
        return tuple(ready[:MOST_GATEWAYS])


def _read(answer: DnsAnswer) -> Found:
    return read_records(answer.name, [(answer.kind, data) for data in answer.records])


def _worst(answers: list[DnsAnswer]) -> DnsAnswer | None:
    """The one that is bogus, if any is: then none is believed."""
    return next((answer for answer in answers if answer.status is DnsStatus.BOGUS), None)
