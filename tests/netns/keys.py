# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates for the gateways of a lab: one CA and a leaf each, RSA or ECDSA, made fresh for a test run."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

PURPOSES = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey


@dataclass(frozen=True)
class Credential:
    """A certificate and its private key, both PEM."""

    cert: bytes
    key: bytes
    subject: str


def new_key(kind: str) -> Key:
    """`rsa` or `ecdsa`."""
    return rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CH"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Lab"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def pem(key: Key) -> bytes:
    """A private key as PEM, PKCS #8."""
    style = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, style, serialization.NoEncryption())


class Authority:
    """A self-signed CA that issues leaf certificates with a DNS subjectAltName."""

    def __init__(self, kind: str, common: str = "Lab CA", above: Authority | None = None) -> None:
        self.kind = kind
        self._key = new_key(kind)
        self._name = _name(common)
        above = above or self
        ski = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        self._cert = (
            above._start(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=1 if above is self else 0), critical=True)
            .add_extension(_usage(ca=True), critical=True)
            .add_extension(ski, critical=False)
            .add_extension(above._identifier(), critical=False)
            .sign(above._key, hashes.SHA256())
        )
        self.pem = self._cert.public_bytes(serialization.Encoding.PEM)

    def _start(self, subject: x509.Name, key: Key, days: int = 30) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=60))
            .not_valid_after(now + datetime.timedelta(days=days))
        )

    def _identifier(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())

    def subordinate(self, common: str) -> Authority:
        """A CA below this one."""
        return Authority(self.kind, common, self)

    def issue(
        self,
        dns: str,
        days: int = 30,
        also: tuple[str, ...] = (),
        key: Key | None = None,
        crl: str = "",
        ocsp: str = "",
    ) -> Credential:
        """A leaf for `dns` and the names in `also`, over `key` or a new one of the CA's kind; negative `days`: expired
        that long ago; `crl` and `ocsp` say where to ask about it."""
        key = key or new_key(self.kind)
        builder = self._start(_name(dns), key, days)
        names = [_general_name(name) for name in (dns, *also)]
        if crl:
            place = x509.DistributionPoint([x509.UniformResourceIdentifier(crl)], None, None, None)
            builder = builder.add_extension(x509.CRLDistributionPoints([place]), critical=False)
        if ocsp:
            where = x509.UniformResourceIdentifier(ocsp)
            access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, where)
            builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
        cert = (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(PURPOSES), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(self._identifier(), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return Credential(cert.public_bytes(serialization.Encoding.PEM), pem(key), f"C=CH, O=Lab, CN={dns}")

    def revoked(self, *certs: bytes, days: int = 1) -> bytes:
        """The authority's revocation list, DER, which names these (PEM); the next is due in so many days."""
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._name)
        builder = builder.last_update(now - datetime.timedelta(days=2)).next_update(now + datetime.timedelta(days=days))
        for pem_text in certs:
            serial = x509.load_pem_x509_certificate(pem_text).serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    @property
    def key(self) -> bytes:
        """The authority's own key, PEM."""
        return pem(self._key)


def bundle(nickname: str, mine: Credential, ca: Authority) -> bytes:
    """PKCS #12 with the key, the certificate and the authority's, encrypted by `lab` the way every NSS can read."""
    key = serialization.load_pem_private_key(mine.key, None)
    seal = (
        serialization.PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(1000)
        .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
        .hmac_hash(hashes.SHA1())
        .build(b"lab")
    )
    leaf, authority = (x509.load_pem_x509_certificate(text) for text in (mine.cert, ca.pem))
    return pkcs12.serialize_key_and_certificates(nickname.encode(), key, leaf, [authority], seal)  # type: ignore[arg-type]


def _usage(ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )
