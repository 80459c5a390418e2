# SPDX-License-Identifier: GPL-2.0-or-later
"""Revocation lists: whose they are, for which certificates they speak, until when (RFC 5280 5, 6.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from openswan.base.errors import CryptoError
from openswan.crypto.x509 import BROKEN, describe, load_crl, may_sign_lists

SKEW = timedelta(minutes=5)
"""Clocks of authorities may be ahead of ours by this much."""
WITHOUT_END = timedelta(days=1)
"""How long a list counts that does not say when the next one comes."""
MAX_URIS = 4
"""Places one certificate's list is looked for."""
MAX_URI = 1024


@dataclass(frozen=True, slots=True, eq=False)
class RevocationList:
    """One list, parsed."""

    crl: x509.CertificateRevocationList
    issuer: bytes
    """DER of the name it was issued under."""
    uri: str = ""
    """Where it was fetched from; empty: from a file."""

    @classmethod
    def load(cls, data: bytes, uri: str = "") -> RevocationList:
        """From PEM or DER; CryptoError when it is none."""
        crl = load_crl(data)
        return cls(crl, crl.issuer.public_bytes(), uri)

    @property
    def until(self) -> datetime:
        """When it stops to be current."""
        return self.crl.next_update_utc or self.crl.last_update_utc + WITHOUT_END

    def is_current(self, at: datetime) -> bool:
        """Is it valid at that time?"""
        return self.crl.last_update_utc <= at + SKEW and at <= self.until

    def is_signed_by(self, issuer: x509.Certificate) -> bool:
        """Is its signature the issuer's, and may the issuer sign lists?"""
        if not may_sign_lists(issuer):
            return False
        try:
            return self.crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
        except BROKEN:
            return False

    def speaks_for(self, cert: x509.Certificate) -> bool:
        """Is the certificate within what the list is complete for?

        Any critical extension but an issuing distribution point narrows a list in ways that are not read here.
        """
        for extension in self.crl.extensions:
            if isinstance(extension.value, x509.IssuingDistributionPoint):
                if not _within(extension.value, cert):
                    return False
            elif extension.critical or isinstance(extension.value, x509.DeltaCRLIndicator):
                return False
        return True

    def revoked(self, cert: x509.Certificate) -> datetime | None:
        """When the certificate was revoked; None: it was not. A certificate on hold counts as revoked."""
        entry = self.crl.get_revoked_certificate_by_serial_number(cert.serial_number)
        if entry is None:
            return None
        try:
            reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
            if reason is x509.ReasonFlags.remove_from_crl:
                return None
        except (x509.ExtensionNotFound, *BROKEN):
            pass
        return entry.revocation_date_utc


def _within(point: x509.IssuingDistributionPoint, cert: x509.Certificate) -> bool:
    if point.indirect_crl or point.only_some_reasons or point.only_contains_attribute_certs or point.relative_name:
        return False
    authority = is_authority(cert)
    if (point.only_contains_user_certs and authority) or (point.only_contains_ca_certs and not authority):
        return False
    if point.full_name is None:
        return True
    named = {name for place in _places(cert) for name in place.full_name or ()}
    return bool(named.intersection(point.full_name))


def is_authority(cert: x509.Certificate) -> bool:
    """Does basicConstraints say it is one?"""
    try:
        return cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _places(cert: x509.Certificate) -> Iterator[x509.DistributionPoint]:
    try:
        yield from cert.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return


def crl_uris(cert: x509.Certificate) -> tuple[str, ...]:
    """Where a certificate says its authority's complete list is; at most MAX_URIS, of any scheme."""
    found = [
        name.value
        for place in _places(cert)
        if place.crl_issuer is None and place.reasons is None
        for name in place.full_name or ()
        if isinstance(name, x509.UniformResourceIdentifier) and len(name.value) <= MAX_URI
    ]
    return tuple(dict.fromkeys(found))[:MAX_URIS]


class Lists:
    """The lists at hand, found by the name of who issued them."""

    def __init__(self, files: Iterable[bytes] = ()) -> None:
        """`files` are the contents of ipsec.d/crls, DER; what cannot be read was complained about by their reader."""
        self.by_issuer: dict[bytes, list[RevocationList]] = {}
        for data in files:
            try:
                one = RevocationList.load(data)
            except CryptoError:
                continue
            self.by_issuer.setdefault(one.issuer, []).append(one)

    def of(self, issuer: bytes) -> list[RevocationList]:
        """Every list issued under that name, true or not."""
        return self.by_issuer.get(issuer, [])

    def __iter__(self) -> Iterator[RevocationList]:
        for lists in self.by_issuer.values():
            yield from lists

    def put(self, one: RevocationList) -> bool:
        """Keep a fetched list instead of what came from the same place; False when it is older than that."""
        same = [old for old in self.of(one.issuer) if old.uri == one.uri]
        if any(old.crl.last_update_utc > one.crl.last_update_utc for old in same):
            return False
        kept = [old for old in self.of(one.issuer) if old not in same]
        self.by_issuer[one.issuer] = [*kept, one]
        return True

    def drop(self, one: RevocationList) -> None:
        """Forget a list."""
        kept = [old for old in self.of(one.issuer) if old is not one]
        if kept:
            self.by_issuer[one.issuer] = kept
        else:
            self.by_issuer.pop(one.issuer, None)


def require_not_listed(lists: Lists, cert: x509.Certificate, issuer: x509.Certificate, at: datetime) -> bool:
    """Is there a current list that speaks for the certificate? CryptoError when any true list has revoked it.

    A list that is out of date still revokes: certificates do not come back.
    """
    current = False
    for one in lists.of(cert.issuer.public_bytes()):
        if not one.is_signed_by(issuer):
            continue
        since = one.revoked(cert)
        if since is not None:
            raise CryptoError(
                f"certificate {describe(cert)} was revoked at {since:%Y-%m-%d %H:%M:%S} UTC, says the list of its "
                f"authority of {one.crl.last_update_utc:%Y-%m-%d %H:%M:%S} UTC"
            )
        current = current or (one.is_current(at) and one.speaks_for(cert))
    return current
