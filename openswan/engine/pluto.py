# SPDX-License-Identifier: GPL-2.0-or-later
"""pluto's brain behind one door: an event and the time in, effects out; it never blocks and looks at no clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from openswan.base.entropy import Rng
from openswan.base.interval import Instant
from openswan.engine import events as ev
from openswan.engine.brain import Brain
from openswan.engine.effects import Effect
from openswan.engine.oejudge import reachable
from openswan.engine.settings import Settings
from openswan.engine.whack import Whack
from openswan.plane import events as plane


def epoch(now: Instant) -> datetime:
    """A calendar for simulations: instant 0 is the start of 2026."""
    return datetime.fromtimestamp(1767225600.0 + now, UTC)


class Pluto:
    """Everything pluto decides.

    `clock` tells the calendar time (aware, UTC) of an instant, for the validity of certificates.
    """

    def __init__(
        self, rng: Rng, settings: Settings | None = None, clock: Callable[[Instant], datetime] = epoch
    ) -> None:
        self.brain = Brain(rng, settings or Settings(), clock)
        self.core = self.brain.core
        self.whack = Whack(self.brain)
        brain = self.brain
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            ev.TimerDue: self._timer_due,
            ev.Datagram: lambda e: brain.demux.datagram(e.local, e.remote, e.data),
            ev.Datagrams: lambda e: brain.demux.datagrams(e.local, e.messages),
            plane.IkeDatagram: lambda e: brain.demux.datagram(e.local, e.remote, e.data),
            ev.SendFailed: self._send_failed,
            ev.StreamOpened: brain.streams.opened,
            ev.StreamRefused: brain.streams.refused,
            ev.PathTooBig: brain.pathmtus.too_big,
            ev.WhackRequest: self.whack.request,
            ev.WhackGone: lambda e: self.core.gone(e.client),
            ev.NetworkState: brain.network.changed,
            ev.RoutesSeen: brain.groups.routes_seen,
            ev.SecretsRead: self.whack.secrets_read,
            ev.GroupsRead: self.whack.groups_read,
            ev.CertificatesRead: self.whack.certificates_read,
            ev.Fetched: brain.fetches.fetched,
            ev.Signed: brain.signing.signed,
            ev.LoggedIn: brain.logins.judged,
            ev.HostResolved: brain.network.resolved,
            ev.FlowsUsed: brain.pairs.used,
            ev.Intercepted: brain.triggers.intercepted,
            ev.InterceptionSeen: brain.interception.seen,
            ev.GuardSeen: brain.leakguard.seen,
            ev.PeersRecalled: brain.memory.recalled,
            ev.GatewaysLearned: self._gateways_learned,
            ev.KeysLearned: brain.peerkeys.learned,
            ev.PacketsCounted: self._counted,
            ev.UpdownDone: self._updown_done,
            ev.EffectFailed: lambda e: brain.children.refused(e.token, e.reason),
            plane.Acquire: brain.acquires.acquire,
            plane.SaExpired: lambda e: brain.lifetimes.spent(e.said, e.hard),
            plane.SaFirstUse: lambda e: brain.children.first_use(e.said),
            plane.OffloadRefused: lambda e: brain.core.log(
                f"{e.where}: the kernel refuses {e.what}, packets go one by one from now on", True, "offload"
            ),
            plane.NewMapping: lambda e: brain.children.new_mapping(e.said, e.remote),
            plane.StreamClosed: brain.streams.closed,
            plane.UnknownSpi: brain.acquires.unknown_spi,
            # About descriptors: the daemon's raw path takes these two.
            plane.NextHopWanted: lambda e: None,
            plane.EspLoad: lambda e: None,
        }

    def handle(self, event: ev.EngineEvent, now: Instant) -> list[Effect]:
        """Take one event at an instant and return what is to be done, first to last.

        Deadlines are dealt with by TimerDue alone: what has arrived in time counts, and need not be asked for again,
        however late we come to look.
        """
        core = self.core
        core.now = max(core.now, now)
        debugging = self.brain.debugging
        if debugging.active:
            debugging.event(event)
        self._handlers[type(event)](event)
        self.brain.exemptions.settle()
        self.brain.interception.settle()
        effects, core.effects = core.effects, []
        return debugging.effects(effects) if debugging.active else effects

    def next_timer(self) -> Instant | None:
        """When TimerDue is wanted; None: never as things stand."""
        return self.core.timers.next()

    def _timer_due(self, event: ev.TimerDue) -> None:
        self.core.heard_by = self.core.now if event.by is None else event.by
        self.core.timers.run(self.core.heard_by)

    def _send_failed(self, event: ev.SendFailed) -> None:
        """Errors the network reports are a hint only: anybody can forge them."""
        local, remote = event.local, event.remote
        if remote is None:
            text = "some IKE message we sent has been rejected with ECONNREFUSED (kernel supplied no details)"
            if self.brain.demux.lines.take(self.core.now):
                self.core.log(text, False, "network-error")
            return
        if self.brain.demux.lines.take(self.core.now):
            rows = self.core.network.interfaces
            name = next((one.name for one in rows if local.address in dict(one.addresses)), local.address)
            text = (
                f"ERROR: asynchronous network error report on {name} (sport={local.port}) for message to"
                f" {remote.address} port {remote.port}, {event.reason}"
            )
            self.core.log(text, False, "network-error")
            known = self.core.states.pairs.get((local.address, remote.address), {})
            if any(one.version == 1 for one in known.values()):
                self.core.advise(text, remote.address)
        self.brain.demux.unreachable(local, remote, event.reason)

    def _gateways_learned(self, event: ev.GatewaysLearned) -> None:
        """For those who want to call a host, and for those who are called by its gateway."""
        learned, why = reachable(event.learned, self.core.plugs.onlink)
        complaints = (*event.complaints, f"{learned.destination}: {why}") if why else event.complaints
        event = replace(event, learned=learned, complaints=complaints)
        self.brain.pairs.learned(event)
        self.brain.delegations.learned(event)

    def _counted(self, event: ev.PacketsCounted) -> None:
        if not self.brain.lingering.counted(event):
            self.brain.proofs.counted(event)

    def _updown_done(self, event: ev.UpdownDone) -> None:
        self.brain.router.updowns.done(event)
        self.whack.stopped_yet()
