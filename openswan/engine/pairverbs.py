# SPDX-License-Identifier: GPL-2.0-or-later
"""Pairs at the operator's word: `whack --oppohere A --oppothere B` tries one now, --deletepair forgets what it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openswan.base.address import parse_address
from openswan.base.errors import ConfigError
from openswan.base.log import Rc
from openswan.engine.effects import WhackDone
from openswan.engine.oeevents import Pair
from openswan.engine.oestates import SEARCHING, State
from openswan.engine.oeterms import terms_of

if TYPE_CHECKING:
    from openswan.engine.brain import Brain


class PairVerbs:
    """Handlers of whack's requests, and the clients that wait for a pair."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core
        self.waiting: dict[Pair, list[int]] = {}
        brain.pairs.on_change = self._look

    def oppo(self, client: int, args: dict[str, Any]) -> bool:
        """Do as if a packet had come; True when the answer is complete."""
        pair = self._pair(client, args)
        if pair is None:
            return True
        if not self.core.listening:
            self.core.reply(client, Rc.DEAF, "need --listen before opportunistic initiation")
            return True
        line = self.brain.groups.decides(pair.src, pair.dst)
        if line is None or line.oriented is None or not any(pair.src in key.src for key in line.keys):
            self.core.reply(client, Rc.OPPOFAILURE, f"no routed template covers this pair: {pair}")
            return True
        terms = terms_of(line.policy)
        if not terms.stance.initiates:
            self.core.reply(client, Rc.OPPOFAILURE, f'{pair}: conn "{line.name}": {terms.stance.story}')
            return True
        conn = self.brain.pairs.conns.get(pair)
        if conn is not None and conn.children:
            self.core.say(conn, "rekeying existing instance", Rc.LOG, clients=(client,))
            self.brain.negotiator.initiate(conn, client)
            return client not in self.core.waiting
        self.core.reply(client, Rc.LOG, f"initiating opportunistic encryption of {pair}")
        self.brain.pairs.begin(pair, line)
        self.waiting.setdefault(pair, []).append(client)
        self._look()
        return False

    def delete(self, client: int, args: dict[str, Any]) -> bool:
        """Forget a pair: its tunnel, what its packets meet, and that its peer was deaf."""
        pair = self._pair(client, args)
        if pair is None:
            return True
        known = self.brain.pairs.drop(pair)
        code = Rc.LOG if known else Rc.UNKNOWN_NAME
        self.core.reply(client, code, f"{pair}: forgotten" if known else f"nothing is known of {pair}")
        return True

    def _pair(self, client: int, args: dict[str, Any]) -> Pair | None:
        try:
            src, dst = (parse_address(str(args.get(name) or "")) for name in ("here", "there"))
            if src.version != dst.version:
                raise ConfigError(f"{src} and {dst} are of different families")
            if src.is_unspecified or dst.is_unspecified:
                raise ConfigError("impossible IP address")
        except ConfigError as why:
            self.core.reply(client, Rc.WHACK_PROBLEM, f"whack error: {why}")
            return None
        return Pair(src, dst)

    def _look(self) -> None:
        """Let go of whoever waits for a pair that is decided."""
        for pair in list(self.waiting):
            p = self.brain.pairs.machine.pairs.get(pair)
            if p is not None and p.state in SEARCHING:
                continue
            if p is not None and p.state is State.TUNNEL:
                code, text = Rc.SUCCESS, f"{pair}: encrypted, grade {p.grade}"
            else:
                code, text = Rc.OPPOFAILURE, f"{pair}: {p.reason if p is not None and p.reason else 'no tunnel'}"
            for client in self.waiting.pop(pair):
                self.core.reply(client, code, text)
                self.core.emit(WhackDone(client))
