# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys of an ISAKMP SA: sealing and opening its messages, the IV of each exchange (RFC 2409 5, appendix B).

IVs are chained: every message's is the last ciphertext block of the one before it in its exchange. So seal() and open()
take an IV and give the next one, and whoever has found a message authentic keeps it.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence

from openswan.base.errors import WireError
from openswan.crypto import oakley, registry
from openswan.crypto.encr import Encr
from openswan.crypto.oakley import Oakley, Public, Skeyid
from openswan.crypto.registry import Kind
from openswan.ike.machine import Watch
from openswan.ike.v1.phase1 import ChosenIsakmp
from openswan.wire.v1.auth import Hash
from openswan.wire.v1.body import Payload
from openswan.wire.v1.header import Header
from openswan.wire.v1.message import Content, Message, padded
from openswan.wire.v1.numbers import NotifyType
from openswan.wire.v1.payload import emit_chain


class IsakmpKeys:
    """What both ends of a phase 1 have derived."""

    __slots__ = ("_cipher", "last_block", "oakley", "public", "skeyid", "watch")

    def __init__(self, chosen: ChosenIsakmp, skeyid: Skeyid, public: Public, watch: Watch | None = None) -> None:
        self.watch = watch
        self.oakley = Oakley(chosen.hash_name)
        self.skeyid = skeyid
        self.public = public
        row = registry.get_ikev1(Kind.ENCR, chosen.encr.name)
        key = oakley.cipher_key(self.oakley, skeyid, row.keymat_octets(chosen.encr.key_bits))
        self._cipher = Encr(row.name, key.data)
        key.wipe()
        self.last_block = oakley.first_iv(self.oakley, public, row.block)
        """Phase 1's next IV, and once that is over what those of all other exchanges are made of."""

    def exchange_iv(self, message_id: int) -> bytes:
        """The first IV of a Quick Mode or Informational."""
        return oakley.exchange_iv(self.oakley, self.last_block, message_id, self._cipher.algorithm.block)

    def early_iv(self, message_id: int) -> bytes:
        """The same, made by who has no last block because phase 1 is not over for it."""
        return oakley.exchange_iv(self.oakley, b"", message_id, self._cipher.algorithm.block)

    def seal(self, header: Header, payloads: Sequence[Payload], iv: bytes) -> tuple[bytes, bytes]:
        """The datagram of these payloads, its header with the Encryption flag; and the next IV."""
        if self.watch is not None:
            self.watch(True, header, payloads)
        block = self._cipher.algorithm.block
        first, plaintext = padded(payloads, block)
        ciphertext = self._cipher.encrypt(iv, plaintext)
        return Message.encrypted(header, first, ciphertext).emit(), ciphertext[-block:]

    def open(self, message: Message, iv: bytes) -> tuple[Content, bytes]:
        """The payloads of an encrypted message, and the next IV.

        WireError (PAYLOAD_MALFORMED and others) when it is no whole number of blocks, or decrypts to no chain of
        payloads: the keys differ, most often.
        """
        block = self._cipher.algorithm.block
        if not message.sealed or len(message.sealed) % block:
            octets = len(message.sealed)
            raise WireError(f"{octets} octets are no ciphertext in blocks of {block}", NotifyType.PAYLOAD_MALFORMED)
        content = Content.parse(message.first, self._cipher.decrypt(iv, message.sealed))
        if self.watch is not None:
            self.watch(False, message.header, content.payloads)
        return content, message.sealed[-block:]

    def hashed(self, message_id: int, payloads: Sequence[Payload], nonce: bytes = b"") -> tuple[Payload, ...]:
        """The payloads behind HASH(1), or with the initiator's nonce HASH(2) (RFC 2409 5.5, 5.7)."""
        _, rest = emit_chain(payloads)
        digest = oakley.hash_2(self.oakley, self.skeyid.a, message_id, nonce, rest)
        return (Hash(digest), *payloads)

    def check(self, content: Content, computed: Callable[[bytes], bytes]) -> None:
        """WireError unless a message begins with the hash that is computed of the payloads behind it."""
        said, rest = content.hashed()
        if not hmac.compare_digest(said, computed(rest)):
            raise WireError("received Hash Payload does not match computed value", NotifyType.INVALID_HASH_INFORMATION)

    def hash_1(self, message_id: int, rest: bytes) -> bytes:
        """HASH(1), which every message of an Informational or a Transaction begins with."""
        return oakley.hash_1(self.oakley, self.skeyid.a, message_id, rest)

    def wipe(self) -> None:
        """Overwrite all keys."""
        self.skeyid.wipe()
        self._cipher.wipe()
