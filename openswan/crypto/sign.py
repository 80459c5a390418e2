# SPDX-License-Identifier: GPL-2.0-or-later
"""Signatures of AUTH: the fixed methods of RFC 7296 and RFC 4754, and method 14 of RFC 7427.

A scheme is key kind, hash and encoding together. Method 14 names its scheme by a DER AlgorithmIdentifier, which is
compared whole with those this table can make: no ASN.1 from a peer is ever parsed here.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from enum import Enum

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    NoDigestInfo,
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)

from openswan.base.errors import CryptoError
from openswan.crypto.rsakey import EdPrivateKey, PublicKey, check_public
from openswan.crypto.tokenkey import SigningKey, TokenKey

HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
HASH_IDS = {"sha1": 1, "sha256": 2, "sha384": 3, "sha512": 4, "identity": 5}
"""Values of SIGNATURE_HASH_ALGORITHMS (RFC 7427 7, RFC 8420 3)."""
DEFAULT_HASHES = ("sha256", "sha384", "sha512", "identity")
"""What is offered and accepted unless the configuration says otherwise: SHA-1 is not among them."""


class Encoding(Enum):
    """How the hash becomes a signature."""

    PKCS1 = "RSA PKCS#1 v1.5"
    PSS = "RSASSA-PSS"
    ECDSA = "ECDSA"
    EDDSA = "EdDSA"


@dataclass(frozen=True, slots=True)
class Scheme:
    """One way to sign; `algorithm` is the AlgorithmIdentifier we send with it."""

    encoding: Encoding
    hash: str
    algorithm: bytes
    keys: tuple[type, ...]
    """What signs and verifies so."""
    others: tuple[bytes, ...] = ()
    """Other encodings of the same identifier, accepted from peers."""

    def __str__(self) -> str:
        return self.encoding.value if self.hash in ("identity", RAW) else f"{self.encoding.value} with {self.hash}"

    def fits(self, key: PublicKey | SigningKey) -> bool:
        """Is this scheme for keys of that kind?"""
        return isinstance(key.public if isinstance(key, TokenKey) else key, self.keys)


RSA_KEYS = (rsa.RSAPublicKey, rsa.RSAPrivateKey)
ECDSA_KEYS = (ec.EllipticCurvePublicKey, ec.EllipticCurvePrivateKey)
ED25519_KEYS = (ed25519.Ed25519PublicKey, ed25519.Ed25519PrivateKey)
ED448_KEYS = (ed448.Ed448PublicKey, ed448.Ed448PrivateKey)
NULL = bytes.fromhex("0500")
OIDS = {
    "sha1": bytes.fromhex("06052b0e03021a"),
    "sha256": bytes.fromhex("0609608648016503040201"),
    "sha384": bytes.fromhex("0609608648016503040202"),
    "sha512": bytes.fromhex("0609608648016503040203"),
    "mgf1": bytes.fromhex("06092a864886f70d010108"),
    "pss": bytes.fromhex("06092a864886f70d01010a"),
    "pkcs1 sha1": bytes.fromhex("06092a864886f70d010105"),
    "pkcs1 sha256": bytes.fromhex("06092a864886f70d01010b"),
    "pkcs1 sha384": bytes.fromhex("06092a864886f70d01010c"),
    "pkcs1 sha512": bytes.fromhex("06092a864886f70d01010d"),
    "ecdsa sha1": bytes.fromhex("06072a8648ce3d0401"),
    "ecdsa sha256": bytes.fromhex("06082a8648ce3d040302"),
    "ecdsa sha384": bytes.fromhex("06082a8648ce3d040303"),
    "ecdsa sha512": bytes.fromhex("06082a8648ce3d040304"),
    "ed25519": bytes.fromhex("06032b6570"),
    "ed448": bytes.fromhex("06032b6571"),
}


def _der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return bytes([tag, len(body)]) + body


def _pss(name: str, null: bytes, trailer: bytes) -> bytes:
    """RSASSA-PSS-params with MGF1 over the same hash and a salt as long as it (RFC 4055 3.1)."""
    algorithm = _der(0x30, OIDS[name], null)
    salt = _der(0x02, bytes([HASHES[name].digest_size]))
    mask = _der(0x30, OIDS["mgf1"], algorithm)
    params = _der(0x30, _der(0xA0, algorithm), _der(0xA1, mask), _der(0xA2, salt), trailer)
    return _der(0x30, OIDS["pss"], params)


def _schemes() -> Iterator[Scheme]:
    trailer = bytes.fromhex("a303020101")
    for name in ("sha256", "sha384", "sha512"):
        yield Scheme(
            Encoding.PSS,
            name,
            _pss(name, NULL, b""),
            RSA_KEYS,
            (_pss(name, NULL, trailer), _pss(name, b"", b""), _pss(name, b"", trailer)),
        )
        ecdsa = OIDS["ecdsa " + name]
        yield Scheme(Encoding.ECDSA, name, _der(0x30, ecdsa), ECDSA_KEYS, (_der(0x30, ecdsa, NULL),))
    for name in ("sha256", "sha384", "sha512", "sha1"):
        pkcs1 = OIDS["pkcs1 " + name]
        yield Scheme(Encoding.PKCS1, name, _der(0x30, pkcs1, NULL), RSA_KEYS, (_der(0x30, pkcs1),))
    yield Scheme(Encoding.ECDSA, "sha1", _der(0x30, OIDS["ecdsa sha1"]), ECDSA_KEYS)
    yield Scheme(Encoding.EDDSA, "identity", _der(0x30, OIDS["ed25519"]), ED25519_KEYS)
    yield Scheme(Encoding.EDDSA, "identity", _der(0x30, OIDS["ed448"]), ED448_KEYS)


SCHEMES: tuple[Scheme, ...] = tuple(_schemes())
_BY_ALGORITHM = {blob: scheme for scheme in SCHEMES for blob in (scheme.algorithm, *scheme.others)}
PKCS1_SHA1 = next(s for s in SCHEMES if s.encoding is Encoding.PKCS1 and s.hash == "sha1")
RAW = "a hash as it is"
RAW_RSA = Scheme(Encoding.PKCS1, RAW, b"", RSA_KEYS)
RAW_ECDSA = Scheme(Encoding.ECDSA, RAW, b"", ECDSA_KEYS)
"""IKEv1's, of what is a hash already; nobody announces them."""
CURVE_HASH = {"secp256r1": "sha256", "secp384r1": "sha384", "secp521r1": "sha512"}
"""The hash that goes with a curve (RFC 4754 3, RFC 5480)."""
METHOD_CURVE = {9: "secp256r1", 10: "secp384r1", 11: "secp521r1"}
"""The curve of each ECDSA authentication method (RFC 4754 7)."""
METHOD_RSA = 1
METHOD_DIGITAL_SIGNATURE = 14


def hash_ids(allowed: Collection[str] = DEFAULT_HASHES) -> bytes:
    """Data of a SIGNATURE_HASH_ALGORITHMS notification that offers these hashes."""
    return b"".join(HASH_IDS[name].to_bytes(2, "big") for name in allowed)


def hash_names(data: bytes) -> tuple[str, ...]:
    """The hashes such data names, in the peer's order; unknown ones and an odd octet are skipped."""
    numbers = [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data) - 1, 2)]
    return tuple(name for number in numbers for name, value in HASH_IDS.items() if value == number)


def scheme_of(algorithm: bytes) -> Scheme | None:
    """The scheme an AlgorithmIdentifier names, or None."""
    return _BY_ALGORITHM.get(algorithm)


def choose(
    key: SigningKey, peer_hashes: Collection[str], allowed: Collection[str] = DEFAULT_HASHES, *, pss: bool = True
) -> Scheme | None:
    """The scheme to sign with under method 14: the strongest fitting one both sides take, or None.

    RSA signs with PSS unless `pss` is false (RFC 8247 3.2.1 asks for both). ECDSA prefers the curve's own hash.
    """
    usable = [
        scheme
        for scheme in SCHEMES
        if scheme.fits(key)
        and scheme.hash in peer_hashes
        and scheme.hash in allowed
        and (scheme.encoding is not Encoding.PSS or pss)
    ]
    curve = _curve(key)
    if curve:
        own = CURVE_HASH.get(curve)
        usable.sort(key=lambda scheme: scheme.hash != own)
    return usable[0] if usable else None


def _curve(key: SigningKey) -> str:
    """The name of an ECDSA key's curve; empty for other keys."""
    public = key.public_key()
    return public.curve.name if isinstance(public, ec.EllipticCurvePublicKey) else ""


def sign(key: SigningKey, scheme: Scheme, octets: bytes) -> bytes:
    """The signature over `octets`; CryptoError when the key cannot make one of that scheme, or is not here at all."""
    try:
        if isinstance(key, rsa.RSAPrivateKey) and scheme.fits(key):
            return key.sign(octets, _padding(scheme), HASHES[scheme.hash])
        if isinstance(key, ec.EllipticCurvePrivateKey) and scheme.fits(key):
            return key.sign(octets, _ecdsa(scheme, octets))
        if isinstance(key, EdPrivateKey) and scheme.fits(key):
            return key.sign(octets)
    except (ValueError, UnsupportedAlgorithm) as why:
        raise CryptoError(f"cannot sign with {scheme}: {why}") from None
    raise CryptoError(f"this key cannot sign with {scheme}")


def verify(
    key: PublicKey, scheme: Scheme, octets: bytes, signature: bytes, allowed: Collection[str] = DEFAULT_HASHES
) -> None:
    """Nothing when the signature is good; CryptoError says why it is not accepted.

    RSA signatures have exactly the modulus's length; keys that check_public() refuses verify nothing.
    """
    if scheme.hash not in allowed:
        raise CryptoError(f"signature by {scheme} refused: that hash is not allowed")
    if not scheme.fits(key):
        raise CryptoError(f"signature by {scheme} does not fit the peer's key")
    try:
        if isinstance(key, rsa.RSAPublicKey):
            numbers = key.public_numbers()
            check_public(numbers.n, numbers.e)
            if len(signature) != (key.key_size + 7) // 8:
                raise CryptoError(f"RSA signature of {len(signature)} octets, the modulus has {key.key_size} bits")
            key.verify(signature, octets, _padding(scheme), HASHES[scheme.hash])
        elif isinstance(key, ec.EllipticCurvePublicKey):
            if key.curve.name not in CURVE_HASH:
                raise CryptoError(f"ECDSA keys on {key.curve.name} are not used")
            key.verify(signature, octets, _ecdsa(scheme, octets))
        else:
            key.verify(signature, octets)
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        raise CryptoError(f"signature by {scheme} does not verify") from None


Signer = Callable[[SigningKey, Scheme, bytes], bytes]
"""Whatever signs as sign() does; keys in tokens need somebody else."""


def sign_method(method: int, key: SigningKey, octets: bytes, signer: Signer = sign) -> bytes:
    """AUTH data of method 1 (RSA with SHA-1), 9, 10 or 11 (ECDSA, r and s concatenated); CryptoError if it cannot."""
    if method == METHOD_RSA:
        return signer(key, PKCS1_SHA1, octets)
    size, scheme = _curve_method(method, key.public_key() if isinstance(key, TokenKey) else key)
    r, s = decode_dss_signature(signer(key, scheme, octets))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def verify_method(method: int, key: PublicKey, octets: bytes, data: bytes) -> None:
    """Nothing when AUTH data of method 1, 9, 10 or 11 is good; CryptoError says why not."""
    if method == METHOD_RSA:
        verify(key, PKCS1_SHA1, octets, data, ("sha1",))
        return
    size, scheme = _curve_method(method, key)
    if len(data) != 2 * size:
        raise CryptoError(f"ECDSA signature of {len(data)} octets, not {2 * size}")
    r, s = int.from_bytes(data[:size], "big"), int.from_bytes(data[size:], "big")
    verify(key, scheme, octets, encode_dss_signature(r, s))


def sign_ikev1(key: SigningKey, digest: bytes, signer: Signer = sign, method: int = 0) -> bytes:
    """SIG_I or SIG_R, of HASH_I or HASH_R as it is (RFC 2409 5.1).

    By RSA PKCS#1 padding of type 1 round it, without an OID; with `method` 9, 10 or 11 ECDSA on that curve, r and s
    side by side (RFC 4754; charon does not hash it once more either). CryptoError when the key is none for that. One
    in a token is the `signer`'s.
    """
    if method:
        size, _ = _curve_method(method, key.public_key() if isinstance(key, TokenKey) else key)
        r, s = decode_dss_signature(signer(key, RAW_ECDSA, digest))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    if isinstance(key, TokenKey) and RAW_RSA.fits(key):
        return signer(key, RAW_RSA, digest)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise CryptoError("the key is no RSA key")
    try:
        return key.sign(digest, padding.PKCS1v15(), NoDigestInfo())
    except ValueError as why:
        raise CryptoError(f"cannot sign: {why}") from None


def verify_ikev1(key: PublicKey, digest: bytes, signature: bytes, method: int = 0) -> None:
    """Nothing when SIG_I or SIG_R is good; CryptoError says why not. It is as long as the modulus, or twice r."""
    if method:
        size, _ = _curve_method(method, key)
        if len(signature) != 2 * size:
            raise CryptoError(f"ECDSA signature of {len(signature)} octets, not {2 * size}")
        r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
        verify(key, RAW_ECDSA, digest, encode_dss_signature(r, s), (RAW,))
        return
    if not isinstance(key, rsa.RSAPublicKey):
        raise CryptoError("the peer's key is no RSA key")
    numbers = key.public_numbers()
    check_public(numbers.n, numbers.e)
    if len(signature) != (key.key_size + 7) // 8:
        raise CryptoError(f"RSA signature of {len(signature)} octets, the modulus has {key.key_size} bits")
    try:
        signed = key.recover_data_from_signature(signature, padding.PKCS1v15(), None)
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        signed = b""
    if not signed or not hmac.compare_digest(signed, digest):
        raise CryptoError("RSA signature does not verify")


def _ecdsa(scheme: Scheme, octets: bytes) -> ec.ECDSA:
    """ECDSA over the scheme's hash of octets; or over them, when they are a hash already."""
    if scheme.hash != RAW:
        return ec.ECDSA(HASHES[scheme.hash])
    made = next((one for one in HASHES.values() if one.digest_size == len(octets)), None)
    if made is None:
        raise CryptoError(f"a hash of {len(octets)} octets is not signed by ECDSA: give IKE another one than MD5")
    return ec.ECDSA(Prehashed(made))


def best_method(key: SigningKey) -> int | None:
    """The fixed method a key can sign with when the peer does not know method 14, or None."""
    if isinstance(key.public_key(), rsa.RSAPublicKey):
        return METHOD_RSA
    curve = _curve(key)
    return next((method for method, name in METHOD_CURVE.items() if name == curve), None)


def _curve_method(method: int, key: PublicKey | SigningKey) -> tuple[int, Scheme]:
    """Octets of r (and of s), and the scheme, of an ECDSA method; CryptoError when the key is on another curve."""
    curve = METHOD_CURVE.get(method)
    if curve is None:
        raise CryptoError(f"authentication method {method} is no signature known here")
    if not isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey) or key.curve.name != curve:
        raise CryptoError(f"authentication method {method} needs a key on {curve}")
    scheme = next(s for s in SCHEMES if s.encoding is Encoding.ECDSA and s.hash == CURVE_HASH[curve])
    return (key.curve.key_size + 7) // 8, scheme


def _padding(scheme: Scheme) -> padding.AsymmetricPadding:
    if scheme.encoding is Encoding.PKCS1:
        return padding.PKCS1v15()
    digest = HASHES[scheme.hash]
    return padding.PSS(padding.MGF1(digest), digest.digest_size)
