# SPDX-License-Identifier: GPL-2.0-or-later
"""MS-CHAP-V2: responses (RFC 2759 8) and the keys made of them (RFC 3079 3), for EAP-MSCHAPv2 alone.

MD4, single DES and SHA-1 are what the method is made of. Whoever overhears it can find the
password; so IKE runs it only inside an IKE SA whose responder has proved itself by other means.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from openswan.crypto.md4 import md4

CHALLENGE_OCTETS = 16
RESPONSE_OCTETS = 24
MSK_OCTETS = 64
"""RFC 5247: what EAP methods hand to whoever runs them."""
TO_CLIENT = b"Magic server to client signing constant"
ONCE_MORE = b"Pad to make it do more than one iteration"
MASTER = b"This is the MPPE Master Key"
CLIENT_SENDS = b"On the client side, this is the send key; on the server side, it is the receive key."
CLIENT_RECEIVES = b"On the client side, this is the receive key; on the server side, it is the send key."


def password_hash(password: str) -> bytes:
    """MD4 of the password in UTF-16, little-endian: 16 octets that are as good as the password."""
    return md4(password.encode("utf-16-le"))


def challenge_hash(peer_challenge: bytes, challenge: bytes, user: str) -> bytes:
    """The 8 octets that are encrypted; of `DOMAIN\\user` only the user counts (RFC 2759 4, 8.2)."""
    name = user.rpartition("\\")[2].encode()
    return _sha1(peer_challenge + challenge + name)[:8]


def nt_response(challenge: bytes, peer_challenge: bytes, user: str, hashed: bytes) -> bytes:
    """The client's 24 octets, given password_hash()."""
    clear = challenge_hash(peer_challenge, challenge, user)
    padded = hashed + bytes(5)
    return b"".join(_des(padded[at : at + 7], clear) for at in (0, 7, 14))


def authenticator_response(hashed: bytes, response: bytes, challenge: bytes, peer_challenge: bytes, user: str) -> str:
    """What the server proves itself by: `S=` and 40 hexadecimal digits, in capitals."""
    digest = _sha1(md4(hashed) + response + TO_CLIENT)
    digest = _sha1(digest + challenge_hash(peer_challenge, challenge, user) + ONCE_MORE)
    return f"S={digest.hex().upper()}"


def same_authenticator(got: str, wanted: str) -> bool:
    """Compare two authenticator responses in constant time; case does not count."""
    return hmac.compare_digest(got.upper().encode(), wanted.upper().encode())


def msk(hashed: bytes, response: bytes) -> bytes:
    """The Master Session Key: the server's receive key, its send key, and zeros (draft-kamath-pppext-eap-mschapv2 3).

    Client and server make the same one.
    """
    master = _sha1(md4(hashed) + response + MASTER)[:16]
    receive, send = (_start_key(master, magic) for magic in (CLIENT_RECEIVES, CLIENT_SENDS))
    return (send + receive).ljust(MSK_OCTETS, b"\0")


def _start_key(master: bytes, magic: bytes) -> bytes:
    """GetAsymmetricStartKey with 128-bit keys (RFC 3079 3.4)."""
    return _sha1(master + bytes(40) + magic + b"\xf2" * 40)[:16]


def _des(key: bytes, block: bytes) -> bytes:
    """Single DES: triple DES with one key, which 7 octets become when each takes 7 of their bits (RFC 2759 8.6)."""
    bits = int.from_bytes(key, "big")
    octets = bytes((bits >> shift & 0x7F) << 1 for shift in range(49, -1, -7))
    encryptor = Cipher(TripleDES(octets * 3), modes.ECB()).encryptor()
    return encryptor.update(block) + encryptor.finalize()


def _sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()
