# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes on under an ISAKMP SA: what is asked of it, what it hears, what is due (RFC 2409 5.5, 5.7).

Nothing counts before its hash is right. A Message ID serves one exchange: what was recorded and is sent again later
does nothing. Quick Modes themselves are in `quickmodes`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container
from functools import partial

from openswan.base.address import Endpoint
from openswan.base.errors import WireError
from openswan.base.interval import Duration, Instant
from openswan.base.log import Rc
from openswan.ike.effects import Gone
from openswan.ike.events import CreateChild, DeleteChild, DeleteIke, Probe, RekeyChild, Request, Tell
from openswan.ike.retransmit import Due, Outstanding
from openswan.ike.v1 import child as children
from openswan.ike.v1 import further, informational, quick, refusal, succession, transactions, xauth
from openswan.ike.v1.core import MOST_REPLAYS, Core
from openswan.ike.v1.effects import Effect, IsakmpReplaced
from openswan.ike.v1.quickmodes import UNKNOWN, QuickModes
from openswan.ike.v1.states import FURTHER, PROVEN, State
from openswan.ike.v1.transactions import Talk
from openswan.plane.commands import Encap
from openswan.wire.v1.delete import Delete
from openswan.wire.v1.header import Flags
from openswan.wire.v1.message import Message
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import ExchangeType, NotifyType, ProtocolId
from openswan.wire.v1.vendor import DPD

MOST_IDS = 65536
"""Message IDs of one ISAKMP SA; a peer that has used them up has to begin another."""
AGAIN: Duration = 2.0
"""A pair that was replaced is deleted once more after this: who has not had the first Delete may still send on it."""
IDLE: Duration = 300.0
"""And one that the peer may still take for the better: since it was last heard on it."""
COMMIT = "IKE message has the Commit Flag set but Pluto doesn't implement this feature; ignoring flag"
INCOMPLETE = "{} message is unacceptable because it is for an incomplete ISAKMP SA"
REBORN = (NotifyType.INVALID_COOKIE, NotifyType.INVALID_SPI)
NAMES = {
    ExchangeType.QUICK: "Quick Mode",
    ExchangeType.INFORMATIONAL: "Informational Exchange",
    ExchangeType.TRANSACTION: "ModeCfg",
}
"""Exchanges under an ISAKMP SA."""
KNOWN: dict[ExchangeType, Callable[[Core], Container[int]]] = {
    ExchangeType.QUICK: lambda sa: sa.quicks,
    ExchangeType.TRANSACTION: lambda sa: sa.talks,
}
"""Those of more than one message: the Message IDs that are good for another."""


class Exchanges(QuickModes):
    """An ISAKMP SA as far as it is established."""

    retire_at: Instant | None = None
    told = True

    @property
    def peer_does_dpd(self) -> bool:
        """Does the peer answer R_U_THERE?"""
        return DPD in self.announced and self.policy is not None and self.policy.dpd

    @property
    def busy(self) -> bool:
        """Is something unanswered, or waiting?"""
        return bool(self.waiting or self.prober.asked) or any(one.is_open for one in self.quicks.values())

    # --- what is asked of it

    def request(self, request: Request, now: Instant) -> list[Effect]:
        """Do what openswan.ike.events says; a Quick Mode waits until the SA is established, and for its turn."""
        if self.state is State.GONE or (self.heir is not None and not isinstance(request, DeleteIke)):
            self.decline(request, "the ISAKMP SA has ended or been replaced")
        elif isinstance(request, CreateChild | RekeyChild):
            self.waiting.append(request)
            self.pump(now)
        elif isinstance(request, DeleteIke):
            self._close()
        elif not self.is_established:
            self.decline(request, f"the ISAKMP SA is in {self.state}")
        elif isinstance(request, DeleteChild):
            self._delete(request, now)
        elif isinstance(request, Probe):
            self._probe(request, now)
        elif isinstance(request, Tell) and request.kind == NotifyType.INVALID_SPI:
            informational.tell(self, [Delete(ProtocolId.ESP, (request.data,))])  # the first one got lost
        else:
            self.decline(request, "IKEv1 has nothing of the kind")
        return self.drain()

    def supersede(self, heir: Exchanges, now: Instant, *, told: bool = True) -> list[Effect]:
        """Let another established ISAKMP SA with the same peer take this one's place; call its `timer` next.

        `told`: the peer hears of its end after LINGER. Where the peer may take this one for the better of the two it
        goes on answering as long as it is used, and ends without a word.
        """
        succession.supersede(self, heir, now, told=told)
        return self.drain()

    def yield_child(self, spi_in: int, other: Exchanges) -> None:
        """Let another established ISAKMP SA with the same peer have a pair."""
        child = self.children.pop(spi_in, None)
        if child is not None:
            other.children[spi_in] = child

    def mapped(self, remote: Endpoint) -> None:
        """An authentic ESP packet showed that the peer's NAT has another address or port for it (RFC 3947 4)."""
        if self.nat_there and self.state is not State.GONE:
            self.remote = remote

    def encap(self) -> Encap | None:
        """The ports ESP uses at this moment; None for raw protocol 50."""
        return quick.encap(self)

    def doubt(self, why: str, now: Instant) -> list[Effect]:
        """Somebody unauthenticated says that the peer does not know us: it is asked, if it can be."""
        self._doubt(why, now)
        return self.drain()

    def _doubt(self, why: str, now: Instant) -> None:
        if self.is_established and self.peer_does_dpd and not self.prober.asked and self.heir is None:
            self.hint(f"{why}: asking the peer", now)
            self._probe(Probe(), now)

    def _delete(self, request: DeleteChild, now: Instant) -> None:
        child = self.children.get(request.spi_in)
        if child is None:
            self.decline(request, UNKNOWN)
            return
        informational.delete(self, [child])
        self.lose(child, Gone.LOCAL)
        self.again.append((now + AGAIN, child))

    def _close(self) -> None:
        """End this SA, telling the peer what ends with it."""
        if self.state in PROVEN:
            if self.heir is None:
                informational.delete(self, self.children.values())
            informational.delete_self(self)
        self.end(Gone.LOCAL if self.heir is None else Gone.REPLACED)

    def _probe(self, probe: Probe, now: Instant) -> None:
        if not self.peer_does_dpd:
            self.decline(probe, "Dead Peer Detection (RFC 3706): not enabled because peer did not advertise it")
            return
        policy = self.need_policy()
        patience = probe.patience or policy.retransmit_timeout
        clock = Outstanding.start(0, (), policy.retransmit_interval, patience, now)
        self.prober.begin(probe, self._are_you_there(), clock)

    def _are_you_there(self) -> int:
        """Ask, and the number it was done under."""
        number = self.prober.next(int.from_bytes(self.rng.octets(4), "big"))
        informational.tell(self, [Notify.dpd(NotifyType.R_U_THERE, self.cookie_i + self.cookie_r, number)])
        return number

    # --- hearing

    def hear(self, message: Message, data: bytes, ends: tuple[Endpoint, Endpoint], now: Instant) -> None:
        """Take a message that is none of phase 1."""
        header = message.header
        why = self._obstacle(message)
        if why:
            self.hint(f"{why} msgid={header.message_id:08x}", now)
            self._heed(message, now)
            return
        if header.flags & Flags.COMMIT:
            self.hint(COMMIT, now)
        try:
            if header.exchange == ExchangeType.QUICK:
                self.hear_quick(message, hashlib.sha256(data).digest(), ends, now)
            elif header.exchange == ExchangeType.TRANSACTION:
                self._hear_transaction(message, hashlib.sha256(data).digest(), ends, now)
            else:
                self._hear_informational(message, ends, now)
        except WireError as why_not:
            self.hint(f"ignoring {header.exchange} message msgid={header.message_id:08x}: {why_not}", now)

    def _obstacle(self, message: Message) -> str:
        """Why a message is not even looked into; empty: it is."""
        header = message.header
        name = NAMES.get(header.exchange)
        if name is None:
            return f"ignoring message of exchange {header.exchange}"
        about = message.content.first(Notify)
        if about is not None and not header.is_encrypted:
            return f"ignoring informational payload, type {about.kind}"
        if message.content.first(Delete) is not None and not header.is_encrypted:
            return "ignoring Delete SA payload: not encrypted"
        informs = header.exchange == ExchangeType.INFORMATIONAL
        proven = self.state in PROVEN or (informs and header.is_encrypted and refusal.may_come(self))
        if not self.is_established and (not proven or header.exchange == ExchangeType.QUICK):
            return INCOMPLETE.format(name)
        if not header.is_encrypted:
            return f"{name} message must be encrypted"
        if (header.cookie_i, header.cookie_r) != (self.cookie_i, self.cookie_r):
            return f"{name} message is for a non-existent (expired?) ISAKMP SA"
        if not header.message_id:
            return f"{name} message is invalid because it has a Message ID of 0"
        find = KNOWN.get(header.exchange)
        fresh = find is None or header.message_id not in find(self)
        if fresh and (header.message_id in self.spent or len(self.spent) >= MOST_IDS):
            return f"{name} message is invalid because it uses a previously used Message ID"
        return ""

    def _heed(self, message: Message, now: Instant) -> None:
        """A peer that was reborn says in clear that it knows nothing of us; so may anybody."""
        told = message.content.first(Notify)
        if told is not None and told.kind in REBORN:
            self._doubt(f"the peer says {told.kind}", now)

    def _hear_informational(self, message: Message, ends: tuple[Endpoint, Endpoint], now: Instant) -> None:
        content, early = refusal.opened(self, message)
        kind = refusal.said(self, content, early)
        if kind is not None:
            text = f"the peer refuses our proof of who we are: {kind}"
            if self.is_initiator:  # of a responder that fails the owner says so
                self.log(text, Rc.LOG_SERIOUS)
            self.fail(text, int(kind))
        elif self.state not in PROVEN:
            self.hint(INCOMPLETE.format(NAMES[message.header.exchange]), now)
        else:
            self.believe(message, ends, now)
            informational.take(self, content, now, lambda notify: self.refused(notify, now))

    def _hear_transaction(self, message: Message, digest: bytes, ends: tuple[Endpoint, Endpoint], now: Instant) -> None:
        message_id, keys = message.header.message_id, self.need_keys()
        talk = self.talks.get(message_id) or Talk(message_id, keys.exchange_iv(message_id))
        if digest == talk.heard:
            if talk.reply and ends[1] == self.remote and talk.replays < MOST_REPLAYS:
                talk.replays += 1
                self.send(talk.reply)
            return
        content, iv = keys.open(message, talk.iv)
        keys.check(content, partial(keys.hash_1, message_id))
        self.believe(message, ends, now)
        talk.heard, talk.reply, talk.replays, talk.iv = digest, b"", 0, iv
        transactions.remember(self, talk)
        further.take(self, talk, transactions.attributes_of(content), now)
        self.pump(now)

    # --- time

    def look(self, now: Instant) -> None:
        """Do what is due of all this."""
        if self.asking is not None and self.asking.outstanding is not None:
            self._look_at_asking(self.asking.outstanding, now)
        if self.refused_at is not None and now >= self.refused_at:
            xauth.say_no(self)
        if self.state is State.GONE:
            return
        for one in list(self.quicks.values()):
            if one.outstanding is not None:
                self.look_at_quick(one, one.outstanding, now)
            elif not one.is_open and now >= one.until:
                del self.quicks[one.message_id]
        self.about = 0
        for child in list(self.children.values()):
            if child.delete_at is None or now < child.delete_at or self.heir is not None:
                continue
            if child.replaced_by in self.children or children.has_younger(self.children.values(), child):
                informational.delete(self, [child])
                self.lose(child, Gone.REPLACED)
                self.again.append((now + AGAIN, child))
            else:  # what was to take over is gone
                child.delete_at, child.replaced_by = None, 0
        while self.again and now >= self.again[0][0]:
            informational.delete(self, [self.again.pop(0)[1]])
        self.pump(now)
        if self.prober.clock is not None:
            self._look_for_peer(self.prober.clock, now)
        if self.retire_at is not None and now >= self.retire_at and self.is_established:
            if self.told:
                self._close()
            elif now - self.last_heard >= IDLE:
                self.end(Gone.REPLACED)
            else:
                self.retire_at = self.last_heard + IDLE

    def instants(self) -> list[Instant]:
        """When something of all this is due."""
        found = [one.outstanding.next if one.outstanding else one.until for one in self.quicks.values()]
        if self.heir is None:
            found += [one.delete_at for one in self.children.values() if one.delete_at is not None]
        found += [when for when, _ in self.again[:1]]
        if self.prober.clock is not None:
            found.append(self.prober.clock.next)
        if self.asking is not None and self.asking.outstanding is not None:
            found.append(self.asking.outstanding.next)
        if self.refused_at is not None:
            found.append(self.refused_at)
        if self.retire_at is not None:
            found.append(self.retire_at)
        return [*found, self.last_heard] if self.has_turn() else found

    def _look_at_asking(self, outstanding: Outstanding, now: Instant) -> None:
        due = outstanding.due(now)
        if due is Due.REPEAT:
            self.log(f"{self.state}: retransmission; will wait {outstanding.wait:g}s for response", Rc.RETRANSMISSION)
            if self.last_word:
                self.send(self.last_word)
            self.send(outstanding.datagrams[0])
        elif due is Due.GIVE_UP:
            text = f"max number of retransmissions ({outstanding.repeats}) reached {self.state}"
            self.log(text, Rc.NORETRANSMISSION)
            self.give_up(text)

    def give_up(self, why: str) -> None:
        """The peer is silent before this SA counts."""
        if self.state in FURTHER:
            informational.delete_self(self)
        self.fail(why, timeout=True)

    def _look_for_peer(self, clock: Outstanding, now: Instant) -> None:
        due = clock.due(now)
        if due is Due.REPEAT:
            self._are_you_there()
            self.count(clock)
        elif due is Due.GIVE_UP:
            self.log("DPD: No response from peer - declaring peer dead")
            self.end(Gone.TIMEOUT)

    def end(self, reason: Gone) -> None:
        """Nothing more comes of this SA."""
        if reason is Gone.PEER:
            succession.hand_back(self)
        succession.pass_on(self)
        for one in self.quicks.values():
            quick.withdraw(self, one)
        self.quicks.clear()
        self.again.clear()
        self.retire_at = None
        if self.heir is not None and self.heir.state is not State.GONE:
            self.emit(IsakmpReplaced(self.heir))
            self.children = {}
        super().end(reason)
