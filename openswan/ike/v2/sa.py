# SPDX-License-Identifier: GPL-2.0-or-later
"""One IKEv2 SA, initiator or responder: bytes, requests and the clock in, effects out (RFC 7296).

Interface first; the machinery behind it follows.
"""

from __future__ import annotations

from collections.abc import Sequence

from openswan.base.address import Endpoint
from openswan.base.entropy import Rng
from openswan.base.interval import Instant
from openswan.ike.effects import Effect
from openswan.ike.events import CreateChild, Request
from openswan.ike.policy import IkePolicy, Responder


class IkeSaV2:
    """An IKE SA. Every method that takes `now` returns the effects to carry out, in order; none raises on bad input.

    Read-only views: `spi_i`, `spi_r` (8 octets each; what find it), `is_initiator` (original role), `my_spi`,
    `peer_spi`, `state` (states.State), `policy`, `peer_id`, `chosen` (ChosenIke), `local`, `remote` (Endpoint),
    `children` (dict: inbound SPI -> Child), `nat_here`, `nat_there`, `encapsulate`, `last_heard` (Instant of the last
    authenticated message), `established`, `counters` (Drop reasons), `busy` (a request is unanswered or waiting).
    """

    @classmethod
    def initiator(
        cls, policy: IkePolicy, local: Endpoint, remote: Endpoint, responder: Responder, rng: Rng, now: Instant
    ) -> IkeSaV2:
        """A machine that will open an IKE SA; `initiate` makes it begin."""
        raise NotImplementedError

    @classmethod
    def responder(cls, local: Endpoint, remote: Endpoint, responder: Responder, rng: Rng, now: Instant) -> IkeSaV2:
        """A machine for a fresh IKE_SA_INIT request, which is to be given to `receive` next."""
        raise NotImplementedError

    def initiate(self, children: Sequence[CreateChild], now: Instant) -> list[Effect]:
        """Send IKE_SA_INIT; the first child goes into IKE_AUTH, the others follow in CREATE_CHILD_SA exchanges."""
        raise NotImplementedError

    def receive(self, data: bytes, local: Endpoint, remote: Endpoint, now: Instant) -> list[Effect]:
        """Take a datagram whose SPIs are this SA's (no non-ESP marker). Never raises; what is bad is counted."""
        raise NotImplementedError

    def timer(self, now: Instant) -> list[Effect]:
        """Do what is due: retransmissions, retries, giving up."""
        raise NotImplementedError

    def next_timer(self) -> Instant | None:
        """When `timer` wants to be called; None: never as things stand."""
        raise NotImplementedError

    def request(self, request: Request, now: Instant) -> list[Effect]:
        """Queue a request (openswan.ike.events); it is sent when the window has room."""
        raise NotImplementedError

    def abandon(self, now: Instant) -> list[Effect]:
        """End without a word to the peer: children gone, IkeGone, Forget; keys are wiped."""
        raise NotImplementedError
