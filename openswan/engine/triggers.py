# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets that met no decision: outbound ones of hosts behind us wait for it, inbound ones in clear begin a tunnel.

    inbound, in clear -> the pair has a tunnel       -> its peer is asked whether it lives, now and then
                      -> its line looks for tunnels  -> one IKE_SA_INIT, never repeated: whoever forges senders gets
                                                        no more for a packet than that, and only within a budget

What such a packet begins stands beside the machine of pairs until it succeeds: its failure says nothing of the peer.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import ip_network
from typing import TYPE_CHECKING

from openswan.base.address import Address, Subnet
from openswan.base.interval import Instant
from openswan.base.log import Rc
from openswan.engine.conn import Conn
from openswan.engine.demux import Bucket
from openswan.engine.effects import Decision, LearnGateways
from openswan.engine.events import Intercepted
from openswan.engine.oeevents import Learned, Pair
from openswan.policy.exempt import exempt
from openswan.policy.flowtable import Flow
from openswan.policy.gateways import Gateway
from openswan.policy.groups import stance_of

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

RATE, BURST = 20.0, 40.0
"""Tunnels a second that inbound packets begin, and at once; those of outbound ones have nothing to do with it."""
NEIGHBOURHOOD = {4: 24, 6: 64}
"""Prefix lengths within which senders share a turn,"""
TURN = 5.0
"""seconds between two of them."""
MOST_NEIGHBOURHOODS = 4096
MOST_LOOKED_UP = 64
"""Senders whose gateways are looked up at a time."""


class Triggers:
    """What packets begin that nobody has decided about."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core
        self.bucket = Bucket(RATE, BURST)
        self.turns: OrderedDict[Subnet, Instant] = OrderedDict()
        """When each neighbourhood had its last one."""
        self.looked_up: dict[Address, Pair] = {}
        """By sender: pairs that begin when its gateways are known."""
        self.refused = 0
        """Triggers beyond the budget."""

    def intercepted(self, event: Intercepted) -> None:
        """A packet met no decision."""
        pair = Pair(event.src, event.dst)
        line = self.brain.groups.decides(pair.src, pair.dst)
        if event.inbound:
            if line is not None and stance_of(line.policy).initiates:
                self._begin(line, pair)
        elif line is None:
            self.brain.interception.decide(pair, Decision.LEAVE)
        else:
            self.brain.pairs.stopped(line, pair)

    def learned(self, learned: Learned) -> None:
        """The DNS has answered, or has not."""
        pair = self.looked_up.pop(learned.destination, None)
        line = self.brain.groups.decides(pair.src, pair.dst) if pair is not None else None
        if pair is not None and line is not None and learned.gateways and not self._known(pair):
            self._call(line, pair, learned.gateways[0])

    def _begin(self, line: Conn, pair: Pair) -> None:
        conn = self.brain.pairs.conns.get(pair)
        child = self.core.states.children.get(conn.newest_child) if conn is not None else None
        if child is not None:
            # In clear although there is a tunnel: forged, or the peer has lost it. The SA stays until that is proved.
            self.brain.ikes.doubt(child.ike, f"{pair.dst} sends in clear")
            return
        if (
            self._known(pair)
            or exempt(Flow(pair.src, pair.dst), self.core.plugs.place)
            or pair.dst in self.brain.exemptions.open_to()  # it answers what this host asks it in clear
            or not self._budget(pair.dst)
        ):
            return
        if line.oriented is not None and line.oriented.theirs.dns_key:
            if len(self.looked_up) < MOST_LOOKED_UP and pair.dst not in self.looked_up:
                self.looked_up[pair.dst] = pair
                self.core.emit(LearnGateways(pair.dst))
            return
        self._call(line, pair, None)

    def _known(self, pair: Pair) -> bool:
        return pair in self.brain.pairs.machine.pairs or pair in self.brain.pairs.conns

    def _call(self, line: Conn, pair: Pair, gateway: Gateway | None) -> None:
        conn = self.brain.pairs.instance(line, pair, gateway)
        conn.once = True
        problem = self.brain.negotiator.impossible(conn)
        self.core.say(conn, problem[1] if problem else f"{pair.dst} sends in clear", Rc.LOG, event="trigger")
        if problem is None:
            self.brain.negotiator.start(conn)
        else:
            self.brain.negotiator.remove(conn)

    def _budget(self, sender: Address) -> bool:
        """May this sender begin something?"""
        where = ip_network((sender, NEIGHBOURHOOD[sender.version]), strict=False)
        last = self.turns.get(where)
        if (last is not None and last + TURN > self.core.now) or not self.bucket.take(self.core.now):
            self.refused += 1
            return False
        self.turns.pop(where, None)
        self.turns[where] = self.core.now
        while len(self.turns) > MOST_NEIGHBOURHOODS:
            self.turns.popitem(last=False)
        return True
