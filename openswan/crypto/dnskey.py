# SPDX-License-Identifier: GPL-2.0-or-later
"""Public keys as DNS records carry them: RSA (RFC 3110), ECDSA (RFC 6605 4), EdDSA (RFC 8080 3)."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from openswan.base.errors import CryptoError
from openswan.crypto.rsakey import PublicKey, decode_public, encode_public

RSA, ECDSA, EDDSA = 2, 3, 4
"""Algorithm numbers of IPSECKEY."""
DER_SEQUENCE = b"\x30"
CURVES: dict[int, ec.EllipticCurve] = {64: ec.SECP256R1(), 96: ec.SECP384R1()}
"""By octets of both coordinates."""
EDWARDS: dict[int, Callable[[bytes], PublicKey]] = {
    32: ed25519.Ed25519PublicKey.from_public_bytes,
    57: ed448.Ed448PublicKey.from_public_bytes,
}


def public_key_of(algorithm: int, octets: bytes) -> PublicKey:
    """The key of a record; CryptoError says why it cannot be used."""
    if algorithm == RSA:
        return decode_public(octets)
    if algorithm == ECDSA:
        curve = CURVES.get(len(octets))
        if curve is None:
            raise CryptoError(f"ECDSA key of {len(octets)} octets: 64 (P-256) or 96 (P-384) are expected")
        try:
            return ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\4" + octets)
        except ValueError:
            raise CryptoError("ECDSA key is no point of its curve") from None
    if algorithm == EDDSA:
        load = EDWARDS.get(len(octets))
        if load is None:
            raise CryptoError(f"EdDSA key of {len(octets)} octets: 32 (Ed25519) or 57 (Ed448) are expected")
        try:
            return load(octets)
        except ValueError:
            raise CryptoError("EdDSA key is not usable") from None
    raise CryptoError(f"keys of algorithm {algorithm} are not used: publish RSA (2), ECDSA (3) or EdDSA (4)")


def record_octets(key: PublicKey) -> tuple[int, bytes]:
    """(algorithm of IPSECKEY, octets as its record has them): the reverse of public_key_of()."""
    if isinstance(key, rsa.RSAPublicKey):
        return RSA, encode_public(key)
    if isinstance(key, ec.EllipticCurvePublicKey):
        # Without the octet that says the point is uncompressed.
        return ECDSA, key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
    return EDDSA, key.public_bytes_raw()


def raw_octets(key: PublicKey) -> bytes:
    """A key as connections have it: RFC 3110 octets of RSA, else its DER SubjectPublicKeyInfo."""
    if isinstance(key, rsa.RSAPublicKey):
        return encode_public(key)
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def raw_key(octets: bytes) -> PublicKey:
    """The reverse of raw_octets(); CryptoError when they are no key."""
    if octets[:1] == DER_SEQUENCE:
        try:
            key = load_der_public_key(octets)
        except (ValueError, UnsupportedAlgorithm):
            return decode_public(octets)  # an RSA key whose exponent has 48 octets begins so too
        if isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            return key
    return decode_public(octets)
