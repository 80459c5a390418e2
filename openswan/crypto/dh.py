# SPDX-License-Identifier: GPL-2.0-or-later
"""Key exchange: MODP (RFC 3526, RFC 2409, RFC 5114), ECP (RFC 5903), X25519 (RFC 8031) and ML-KEM (FIPS 203).

Private values come from an Rng; only what a responder of ML-KEM encapsulates is drawn by the library.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mlkem import (
    MLKEM768PrivateKey,
    MLKEM768PublicKey,
    MLKEM1024PrivateKey,
    MLKEM1024PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from openswan.base.entropy import Rng
from openswan.base.errors import CryptoError
from openswan.crypto import modp, registry
from openswan.crypto.registry import Algorithm, Kind
from openswan.crypto.subgroup import SUBGROUPS

with warnings.catch_warnings():
    # The library announces that finite-field groups will leave it one day; IKE peers will offer them for longer.
    warnings.simplefilter("ignore")
    from cryptography.hazmat.primitives.asymmetric.dh import DHParameterNumbers, DHPrivateNumbers, DHPublicNumbers

CURVES: dict[str, ec.EllipticCurve] = {"ecp256": ec.SECP256R1(), "ecp384": ec.SECP384R1(), "ecp521": ec.SECP521R1()}
ORDERS = {
    "ecp256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "ecp384": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    "ecp521": 0x1FF_FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409,  # noqa: E501
}
"""Orders of the curves' base points (RFC 5903 3)."""
EXPONENT_OCTETS = 64
"""A private exponent's size: 512 bits are more than twice the strength of the largest group (RFC 3526 8)."""


class DhPair(ABC):
    """A key pair of one group. Public values and shared secrets are octets exactly as IKE wants them."""

    def __init__(self, group: Algorithm, public: bytes) -> None:
        self.group = group
        self.public = public
        """The KE payload's key exchange data."""

    def shared(self, peer: bytes) -> bytes:
        """g^ir with the peer's public value, padded to the group's length.

        CryptoError when that value has a wrong length, lies outside the group, is our own, or leads to a trivial
        secret; nothing is computed with it then.
        """
        if len(peer) != self.group.public:
            raise CryptoError(f"{self.group.name} public value of {len(peer)} octets, not {self.group.public}")
        if peer == self.public:
            raise CryptoError(f"the peer's {self.group.name} public value is our own")
        return self._shared(peer)

    @abstractmethod
    def _shared(self, peer: bytes) -> bytes: ...


class _Modp(DhPair):
    def __init__(self, group: Algorithm, rng: Rng) -> None:
        self._subgroup = SUBGROUPS.get(group.name)
        found = self._subgroup
        self._prime = found.prime if found else modp.prime(group.public * 8)
        base = found.generator if found else modp.GENERATOR
        self._parameters = DHParameterNumbers(self._prime, base, found.order if found else None)
        private = int.from_bytes(rng.octets(EXPONENT_OCTETS), "big")
        private = max(2, private % found.order if found else private)
        # The library wants a public value to load a private one; the base itself will do, and then gives g^x as the
        # "shared secret" with a peer whose public value is g.
        self._private = DHPrivateNumbers(private, DHPublicNumbers(base, self._parameters)).private_key()
        super().__init__(group, self._power(base))

    def _power(self, base: int) -> bytes:
        secret = self._private.exchange(DHPublicNumbers(base, self._parameters).public_key())
        return secret.rjust(self._prime.bit_length() // 8, b"\0")

    def _shared(self, peer: bytes) -> bytes:
        value = int.from_bytes(peer, "big")
        if not 2 <= value <= self._prime - 2:
            raise CryptoError(f"{self.group.name} public value is not in 2..p-2")
        if self._subgroup is not None and not self._subgroup.holds(value):
            raise CryptoError(f"{self.group.name} public value is not in the subgroup")
        try:
            return self._power(value)
        except ValueError as why:
            raise CryptoError(f"{self.group.name} public value refused: {why}") from None


class _Ecp(DhPair):
    def __init__(self, group: Algorithm, rng: Rng) -> None:
        self._curve, order = CURVES[group.name], ORDERS[group.name]
        # 64 bits more than the order has make the remainder's bias negligible (FIPS 186-5 A.2.1).
        scalar = int.from_bytes(rng.octets(group.output + 8), "big") % (order - 1) + 1
        self._private = ec.derive_private_key(scalar, self._curve)
        point = self._private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        super().__init__(group, point[1:])

    def _shared(self, peer: bytes) -> bytes:
        try:
            point = ec.EllipticCurvePublicKey.from_encoded_point(self._curve, b"\x04" + peer)
            return self._private.exchange(ec.ECDH(), point)
        except ValueError:
            raise CryptoError(f"{self.group.name} public value is not a point on the curve") from None


class _X25519(DhPair):
    def __init__(self, group: Algorithm, rng: Rng) -> None:
        self._private = X25519PrivateKey.from_private_bytes(rng.octets(32))
        super().__init__(group, self._private.public_key().public_bytes_raw())

    def _shared(self, peer: bytes) -> bytes:
        try:
            secret = self._private.exchange(X25519PublicKey.from_public_bytes(peer))
        except ValueError:
            raise CryptoError("x25519 public value of small order") from None
        if not any(secret):
            raise CryptoError("x25519 public value of small order")
        return secret


class _MlKem(DhPair):
    """The initiator's side of a key encapsulation: what it takes from its peer is a ciphertext."""

    def __init__(self, group: Algorithm, rng: Rng) -> None:
        self._private = KEMS[group.name][0].from_seed_bytes(rng.octets(64))
        super().__init__(group, self._private.public_key().public_bytes_raw())

    def shared(self, peer: bytes) -> bytes:
        """The secret inside a ciphertext; a forged one gives another secret, not an error (FIPS 203 6.3)."""
        if len(peer) != self.group.kem:
            raise CryptoError(f"{self.group.name} ciphertext of {len(peer)} octets, not {self.group.kem}")
        return self._shared(peer)

    def _shared(self, peer: bytes) -> bytes:
        secret: bytes = self._private.decapsulate(peer)
        return secret


KEMS: dict[str, tuple[Any, Any]] = {
    "ml_kem_768": (MLKEM768PrivateKey, MLKEM768PublicKey),
    "ml_kem_1024": (MLKEM1024PrivateKey, MLKEM1024PublicKey),
}


def respond(group: str, peer: bytes, rng: Rng) -> tuple[bytes, bytes]:
    """What a responder sends for an initiator's public value, and the secret of both; CryptoError as shared()."""
    row = registry.get(Kind.DH, group)
    if row.name not in KEMS:
        pair = generate(group, rng)
        return pair.public, pair.shared(peer)
    if len(peer) != row.public:
        raise CryptoError(f"{row.name} public value of {len(peer)} octets, not {row.public}")
    try:
        secret, ciphertext = KEMS[row.name][1].from_public_bytes(peer).encapsulate()
    except (ValueError, UnsupportedAlgorithm) as why:
        raise CryptoError(f"{row.name} public value refused: {why}") from None
    return ciphertext, secret


def generate(group: str, rng: Rng) -> DhPair:
    """A fresh key pair; CryptoError for a group that is unknown or refused. The same Rng state gives the same pair."""
    return _generate(registry.get(Kind.DH, group), rng)


def generate_ikev1(group: str, rng: Rng) -> DhPair:
    """As generate(), of a group IKEv1 may use: the table's relics too."""
    return _generate(registry.get_ikev1(Kind.DH, group), rng)


def _generate(row: Algorithm, rng: Rng) -> DhPair:
    if row.name in CURVES:
        return _Ecp(row, rng)
    if row.name in KEMS:
        return _MlKem(row, rng)
    return _X25519(row, rng) if row.name == "x25519" else _Modp(row, rng)
