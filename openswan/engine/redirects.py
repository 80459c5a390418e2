# SPDX-License-Identifier: GPL-2.0-or-later
"""Gateways that send their clients elsewhere (RFC 5685), on both sides of it.

client:   Redirected ──► allowed, and not too often? ──► the conn's peer is another one: what hung on the old one
          ends, the guard stays, it begins anew there ──► that fails: back to the gateway of the configuration
gateway:  IKE_SA_INIT of a stranger (global-redirect=), IKE_AUTH (send-redirect=), at any time (whack --redirect-to)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from openswan.base.address import Address, Endpoint
from openswan.base.errors import WireError
from openswan.base.interval import Duration, Instant
from openswan.base.log import Rc
from openswan.engine.conn import Conn, Kind
from openswan.engine.effects import SendDatagram
from openswan.engine.statedb import IkeState
from openswan.engine.timers import Timer
from openswan.ike.effects import Redirected
from openswan.ike.events import Tell
from openswan.ike.v2.cookie import refusal
from openswan.ike.v2.tasks import redirect
from openswan.wire.message import Message
from openswan.wire.v2.nonce import Nonce
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import ExchangeType, NotifyType
from openswan.wire.v2.redirect import Redirect

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

MOST = 5
PERIOD: Duration = 300.0
"""So often a conn is redirected within so many seconds: more is a loop (RFC 5685 7)."""


class Redirects:
    """Who is sent where."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core
        self.followed: dict[str, deque[Instant]] = {}
        """When each conn has been redirected of late."""
        self.turn = 0

    # -- the client ---------------------------------------------------------------------------------------------------

    def redirected(self, ike: IkeState, effect: Redirected) -> None:
        """The peer of an IKE SA, or in its first answer somebody on the way to it, sends us elsewhere."""
        conns = [child.conn for child in ike.children.values() if not child.closing]
        conns += [*ike.attempts.values(), *([ike.conn] if ike.conn is not None else [])]
        for conn in dict.fromkeys(conns):
            why = self._refusal(conn, effect.gateway)
            if why:
                text = f"not going to {effect.gateway}, where {ike.machine.remote.address} sends us: {why}"
                self.core.say(conn, text, Rc.LOG_SERIOUS, ike.serial, event="redirect-refused")
            elif isinstance(effect.gateway, Address):
                # Not now: the machine whose effect this is may end by it. That no child comes of it is no failure.
                self._call_off(ike, conn)
                self.core.after(Timer.REDIRECT, conn.unique, 0.0, partial(self._follow, conn, effect.gateway))

    def _call_off(self, ike: IkeState, conn: Conn) -> None:
        for token, waiting in list(ike.attempts.items()):
            if waiting is conn and ike.established is not None:
                self.core.states.end(token)
                conn.negotiating = 0

    def _refusal(self, conn: Conn, gateway: Address | str) -> str:
        """Why a conn stays; empty: it goes."""
        oriented, policy = conn.oriented, conn.policy
        if not policy.accept_redirect:
            return "accept-redirect=no"
        if isinstance(gateway, str):
            return "only addresses are followed"
        if policy.accept_redirect_to and gateway not in policy.accept_redirect_to:
            return "it is not in accept-redirect-to="
        if conn.kind is not Kind.PERMANENT or oriented is None or oriented.me.version != gateway.version:
            return "it cannot be reached from here"
        if gateway == oriented.peer:
            return "we are there already"
        if gateway in self.core.plugs.addresses or gateway.is_multicast or gateway.is_unspecified:
            return "it cannot be there"
        times = self.followed.get(conn.unique, deque())
        recent = [when for when in times if self.core.now - when < PERIOD]
        return f"{MOST} times within {PERIOD:g} seconds are enough" if len(recent) >= MOST else ""

    def _follow(self, conn: Conn, gateway: Address) -> None:
        if conn.kind is Kind.GOING_AWAY or conn.oriented is None or conn.peer is None:
            return
        self.followed.setdefault(conn.unique, deque(maxlen=MOST)).append(self.core.now)
        before = conn.peer
        self.core.say(conn, f"{before} redirects us to {gateway}", event="redirected")
        clients, conn.clients = conn.clients, []
        conn.redirected, conn.redirected_from = gateway, before
        self.brain.network.reorient(conn)
        conn.clients = clients
        if self.brain.negotiator.impossible(conn) is None:
            self.brain.negotiator.start(conn)

    def failed(self, conn: Conn) -> None:
        """Where it was sent it cannot be, or is not to be any more: its own gateway comes next."""
        if conn.redirected is not None and not conn.children:
            self.core.after(Timer.REDIRECT, conn.unique, 0.0, partial(self._return, conn))

    def _return(self, conn: Conn) -> None:
        if conn.redirected is None or conn.children:
            return
        conn.redirected = conn.redirected_from = None
        self.brain.network.reorient(conn)

    def forget(self, conn: Conn) -> None:
        """A conn is gone."""
        self.followed.pop(conn.unique, None)
        self.core.timers.cancel((Timer.REDIRECT, conn.unique))

    # -- the gateway --------------------------------------------------------------------------------------------------

    def stranger(self, local: Endpoint, remote: Endpoint, data: bytes, busy: bool) -> bool:
        """Was a first message answered by sending its sender away? No state is kept of it."""
        settings = self.core.settings
        if settings.redirect == "no" or (settings.redirect == "auto" and not busy):
            return False
        try:
            request = Message.parse(data)
        except WireError:
            return False
        nonce = request.first(Nonce)
        if request.header.exchange != ExchangeType.IKE_SA_INIT or nonce is None or not redirect.can_follow(request):
            return False
        there = self._next(settings.redirect_to, local.address, redirect.came_from(request))
        if there is None:
            return False
        note = Notify(NotifyType.REDIRECT, Redirect(there, nonce.data).emit())
        self.core.emit(SendDatagram(local, remote, refusal(request.header, note)))
        return True

    def _next(self, targets: Sequence[Address], me: Address, came_from: object = None) -> Address | None:
        """The next of several gateways, of the family in use, neither ourselves nor where it comes from."""
        fitting = [each for each in targets if each.version == me.version and each not in (me, came_from)]
        if not fitting:
            return None
        self.turn += 1
        return fitting[self.turn % len(fitting)]

    def in_auth(self, conn: Conn, me: Address) -> Address | None:
        """Where a client that has proved itself is to go; None: it may stay."""
        when = conn.policy.send_redirect
        if when == "no" or (when == "auto" and not self.brain.demux.busy):
            return None
        return self._next(conn.policy.redirect_to, me)

    def tell(self, conns: Sequence[Conn], targets: Sequence[Address]) -> int:
        """Send the clients of these conns away; how many."""
        told = 0
        for ike in list(self.core.states.ikes.values()):
            conn = ike.conn
            if conn is None or (conn not in conns and conn.template not in conns) or ike.closing:
                continue
            there = self._next(targets, ike.machine.local.address)
            if there is not None and ike.machine.is_established and ike.machine.redirectable:
                self.core.say(conn, f"redirecting {ike.machine.remote.address} to {there}", Rc.LOG, ike.serial)
                self.brain.ikes.request(ike, Tell(NotifyType.REDIRECT, Redirect(there).emit()))
                told += 1
        return told
