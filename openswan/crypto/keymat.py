# SPDX-License-Identifier: GPL-2.0-or-later
"""IKEv2's key hierarchy: SKEYSEED, SK_*, KEYMAT of child SAs, and what AUTH covers (RFC 7296 2.13 to 2.18)."""

from __future__ import annotations

from dataclasses import dataclass

from openswan.crypto import registry
from openswan.crypto.prf import Prf
from openswan.crypto.registry import Kind
from openswan.crypto.secret import Secret

KEY_PAD = b"Key Pad for IKEv2"
"""What a shared secret is stretched with (RFC 7296 2.15)."""


@dataclass(frozen=True, slots=True)
class IkeKeys:
    """The seven secrets of an IKE SA; `ai` and `ar` are empty with an AEAD, whose salt ends `ei` and `er`."""

    d: Secret
    ai: Secret
    ar: Secret
    ei: Secret
    er: Secret
    pi: Secret
    pr: Secret

    def wipe(self) -> None:
        """Overwrite all seven."""
        for secret in (self.d, self.ai, self.ar, self.ei, self.er, self.pi, self.pr):
            secret.wipe()


@dataclass(frozen=True, slots=True)
class ChildKeys:
    """Keys of a pair of child SAs: `_i` protects what the exchange's initiator sends, `_r` the other way."""

    encr_i: Secret
    integ_i: Secret
    encr_r: Secret
    integ_r: Secret

    def wipe(self) -> None:
        """Overwrite all four."""
        for secret in (self.encr_i, self.integ_i, self.encr_r, self.integ_r):
            secret.wipe()


def skeyseed(prf: Prf, ni: bytes, nr: bytes, shared: bytes) -> bytes:
    """SKEYSEED of a first exchange: prf(Ni | Nr, g^ir) (RFC 7296 2.14)."""
    return prf(ni + nr, shared)


def skeyseed_rekey(prf_old: Prf, sk_d_old: Secret, ni: bytes, nr: bytes, shared: bytes, more: bytes = b"") -> bytes:
    """SKEYSEED of a rekeyed IKE SA: prf(SK_d (old), g^ir (new) | Ni | Nr), with the old SA's PRF (RFC 7296 2.18).

    `more`: the secrets of additional key exchanges, which stand behind the nonces (RFC 9370 2.2.4).
    """
    return prf_old(sk_d_old.data, shared + ni + nr + more)


def ike_keys(
    prf: Prf,
    seed: bytes,
    ni: bytes,
    nr: bytes,
    spi_i: bytes,
    spi_r: bytes,
    encr: str,
    key_bits: int = 0,
    integ: str = "",
) -> IkeKeys:
    """SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr = prf+(SKEYSEED, Ni | Nr | SPIi | SPIr) (RFC 7296 2.14).

    `encr` and `integ` are names of the registry, `integ` empty with an AEAD; CryptoError when one is unknown or has no
    such key size.
    """
    integ_octets = registry.get(Kind.INTEG, integ).keymat_octets() if integ else 0
    encr_octets = registry.get(Kind.ENCR, encr).keymat_octets(key_bits)
    d, ai, ar, ei, er, pi, pr = _cut(
        prf.plus(seed, ni + nr + spi_i + spi_r, 3 * prf.octets + 2 * integ_octets + 2 * encr_octets),
        (prf.octets, integ_octets, integ_octets, encr_octets, encr_octets, prf.octets, prf.octets),
    )
    return IkeKeys(d, ai, ar, ei, er, pi, pr)


def keymat(prf: Prf, sk_d: Secret, ni: bytes, nr: bytes, count: int, shared: bytes = b"", more: bytes = b"") -> bytes:
    """KEYMAT of a child SA: prf+(SK_d, [g^ir (new) |] Ni | Nr [| more]), `count` octets (RFC 7296 2.17, RFC 9370)."""
    return prf.plus(sk_d.data, shared + ni + nr + more, count)


def child_keys(
    prf: Prf,
    sk_d: Secret,
    ni: bytes,
    nr: bytes,
    encr: str,
    key_bits: int = 0,
    integ: str = "",
    shared: bytes = b"",
    more: bytes = b"",
) -> ChildKeys:
    """KEYMAT cut up: initiator's keys first, encryption before integrity (RFC 7296 2.17); CryptoError as ike_keys().

    `encr` is empty for AH.
    """
    integ_octets = registry.get(Kind.INTEG, integ).keymat_octets() if integ else 0
    encr_octets = registry.get(Kind.ENCR, encr).keymat_octets(key_bits) if encr else 0
    material = keymat(prf, sk_d, ni, nr, 2 * (encr_octets + integ_octets), shared, more)
    encr_i, integ_i, encr_r, integ_r = _cut(material, (encr_octets, integ_octets, encr_octets, integ_octets))
    return ChildKeys(encr_i, integ_i, encr_r, integ_r)


def signed_octets(prf: Prf, message: bytes, nonce: bytes, sk_p: Secret, identity: bytes) -> bytes:
    """What AUTH of the sender of `message` covers: RealMessage | other side's nonce | prf(SK_p, RestOfId).

    `message` is the sender's first message as sent, `identity` the body of its ID payload (RFC 7296 2.15).
    """
    return message + nonce + prf(sk_p.data, identity)


def psk_auth(prf: Prf, shared_secret: bytes | bytearray, octets: bytes) -> bytes:
    """AUTH by shared key: prf(prf(secret, "Key Pad for IKEv2"), octets) (RFC 7296 2.15); compare in constant time.

    With null authentication (RFC 7619) the secret is SK_pi or SK_pr.
    """
    return prf(prf(shared_secret, KEY_PAD), octets)


def with_ppk(prf: Prf, ppk: bytes, keys: IkeKeys) -> dict[str, Secret]:
    """`d`, `pi` and `pr` with a postquantum preshared key: prf+(PPK, old), as long as the PRF's output (RFC 8784 3)."""
    old = {"d": keys.d, "pi": keys.pi, "pr": keys.pr}
    return {name: Secret(prf.plus(ppk, bytes(secret.data), prf.octets)) for name, secret in old.items()}


def _cut(material: bytes, sizes: tuple[int, ...]) -> list[Secret]:
    parts: list[Secret] = []
    at = 0
    for size in sizes:
        parts.append(Secret(material[at : at + size]))
        at += size
    return parts
