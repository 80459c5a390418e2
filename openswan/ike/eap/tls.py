# SPDX-License-Identifier: GPL-2.0-or-later
"""EAP-TLS, both sides: flights of a TLS handshake in fragments (RFC 5216, RFC 9190).

```
server                                              client
Start                                       -->
                                            <--     ClientHello
ServerHello ... CertificateRequest ...      -->     (in fragments; an empty packet asks for the next)
                                            <--     Certificate ... Finished
Finished (TLS 1.2), or one octet (1.3)      -->
                                            <--     (empty)

+---------------+-----------------------------------------------+---------------
|L|M|S|  flags  |   TLS message length (4 octets, if L is set)  |  TLS data
+---------------+-----------------------------------------------+---------------
```
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol

from openswan.base.errors import CryptoError, IkeError
from openswan.crypto.tls import TlsError
from openswan.ike.eap.method import EapError, PeerMethod, ServerMethod
from openswan.wire.v2.eap import EapType

LENGTH, MORE, START = 0x80, 0x40, 0x20
FRAGMENT = 1000
"""Octets of TLS data in one packet, so that the IKE message around it needs no fragments."""
MOST_FLIGHT = 1 << 16
"""Octets of one flight: more is no handshake (RFC 5216 2.1.5 lets us choose)."""
MSK_OCTETS = 64


class Tls(Protocol):
    """What crypto.tls.TlsEnd is to this method."""

    done: bool

    @property
    def commits(self) -> bool: ...  # noqa: D102
    def feed(self, data: bytes) -> bytes: ...  # noqa: D102
    def commit(self) -> bytes: ...  # noqa: D102
    def committed(self) -> bool: ...  # noqa: D102
    def keys(self) -> bytes: ...  # noqa: D102
    def peer_certificates(self) -> tuple[bytes, ...]: ...  # noqa: D102


Judge = Callable[[tuple[bytes, ...]], str]
"""Takes the peer's certificates and gives who that is; IkeError or CryptoError when they do not do."""


class Flights:
    """Cutting our flights into packets, and putting the peer's together."""

    def __init__(self) -> None:
        self._incoming = b""
        self._promised = 0
        self._outgoing = b""
        self._fresh = False

    def load(self, flight: bytes) -> None:
        """Something to be sent."""
        self._outgoing, self._fresh = flight, True

    @property
    def waiting(self) -> bool:
        """Is more of our flight to be sent?"""
        return bool(self._outgoing)

    def packet(self) -> bytes:
        """The next packet of our flight; an empty one when there is nothing."""
        whole = len(self._outgoing)
        part, self._outgoing = self._outgoing[:FRAGMENT], self._outgoing[FRAGMENT:]
        flags = MORE if self._outgoing else 0
        if self._fresh and self._outgoing:
            flags |= LENGTH
        self._fresh = False
        return bytes([flags]) + (whole.to_bytes(4, "big") if flags & LENGTH else b"") + part

    def take(self, data: bytes) -> bytes | None:
        """One packet; the whole flight once it is there, None before. EapError for what is none."""
        if not data:
            raise EapError("EAP-TLS packet without flags")
        flags, body = data[0], data[1:]
        if flags & LENGTH:
            if len(body) < 4:
                raise EapError("EAP-TLS packet cut short in its length")
            promised, body = int.from_bytes(body[:4], "big"), body[4:]
            if self._incoming and promised != self._promised:
                raise EapError("EAP-TLS fragments of different messages")
            self._promised = promised
        if self.waiting and body:
            raise EapError("EAP-TLS data before ours has been taken")
        self._incoming += body
        most = self._promised or MOST_FLIGHT
        if len(self._incoming) > most or most > MOST_FLIGHT:
            raise EapError(f"EAP-TLS message of more than {min(most, MOST_FLIGHT)} octets")
        if flags & MORE:
            if not body:
                raise EapError("EAP-TLS fragment with nothing in it")
            return None
        flight, self._incoming, promised, self._promised = self._incoming, b"", self._promised, 0
        if promised and len(flight) != promised:
            raise EapError(f"EAP-TLS message of {len(flight)} octets that said {promised}")
        return flight


class TlsServer(ServerMethod):
    """Asks for a certificate; `judge` says whose it is."""

    kind: ClassVar[EapType] = EapType.TLS

    def __init__(self, tls: Tls, judge: Judge) -> None:
        self._tls, self._judge = tls, judge
        self._flights = Flights()
        self._finished = False

    def begin(self) -> bytes:
        """The start."""
        return bytes([START])

    def take(self, data: bytes) -> bytes | None:
        """A fragment, an acknowledgement, or the last word."""
        flight = self._flights.take(data)
        if flight is None:
            return bytes([0])
        if self._flights.waiting:
            return self._flights.packet()
        if self.failed:
            raise EapError(self.failed)
        if self._finished:
            if flight:
                raise EapError("TLS data after the end of the handshake")
            self.msk, self.done = self._tls.keys()[:MSK_OCTETS], True
            return None
        if not flight:
            raise EapError("the client sends nothing where TLS waits for it")
        self._advance(flight)
        return self._flights.packet()

    def _advance(self, flight: bytes) -> None:
        """Let TLS work, and note what is to be sent."""
        try:
            answer = self._tls.feed(flight)
            if self._tls.done:
                self.user = self._judge(self._tls.peer_certificates())
                answer += self._tls.commit() if self._tls.commits else b""
                self._finished = True
        except TlsError as why:
            # The client learns what is wrong by the alert, and only then by EAP-Failure (RFC 5216 2.1.3).
            if not why.alert:
                raise EapError(str(why)) from None
            self.failed, answer = str(why), why.alert
        except (CryptoError, IkeError) as why:
            raise EapError(str(why)) from None
        self._flights.load(answer)


class TlsPeer(PeerMethod):
    """Shows our certificate and demands the server's; `judge` says whether it is the right one."""

    kind: ClassVar[EapType] = EapType.TLS

    def __init__(self, tls: Tls, judge: Judge) -> None:
        self._tls, self._judge = tls, judge
        self._flights = Flights()
        self._started = False
        self._judged = False

    def take(self, data: bytes) -> bytes:
        """The start, a fragment, or an acknowledgement."""
        if not self._started:
            if not data or not data[0] & START or len(data) > 1:
                raise EapError("EAP-TLS that does not begin with its start")
            self._started = True
            self._flights.load(self._feed(b""))
            return self._flights.packet()
        flight = self._flights.take(data)
        if flight is None:
            return bytes([0])
        if self._flights.waiting:
            return self._flights.packet()
        if not flight or self.done or self.failure:
            raise EapError("EAP-TLS request with nothing in it")
        self._flights.load(self._feed(flight))
        return self._flights.packet()

    def _feed(self, flight: bytes) -> bytes:
        try:
            answer = self._tls.feed(flight)
            if self._tls.done and not self._judged:
                self._judge(self._tls.peer_certificates())
                self._judged = True
            if self._judged and (not self._tls.commits or self._tls.committed()):
                self.msk, self.done = self._tls.keys()[:MSK_OCTETS], True
        except TlsError as why:
            # Our alert, or nothing in answer to the server's: EAP-Failure follows (RFC 5216 2.1.3).
            self.failure = str(why)
            return why.alert
        except (CryptoError, IkeError) as why:
            raise EapError(str(why)) from None
        return answer
