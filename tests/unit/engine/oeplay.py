# SPDX-License-Identifier: GPL-2.0-or-later
"""A play with the machine of opportunistic encryption: what is told, what it wants, and what packets of a pair meet."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from openswan.base.address import Address
from openswan.base.said import Shunt
from openswan.engine import oeevents as ev
from openswan.engine.oeevents import OeEffect, OeEvent, Pair, Terms, Verdict
from openswan.engine.oepair import PairState
from openswan.engine.oestates import State
from openswan.engine.opportunistic import Opportunistic
from openswan.policy.gateways import Gateway
from openswan.policy.grade import Grade
from openswan.policy.groups import Stance

US, PEER, OTHER = map(ip_address, ("192.0.2.1", "10.0.0.7", "10.0.0.8"))
PAIR = Pair(US, PEER)
PERMISSIVE = Terms("private-or-clear", Stance.PRIVATE_OR_CLEAR, State.PASS)
PRIVATE = Terms("private", Stance.PRIVATE, State.DROP)
NULL = replace(PERMISSIVE, owner="fleet", asks_dns=False, calls_directly=True)
MIXED = replace(PERMISSIVE, owner="mixed", calls_directly=True)


def gateway(address: Address = PEER, grade: Grade = Grade.DNSSEC, preference: int = 10) -> Gateway:
    return Gateway(address, None, b"key", preference, "IPSECKEY", grade)


class Play:
    """The machine, a clock, and the packet path it thinks it has."""

    def __init__(self, machine: Opportunistic | None = None) -> None:
        self.machine = machine or Opportunistic()
        self.now = 1000.0
        self.path: dict[Pair, Shunt | int] = {}
        """A shunt, or the tunnel's number; nothing: undecided."""
        self.calls: dict[Pair, Address] = {}
        self.tunnels: set[tuple[Pair, int]] = set()

    def tell(self, event: OeEvent) -> list[OeEffect]:
        """Tell it something; its path, calls and tunnels follow what it wants."""
        if isinstance(event, ev.Failed):
            self.calls.pop(event.pair, None)
        if isinstance(event, ev.Up):
            self.tunnels.add((event.pair, event.sa))
            if event.ours:
                self.calls.pop(event.pair, None)
        if isinstance(event, ev.Down):
            self.tunnels.discard((event.pair, event.sa))
        effects = self.machine.handle(event, self.now)
        for effect in effects:
            self._carry_out(effect)
        return effects

    def _carry_out(self, effect: OeEffect) -> None:
        match effect:
            case ev.SetShunt(pair, shunt, _):
                self.path[pair] = shunt
            case ev.SetTunnel(pair, sa):
                self.path[pair] = sa
            case ev.DelPair(pair):
                self.path.pop(pair, None)
            case ev.Call(pair, _, target):
                self.calls[pair] = target.address if target is not None else pair.dst
            case ev.Hang(pair):
                self.calls.pop(pair, None)
            case ev.Close(pair, sa):
                self.tunnels.discard((pair, sa))

    def after(self, seconds: float) -> list[OeEffect]:
        """Let time pass, deadline by deadline."""
        end, effects = self.now + seconds, []
        while (due := self.machine.next_timer()) is not None and due <= end:
            self.now = max(self.now, due)
            effects += self.tell(ev.Due())
        self.now = end
        return effects

    def packet(self, terms: Terms, pair: Pair = PAIR) -> list[OeEffect]:
        return self.tell(ev.Packet(pair, terms))

    def learned(self, verdict: Verdict, *gateways: Gateway, ttl: float = 900.0, reason: str = "") -> list[OeEffect]:
        return self.tell(ev.Learned(PEER, verdict, gateways, ttl, reason))

    def failed(self, reason: str = "no answer to IKE", pair: Pair = PAIR) -> list[OeEffect]:
        return self.tell(ev.Failed(pair, reason))

    def up(
        self, terms: Terms, grade: Grade = Grade.DNSSEC, sa: int = 1, ours: bool = True, pair: Pair = PAIR
    ) -> list[OeEffect]:
        return self.tell(ev.Up(pair, terms, sa, grade, pair.dst, ours))

    def used(self, pair: Pair = PAIR) -> list[OeEffect]:
        return self.tell(ev.Used((pair,)))

    @property
    def it(self) -> PairState:
        """The one pair."""
        return self.machine.pairs[PAIR]

    def meets(self, pair: Pair = PAIR) -> str:
        """What a packet of the pair meets: `%hold`, `%pass`, `tunnel 3`, `%trap` when nothing is decided."""
        found = self.path.get(pair, Shunt.TRAP)
        return str(found) if isinstance(found, Shunt) else f"tunnel {found}"
