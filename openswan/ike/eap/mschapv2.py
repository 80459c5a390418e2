# SPDX-License-Identifier: GPL-2.0-or-later
"""EAP-MSCHAPv2, both sides: a password proves the client to the server and the server to the client (RFC 2759).

```
server                                              client
Challenge(16 octets, name)                  -->
                                            <--     Response(16 octets, NT-Response, user)
Success("S=..." proves the server)          -->
                                            <--     Success
```
A wrong password is answered by Failure, and that by Failure. There is no second try and no changing of passwords.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from openswan.base.entropy import Rng
from openswan.base.errors import WireError
from openswan.base.numbers import OpenIntEnum
from openswan.crypto import mschap
from openswan.ike.eap.method import EapError, PeerMethod, ServerMethod
from openswan.wire.cursor import Reader, Writer
from openswan.wire.v2.eap import EapType

HEADER = 4
RESPONSE_VALUE = 49
"""Peer's challenge, 8 reserved octets, NT-Response, flags."""
MOST_NAME = 256
PROOF = 42
"""Characters of `S=` and its digits."""
WRONG = "E=691 R=0"
"""Authentication failure, no retry (RFC 2759 6)."""


class Op(OpenIntEnum):
    """Kinds of packet."""

    CHALLENGE = 1
    RESPONSE = 2
    SUCCESS = 3
    FAILURE = 4


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet: what is behind the EAP type."""

    op: Op
    number: int = 0
    """MS-CHAPv2-ID: a response bears its challenge's."""
    value: bytes = b""
    """Of challenge and response."""
    text: str = ""
    """A name, or the message of success and failure."""

    @classmethod
    def parse(cls, data: bytes, bare: bool = False) -> Packet:
        """Read one; `bare`: of success and failure only the kind, as a client says it. WireError for anything else."""
        reader = Reader(data)
        op = Op(reader.u8())
        if bare and op in (Op.SUCCESS, Op.FAILURE):
            return cls(op)
        number, length = reader.u8(), reader.u16()
        if length != len(data):
            raise WireError(f"MSCHAPv2 packet says {length} octets and has {len(data)}")
        value = reader.octets(reader.u8()) if op in (Op.CHALLENGE, Op.RESPONSE) else b""
        rest = reader.rest()
        if op in (Op.CHALLENGE, Op.RESPONSE) and len(rest) > MOST_NAME:
            raise WireError(f"MSCHAPv2 name of {len(rest)} octets")
        return cls(op, number, value, rest.decode("utf-8", "replace"))

    def emit(self) -> bytes:
        """The octets."""
        sized = bytes([len(self.value)]) + self.value if self.op in (Op.CHALLENGE, Op.RESPONSE) else b""
        body = sized + self.text.encode()
        return Writer().u8(self.op).u8(self.number).u16(HEADER + len(body)).octets(body).done()


class MschapServer(ServerMethod):
    """Asks for a password; `passwords` gives that of a user, None when there is no such user."""

    kind: ClassVar[EapType] = EapType.MSCHAPV2

    def __init__(self, name: str, passwords: Callable[[str], str | None], rng: Rng, expected: str = "") -> None:
        self._name, self._passwords, self._expected = name, passwords, expected
        self._challenge = rng.octets(mschap.CHALLENGE_OCTETS)
        self._number = rng.octets(1)[0]
        self._decoy = rng.octets(16)
        self._key = b""

    def begin(self) -> bytes:
        """The challenge."""
        return Packet(Op.CHALLENGE, self._number, self._challenge, self._name).emit()

    def take(self, data: bytes) -> bytes | None:
        """A response, or what the client says to success or failure."""
        try:
            packet = Packet.parse(data, bare=bool(self._key or self.failed))
        except WireError as why:
            raise EapError(str(why)) from None
        if self.failed:
            raise EapError(self.failed)
        if self._key:
            if packet.op != Op.SUCCESS:
                raise EapError("the client does not accept our proof of the password")
            self.msk, self.done = self._key, True
            return None
        return self._judge(packet)

    def _judge(self, packet: Packet) -> bytes:
        if packet.op != Op.RESPONSE or packet.number != self._number or len(packet.value) != RESPONSE_VALUE:
            raise EapError("the client does not answer the challenge")
        user = packet.text
        theirs, response = packet.value[:16], packet.value[24:48]
        password = self._passwords(user)
        # An unknown user costs as much as a wrong password, and says no more.
        hashed = mschap.password_hash(password) if password is not None else self._decoy
        wanted = mschap.nt_response(self._challenge, theirs, user, hashed)
        good = hmac.compare_digest(wanted, response) and password is not None
        if good and self._expected and not same_user(user, self._expected):
            good, user = False, f"{user}' in place of '{self._expected}"
        if not good:
            self.failed = f"wrong password of '{user}', or no such user"
            text = f"{WRONG} C={self._challenge.hex().upper()} V=3 M=Authentication failed"
            return Packet(Op.FAILURE, self._number, text=text).emit()
        self.user = user
        self._key = mschap.msk(hashed, response)
        proof = mschap.authenticator_response(hashed, response, self._challenge, theirs, user)
        return Packet(Op.SUCCESS, self._number, text=f"{proof} M=Welcome").emit()


class MschapPeer(PeerMethod):
    """Answers as `user`, and believes nobody who does not know the password too."""

    kind: ClassVar[EapType] = EapType.MSCHAPV2

    def __init__(self, user: str, password: str, rng: Rng) -> None:
        self._user, self._hash = user, mschap.password_hash(password)
        self._mine = rng.octets(mschap.CHALLENGE_OCTETS)
        self._wanted = ""
        self._key = b""

    def take(self, data: bytes) -> bytes:
        """A challenge, success or failure."""
        try:
            packet = Packet.parse(data)
        except WireError as why:
            raise EapError(str(why)) from None
        if packet.op == Op.CHALLENGE and not self._key:
            return self._respond(packet)
        if packet.op == Op.SUCCESS and self._wanted and not self.done:
            if not mschap.same_authenticator(packet.text[:PROOF], self._wanted):
                raise EapError("the server does not know our password: it is not the one we want")
            self.msk, self.done = self._key, True
            return bytes([Op.SUCCESS])
        if packet.op == Op.FAILURE and self._wanted and not self.done:
            self.failure = f"the server refuses our user name or password: {packet.text[:120]!r}"
            self._wanted = ""
            return bytes([Op.FAILURE])
        raise EapError(f"MSCHAPv2 {packet.op} out of place")

    def _respond(self, packet: Packet) -> bytes:
        if len(packet.value) != mschap.CHALLENGE_OCTETS:
            raise EapError(f"MSCHAPv2 challenge of {len(packet.value)} octets")
        challenge = packet.value
        response = mschap.nt_response(challenge, self._mine, self._user, self._hash)
        self._wanted = mschap.authenticator_response(self._hash, response, challenge, self._mine, self._user)
        self._key = mschap.msk(self._hash, response)
        value = self._mine + bytes(8) + response + b"\0"
        return Packet(Op.RESPONSE, packet.number, value, self._user).emit()


def same_user(one: str, other: str) -> bool:
    """Is it the same user name, a `DOMAIN\\` in front of either aside?"""
    return one.rpartition("\\")[2] == other.rpartition("\\")[2]
