# SPDX-License-Identifier: GPL-2.0-or-later
"""DNSSEC validated here (RFC 4035 5): from configured trust anchors down to an answer, or the proof that there is none.

An answer is SECURE, or provably INSECURE (below a delegation that is proved to be unsigned, or under no anchor), or
BogusError says what is wrong. What is fetched and verified for one answer is bounded, so that no zone can keep us busy.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from openswan.base.errors import IpsecError
from openswan.host.dnsdenial import Denial, Proof

if TYPE_CHECKING:
    import dns.message
    import dns.name
    import dns.rdataset
    import dns.rrset

    Keys: TypeAlias = dns.rdataset.Rdataset
    Anchors: TypeAlias = dict[dns.name.Name, list[dns.rdataset.Rdataset]]
Fetch: TypeAlias = Callable[[str, str], Awaitable["dns.message.Message"]]
"""fetch(name, type) -> a message with DNSSEC records, unchecked; HostError when there is none."""

MOST_FETCHES = 80
"""Questions one answer may take: 32 nibbles of an IPv6 reverse name, and some."""
MOST_VERIFICATIONS = 64
MOST_KEYS = 16
MOST_ALIKE = 2
"""Keys of a zone that share algorithm and tag: a signature is tried with each."""
MOST_SIGNATURES = 8
"""Of one set of records; more are not looked at (CVE-2023-50387)."""
DIGESTS = (1, 2, 4)
"""Of DS: SHA-1, SHA-256, SHA-384."""
LONGEST_CHAIN = 600.0
"""Seconds for which the keys of a zone are believed without being fetched again."""
MOST_ZONES = 2000


class Trust(Enum):
    """What an answer is worth."""

    SECURE = "secure"
    INSECURE = "insecure"


class BogusError(IpsecError):
    """Signatures are wrong, or missing where there must be some."""


@dataclass(slots=True)
class _Budget:
    """What is left for one answer."""

    fetches: int = MOST_FETCHES
    verifications: int = MOST_VERIFICATIONS

    def fetch(self) -> None:
        self.fetches -= 1
        if self.fetches < 0:
            raise BogusError(f"more than {MOST_FETCHES} questions would be needed to validate it")

    def verify(self) -> None:
        self.verifications -= 1
        if self.verifications < 0:
            raise BogusError(f"more than {MOST_VERIFICATIONS} signatures would have to be checked")


@dataclass(slots=True)
class Validator:
    """Validates answers; what it has learned of zones is kept for a while."""

    fetch: Fetch
    anchors: Anchors
    clock: Callable[[], float] = time.time
    """Seconds since 1970, for the validity of signatures."""
    zones: OrderedDict[dns.name.Name, tuple[float, Keys | None]] = field(default_factory=OrderedDict)
    """The keys of a zone, None of one that is proved to be unsigned, and until when."""

    async def judge(self, message: dns.message.Message, name: str, kind: str) -> Trust:
        """What `message` is worth as an answer about `name`; BogusError when it must not be believed."""
        import dns.name
        import dns.rdatatype

        budget = _Budget()
        here, wanted = dns.name.from_text(name).canonicalize(), dns.rdatatype.from_text(kind)
        if self._anchor_above(here) is None:
            return Trust.INSECURE
        trust = Trust.SECURE
        for _ in range(17):
            found = _find(message.answer, here, wanted)
            if found is not None:
                return _least(trust, await self._rrset(message, message.answer, found, budget))
            onward, worth = await self._link(message, here, budget)
            trust = _least(trust, worth)
            if onward is None:
                break
            here = onward
            if self._anchor_above(here) is None:
                return Trust.INSECURE
        if here != dns.name.from_text(name).canonicalize() and not _denies(message):
            return trust  # the trail goes on in another message
        return _least(trust, await self._denied(message, here, wanted, budget))

    async def _link(
        self, message: dns.message.Message, here: dns.name.Name, budget: _Budget
    ) -> tuple[dns.name.Name | None, Trust]:
        """Where DNAME or CNAME leads from `here`; a CNAME that a DNAME stands for is not signed (RFC 6672 5.3.1)."""
        import dns.exception
        import dns.rdatatype

        for each in message.answer:
            if each.rdtype == dns.rdatatype.DNAME and here != each.name and here.is_subdomain(each.name) and len(each):
                try:
                    target = here.relativize(each.name).derelativize(each[0].target).canonicalize()
                except dns.exception.DNSException:
                    return None, Trust.SECURE
                return target, await self._rrset(message, message.answer, each, budget)
        cname = _find(message.answer, here, dns.rdatatype.CNAME)
        if cname is None:
            return None, Trust.SECURE
        return cname[0].target.canonicalize(), await self._rrset(message, message.answer, cname, budget)

    async def _rrset(
        self, message: dns.message.Message, section: list[dns.rrset.RRset], rrset: dns.rrset.RRset, budget: _Budget
    ) -> Trust:
        """A set of records with its signatures; without any, only where nothing is signed."""
        signatures = _signatures(section, rrset)
        if not signatures:
            return await self._unsigned(rrset.name.canonicalize(), budget)
        signer = signatures[0].signer.canonicalize()
        if not rrset.name.is_subdomain(signer):
            raise BogusError(f"{rrset.name} is signed by {signer}, which is not above it")
        keys = await self._keys(signer, budget)
        if keys is None:
            return Trust.INSECURE
        used = self._verify(rrset, signatures, signer, keys, budget)
        if used.labels < len(rrset.name.labels) - 1 - (rrset.name.labels[0] == b"*"):
            denial = await self._denial(message, signer, keys, budget)
            if not denial.no_exact(rrset.name.canonicalize()):
                raise BogusError(f"{rrset.name} was made of a wildcard, and it is not proved that it does not exist")
        return Trust.SECURE

    def _verify(
        self, rrset: dns.rrset.RRset, signatures: list[Any], signer: dns.name.Name, keys: Keys, budget: _Budget
    ) -> Any:
        """The signature that holds; BogusError when none does."""
        import dns.dnssec
        import dns.exception

        why = "no signature that is known"
        for signature in signatures[:MOST_SIGNATURES]:
            if signature.signer != signer:
                continue
            budget.verify()
            try:
                dns.dnssec.validate_rrsig(rrset, signature, {signer: keys}, None, self.clock())
            except (dns.exception.DNSException, ValueError) as error:
                why = str(error) or type(error).__name__
                continue
            return signature
        raise BogusError(f"signature of {rrset.name} {rrset.rdtype.name} by {signer}: {why}")

    # Zones.

    async def _keys(self, zone: dns.name.Name, budget: _Budget) -> Keys | None:
        """The keys of a zone, None when it is proved to be unsigned; BogusError when it is neither."""
        known = self.zones.get(zone)
        if known is not None and known[0] > self.clock():
            return known[1]
        keys, ttl = await self._chain(zone, budget)
        self.zones[zone] = (self.clock() + min(ttl, LONGEST_CHAIN), keys)
        if len(self.zones) > MOST_ZONES:
            self.zones.popitem(last=False)
        return keys

    async def _chain(self, zone: dns.name.Name, budget: _Budget) -> tuple[Keys | None, float]:
        import dns.rdatatype

        if zone in self.anchors:
            return await self._zone_keys(zone, self.anchors[zone], budget)
        if self._anchor_above(zone) is None:
            return None, LONGEST_CHAIN
        message = await self._ask(zone, "DS", budget)
        found = _find(message.answer, zone, dns.rdatatype.DS)
        if found is None:
            signed = await self._cut(message, zone, budget)
            if signed is None:
                return None, 60.0
            raise BogusError(f"{zone} signs, and the zone above says that it is none")
        signatures = _signatures(message.answer, found)
        parent = signatures[0].signer.canonicalize() if signatures else None
        if parent is None or parent == zone or not zone.is_subdomain(parent):
            raise BogusError(f"DS of {zone} is not signed by a zone above it")
        keys = await self._keys(parent, budget)
        if keys is None:
            return None, float(found.ttl)
        self._verify(found, signatures, parent, keys, budget)
        made, ttl = await self._zone_keys(zone, [found], budget)
        return made, min(ttl, float(found.ttl))

    async def _zone_keys(
        self, zone: dns.name.Name, proofs: Iterable[dns.rdataset.Rdataset], budget: _Budget
    ) -> tuple[Keys | None, float]:
        """The DNSKEYs of a zone, signed by one that an anchor or a DS names; None: by algorithms nobody here knows."""
        import dns.dnssec
        import dns.rdataset
        import dns.rdatatype

        wanted = [each for proof in proofs for each in proof]
        if not any(_supported(each) for each in wanted):
            return None, LONGEST_CHAIN  # RFC 4035 5.2: as if it were not signed
        message = await self._ask(zone, "DNSKEY", budget)
        found = _find(message.answer, zone, dns.rdatatype.DNSKEY)
        if found is None or len(found) > MOST_KEYS:
            raise BogusError(f"{zone} has {'no' if found is None else 'too many'} keys")
        trusted = dns.rdataset.Rdataset(found.rdclass, found.rdtype)
        for key in found:
            if any(_names(each, zone, key) for each in wanted):
                trusted.add(key)
        tags = Counter((key.algorithm, dns.dnssec.key_id(key)) for key in found)
        if max(tags.values()) > MOST_ALIKE:
            raise BogusError(f"{zone} has more than {MOST_ALIKE} keys of one tag")
        if not len(trusted):
            raise BogusError(f"{zone} has none of the keys that its DS or anchor names")
        self._verify(found, _signatures(message.answer, found), zone, trusted, budget)
        keys = dns.rdataset.Rdataset(found.rdclass, found.rdtype, ttl=found.ttl)
        for key in found:
            keys.add(key)
        return keys, float(found.ttl)

    async def _unsigned(self, name: dns.name.Name, budget: _Budget) -> Trust:
        """Records without a signature: is there an unsigned delegation above them? From the anchor downwards."""
        anchor = self._anchor_above(name)
        if anchor is None:
            return Trust.INSECURE
        for count in range(len(anchor.labels) + 1, len(name.labels) + 1):
            above = type(name)(name.labels[-count:])
            known = self.zones.get(above)
            if known is not None and known[0] > self.clock():
                if known[1] is None:
                    return Trust.INSECURE
                continue
            if await self._is_unsigned(above, budget):
                return Trust.INSECURE
        raise BogusError(f"{name} is not signed, and all zones above it are")

    async def _is_unsigned(self, name: dns.name.Name, budget: _Budget) -> bool:
        import dns.rdatatype

        message = await self._ask(name, "DS", budget)
        if _find(message.answer, name, dns.rdatatype.DS) is not None:
            return await self._keys(name, budget) is None
        if await self._cut(message, name, budget) is None:
            self.zones[name] = (self.clock() + 60.0, None)
            return True
        return False

    async def _cut(self, message: dns.message.Message, name: dns.name.Name, budget: _Budget) -> dns.name.Name | None:
        """No DS at `name`: None when what is there is unsigned, else the zone in which `name` is no delegation."""
        zone = _denying_zone(message)
        if zone is None or not name.is_subdomain(zone) or name == zone:
            raise BogusError(f"it is not proved that {name} has no DS")
        keys = await self._keys(zone, budget)
        if keys is None:
            return None
        denial = await self._denial(message, zone, keys, budget)
        if denial.unsigned_cut(name):
            return None
        if not denial.no_type(name, 43) and not denial.no_name(name):
            raise BogusError(f"it is not proved that {name} has no DS")
        return zone

    # Denials.

    async def _denied(self, message: dns.message.Message, name: dns.name.Name, kind: int, budget: _Budget) -> Trust:
        import dns.rcode

        zone = _denying_zone(message)
        if zone is None:
            return await self._unsigned(name, budget)
        if not name.is_subdomain(zone):
            raise BogusError(f"{zone} denies {name}, which is not in it")
        keys = await self._keys(zone, budget)
        if keys is None:
            return Trust.INSECURE
        denial = await self._denial(message, zone, keys, budget)
        nothing = message.rcode() is dns.rcode.NXDOMAIN
        if denial.opted_out(name):
            return Trust.INSECURE
        if denial.no_name(name) if nothing else denial.no_type(name, kind):
            return Trust.SECURE
        raise BogusError(f"it is not proved that {name} {'does not exist' if nothing else 'has no such records'}")

    async def _denial(self, message: dns.message.Message, zone: dns.name.Name, keys: Keys, budget: _Budget) -> Denial:
        """The denying records of a message that hold."""
        import dns.rdatatype

        found: dict[int, list[Proof]] = {dns.rdatatype.NSEC: [], dns.rdatatype.NSEC3: []}
        for each in message.authority:
            if each.rdtype in found and each.name.is_subdomain(zone) and len(each):
                self._verify(each, _signatures(message.authority, each), zone, keys, budget)
                found[each.rdtype].append(Proof(each.name.canonicalize(), each[0]))
        return Denial(zone, found[dns.rdatatype.NSEC], found[dns.rdatatype.NSEC3])

    async def _ask(self, name: dns.name.Name, kind: str, budget: _Budget) -> dns.message.Message:
        budget.fetch()
        return await self.fetch(name.to_text(), kind)

    def _anchor_above(self, name: dns.name.Name) -> dns.name.Name | None:
        """The closest anchor at or above a name."""
        above = [anchor for anchor in self.anchors if name.is_subdomain(anchor)]
        return max(above, key=len) if above else None


def read_anchors(text: str) -> Anchors:
    """Trust anchors out of a file: its DS and DNSKEY records. ValueError when it is no file of records."""
    import dns.exception
    import dns.zonefile

    try:
        found = dns.zonefile.read_rrsets(text, rdclass=None, default_ttl=3600)
    except (dns.exception.DNSException, ValueError) as why:
        raise ValueError(f"not a file of DS or DNSKEY records: {why}") from None
    anchors: Anchors = {}
    for each in found:
        if each.rdtype.name in ("DS", "DNSKEY"):
            anchors.setdefault(each.name.canonicalize(), []).append(each.to_rdataset())
    return anchors


def _least(a: Trust, b: Trust) -> Trust:
    return Trust.SECURE if a is b is Trust.SECURE else Trust.INSECURE


def _find(section: list[dns.rrset.RRset], name: dns.name.Name, kind: int) -> dns.rrset.RRset | None:
    return next((each for each in section if each.name == name and each.rdtype == kind and len(each)), None)


def _signatures(section: list[dns.rrset.RRset], rrset: dns.rrset.RRset) -> list[Any]:
    """The RRSIGs of a set."""
    import dns.rdatatype

    for each in section:
        if each.rdtype == dns.rdatatype.RRSIG and each.covers == rrset.rdtype and each.name == rrset.name:
            return list(each)
    return []


def _denies(message: dns.message.Message) -> bool:
    import dns.rcode
    import dns.rdatatype

    soa = any(each.rdtype == dns.rdatatype.SOA for each in message.authority)
    return soa or message.rcode() is dns.rcode.NXDOMAIN


def _denying_zone(message: dns.message.Message) -> dns.name.Name | None:
    """Whose NSEC or NSEC3 records are in the authority section."""
    import dns.rdatatype

    for each in message.authority:
        if each.rdtype == dns.rdatatype.RRSIG and each.covers in (dns.rdatatype.NSEC, dns.rdatatype.NSEC3):
            signer: dns.name.Name = each[0].signer.canonicalize()
            return signer
    return None


def _supported(proof: Any) -> bool:
    """Is a DS, or an anchor's DNSKEY, of an algorithm that can be checked here?"""
    import dns.dnssec
    import dns.exception

    try:
        dns.dnssec.get_algorithm_cls(proof.algorithm)  # type: ignore[attr-defined]
    except dns.exception.DNSException:
        return False
    return getattr(proof, "digest_type", 2) in DIGESTS


def _names(proof: Any, zone: dns.name.Name, key: Any) -> bool:
    """Does a DS, or an anchor's DNSKEY, name this key?"""
    import dns.dnssec
    import dns.exception
    import dns.rdatatype

    if proof.rdtype == dns.rdatatype.DNSKEY:
        return bool(proof == key)
    if proof.key_tag != dns.dnssec.key_id(key) or proof.algorithm != key.algorithm:
        return False
    try:
        return bool(dns.dnssec.make_ds(zone, key, proof.digest_type, validating=True) == proof)
    except (dns.exception.DNSException, ValueError):
        return False
