# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine of opportunistic encryption: what becomes of each pair of addresses; events and the time in, effects out.

The table of openswan.engine.oestates says where an event leads; here events are told apart by what is remembered, and
acts are carried out. Pairs, peers and what waits are bounded: when there is no room the packet is dropped and counted.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from itertools import islice
from typing import Any

from openswan.base.address import Address, host_subnet
from openswan.base.interval import Instant
from openswan.base.said import Shunt
from openswan.engine import oeevents as ev
from openswan.engine.oeevents import OeEffect, OeEvent, Pair, Terms, Verdict
from openswan.engine.oeindex import PairIndex
from openswan.engine.oejudge import (
    ALONE,
    FIXED,
    NO_ANSWER,
    answer,
    failure,
    first,
    improvable,
    objection,
    search,
    too_soon,
    worth,
)
from openswan.engine.oepair import DEAF, LOOKED_AT, PairState, Peer, Peers, pause, round_pause
from openswan.engine.oequestions import Questions
from openswan.engine.oestates import LATE, SEARCHING, SHUNTS, Act, Event, State, next_move
from openswan.engine.timers import Timer, Timers
from openswan.policy.grade import Grade

MOST_PAIRS = 200_000
MOST_SEARCHES = 4096
"""Pairs whose first packets are kept at a time."""
MOST_WOKEN = 256
"""Pairs that are tried again sooner because their peer has been heard."""
HANDSHAKE = 10.0
"""Seconds that IKE gets to finish once the peer has answered, before first packets wait no longer."""
SECOND = 30.0
"""Seconds after the other end that the end with the higher address looks for a better proof."""
SHUNT_OF = {State.PASS: Shunt.PASS, State.DROP: Shunt.DROP, State.REJECT: Shunt.REJECT}
RETRIES = {
    Event.PACKET_LOOK: Event.RETRY_LOOK,
    Event.PACKET_CALL: Event.RETRY_CALL,
    Event.PACKET_BOTH: Event.RETRY_BOTH,
}
ASKING = (*ALONE, State.BOTH, State.LATE_BOTH, State.TUNNEL)
"""An answer of the DNS still matters."""


class Opportunistic:
    """Every pair that something is known of."""

    def __init__(self, most_pairs: int = MOST_PAIRS, most_searches: int = MOST_SEARCHES) -> None:
        self.pairs: OrderedDict[Pair, PairState] = OrderedDict()
        self.index = PairIndex()
        self.peers = Peers()
        """What this host knows of destinations,"""
        self.peers_of_others = Peers()
        """and what is known of them for hosts behind it: who will not have those may well have us."""
        self._questions = Questions()
        self.asking = self._questions.wanted
        self.searching = 0
        self._most_pairs = most_pairs
        self._most_searches = most_searches
        self._timers = Timers()
        self._now: Instant = 0.0
        self._effects: list[OeEffect] = []
        self._closing = 0
        """The SA that Act.CLOSE is about."""
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            ev.Packet: self._packet,
            ev.Learned: self._learned,
            ev.Answered: lambda e: self._about(e.pair, Event.ANSWERED),
            ev.Hinted: self._hinted,
            ev.Failed: self._failed,
            ev.Parting: self._parting,
            ev.Up: self._up,
            ev.Down: self._down,
            ev.Used: self._used,
            ev.Remove: lambda e: self._about(e.pair, Event.REMOVED),
            ev.Due: self._due,
        }
        self._acts: dict[Act, Callable[[PairState], None]] = {
            Act.HOLD: self._hold,
            Act.EXTEND: self._extend,
            Act.ASK: self._ask,
            Act.CALL: lambda p: self._call(p, 0),
            Act.NEXT: lambda p: self._call(p, p.at + 1),
            Act.WAIT: self._wait,
            Act.REDIRECT: self._redirect,
            Act.UPGRADE: lambda p: self._call(p, 0),
            Act.STOP: self._stop,
            Act.FAIL: self._fail,
            Act.PASS: lambda p: self._shunt(p, Shunt.PASS),
            Act.DROP: lambda p: self._shunt(p, Shunt.DROP),
            Act.REJECT: lambda p: self._shunt(p, Shunt.REJECT),
            Act.DENY: lambda p: self._shunt(p, Shunt.DROP),
            Act.TUNNEL: self._tunnel,
            Act.DEAF: self._deaf,
            Act.SETTLE: self._settle,
            Act.CLOSE: self._close,
            Act.FORGET: self._forget,
        }

    def handle(self, event: OeEvent, now: Instant) -> list[OeEffect]:
        """Take one event at an instant and return what is to be done, first to last.

        Only Due ends waits: an answer that has come in time counts, however late we come to look at it.
        """
        self._now = max(self._now, now)
        self._handlers[type(event)](event)
        effects, self._effects = self._effects, []
        return effects

    def objection(self, pair: Pair, terms: Terms, grade: Grade, key: bytes = b"", far: Address | None = None) -> str:
        """Why a tunnel of that grade, whose peer at `far` has shown that key, will not do; empty: it will."""
        p = self.pairs.get(pair) or PairState(pair, terms)
        return objection(p, grade, self.remembered(pair, terms), key, far)

    def remembered(self, pair: Pair, terms: Terms) -> Peer | None:
        """What is remembered of a pair's destination."""
        return self._peers(terms).known.get(pair.dst)

    def plugged(self, now: Instant, first: bool) -> list[Pair]:
        """This host has an address more: who was silent may just not have been reached, and is tried again.

        With the `first` one of this life nothing has been tried yet: what is remembered of peers holds. What goes in
        clear goes on meanwhile; the others are returned, which had better be forgotten.
        """
        for peers in () if first else (self.peers, self.peers_of_others):
            for peer in peers.known.values():
                peer.deaf_until = min(peer.deaf_until, now)
        failed = [p for p in self.pairs.values() if p.retry_at]
        for p in failed:
            p.retry_at = min(p.retry_at, now)
        return [p.pair for p in failed if p.state is not State.PASS]

    def next_timer(self) -> Instant | None:
        """When Due is wanted; None: never as things stand."""
        return self._timers.next()

    # What is told, told apart by what is remembered.

    def _due(self, event: ev.Due) -> None:
        self._timers.run(min(event.by, self._now))

    def _packet(self, event: ev.Packet) -> None:
        p = self.pairs.get(event.pair)
        if p is not None:
            self._use(p)
            return
        kind = first(event.terms, self._peers(event.terms).get(event.pair.dst), self._now)
        if (kind in RETRIES and self.searching >= self._most_searches) or not self._room():
            self._effects.append(ev.Overflow(event.pair))
            return
        self._happen(self._new(event.pair, event.terms), kind)

    def _learned(self, event: ev.Learned) -> None:
        if event.verdict is Verdict.NONE:
            self.peers.unpublished(event.destination)
            self.peers_of_others.unpublished(event.destination)
        for pair in self._questions.answered(event.destination):
            p = self.pairs.get(pair)
            if p is None or p.state not in ASKING:
                continue
            p.dns_ttl = event.ttl
            good = tuple(each for each in event.gateways if worth(p, each.grade))
            kind = answer(p, event.verdict, bool(good))
            if kind is Event.GATEWAYS:
                p.gateways = good
                self._peers(p.terms).note(pair.dst).gateways = good
            elif p.state is not State.TUNNEL:
                refused = event.verdict is Verdict.GATEWAYS and f"its records do not reach authgrade={p.terms.least}"
                p.reason = refused or event.reason or "nobody there has published a key"
            if kind is not None:
                self._closing = p.sa
                self._happen(p, kind)
        self._ask_more()

    def _hinted(self, event: ev.Hinted) -> None:
        p = self.pairs.get(event.pair)
        if p is not None:
            p.hint = event.text
            self._happen(p, Event.HINT)

    def _failed(self, event: ev.Failed) -> None:
        p = self.pairs.get(event.pair)
        if p is None or p.calling is None:
            return
        p.calling, p.reason = None, event.reason
        if p.at + 1 < len(p.gateways):
            self._happen(p, Event.TRY_FAILED)
        elif p.terms.keying_tries == 0 or p.rounds + 1 < p.terms.keying_tries:
            self._happen(p, Event.ROUND_FAILED)
        else:
            self._happen(p, Event.EXHAUSTED)

    def _parting(self, event: ev.Parting) -> None:
        p = self.pairs.get(event.pair)
        if p is not None and p.state in SEARCHING and not self._timers.beyond((Timer.OE_HOLD, p.pair), event.until):
            self._at(Timer.OE_HOLD, p, event.until, lambda: self._waited(p))

    def _up(self, event: ev.Up) -> None:
        p = self.pairs.get(event.pair)
        if p is None:
            if not self._room():
                self._effects += [ev.Close(event.pair, event.sa), ev.Overflow(event.pair)]
                return
            p = self._new(event.pair, event.terms)
        why = objection(p, event.grade, self._peers(p.terms).get(p.pair.dst), event.key, event.gateway)
        if why:
            self._closing = event.sa
            self._effects.append(ev.Tell(p.pair, f"tunnel with {event.gateway} refused: {why}", True))
            self._happen(p, Event.WEAK)
            if event.ours:
                self._failed(ev.Failed(p.pair, why))
            if p.state is State.UNDECIDED:
                self._drop(p)
            return
        peer = self._peers(p.terms).note(p.pair.dst)
        if peer.best is not None and peer.best.beats(event.grade):
            text = f"downgraded: grade {event.grade}, it was {peer.best} before"
            self._effects.append(ev.Tell(p.pair, text, True))
        misjudged = peer.up(event.grade, self._now)
        old = p.sa if p.outranks(event.grade, event.gateway) else 0
        if p.state is not State.TUNNEL:
            p.up_at = self._now
        p.sa, p.grade, p.key, p.gateway = event.sa, event.grade, event.key, event.gateway
        # Where the peer began it, our own call goes on: both ends may have called at once.
        p.calling = None if event.ours else p.calling
        self._happen(p, Event.UP)
        if old and old != event.sa:
            self._effects.append(ev.Close(p.pair, old))
        if misjudged:
            self._wake(p)

    def _wake(self, heard: PairState) -> None:
        """Its peer is not deaf: pairs that were decided because it was silent once are tried with their next packet."""
        for pair in islice(self.index.within(host_subnet(heard.pair.dst)), MOST_WOKEN):
            p = self.pairs[pair]
            if p.state in SHUNTS and p.retry_at > self._now and p.terms.behind == heard.terms.behind:
                p.retry_at = self._now

    def _down(self, event: ev.Down) -> None:
        p = self.pairs.get(event.pair)
        if p is not None and p.sa == event.sa and p.state is State.TUNNEL:
            self._effects.append(ev.Tell(p.pair, f"tunnel gone: {event.reason or 'ended'}"))
            self._peers(p.terms).note(p.pair.dst).ended(self._now - p.up_at, self._now)
            self._happen(p, Event.DOWN)

    def _used(self, event: ev.Used) -> None:
        for pair in event.pairs:
            if (p := self.pairs.get(pair)) is not None:
                self._use(p)

    def _use(self, p: PairState) -> None:
        """It carries packets; the first ones after its pause have it tried again."""
        p.last_used = self._now
        if p.state in SHUNTS and 0 < p.retry_at <= self._now:
            self._retry(p)

    def _about(self, pair: Pair, event: Event) -> None:
        if (p := self.pairs.get(pair)) is not None:
            self._closing = p.sa
            self._happen(p, event)

    # Moves.

    def _happen(self, p: PairState, event: Event) -> None:
        move = next_move(p.state, event)
        if move is None:
            return
        before = p.state
        p.state = move.to or failure(p.terms, self._peers(p.terms).get(p.pair.dst))
        self.searching += (p.state in SEARCHING) - (before in SEARCHING)
        if p.state not in ASKING:
            self._questions.unwant(p.pair)
        if p.state not in SEARCHING:
            self._timers.cancel((Timer.OE_HOLD, p.pair))
        for act in move.acts:
            self._acts[act](p)

    def _hold(self, p: PairState) -> None:
        p.held_at = self._now
        self._shunt(p, p.terms.negotiation)
        self._at(Timer.OE_HOLD, p, self._now + p.terms.hold_timeout, lambda: self._waited(p))

    def _extend(self, p: PairState) -> None:
        # Counted from the beginning: whoever forges answers cannot make it longer.
        end = p.held_at + p.terms.hold_timeout + HANDSHAKE
        self._at(Timer.OE_HOLD, p, end, lambda: self._waited(p))

    def _waited(self, p: PairState) -> None:
        looking = p.state is State.LOOKING
        p.reason = "no answer from the DNS yet" if looking else p.reason or NO_ANSWER
        self._happen(p, Event.HOLD_TIMEOUT)

    def _ask(self, p: PairState) -> None:
        given_up = self._questions.want(p.pair, self._now)
        if given_up is not None:
            self._learned(ev.Learned(given_up, Verdict.FAILED, (), 0.0, "more is asked of the DNS than it can answer"))
        self._ask_more()

    def _ask_more(self) -> None:
        while (destination := self._questions.next(self._now)) is not None:
            self._effects.append(ev.Ask(destination))

    def _call(self, p: PairState, at: int) -> None:
        p.at, p.called_at = at, self._now
        target = p.target
        p.calling = target.address if target is not None else p.pair.dst
        self._effects.append(ev.Call(p.pair, p.terms.owner, target))

    def _wait(self, p: PairState) -> None:
        p.rounds += 1
        when = self._now + round_pause(p.rounds)
        self._at(Timer.OE_ROUND, p, when, lambda: self._happen(p, Event.AGAIN))

    def _redirect(self, p: PairState) -> None:
        same = next((at for at, each in enumerate(p.gateways) if each.address == p.calling), None)
        if same is None:
            self._stop(p)
            self._call(p, 0)
        else:
            p.at = same
            self._effects.append(ev.Inform(p.pair, p.gateways[same]))

    def _stop(self, p: PairState) -> None:
        self._timers.cancel((Timer.OE_ROUND, p.pair))
        if p.calling is not None:
            p.calling = None
            self._effects.append(ev.Hang(p.pair))

    def _shunt(self, p: PairState, shunt: Shunt) -> None:
        if p.shunt is not shunt:
            p.shunt, p.since = shunt, self._now
            self._effects.append(ev.SetShunt(p.pair, shunt, p.terms.owner))

    def _tunnel(self, p: PairState) -> None:
        self._timers.cancel((Timer.OE_ROUND, p.pair))
        if p.shunt is not None or not p.since:
            p.since = self._now
        p.shunt, p.rounds, p.failures, p.retry_at = None, 0, 0, 0.0
        p.reason = p.hint = ""
        p.last_used = self._now
        self._effects.append(ev.SetTunnel(p.pair, p.sa))
        self._life(p)

    def _fail(self, p: PairState) -> None:
        shunt = SHUNT_OF[failure(p.terms, self._peers(p.terms).get(p.pair.dst))]
        peer = self._peers(p.terms).get(p.pair.dst)
        if shunt is Shunt.PASS and p.shunt is not shunt and peer is not None and peer.best is not None:
            text = f"in clear from now on, it had a tunnel of grade {peer.best} before: {p.reason or NO_ANSWER}"
            self._effects.append(ev.Tell(p.pair, text, True))
        self._shunt(p, shunt)
        if p.state in LATE:
            self._life(p)

    def _deaf(self, p: PairState) -> None:
        if p.state in LATE and too_soon(p, self._now):
            return
        peer = self._peers(p.terms).note(p.pair.dst)
        peer.deaf_until = self._now + min(DEAF, max(p.dns_ttl, 1.0))
        peer.reason = p.reason or NO_ANSWER

    def _settle(self, p: PairState) -> None:
        self._timers.cancel((Timer.OE_ROUND, p.pair))
        p.calling, p.rounds, p.settled_at, p.sa, p.grade = None, 0, self._now, 0, None
        self._life(p)
        if p.terms.stance in FIXED:
            return
        peer = self._peers(p.terms).get(p.pair.dst)
        p.reason = p.reason or (peer.reason if peer is not None else "") or NO_ANSWER
        p.failures += 1
        p.retry_at = self._now + pause(p.failures)

    def _retry(self, p: PairState) -> None:
        kind = RETRIES[search(p.terms, self._peers(p.terms).get(p.pair.dst), self._now)]
        p.retry_at, p.rounds, p.hint, p.gateways = 0.0, 0, "", ()
        if kind is Event.RETRY_BOTH and (peer := self._peers(p.terms).get(p.pair.dst)) is not None:
            p.gateways = peer.gateways
        self._happen(p, kind)

    def _life(self, p: PairState) -> None:
        end = max(p.last_used, p.settled_at) + p.terms.lifetime
        later = end if end > self._now else self._now + p.terms.lifetime
        self._at(Timer.OE_LIFE, p, later, lambda: self._lived(p))

    def _lived(self, p: PairState) -> None:
        if p.last_used + p.terms.lifetime > self._now or next_move(p.state, Event.EXPIRED) is None:
            if p.state is State.TUNNEL:
                # Both ends count from the same packets: one of them goes first, and what it brings about is for both.
                turn = 0.0 if p.pair.src.packed < p.pair.dst.packed else SECOND
                self._at(Timer.OE_ROUND, p, self._now + turn, lambda: self._improve(p))
            self._life(p)
            return
        self._closing = p.sa
        self._happen(p, Event.EXPIRED)

    def _improve(self, p: PairState) -> None:
        if p.state is State.TUNNEL and p.calling is None and improvable(p):
            self._ask(p)

    def _close(self, p: PairState) -> None:
        if self._closing:
            self._effects.append(ev.Close(p.pair, self._closing))
            self._closing = 0

    def _forget(self, p: PairState) -> None:
        self._effects.append(ev.DelPair(p.pair))
        self._drop(p)

    # Room.

    def _peers(self, terms: Terms) -> Peers:
        return self.peers_of_others if terms.behind else self.peers

    def _new(self, pair: Pair, terms: Terms) -> PairState:
        p = self.pairs[pair] = PairState(pair, terms, last_used=self._now)
        self.index.add(pair)
        peer = self._peers(terms).get(pair.dst)
        if peer is not None and peer.capable_until > self._now and terms.asks_dns:
            p.gateways = peer.gateways
        return p

    def _drop(self, p: PairState) -> None:
        self.pairs.pop(p.pair, None)
        self.index.remove(p.pair)
        self._questions.unwant(p.pair)
        for timer in (Timer.OE_HOLD, Timer.OE_ROUND, Timer.OE_LIFE):
            self._timers.cancel((timer, p.pair))

    def _room(self) -> bool:
        """Is there room for another pair? The oldest that is decided without a tunnel makes way, if it must."""
        if len(self.pairs) < self._most_pairs:
            return True
        for pair in list(islice(self.pairs, LOOKED_AT)):
            if self.pairs[pair].state in SHUNTS:
                self._forget(self.pairs[pair])
                return True
            self.pairs.move_to_end(pair)
        return False

    def _at(self, timer: Timer, p: PairState, when: Instant, action: Callable[[], None]) -> None:
        key: tuple[Timer, Hashable] = (timer, p.pair)
        self._timers.set(key, when, action)
