# SPDX-License-Identifier: GPL-2.0-or-later
"""RSA keys in the classic forms: RFC 3110 octets, `0s` text, key IDs, the fields of ipsec.secrets, and PEM files.

```
+-----------------+--------------+-----------------------------+
| exponent length |   exponent   |           modulus           |
|  (1 octet, or 0 |              |                             |
|  and 2 octets)  |              |                             |
+-----------------+--------------+-----------------------------+
```
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

from openswan.base.errors import CryptoError

EdPrivateKey: TypeAlias = ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
EdPublicKey: TypeAlias = ed25519.Ed25519PublicKey | ed448.Ed448PublicKey
PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | EdPrivateKey
PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | EdPublicKey

MIN_BITS = 1024
MAX_BITS = 8192
"""Smaller moduli are within reach of anyone, larger ones cost a stranger's victim too much."""
KEYID_CHARACTERS = 9
NAMES = {
    "modulus": "Modulus",
    "public_exponent": "PublicExponent",
    "private_exponent": "PrivateExponent",
    "prime1": "Prime1",
    "prime2": "Prime2",
    "exponent1": "Exponent1",
    "exponent2": "Exponent2",
    "coefficient": "Coefficient",
}
"""The fields of a private key in ipsec.secrets, in their fixed order."""


@dataclass(frozen=True, slots=True)
class RsaFields:
    """A private RSA key as ipsec.secrets spells it."""

    modulus: int
    public_exponent: int
    private_exponent: int = field(repr=False)
    prime1: int = field(repr=False)
    prime2: int = field(repr=False)
    exponent1: int = field(repr=False)
    exponent2: int = field(repr=False)
    coefficient: int = field(repr=False)

    @classmethod
    def named(cls, values: Mapping[str, int]) -> RsaFields:
        """From a mapping of the file's own names ("Modulus" ...); CryptoError names the first one missing."""
        for name in NAMES.values():
            if name not in values:
                raise CryptoError(f"{name} keyword not found where expected in RSA key")
        return cls(**{attribute: values[name] for attribute, name in NAMES.items()})

    @classmethod
    def of(cls, key: rsa.RSAPrivateKey) -> RsaFields:
        """The fields of a key."""
        numbers = key.private_numbers()
        public = numbers.public_numbers
        return cls(public.n, public.e, numbers.d, numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp)

    def check(self) -> None:
        """CryptoError with the first relation that does not hold, in the classic words."""
        n, e, d, p, q = self.modulus, self.public_exponent, self.private_exponent, self.prime1, self.prime2
        check_public(n, e)
        if p < 3 or q < 3 or n != p * q:
            raise CryptoError("n != p * q")
        if math.gcd(e, p - 1) != 1:
            raise CryptoError("e and p-1 have a common factor")
        if math.gcd(e, q - 1) != 1:
            raise CryptoError("e and q-1 have a common factor")
        if d <= 0 or d * e % math.lcm(p - 1, q - 1) != 1:
            raise CryptoError("d is not the inverse of e mod lcm(p-1, q-1)")
        if self.exponent1 != d % (p - 1):
            raise CryptoError("dP != d mod (p-1)")
        if self.exponent2 != d % (q - 1):
            raise CryptoError("dQ != d mod (q-1)")
        if not 0 < self.coefficient < p or self.coefficient * q % p != 1:
            raise CryptoError("qInv != 1/q mod p")

    def key(self) -> rsa.RSAPrivateKey:
        """The key, after check()."""
        self.check()
        public = rsa.RSAPublicNumbers(self.public_exponent, self.modulus)
        numbers = rsa.RSAPrivateNumbers(
            self.prime1,
            self.prime2,
            self.private_exponent,
            self.exponent1,
            self.exponent2,
            self.coefficient,
            public,
        )
        try:
            return numbers.private_key()
        except ValueError as why:
            raise CryptoError(f"RSA private key refused: {why}") from None

    def lines(self) -> list[str]:
        """`Name: 0x...` for each field, in the file's order."""
        return [f"{NAMES[part.name]}: 0x{_hex(getattr(self, part.name))}" for part in fields(self)]


def check_public(modulus: int, exponent: int) -> None:
    """CryptoError unless this can be an RSA public key: sizes, odd modulus, odd exponent of at least 3."""
    # Old generators made moduli a bit or two short: whole octets count.
    if not MIN_BITS <= -(-modulus.bit_length() // 8) * 8 <= MAX_BITS:
        raise CryptoError(f"RSA modulus of {modulus.bit_length()} bits; {MIN_BITS} to {MAX_BITS} are accepted")
    if modulus % 2 == 0:
        raise CryptoError("RSA modulus is even")
    if exponent < 3 or exponent % 2 == 0 or exponent >= modulus:
        raise CryptoError(f"RSA public exponent {exponent if exponent < 1 << 64 else 'of that size'} is not usable")


def encode_public(key: rsa.RSAPublicKey | rsa.RSAPublicNumbers) -> bytes:
    """A public key's RFC 3110 octets."""
    numbers = key.public_numbers() if isinstance(key, rsa.RSAPublicKey) else key
    exponent = _octets(numbers.e)
    head = bytes([len(exponent)]) if len(exponent) < 256 else b"\0" + len(exponent).to_bytes(2, "big")
    return head + exponent + _octets(numbers.n)


def decode_public(data: bytes) -> rsa.RSAPublicKey:
    """The key of RFC 3110 octets; CryptoError when they are cut short or check_public() objects."""
    size, at = (data[0], 1) if data else (0, 0)
    if data and not size:
        size, at = int.from_bytes(data[1:3], "big"), 3
    exponent, modulus = data[at : at + size], data[at + size :]
    if not size or len(exponent) < size or not modulus:
        raise CryptoError("RSA public key is cut short")
    if exponent[0] == 0 or modulus[0] == 0:
        raise CryptoError("RSA public key has leading zeros")
    return public_key(int.from_bytes(modulus, "big"), int.from_bytes(exponent, "big"))


def public_key(modulus: int, exponent: int) -> rsa.RSAPublicKey:
    """The key of two numbers; CryptoError as check_public()."""
    check_public(modulus, exponent)
    try:
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError as why:
        raise CryptoError(f"RSA public key refused: {why}") from None


def to_text(data: bytes) -> str:
    """`0s` and base64, as in leftrsasigkey=."""
    return "0s" + base64.b64encode(data).decode()


def from_text(text: str) -> bytes:
    """Octets of `0x` hex or `0s` base64 text; `_` separates groups; blanks inside 0s are folded lines.

    CryptoError for anything else.
    """
    kind, digits = text[:2].lower(), text[2:]
    if kind == "0x" and re.fullmatch(r"[0-9A-Fa-f]{2}(_?[0-9A-Fa-f]{2})*", digits):
        return bytes.fromhex(digits.replace("_", ""))
    if kind == "0s" and digits:
        try:
            return base64.b64decode(re.sub(r"\s", "", digits), validate=True)
        except binascii.Error:
            raise CryptoError("not base64 behind 0s") from None
    raise CryptoError("a key starts with 0s (base64) or 0x (hexadecimal)")


def keyid(data: bytes) -> str:
    """The key ID of RFC 3110 octets: the first nine base64 characters."""
    return base64.b64encode(data).decode()[:KEYID_CHARACTERS]


def load_private(data: bytes, passphrase: str = "") -> PrivateKey:
    """A private key from a PEM or DER file's content (PKCS#1, PKCS#8, SEC 1); RSA, ECDSA, Ed25519 or Ed448.

    CryptoError when it is none, its passphrase is missing or wrong, or its RSA numbers do not belong together.
    """
    word = passphrase.encode() if passphrase else None
    load = load_pem_private_key if b"-----BEGIN" in data else load_der_private_key
    try:
        key = load(data, word)
    except TypeError:
        reason = "a passphrase is needed" if not passphrase else "the key is not encrypted, but a passphrase is given"
        raise CryptoError(f"private key not loaded: {reason}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise CryptoError(
            "private key not loaded: wrong passphrase or damaged file"
            if passphrase
            else "private key not loaded: neither PEM nor DER of an RSA, ECDSA, Ed25519 or Ed448 key"
        ) from None
    return check_private(key)


def check_private(key: object) -> PrivateKey:
    """A key that can be used; CryptoError when it is of another kind or its RSA numbers do not belong together."""
    if isinstance(key, rsa.RSAPrivateKey):
        RsaFields.of(key).check()
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey | EdPrivateKey):
        return key
    raise CryptoError("private key not loaded: only RSA, ECDSA, Ed25519 and Ed448 keys are used")


def generate(bits: int, exponent: int = 3) -> RsaFields:
    """A new key from the operating system's entropy; `exponent` is 3 (the classic one) or 65537."""
    if not MIN_BITS <= bits <= MAX_BITS:
        raise CryptoError(f"RSA keys have {MIN_BITS} to {MAX_BITS} bits, not {bits}")
    return RsaFields.of(rsa.generate_private_key(exponent, bits))


def _octets(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8 or 1, "big")


def _hex(number: int) -> str:
    return _octets(number).hex()
