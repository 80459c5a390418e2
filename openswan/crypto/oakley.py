# SPDX-License-Identifier: GPL-2.0-or-later
"""IKEv1's key hierarchy, IVs and hashes (RFC 2409 5 and appendix B); RFC 2409's own names.

Everything is made of the negotiated hash and of a PRF: the negotiated one, or the HMAC of that hash (RFC 2409 4).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from openswan.crypto.secret import Secret

PrfFunction = Callable[[bytes | bytearray, bytes], bytes]
"""prf(key, data); crypto.prf.Prf is one."""


class Oakley:
    """The hash of a phase 1 and its PRF. `hash_name` is hashlib's, as crypto.registry has it."""

    __slots__ = ("hash_name", "octets", "prf")

    def __init__(self, hash_name: str, prf: PrfFunction | None = None) -> None:
        self.hash_name = hash_name
        self.octets = hashlib.new(hash_name).digest_size
        """Octets of the hash."""
        self.prf = prf or self._hmac

    def hash(self, data: bytes) -> bytes:
        """HASH(data)."""
        return hashlib.new(self.hash_name, data).digest()

    def _hmac(self, key: bytes | bytearray, data: bytes) -> bytes:
        return hmac.digest(key, data, self.hash_name)


@dataclass(frozen=True, slots=True)
class Public:
    """What both ends of a phase 1 have seen: the cookies and the public values."""

    cookie_i: bytes
    cookie_r: bytes
    gxi: bytes
    gxr: bytes


@dataclass(frozen=True, slots=True)
class Skeyid:
    """The secrets of an ISAKMP SA: `id` is SKEYID itself."""

    id: Secret
    d: Secret
    """Keys of other SAs come from it."""
    a: Secret
    """Authenticates messages."""
    e: Secret
    """Encrypts them, see cipher_key()."""

    def wipe(self) -> None:
        """Overwrite all four."""
        for secret in (self.id, self.d, self.a, self.e):
            secret.wipe()


def skeyid_psk(oakley: Oakley, secret: bytes | bytearray, ni: bytes, nr: bytes) -> bytes:
    """SKEYID for preshared keys: prf(secret, Ni_b | Nr_b)."""
    return oakley.prf(secret, ni + nr)


def skeyid_signature(oakley: Oakley, ni: bytes, nr: bytes, shared: bytes) -> bytes:
    """SKEYID for signatures: prf(Ni_b | Nr_b, g^xy)."""
    return oakley.prf(ni + nr, shared)


def skeyid_encryption(oakley: Oakley, ni: bytes, nr: bytes, cookie_i: bytes, cookie_r: bytes) -> bytes:
    """SKEYID for public key encryption: prf(hash(Ni_b | Nr_b), CKY-I | CKY-R)."""
    return oakley.prf(oakley.hash(ni + nr), cookie_i + cookie_r)


def derive(oakley: Oakley, skeyid: bytes, shared: bytes, cookie_i: bytes, cookie_r: bytes) -> Skeyid:
    """SKEYID_d, _a and _e: prf(SKEYID, [the one before |] g^xy | CKY-I | CKY-R | 0, 1 or 2) (RFC 2409 5)."""
    common = shared + cookie_i + cookie_r
    found = [b""]
    for number in range(3):
        found.append(oakley.prf(skeyid, found[-1] + common + bytes([number])))
    return Skeyid(Secret(skeyid), *map(Secret, found[1:]))


def cipher_key(oakley: Oakley, skeyid: Skeyid, octets: int) -> Secret:
    """The key of so many octets that encrypts messages: SKEYID_e cut, or stretched (RFC 2409 appendix B)."""
    key = bytes(skeyid.e.data)
    if octets > len(key):
        key = _stretched(lambda previous: oakley.prf(skeyid.e.data, previous or b"\0"), octets)
    return Secret(key[:octets])


def keymat(
    oakley: Oakley, skeyid_d: Secret, protocol: int, spi: bytes, ni: bytes, nr: bytes, octets: int, shared: bytes = b""
) -> Secret:
    """KEYMAT of one SA, one direction: prf(SKEYID_d, [g(qm)^xy |] protocol | SPI | Ni_b | Nr_b), stretched (5.5).

    `spi` is the receiver's own, `shared` the secret of a Quick Mode with PFS.
    """
    seed = shared + bytes([protocol]) + spi + ni + nr
    return Secret(_stretched(lambda previous: oakley.prf(skeyid_d.data, previous + seed), octets))


def _stretched(step: Callable[[bytes], bytes], octets: int) -> bytes:
    """K1 | K2 | ... up to `octets`, each made of the one before it, the first of nothing."""
    out, block = bytearray(), b""
    while len(out) < octets:
        block = step(block)
        out += block
    return bytes(out[:octets])


def first_iv(oakley: Oakley, public: Public, block: int) -> bytes:
    """The IV of phase 1's first encrypted message: hash(g^xi | g^xr), cut to a block (RFC 2409 appendix B)."""
    return oakley.hash(public.gxi + public.gxr)[:block]


def exchange_iv(oakley: Oakley, last_block: bytes, message_id: int, block: int) -> bytes:
    """The first IV of a Quick Mode, Informational or Transaction: hash(last block of phase 1 | M-ID), cut to `block`.

    `last_block` is the last ciphertext of phase 1; afterwards each message's IV is the last block of the one before.
    """
    return oakley.hash(last_block + message_id.to_bytes(4, "big"))[:block]


def hash_i(oakley: Oakley, skeyid: Secret, public: Public, sa: bytes, identity: bytes) -> bytes:
    """HASH_I: prf(SKEYID, g^xi | g^xr | CKY-I | CKY-R | SAi_b | IDii_b) (RFC 2409 5).

    `sa` is the body of the initiator's SA payload, `identity` that of its ID payload, both as sent.
    """
    return oakley.prf(skeyid.data, public.gxi + public.gxr + public.cookie_i + public.cookie_r + sa + identity)


def hash_r(oakley: Oakley, skeyid: Secret, public: Public, sa: bytes, identity: bytes) -> bytes:
    """HASH_R: prf(SKEYID, g^xr | g^xi | CKY-R | CKY-I | SAi_b | IDir_b); `sa` is the initiator's here too."""
    return oakley.prf(skeyid.data, public.gxr + public.gxi + public.cookie_r + public.cookie_i + sa + identity)


def hash_1(oakley: Oakley, skeyid_a: Secret, message_id: int, rest: bytes) -> bytes:
    """HASH(1) of Quick Mode, Informational and Transaction: prf(SKEYID_a, M-ID | all behind the hash) (5.5, 5.7).

    `rest` are whole payloads with their headers, without padding: Content.hashed() of openswan.wire.v1.message.
    """
    return oakley.prf(skeyid_a.data, message_id.to_bytes(4, "big") + rest)


def hash_2(oakley: Oakley, skeyid_a: Secret, message_id: int, ni: bytes, rest: bytes) -> bytes:
    """HASH(2), of Quick Mode's responder: prf(SKEYID_a, M-ID | Ni_b | all behind the hash)."""
    return hash_1(oakley, skeyid_a, message_id, ni + rest)


def hash_3(oakley: Oakley, skeyid_a: Secret, message_id: int, ni: bytes, nr: bytes) -> bytes:
    """HASH(3), the initiator's last word: prf(SKEYID_a, 0 | M-ID | Ni_b | Nr_b)."""
    return oakley.prf(skeyid_a.data, b"\0" + message_id.to_bytes(4, "big") + ni + nr)


def nat_hash(oakley: Oakley, cookie_i: bytes, cookie_r: bytes, address: bytes, port: int) -> bytes:
    """What a NAT-D payload holds: HASH(CKY-I | CKY-R | address | port) (RFC 3947 3.2)."""
    return oakley.hash(cookie_i + cookie_r + address + port.to_bytes(2, "big"))
