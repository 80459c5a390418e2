# SPDX-License-Identifier: GPL-2.0-or-later
"""Deciding whether a certificate is to be trusted: chain, purpose, validity (RFC 5280 6, RFC 4945).

The `cryptography` library builds and validates the chain; the policies given to it here are those of IPsec, not of the
web: no host name is needed, and an extended key usage of serverAuth neither. When it says no, `_explain` looks for the
check that failed, so that the log can name certificate, reason and dates; it never turns a no into a yes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from openswan.base.errors import CryptoError
from openswan.crypto.crl import is_authority
from openswan.crypto.x509 import BROKEN, der, describe, is_issuer, key_hash, load, public_key, require_valid, show_name

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
HINT = verification.Criticality.NON_CRITICAL
"""Of extensions that must not be critical (RFC 5280 4.2.1.1, 4.2.1.2, 4.2.2.1)."""


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
    if extension is not None and extension.key_cert_sign and not is_authority(cert):
        raise ValueError("keyUsage allows it to sign certificates and basicConstraints does not (RFC 5280 4.2.1.3)")


def _names(policy: verification.Policy, cert: x509.Certificate, extension: x509.SubjectAlternativeName | None) -> None:
    if extension is not None and not list(cert.subject):
        names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        if not names.critical:
            raise ValueError("its subject is empty, and its subjectAltName not critical (RFC 5280 4.2.1.6)")


def _for_ipsec(policy: verification.Policy, cert: x509.Certificate, extension: x509.ExtendedKeyUsage | None) -> None:
    if extension is not None and not PURPOSES.intersection(extension):
        raise ValueError("extendedKeyUsage does not allow IKE")


CA_POLICY = (
    verification.ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, AGNOSTIC, _is_authority)
    .may_be_present(x509.KeyUsage, AGNOSTIC, _may_certify)
    .may_be_present(x509.NameConstraints, AGNOSTIC, _constrains_known)
    .may_be_present(x509.AuthorityKeyIdentifier, HINT, None)
    .may_be_present(x509.SubjectKeyIdentifier, HINT, None)
    .may_be_present(x509.AuthorityInformationAccess, HINT, None)
)
EE_POLICY = (
    verification.ExtensionPolicy.permit_all()
    .require_not_present(x509.NameConstraints)
    .may_be_present(x509.KeyUsage, AGNOSTIC, _may_sign)
    .may_be_present(x509.ExtendedKeyUsage, AGNOSTIC, _for_ipsec)
    .may_be_present(x509.SubjectAlternativeName, AGNOSTIC, _names)
    .may_be_present(x509.AuthorityKeyIdentifier, HINT, None)
    .may_be_present(x509.SubjectKeyIdentifier, HINT, None)
    .may_be_present(x509.AuthorityInformationAccess, HINT, None)
)


class TrustStore:
    """The authorities of ipsec.d/cacerts; never changes.

    One whose own authority is there too vouches for nobody by itself: chains go on through it, so that it can expire
    and be revoked like any other.
    """

    def __init__(self, anchors: Sequence[bytes]) -> None:
        """From PEM or DER of each; CryptoError when one cannot be read."""
        every = tuple({der(cert): cert for cert in map(load, anchors)}.values())
        self.authorities = every
        self.intermediates = tuple(
            cert
            for cert in every
            if cert.issuer != cert.subject
            and any(above.subject == cert.issuer and is_issuer(above, cert) for above in every)
        )
        self.anchors = tuple(cert for cert in every if cert not in self.intermediates)
        self._store = verification.Store(list(self.anchors)) if self.anchors else None

    def hashes(self, name: bytes = b"") -> bytes:
        """The body of a certificate request that names all authorities, or only those called `name` if there are any.

        RFC 7296 3.7.
        """
        named = [cert for cert in self.authorities if name and cert.subject.public_bytes() == name]
        return b"".join(dict.fromkeys(key_hash(cert) for cert in named or self.anchors))

    def names(self, name: bytes = b"") -> tuple[bytes, ...]:
        """DER of the names of all authorities, or only `name` if there is one called so (RFC 2408 3.10)."""
        every = dict.fromkeys(cert.subject.public_bytes() for cert in self.authorities)
        return (name,) if name in every else tuple(dict.fromkeys(cert.subject.public_bytes() for cert in self.anchors))

    def verify(
        self,
        leaf: x509.Certificate,
        intermediates: Sequence[x509.Certificate],
        at: datetime,
        depth: int = MAX_DEPTH,
    ) -> list[x509.Certificate]:
        """The chain from `leaf` up to an authority of ours, valid at `at` (an aware datetime).

        At most `depth` intermediate authorities. CryptoError names the certificate, its dates and the check that
        failed. Revocation is openswan.crypto.revocation's business.
        """
        if len(intermediates) > MAX_INTERMEDIATES:
            raise CryptoError(f"the peer sent {len(intermediates)} certificates, more than {MAX_INTERMEDIATES}")
        if self._store is None:
            raise CryptoError(f"certificate {describe(leaf)} cannot be checked: there is no authority in cacerts")
        builder = verification.PolicyBuilder().store(self._store).time(at).max_chain_depth(depth)
        verifier = builder.extension_policies(ca_policy=CA_POLICY, ee_policy=EE_POLICY).build_client_verifier()
        public_key(leaf)
        others = [*intermediates, *self.intermediates]
        try:
            return verifier.verify(leaf, others).chain
        except (verification.VerificationError, *BROKEN) as why:
            raise CryptoError(self._explain(leaf, others, at, str(why))) from None

    def _explain(self, leaf: x509.Certificate, others: Sequence[x509.Certificate], at: datetime, reason: str) -> str:
        """Which certificate failed which check, as far as it shows; else the library's own words."""
        cert = leaf
        pool = (*self.anchors, *others)
        for _ in range(MAX_DEPTH + 2):
            try:
                require_valid(cert, at)
            except CryptoError as why:
                return str(why)
            if cert in self.anchors:
                break
            named = [c for c in pool if c.subject == cert.issuer and c != cert]
            issuers = [c for c in named if is_issuer(c, cert)]
            if not issuers:
                trouble = "its signature was not made by the key of that authority" if named else "which is not trusted"
                return f"certificate {describe(cert)} is issued by '{show_name(cert.issuer)}', {trouble}"
            cert = issuers[0]
            if not is_authority(cert):
                return f"certificate {describe(cert)} is used as an authority: basicConstraints does not allow it"
        return f"certificate {describe(leaf)} refused: {_short(reason)}"


def _short(reason: str) -> str:
    """The library's reason without its preambles and the object it prints."""
    return reason.split(" (encountered")[0].rsplit("ValueError: ")[-1].removeprefix("validation failed: ")[:300]
