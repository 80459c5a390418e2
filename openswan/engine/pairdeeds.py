# SPDX-License-Identifier: GPL-2.0-or-later
"""What the machine of opportunistic encryption wants of a pair of hosts: eroutes, calls and their end, carried out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from openswan.base.address import host_subnet
from openswan.base.said import Shunt
from openswan.engine import oeevents as oe
from openswan.engine.effects import Decision, LearnGateways
from openswan.engine.interception import SHUNTS
from openswan.engine.oeevents import Pair
from openswan.engine.oestates import State
from openswan.engine.routing import RouteEvent
from openswan.engine.timers import Timer
from openswan.plane.commands import DelEroute, SetEroute
from openswan.policy.gateways import Gateway
from openswan.policy.groups import of_strangers
from openswan.policy.selector import FlowKey

if TYPE_CHECKING:
    from openswan.engine.brain import Brain
    from openswan.engine.conn import Conn
    from openswan.engine.pairs import Pairs


def flow_of(pair: Pair) -> FlowKey:
    """The eroute key of a pair."""
    return FlowKey(host_subnet(pair.src), host_subnet(pair.dst))


def same_gateway(one: Gateway | None, other: Gateway | None) -> bool:
    """Are they one host with one key?"""
    return one is not None and other is not None and (one.address, one.octets) == (other.address, other.octets)


class PairDeeds:
    """Effects of the machine -> effects of pluto; what comes to nothing at once is told to the machine."""

    def __init__(self, brain: Brain, pairs: Pairs) -> None:
        self.brain = brain
        self.core = brain.core
        self.pairs = pairs
        self._put_off: set[Pair] = set()
        """Pairs whose shunt was decided while a tunnel was being put in place."""
        self._upgrades: dict[Pair, Conn] = {}
        """Calls for a better proof, beside the tunnels there are."""
        self._deeds: dict[type[Any], Callable[[Any], None]] = {
            oe.SetShunt: self._set_shunt,
            oe.SetTunnel: self._set_tunnel,
            oe.DelPair: lambda effect: self._release(effect.pair),
            oe.Ask: lambda effect: self.core.emit(LearnGateways(effect.destination)),
            oe.Call: self._call,
            oe.Inform: self._inform,
            oe.Hang: lambda effect: self.hang(effect.pair),
            oe.Close: self._close,
            oe.Overflow: self._overflow,
            oe.Tell: self._tell,
        }

    def __call__(self, effect: oe.OeEffect) -> None:
        """Carry one out."""
        self._deeds[type(effect)](effect)

    def _set_shunt(self, effect: oe.SetShunt) -> None:
        line = self.core.conns.named.get(effect.owner)
        if line is None:
            return
        conn = self.pairs.conns.get(effect.pair)
        if conn is not None and conn.children:
            self._put_off.add(effect.pair)
            return  # its tunnel is being put in place, and is told when that is done: see fall_back and catch_up
        self._put_off.discard(effect.pair)
        key = flow_of(effect.pair)
        if conn is not None and self.brain.router.eroutes.get(key) is conn:
            # It is still negotiating; what it gives up later must not be this eroute.
            self.brain.router.happen(conn, RouteEvent.UNPLUG)
        elif effect.pair in self.pairs.aside and effect.shunt in SHUNTS:
            # The host does that: the packet engine may never meet the pair.
            self.brain.interception.decide(effect.pair, effect.shunt)
            return
        self.brain.interception.decide(effect.pair, effect.shunt)
        self.pairs.aside.discard(effect.pair)
        self.pairs.shunts[effect.pair] = line.name
        self.core.klips(SetEroute(key, effect.shunt, line.device, line.unique, 0))

    def decided(self, pair: Pair) -> None:
        """Have what was decided about a pair in force: a packet that still asks waits for it."""
        state = self.pairs.machine.pairs.get(pair)
        if state is not None and state.shunt is not None:
            self._set_shunt(oe.SetShunt(pair, state.shunt, state.terms.owner))

    def fall_back(self, pair: Pair) -> None:
        """A pair's connection has let go of its eroute: what was decided meanwhile counts."""
        if pair not in self.pairs.conns:
            self.decided(pair)

    def catch_up(self, pair: Pair) -> None:
        """A pair has no connection any more, and its tunnel may not have been put in place: what waits for it waits no
        longer."""
        if pair in self._put_off:
            self._put_off.discard(pair)
            self.fall_back(pair)

    def _set_tunnel(self, effect: oe.SetTunnel) -> None:
        # Its connection has taken the eroute already.
        self._put_off.discard(effect.pair)
        self.pairs.shunts.pop(effect.pair, None)
        self.pairs.aside.discard(effect.pair)
        self.brain.interception.decide(effect.pair, Decision.TUNNEL)

    def _release(self, pair: Pair) -> None:
        """Nothing is decided any more: the line's own eroute counts again."""
        self._put_off.discard(pair)
        self.brain.interception.decide(pair, Decision.FORGET)
        self.pairs.aside.discard(pair)
        owner = self.pairs.shunts.pop(pair, None)
        if owner is None:
            return
        key = flow_of(pair)
        holder = self.brain.router.eroutes.get(key)
        if holder is None:
            self.core.klips(DelEroute(key))
        elif holder.shunt is not None:
            # A line for just this pair has the same key; what was kept is given up, as it is elsewhere.
            self.core.klips(SetEroute(key, Shunt.DROP, holder.device, holder.unique, 0))
            self.core.klips(SetEroute(key, holder.shunt, holder.device, holder.unique, 0))

    def _call(self, effect: oe.Call) -> None:
        line = self.core.conns.named.get(effect.owner)
        if line is None or line.oriented is None:
            self.pairs.run(oe.Failed(effect.pair, "its group is gone"))
            return
        if of_strangers(line.policy) and (other := self.brain.interception.protected(effect.pair)) is not None:
            self.pairs.run(oe.Failed(effect.pair, f"its packets belong to {other.label}"))
            return
        known = self.pairs.conns.get(effect.pair)
        better = known is not None and known.children and effect.gateway is not None
        if better and self.pairs.machine.pairs[effect.pair].state is State.TUNNEL:
            self._hang_upgrade(effect.pair)
            conn = self._upgrades[effect.pair] = self.pairs.another(line, effect.pair, effect.gateway)
        else:
            conn = self.pairs.instance(line, effect.pair, effect.gateway)
        if conn.children:
            if self.pairs.machine.pairs[effect.pair].state is State.TUNNEL:
                self.pairs.run(oe.Failed(effect.pair, "it has a tunnel already"))
            return  # else that is told as soon as it is in place
        problem = self.brain.negotiator.impossible(conn)
        if problem is not None:
            self.core.after(Timer.OE_LATER, effect.pair, 0.0, partial(self.pairs.failed, conn, problem[1]))
            return
        self.brain.negotiator.start(conn)

    def _inform(self, effect: oe.Inform) -> None:
        """The peer of a call has to show that key; if it has begun with another one, it begins anew."""
        conn = self.pairs.conns.get(effect.pair)
        if conn is not None and not conn.children and not same_gateway(conn.gateway, effect.gateway):
            self._call(oe.Call(effect.pair, conn.name, effect.gateway))

    def hang(self, pair: Pair) -> None:
        """A call is given up."""
        self._hang_upgrade(pair)
        conn = self.pairs.conns.get(pair)
        if conn is not None and not conn.children:
            del self.pairs.conns[pair]
            self.brain.negotiator.remove(conn)

    def _hang_upgrade(self, pair: Pair) -> None:
        upgrade = self._upgrades.pop(pair, None)
        if upgrade is not None:
            self.brain.negotiator.remove(upgrade)

    def is_upgrade(self, pair: Pair, conn: Conn) -> bool:
        """Has a connection been a call for a better proof? It is one no longer: it is up, or has come to nothing."""
        found = self._upgrades.get(pair) is conn
        if found:
            del self._upgrades[pair]
        return found

    def _close(self, effect: oe.Close) -> None:
        conn = self.pairs.conns.get(effect.pair)
        if conn is not None and conn.instance == effect.sa:
            del self.pairs.conns[effect.pair]
            # It may have come beside the tunnel of another peer, which stays.
            state = self.pairs.machine.pairs.get(effect.pair)
            other = self._beside(conn, effect.pair, state.sa) if state is not None else None
            if other is not None and other.children:
                self.pairs.conns[effect.pair] = other
            self.brain.negotiator.remove(conn)
            self.catch_up(effect.pair)
        elif conn is not None and (former := self._beside(conn, effect.pair, effect.sa)) is not None:
            # Another peer has its place: the host itself that it spoke for, or one with a better proof.
            self.brain.negotiator.remove(former)

    def _beside(self, conn: Conn, pair: Pair, instance: int) -> Conn | None:
        """Another connection of the same pair."""
        found = conn.template.instances.get(instance) if conn.template is not None else None
        return found if found is not conn and found is not None and self.pairs.pair_of(found) == pair else None

    def _overflow(self, effect: oe.Overflow) -> None:
        # The packet engine's own hold ends, and what it keeps is dropped; the next packet asks again.
        self.pairs.overflows += 1
        self.brain.interception.decide(effect.pair, Decision.FORGET)
        if effect.pair in self.pairs.aside:
            self.pairs.aside.discard(effect.pair)
        elif effect.pair not in self.pairs.shunts and effect.pair not in self.pairs.conns:
            self.core.klips(DelEroute(flow_of(effect.pair)))

    def _tell(self, effect: oe.Tell) -> None:
        self.core.log(f"{effect.pair}: {effect.text}", effect.serious, "pair")
