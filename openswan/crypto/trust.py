# SPDX-License-Identifier: GPL-2.0-or-later
"""Deciding whether a certificate is to be trusted: chain, purpose, validity, revocation (RFC 5280 6, RFC 4945).

The `cryptography` library builds and validates the chain; the policies given to it here are those of IPsec, not of the
web: no host name is needed, and an extended key usage of serverAuth neither. When it says no, `_explain` looks for the
check that failed, so that the log can name certificate, reason and dates; it never turns a no into a yes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from cryptography import x509
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from openswan.base.errors import CryptoError
from openswan.crypto.x509 import BROKEN, describe, is_issuer, key_hash, load, load_crl, public_key, show_name

MAX_DEPTH = 8
"""Intermediate authorities in one chain."""
MAX_INTERMEDIATES = 32
"""Certificates from a peer that are looked at."""
IKE_INTERMEDIATE = ObjectIdentifier("1.3.6.1.5.5.8.2.2")
PURPOSES = frozenset(
    (
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        ExtendedKeyUsageOID.IPSEC_IKE,
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
        IKE_INTERMEDIATE,
        ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
        ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
        ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    )
)
"""An extended key usage, if there at all, must name one of these (RFC 4945 5.1.3.12 and what authorities issue)."""
CONSTRAINED = (x509.DNSName, x509.IPAddress)
"""Forms of name constraints the library enforces; a chain that constrains others is refused."""
AGNOSTIC = verification.Criticality.AGNOSTIC


def _is_authority(policy: verification.Policy, cert: x509.Certificate, extension: x509.BasicConstraints) -> None:
    if not extension.ca:
        raise ValueError("basicConstraints does not say it is an authority")


def _may_certify(policy: verification.Policy, cert: x509.Certificate, extension: x509.KeyUsage | None) -> None:
    if extension is not None and not extension.key_cert_sign:
        raise ValueError("keyUsage does not allow it to sign certificates")


def _constrains_known(
    policy: verification.Policy, cert: x509.Certificate, extension: x509.NameConstraints | None
) -> None:
    if extension is not None:
        for name in (*(extension.permitted_subtrees or ()), *(extension.excluded_subtrees or ())):
            if not isinstance(name, CONSTRAINED):
                raise ValueError(f"its name constraints of type {type(name).__name__} cannot be checked")


def _may_sign(policy: verification.Policy, cert: x509.Certificate, extension: x509.KeyUsage | None) -> None:
    if extension is not None and not (extension.digital_signature or extension.content_commitment):
        raise ValueError("keyUsage does not allow signatures")


def _for_ipsec(policy: verification.Policy, cert: x509.Certificate, extension: x509.ExtendedKeyUsage | None) -> None:
    if extension is not None and not PURPOSES.intersection(extension):
        raise ValueError("extendedKeyUsage does not allow IKE")


CA_POLICY = (
    verification.ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, AGNOSTIC, _is_authority)
    .may_be_present(x509.KeyUsage, AGNOSTIC, _may_certify)
    .may_be_present(x509.NameConstraints, AGNOSTIC, _constrains_known)
)
EE_POLICY = (
    verification.ExtensionPolicy.permit_all()
    .require_not_present(x509.NameConstraints)
    .may_be_present(x509.KeyUsage, AGNOSTIC, _may_sign)
    .may_be_present(x509.ExtendedKeyUsage, AGNOSTIC, _for_ipsec)
)


class TrustStore:
    """The authorities of ipsec.d/cacerts and the revocation lists of ipsec.d/crls; never changes."""

    def __init__(self, anchors: Sequence[bytes], crls: Sequence[bytes] = ()) -> None:
        """From PEM or DER of each; CryptoError when one cannot be read."""
        self.anchors = tuple(load(anchor) for anchor in anchors)
        self.crls = tuple(load_crl(crl) for crl in crls)
        self._store = verification.Store(list(self.anchors)) if self.anchors else None

    def hashes(self) -> bytes:
        """The body of a certificate request that names all authorities (RFC 7296 3.7)."""
        return b"".join(dict.fromkeys(key_hash(anchor) for anchor in self.anchors))

    def verify(
        self,
        leaf: x509.Certificate,
        intermediates: Sequence[x509.Certificate],
        at: datetime,
        *,
        strict_crl: bool = False,
    ) -> list[x509.Certificate]:
        """The chain from `leaf` up to an authority of ours, valid at `at` (an aware datetime).

        CryptoError names the certificate, its dates and the check that failed. `strict_crl`: every certificate below
        the authority needs a current revocation list. Nothing is ever fetched.
        """
        if len(intermediates) > MAX_INTERMEDIATES:
            raise CryptoError(f"the peer sent {len(intermediates)} certificates, more than {MAX_INTERMEDIATES}")
        if self._store is None:
            raise CryptoError(f"certificate {describe(leaf)} cannot be checked: there is no authority in cacerts")
        builder = verification.PolicyBuilder().store(self._store).time(at).max_chain_depth(MAX_DEPTH)
        verifier = builder.extension_policies(ca_policy=CA_POLICY, ee_policy=EE_POLICY).build_client_verifier()
        public_key(leaf)
        try:
            chain = verifier.verify(leaf, list(intermediates)).chain
        except (verification.VerificationError, *BROKEN) as why:
            raise CryptoError(self._explain(leaf, intermediates, at, str(why))) from None
        for cert, issuer in pairwise(chain):
            self._check_revocation(cert, issuer, at, strict_crl)
        return chain

    def _check_revocation(self, cert: x509.Certificate, issuer: x509.Certificate, at: datetime, strict: bool) -> None:
        lists = [crl for crl in self.crls if crl.issuer == cert.issuer and _signed_list(crl, issuer)]
        for crl in lists:
            entry = crl.get_revoked_certificate_by_serial_number(cert.serial_number)
            if entry is not None:
                raise CryptoError(
                    f"certificate {describe(cert)} was revoked at {entry.revocation_date_utc:%Y-%m-%d} UTC"
                )
        current = [crl for crl in lists if _is_current(crl, at)]
        if strict and not current:
            raise CryptoError(
                f"certificate {describe(cert)}: no current revocation list of "
                f"'{show_name(cert.issuer)}' and strictcrlpolicy=yes"
            )

    def _explain(self, leaf: x509.Certificate, others: Sequence[x509.Certificate], at: datetime, reason: str) -> str:
        """Which certificate failed which check, as far as it shows; else the library's own words."""
        cert = leaf
        pool = (*self.anchors, *others)
        for _ in range(MAX_DEPTH + 2):
            if not cert.not_valid_before_utc <= at <= cert.not_valid_after_utc:
                word = "is not valid yet" if at < cert.not_valid_before_utc else "has expired"
                return f"certificate {describe(cert)} {word}: it is {at:%Y-%m-%d %H:%M:%S} UTC"
            if cert in self.anchors:
                break
            named = [c for c in pool if c.subject == cert.issuer and c != cert]
            issuers = [c for c in named if is_issuer(c, cert)]
            if not issuers:
                trouble = "its signature was not made by the key of that authority" if named else "which is not trusted"
                return f"certificate {describe(cert)} is issued by '{show_name(cert.issuer)}', {trouble}"
            cert = issuers[0]
            if not _says_authority(cert):
                return f"certificate {describe(cert)} is used as an authority: basicConstraints does not allow it"
        return f"certificate {describe(leaf)} refused: {_short(reason)}"


def _short(reason: str) -> str:
    """The library's reason without its preambles and the object it prints."""
    return reason.split(" (encountered")[0].rsplit("ValueError: ")[-1].removeprefix("validation failed: ")[:300]


def _says_authority(cert: x509.Certificate) -> bool:
    try:
        return cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _signed_list(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    """Is the list's signature the issuer's, and may the issuer sign lists?"""
    try:
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
        if not usage.crl_sign:
            return False
    except x509.ExtensionNotFound:
        pass
    try:
        return crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except BROKEN:
        return False


def _is_current(crl: x509.CertificateRevocationList, at: datetime) -> bool:
    """Is the list valid at that time and complete (no critical extension narrows it)?"""
    end = crl.next_update_utc or crl.last_update_utc + timedelta(days=1)
    return crl.last_update_utc <= at <= end and not any(extension.critical for extension in crl.extensions)
