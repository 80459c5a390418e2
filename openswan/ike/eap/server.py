# SPDX-License-Identifier: GPL-2.0-or-later
"""The authenticator: asks who is there, agrees on a method, runs it, and says how it ended (RFC 3748).

```
server                                              client
Request/Identity                            -->
                                            <--     Response/Identity
Request/method                              -->
                                            <--     Response/Nak(what it would like), or
                                            <--     Response/method ...
Success or Failure                          -->
```
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from openswan.base.errors import IpsecError
from openswan.ike.eap.method import MOST_ROUNDS, EapError, ServerMethod
from openswan.wire.v2.eap import Eap, EapCode, EapType

Maker = Callable[[str], ServerMethod]
"""Makes the method for a client of that EAP identity; IpsecError when we cannot run it."""
MOST_IDENTITY = 256


class EapServer:
    """One conversation. `methods` in the order we like them."""

    def __init__(self, methods: Mapping[EapType, Maker], first: int) -> None:
        """`first`: the identifier of the first request, 0 to 255."""
        self._methods = dict(methods)
        self._identifier = first & 0xFF
        self._asked = EapType.NONE
        self._method: ServerMethod | None = None
        self._rounds = 0
        self._agreed = False
        self._over = False
        self.identity = ""
        """What the client calls itself, unproved."""
        self.failure = ""
        """Why the last packet was a failure."""

    @property
    def msk(self) -> bytes:
        """The shared key; empty until the method has ended well."""
        return self._method.msk if self._method is not None and self._method.done else b""

    @property
    def user(self) -> str:
        """Who the client has proved to be."""
        return self._method.user if self._method is not None and self._method.done else ""

    @property
    def trouble(self) -> str:
        """Why the method has failed, though the client has not let us say so."""
        return self._method.failed if self._method is not None else ""

    @property
    def kind(self) -> EapType:
        """The method that is run."""
        return self._method.kind if self._method is not None else EapType.NONE

    def begin(self) -> Eap:
        """The first request."""
        return self._request(EapType.IDENTITY, b"")

    def take(self, packet: Eap) -> Eap:
        """The client's response and what to say to it: a request, success (`msk` is there) or failure.

        EapError for a packet that is no response to the last request: it is to be taken for an attack on the protocol.
        """
        if packet.code != EapCode.RESPONSE or packet.identifier != self._identifier or self._over:
            raise EapError(f"EAP {packet.code.name} {packet.identifier} out of place")
        try:
            return self._take(packet)
        except IpsecError as why:
            return self._end(EapCode.FAILURE, str(why))

    def _take(self, packet: Eap) -> Eap:
        if self._asked == EapType.IDENTITY:
            if packet.kind != EapType.IDENTITY:
                raise EapError(f"{packet.kind} in answer to the question who is there")
            self.identity = packet.data[:MOST_IDENTITY].split(b"\0")[0].decode("utf-8", "replace")
            return self._start(next(iter(self._methods)))
        if packet.kind == EapType.NAK and not self._agreed:
            wanted = [EapType(octet) for octet in packet.data if octet in self._methods and octet != self._asked]
            if not wanted:
                named = ", ".join(str(EapType(octet)) for octet in packet.data[:8]) or "nothing"
                raise EapError(f"the client wants to prove itself by {named}, which the connection does not allow")
            self._agreed = True
            return self._start(wanted[0])
        if packet.kind != self._asked or self._method is None:
            raise EapError(f"{packet.kind} in answer to {self._asked}")
        self._agreed = True
        following = self._method.take(packet.data)
        if following is not None:
            return self._request(self._asked, following)
        if not self._method.done or not self._method.msk:
            raise EapError("the method has ended without a key")
        return self._end(EapCode.SUCCESS)

    def _start(self, kind: EapType) -> Eap:
        self._method = self._methods[kind](self.identity)
        return self._request(kind, self._method.begin())

    def _request(self, kind: EapType, data: bytes) -> Eap:
        self._rounds += 1
        if self._rounds > MOST_ROUNDS:
            raise EapError(f"no end after {MOST_ROUNDS} rounds")
        self._asked = kind
        self._identifier = (self._identifier + 1) & 0xFF
        return Eap(EapCode.REQUEST, self._identifier, kind, data)

    def _end(self, code: EapCode, why: str = "") -> Eap:
        """Success and failure bear the identifier of the response they follow (RFC 3748 4.2)."""
        self._over = True
        self.failure = why
        if why and self._method is not None:
            self._method.done = False
        return Eap(code, self._identifier)
