# SPDX-License-Identifier: GPL-2.0-or-later
"""The peer: says who it is, agrees to a method it is told to use, believes nothing before that has ended (RFC 3748)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from openswan.ike.eap.method import MOST_ROUNDS, EapError, PeerMethod
from openswan.wire.v2.eap import Eap, EapCode, EapType

Maker = Callable[[], PeerMethod]
"""Makes a method; IpsecError when we cannot run it."""


class EapPeer:
    """One conversation. `methods` in the order we like them."""

    def __init__(self, methods: Mapping[EapType, Maker], identity: str) -> None:
        self._methods = dict(methods)
        self._identity = identity
        self._method: PeerMethod | None = None
        self._rounds = 0
        self._over = False

    @property
    def msk(self) -> bytes:
        """The shared key; empty until the server has said success in its place."""
        return self._method.msk if self._method is not None and self._over else b""

    @property
    def kind(self) -> EapType:
        """The method that is run."""
        return self._method.kind if self._method is not None else EapType.NONE

    def take(self, packet: Eap) -> Eap | None:
        """The response to a request; None after success, when `msk` is there.

        EapError when the server refuses us, is not the one we want, or breaks the protocol. A success before the method
        has ended is no success: anybody could have said it.
        """
        if self._over:
            raise EapError(f"EAP {packet.code.name} after the end")
        if packet.code == EapCode.SUCCESS:
            if self._method is None or not self._method.done or not self._method.msk:
                raise EapError("EAP success before the method has ended")
            self._over = True
            return None
        if packet.code == EapCode.FAILURE:
            known = self._method.failure if self._method is not None else ""
            raise EapError(known or "the server says EAP failure: it does not accept our name, password or certificate")
        if packet.code != EapCode.REQUEST:
            raise EapError(f"EAP {packet.code.name} from the server")
        self._rounds += 1
        if self._rounds > MOST_ROUNDS:
            raise EapError(f"no end after {MOST_ROUNDS} rounds")
        return self._answer(packet)

    def _answer(self, packet: Eap) -> Eap:
        kind, data = packet.kind, packet.data
        if kind == EapType.NOTIFICATION:
            return Eap(EapCode.RESPONSE, packet.identifier, kind)
        if self._method is None and kind == EapType.IDENTITY:
            return Eap(EapCode.RESPONSE, packet.identifier, kind, self._identity.encode())
        if self._method is None and kind in self._methods:
            self._method = self._methods[kind]()
        if self._method is None:
            return Eap(EapCode.RESPONSE, packet.identifier, EapType.NAK, bytes(self._methods))
        if kind != self._method.kind:
            raise EapError(f"the server changes from {self._method.kind} to {kind}")
        return Eap(EapCode.RESPONSE, packet.identifier, kind, self._method.take(data))
