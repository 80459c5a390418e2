# SPDX-License-Identifier: GPL-2.0-or-later
"""The responder's stateless cookie (RFC 7296 2.6), for whoever meets IKE_SA_INIT requests before any SA exists.

Cookie = version of secret (1 octet) | HMAC-SHA-256(secret, SPIi | address | port | Ni). The last secret stays good for
one more period, so that a cookie never fails just because the secret changed.
"""

from __future__ import annotations

import hashlib
import hmac
import struct

from openswan.base.address import Endpoint
from openswan.base.entropy import Rng
from openswan.base.interval import Duration, Instant
from openswan.wire.header import HEADER_OCTETS, NO_SPI, Flags, Header
from openswan.wire.message import Message
from openswan.wire.payload import GENERIC_OCTETS, MAX_PAYLOADS
from openswan.wire.v2.nonce import Nonce
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import ExchangeType, NotifyType, PayloadType

SECRET_OCTETS = 32
PERIOD: Duration = 60.0
"""How long a secret makes new cookies."""


class CookieJar:
    """The secrets; costs nothing per peer."""

    __slots__ = ("_fresh", "_old", "_rng", "_since", "_version")

    def __init__(self, rng: Rng, now: Instant) -> None:
        self._rng = rng
        self._fresh = rng.octets(SECRET_OCTETS)
        self._old = b""
        self._version = 0
        self._since = now

    def cookie(self, spi_i: bytes, nonce: bytes, remote: Endpoint, now: Instant) -> bytes:
        """What to ask this initiator for: 33 octets."""
        self._turn(now)
        return _cookie(self._version, self._fresh, spi_i, nonce, remote)

    def good(self, cookie: bytes, spi_i: bytes, nonce: bytes, remote: Endpoint, now: Instant) -> bool:
        """Did this initiator get that cookie from us within the last one to two periods?"""
        self._turn(now)
        fresh = hmac.compare_digest(cookie, _cookie(self._version, self._fresh, spi_i, nonce, remote))
        if not self._old:
            return fresh
        last = (self._version - 1) & 0xFF
        return fresh or hmac.compare_digest(cookie, _cookie(last, self._old, spi_i, nonce, remote))

    def proves(self, request: Message, remote: Endpoint, now: Instant) -> bool:
        """Does this IKE_SA_INIT request begin with a good cookie?"""
        nonce = request.first(Nonce)
        first = request.payloads[0] if request.payloads else None
        if nonce is None or not isinstance(first, Notify) or first.kind != NotifyType.COOKIE:
            return False
        return self.good(first.data, request.header.spi_i, nonce.data, remote, now)

    def challenge(self, request: Message, remote: Endpoint, now: Instant) -> bytes:
        """The whole answer to an IKE_SA_INIT request without a good cookie; empty when the request has no nonce."""
        nonce = request.first(Nonce)
        if nonce is None:
            return b""
        cookie = self.cookie(request.header.spi_i, nonce.data, remote, now)
        return refusal(request.header, Notify(NotifyType.COOKIE, cookie))

    def meet(self, data: bytes, remote: Endpoint, now: Instant) -> bytes | None:
        """The same two questions of the octets of a first message, at a tenth of the price: floods come in such.

        None: it begins with a good cookie; empty: it has no nonce and is worth no answer; else the whole answer.
        """
        nonce = _nonce(data)
        if not nonce:
            return b""
        spi_i, given = data[:8], _cookie_in(data)
        if given and self.good(given, spi_i, nonce, remote, now):
            return None
        return _CHALLENGE.pack(spi_i, *_CHALLENGE_FIELDS) + self.cookie(spi_i, nonce, remote, now)

    def _turn(self, now: Instant) -> None:
        if now - self._since >= PERIOD:
            self._old = self._fresh if now - self._since < 2 * PERIOD else b""
            self._fresh = self._rng.octets(SECRET_OCTETS)
            self._version = (self._version + 1) & 0xFF
            self._since = now


COOKIE_OCTETS = 1 + hashlib.sha256().digest_size
_CHALLENGE = struct.Struct("!8s8sBBBBIIBBHBBH")
"""The header of the answer and, before the cookie, its only payload (RFC 7296 3.1, 3.2, 3.10)."""
_CHALLENGE_FIELDS = (
    NO_SPI,
    int(PayloadType.NOTIFY),
    0x20,
    int(ExchangeType.IKE_SA_INIT),
    int(Flags.RESPONSE),
    0,
    _CHALLENGE.size + COOKIE_OCTETS,
    0,
    0,
    _CHALLENGE.size - HEADER_OCTETS + COOKIE_OCTETS,
    0,
    0,
    int(NotifyType.COOKIE),
)


def _nonce(data: bytes) -> bytes:
    """The nonce of a message in clear, found by its payloads' headers alone; empty when there is none of its size."""
    kind, at = data[16], HEADER_OCTETS
    for _ in range(MAX_PAYLOADS):
        if not kind or at + GENERIC_OCTETS > len(data):
            return b""
        octets = data[at + 2] << 8 | data[at + 3]
        if octets < GENERIC_OCTETS:
            return b""
        if kind == PayloadType.NONCE:
            nonce = data[at + GENERIC_OCTETS : at + octets]
            return nonce if 16 <= len(nonce) == octets - GENERIC_OCTETS <= 256 else b""
        kind, at = data[at], at + octets
    return b""


def _cookie_in(data: bytes) -> bytes:
    """The cookie a first message begins with; empty: none."""
    start, end = HEADER_OCTETS, HEADER_OCTETS + 8
    if data[16] != PayloadType.NOTIFY or len(data) < end or data[start + 5 : end] != _COOKIE_HEAD:
        return b""
    return data[end : start + (data[start + 2] << 8 | data[start + 3])]


_COOKIE_HEAD = b"\0" + int(NotifyType.COOKIE).to_bytes(2, "big")
"""SPI size and type of the notification."""


def _cookie(version: int, secret: bytes, spi_i: bytes, nonce: bytes, remote: Endpoint) -> bytes:
    parts = spi_i + remote.address.packed + remote.port.to_bytes(2, "big") + nonce
    return bytes([version]) + hmac.digest(secret, parts, hashlib.sha256)


def refusal(request: Header, *notifies: Notify) -> bytes:
    """An unprotected answer that leaves no state: same SPIs and message ID, and notifications.

    For IKE_SA_INIT (COOKIE, NO_PROPOSAL_CHOSEN, INVALID_KE_PAYLOAD ...: responder's SPI zero, RFC 7296 2.6), and for
    requests outside any SA (INVALID_IKE_SPI, INVALID_MAJOR_VERSION; RFC 7296 1.5, 2.21.4).
    """
    spi_r = NO_SPI if request.exchange == ExchangeType.IKE_SA_INIT else request.spi_r
    flags = Flags.RESPONSE | (Flags.NONE if request.from_initiator else Flags.INITIATOR)
    header = Header(request.spi_i, spi_r, request.exchange, flags, request.message_id)
    return Message(header, notifies).emit()
