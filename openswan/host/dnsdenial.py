# SPDX-License-Identifier: GPL-2.0-or-later
"""What NSEC and NSEC3 records prove: that a name or its records do not exist, or that a delegation is unsigned.

Pure: the records given here have been validated, and are all of one zone (RFC 4035 5.4, RFC 5155 8, RFC 6840 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import dns.name

MOST_ITERATIONS = 100
"""Of NSEC3; with more a denial proves nothing (RFC 9276 3.2)."""
NS, CNAME, SOA, DNAME, DS = 2, 5, 6, 39, 43


@dataclass(frozen=True, slots=True)
class Proof:
    """One NSEC or NSEC3 record."""

    owner: dns.name.Name
    data: Any
    """The record, of dnspython."""

    def has(self, kind: int) -> bool:
        """Does its bitmap have that type?"""
        window, octet, bit = kind >> 8, (kind & 0xFF) >> 3, 0x80 >> (kind & 7)
        return any(
            number == window and octet < len(bits) and bool(bits[octet] & bit) for number, bits in self.data.windows
        )

    @property
    def delegates(self) -> bool:
        """Is it about the parent's side of a delegation?"""
        return self.has(NS) and not self.has(SOA)


@dataclass(frozen=True, slots=True)
class Denial:
    """What the records of one zone prove about names in it."""

    zone: dns.name.Name
    nsec: Sequence[Proof] = ()
    nsec3: Sequence[Proof] = ()

    def no_type(self, name: dns.name.Name, kind: int) -> bool:
        """There are no records of that type at that name, itself or by wildcard."""
        found = self._at(name)
        if found is not None:
            return _lacks(found, kind, name == self.zone)
        if self._empty(name):
            return True
        encloser = self._encloser(name)
        if encloser is None or self._cover_next(name, encloser) is None:
            return False
        wildcard = self._at(_wildcard(encloser))
        return wildcard is not None and _lacks(wildcard, kind, False)

    def no_name(self, name: dns.name.Name) -> bool:
        """The name does not exist, nor a wildcard that stands for it."""
        encloser = self._encloser(name)
        if encloser is None or self._cover_next(name, encloser) is None:
            return False
        return self._covering(_wildcard(encloser)) is not None

    def no_exact(self, name: dns.name.Name) -> bool:
        """The name itself does not exist: a wildcard may stand for it."""
        encloser = self._encloser(name)
        return encloser is not None and self._cover_next(name, encloser) is not None

    def unsigned_cut(self, name: dns.name.Name) -> bool:
        """The name is a delegation without DS: what is below is not signed. Opt-out says so of all it covers."""
        found = self._at(name)
        if found is not None:
            return found.delegates and not found.has(DS)
        return self.opted_out(name)

    def opted_out(self, name: dns.name.Name) -> bool:
        """Only NSEC3 that leaves unsigned delegations out covers the name (RFC 5155 6): nothing is proved about it."""
        encloser = self._encloser(name) if self.nsec3 else None
        cover = self._cover_next(name, encloser) if encloser is not None else None
        return cover is not None and bool(cover.data.flags & 1)

    # The record at a name, the one that covers it, the closest name above it that exists.

    def _at(self, name: dns.name.Name) -> Proof | None:
        for each in self.nsec:
            if each.owner == name:
                return each
        for each in self.nsec3:
            if (hashed := _hashed(name, each)) is not None and _label(each) == hashed:
                return each
        return None

    def _covering(self, name: dns.name.Name) -> Proof | None:
        for each in self.nsec:
            last = each.data.next == self.zone
            between = each.owner < name and (last or name < each.data.next)
            # One from above a delegation or a DNAME says nothing about what is below (RFC 6840 4.1).
            if between and not (name.is_subdomain(each.owner) and (each.delegates or each.has(DNAME))):
                return each
        for each in self.nsec3:
            hashed = _hashed(name, each)
            if hashed is None:
                continue
            low, high = _label(each), bytes(each.data.next)
            if (low < hashed < high) if low < high else (hashed > low or hashed < high):
                return each
        return None

    def _empty(self, name: dns.name.Name) -> bool:
        """Does the name exist only because something below it does? NSEC3 has a record of its own for that."""
        return any(
            each.owner < name and each.data.next != name and each.data.next.is_subdomain(name) for each in self.nsec
        )

    def _encloser(self, name: dns.name.Name) -> dns.name.Name | None:
        """The closest name above `name` that is proved to exist."""
        if not name.is_subdomain(self.zone) or name == self.zone:
            return None
        if self.nsec3:
            above = name.parent()
            while True:
                found = self._at(above)
                if found is not None:
                    return None if found.has(DNAME) or (found.delegates and above != self.zone) else above
                if above == self.zone:
                    return None
                above = above.parent()
        cover = self._covering(name)
        if cover is None:
            return None
        shared = [_common(name, other) for other in (cover.owner, cover.data.next) if other.is_subdomain(self.zone)]
        return max(shared, key=len) if shared else None

    def _cover_next(self, name: dns.name.Name, encloser: dns.name.Name) -> Proof | None:
        """The record that covers the name one label below the closest encloser."""
        return self._covering(_below(name, encloser))


def _lacks(found: Proof, kind: int, apex: bool) -> bool:
    """Does the record at a name deny a type there? The parent's side of a delegation denies DS alone (RFC 6840 4.1)."""
    if found.has(kind) or found.has(CNAME):
        return False
    if kind == DS:
        return apex or not found.has(SOA)
    return not found.delegates


def _wildcard(encloser: dns.name.Name) -> dns.name.Name:
    import dns.name

    return dns.name.Name((b"*", *encloser.labels))


def _below(name: dns.name.Name, encloser: dns.name.Name) -> dns.name.Name:
    import dns.name

    return dns.name.Name(name.labels[-len(encloser.labels) - 1 :])


def _common(a: dns.name.Name, b: dns.name.Name) -> dns.name.Name:
    import dns.name

    count = a.fullcompare(b)[2]
    return dns.name.Name(a.labels[-count:])


def _hashed(name: dns.name.Name, proof: Proof) -> bytes | None:
    """A name's hash as the record's zone makes it; None when that cannot or must not be made."""
    import base64

    import dns.dnssec

    data = proof.data
    if data.algorithm != 1 or data.iterations > MOST_ITERATIONS:
        return None
    return base64.b32hexdecode(dns.dnssec.nsec3_hash(name, data.salt, data.iterations, data.algorithm))


def _label(proof: Proof) -> bytes:
    """The hash an NSEC3 record's owner is."""
    import base64
    import binascii

    try:
        return base64.b32hexdecode(proof.owner.labels[0].upper())
    except (binascii.Error, ValueError):
        return b""
