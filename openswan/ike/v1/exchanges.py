# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes on under an ISAKMP SA: Quick Modes, any number at once, and Informationals (RFC 2409 5.5, 5.7).

Nothing counts before its hash is right. A Message ID serves one exchange: what was recorded and is sent again later
does nothing. Within an exchange the very same datagram gets the same answer, MOST_REPLAYS times and only to where that
went. As both ends are known, each repeats what has to be answered: QR1 too, without which a lost QI2 would never show.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from openswan.base.address import Endpoint, host_subnet
from openswan.base.errors import CryptoError, IkeError, WireError
from openswan.base.interval import Duration, Instant
from openswan.base.log import Rc
from openswan.crypto import oakley
from openswan.ike.effects import Gone, Heard, PeerMoved, RequestFailed, Silent
from openswan.ike.events import CreateChild, DeleteChild, DeleteIke, Probe, RekeyChild, Request, Tell
from openswan.ike.retransmit import Due, Outstanding
from openswan.ike.v1 import child as children
from openswan.ike.v1 import further, informational, quick, transactions, xauth
from openswan.ike.v1.child import Child
from openswan.ike.v1.core import Core
from openswan.ike.v1.effects import Effect, IsakmpReplaced
from openswan.ike.v1.exchange import Quick
from openswan.ike.v1.policy import QuickPolicy
from openswan.ike.v1.states import FURTHER, KEYED, PROVEN, State
from openswan.ike.v1.transactions import Talk
from openswan.plane.commands import Encap
from openswan.policy.selector import Selector
from openswan.wire.v1.body import Payload
from openswan.wire.v1.delete import Delete
from openswan.wire.v1.header import Flags
from openswan.wire.v1.message import Content, Message
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import ExchangeType, NotifyType, ProtocolId
from openswan.wire.v1.sa import Sa
from openswan.wire.v1.vendor import DPD

if TYPE_CHECKING:
    from openswan.ike.v1.sa import IsakmpSa

MOST_REPLAYS = 5
"""How often one answer is repeated."""
MOST_OWN = 16
"""Quick Modes of ours that are unanswered at once; more wait."""
MOST_THEIRS = 64
"""Quick Modes of the peer's that are under way at once,"""
MOST_OVER = 256
"""and those of both ends that are over and still answer repetitions; beyond that the oldest are forgotten."""
MOST_IDS = 65536
"""Message IDs of one ISAKMP SA; a peer that has used them up has to begin another."""
SILENT = 3
"""Repetitions after which a peer counts as silent."""
SETTLE: Duration = 20.0
"""How long a replaced pair is kept before it is deleted: the peer may not have had QI2 yet."""
LINGER: Duration = 30.0
"""How long a replaced ISAKMP SA answers."""
AGAIN: Duration = 2.0
"""A pair that was replaced is deleted once more after this: who has not had the first Delete may still send on it."""
IDLE: Duration = 300.0
"""And one that the peer may still take for the better: since it was last heard on it."""
COMMIT = "IKE message has the Commit Flag set but Pluto doesn't implement this feature; ignoring flag"
LIKED = "No acceptable response to our first Quick Mode message: perhaps peer likes no proposal"
REBORN = (NotifyType.INVALID_COOKIE, NotifyType.INVALID_SPI)
UNKNOWN = "there is no such child SA"

Run: TypeAlias = Callable[[Core, Quick, Content, Instant], Sequence[Payload]]


@dataclass(frozen=True, slots=True)
class Step:
    """What is done with the message a state waits for."""

    run: Run
    target: State


STEPS: dict[State, Step] = {
    State.QUICK_R0: Step(quick.take_qi1, State.QUICK_R1),
    State.QUICK_I1: Step(quick.take_qr1, State.QUICK_I2),
    State.QUICK_R1: Step(quick.take_qi2, State.QUICK_R2),
}


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


class Exchanges(Core):
    """An ISAKMP SA as far as it is established."""

    heir: IsakmpSa | None = None
    """The one that has taken its place; children are common to both then."""
    retire_at: Instant | None = None
    told = True
    before: tuple[Exchanges, ...] = ()
    """Those whose place this one has taken."""

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
            self._fail(request, "the ISAKMP SA has ended or been replaced")
        elif isinstance(request, CreateChild | RekeyChild):
            self.waiting.append(request)
            self.pump(now)
        elif isinstance(request, DeleteIke):
            self._close()
        elif not self.is_established:
            self._fail(request, f"the ISAKMP SA is in {self.state}")
        elif isinstance(request, DeleteChild):
            self._delete(request)
        elif isinstance(request, Probe):
            self._probe(request, now)
        elif isinstance(request, Tell) and request.kind == NotifyType.INVALID_SPI:
            informational.tell(self, [Delete(ProtocolId.ESP, (request.data,))])  # the first one got lost
        else:
            self._fail(request, "IKEv1 has nothing of the kind")
        return self.drain()

    def supersede(self, heir: IsakmpSa, now: Instant, *, told: bool = True) -> list[Effect]:
        """Let another established ISAKMP SA with the same peer take this one's place; call its `timer` next.

        `told`: the peer hears of its end after LINGER. Where the peer may take this one for the better of the two it
        goes on answering as long as it is used, and ends without a word.
        """
        if self.state in KEYED and self.heir is None and heir is not self:
            heir.children.update(self.children)
            # Not every client asks for its address again.
            heir.assigned, heir.granted = heir.assigned or self.assigned, heir.granted or self.granted
            heir.before += (*(one for one in self.before if one.state is not State.GONE), self)
            for older in heir.before:
                older.children, older.heir = heir.children, heir
            self.before = ()
            for one in self.quicks.values():
                if one.is_initiator and one.is_open and one.request is not None:
                    heir.waiting.append(one.request)
                    self._over(one)
            heir.waiting.extend(self.waiting)
            self.waiting.clear()
            self.prober.forget()
            self.retire_at, self.told = now + LINGER, told
            self.emit(IsakmpReplaced(heir))
        return self.drain()

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

    def pump(self, now: Instant) -> None:
        """Begin what waits, as far as there is room."""
        while self._has_turn():
            self._begin(self.waiting.popleft(), now)

    def _has_turn(self) -> bool:
        own = sum(one.is_initiator and one.is_open for one in self.quicks.values())
        return bool(self.waiting) and self.is_established and own < MOST_OWN

    def _begin(self, request: CreateChild | RekeyChild, now: Instant) -> None:
        policy, self.about = request.policy, request.token
        if isinstance(request, RekeyChild):
            child = self.children.get(request.spi_in)
            if child is None:
                self._fail(request, UNKNOWN)
                return
            if child.replaced_by in self.children or self._is_being_replaced(child):
                self._fail(request, "the peer replaces it")
                return
            policy = replace(policy or child.policy, mine=child.mine, theirs=child.theirs, virtual=False)
        if not isinstance(policy, QuickPolicy):
            raise TypeError("a Quick Mode needs a QuickPolicy")
        if policy.virtual and self.assigned is not None:
            policy = replace(policy, mine=self._assigned_client(policy))
        keys, message_id = self.need_keys(), self.new_message_id()
        one = Quick(message_id, True, keys.exchange_iv(message_id), State.QUICK_I0, now, now, request)
        try:
            payloads = quick.begin(self, one, policy)
        except (IkeError, CryptoError, WireError) as why:
            self._fail(request, str(why))
            return
        self.quicks[message_id] = one
        data = self._seal(one, keys.hashed(message_id, payloads))
        self._await(one, data, now)
        one.move(State.QUICK_I1)
        self.log(f"{one.state}: initiate", one.state.code)

    def _assigned_client(self, policy: QuickPolicy) -> tuple[Selector, ...]:
        """Our side of a Quick Mode: the address the peer has given us, of the family of its side."""
        address = self.assigned.address(policy.theirs[0].first.version) if self.assigned else None
        return (Selector.of(host_subnet(address)),) if address is not None else policy.mine

    def _is_being_replaced(self, child: Child) -> bool:
        """Is a Quick Mode of the peer's for the same clients under way?"""
        made = (one.agreement for one in self.quicks.values() if one.state is State.QUICK_R1)
        wanted = (child.protocol, child.mine, child.theirs)
        return any(
            (one.chosen.child.protocol, (one.clients.mine,), (one.clients.theirs,)) == wanted for one in made if one
        )

    def _delete(self, request: DeleteChild) -> None:
        child = self.children.get(request.spi_in)
        if child is None:
            self._fail(request, UNKNOWN)
            return
        informational.delete(self, [child])
        self.lose(child, Gone.LOCAL)

    def _close(self) -> None:
        """End this SA, telling the peer what ends with it."""
        if self.state in PROVEN:
            if self.heir is None:
                informational.delete(self, self.children.values())
            informational.delete_self(self)
        self.end(Gone.LOCAL if self.heir is None else Gone.REPLACED)

    def _probe(self, probe: Probe, now: Instant) -> None:
        if not self.peer_does_dpd:
            self._fail(probe, "Dead Peer Detection (RFC 3706): not enabled because peer did not advertise it")
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

    def _fail(self, request: Request, why: str, notify: int = 0) -> None:
        self.emit(RequestFailed(request, why, notify))

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
                self._hear_quick(message, hashlib.sha256(data).digest(), ends, now)
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
        if not self.is_established and (self.state not in PROVEN or header.exchange == ExchangeType.QUICK):
            return f"{name} message is unacceptable because it is for an incomplete ISAKMP SA"
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

    def _authentic(self, message: Message, ends: tuple[Endpoint, Endpoint], now: Instant) -> None:
        """The peer, and nobody else, says this now."""
        self.spent.add(message.header.message_id)
        self.last_word, self.outstanding = b"", None
        self.last_heard = now
        if self.silent:
            self.silent = False
            self.emit(Heard())
        if self.nat_there and ends != (self.local, self.remote):
            self.local, self.remote = ends
            self.emit(PeerMoved(*ends))

    def _hear_informational(self, message: Message, ends: tuple[Endpoint, Endpoint], now: Instant) -> None:
        keys, message_id = self.need_keys(), message.header.message_id
        content, _ = keys.open(message, keys.exchange_iv(message_id))
        said, rest = content.hashed()
        _same(said, oakley.hash_1(keys.oakley, keys.skeyid.a, message_id, rest))
        self._authentic(message, ends, now)
        informational.take(self, content, now, lambda notify: self._refused(notify, now))

    def _hear_transaction(self, message: Message, digest: bytes, ends: tuple[Endpoint, Endpoint], now: Instant) -> None:
        message_id, keys = message.header.message_id, self.need_keys()
        talk = self.talks.get(message_id) or Talk(message_id, keys.exchange_iv(message_id))
        if digest == talk.heard:
            if talk.reply and ends[1] == self.remote and talk.replays < MOST_REPLAYS:
                talk.replays += 1
                self.send(talk.reply)
            return
        content, iv = keys.open(message, talk.iv)
        said, rest = content.hashed()
        _same(said, oakley.hash_1(keys.oakley, keys.skeyid.a, message_id, rest))
        self._authentic(message, ends, now)
        talk.heard, talk.reply, talk.replays, talk.iv = digest, b"", 0, iv
        transactions.remember(self, talk)
        further.take(self, talk, transactions.attributes_of(content), now)
        self.pump(now)

    def _refused(self, notify: Notify, now: Instant) -> None:
        """The peer does not want a Quick Mode of ours: the one whose SPI it names, or the only one there is.

        Who refuses before it has read the proposal says an SPI of 0.
        """
        asking = [one for one in self.quicks.values() if one.state is State.QUICK_I1]
        meant = [one for one in asking if one.spi.to_bytes(4, "big") == notify.spi]
        if not meant and len(asking) == 1 and (len(notify.spi) != 4 or not any(notify.spi)):
            meant = asking
        for one in meant:
            self._lost(one, f"the peer refuses our Quick Mode: {notify.kind}", int(notify.kind), now)

    def _hear_quick(self, message: Message, digest: bytes, ends: tuple[Endpoint, Endpoint], now: Instant) -> None:
        message_id, keys = message.header.message_id, self.need_keys()
        one = self.quicks.get(message_id)
        if one is None:
            if sum(known.is_open and not known.is_initiator for known in self.quicks.values()) >= MOST_THEIRS:
                self.hint("too many Quick Modes at once", now)
                return
            one = Quick(message_id, False, keys.exchange_iv(message_id), State.QUICK_R0, now, now)
        elif digest == one.heard:
            self._again(one, ends[1], now)
            return
        step = STEPS.get(one.state)
        if step is None:
            self.hint(f"discarding duplicate packet; already {one.state}", now)
            return
        content, iv = keys.open(message, one.iv)
        said, rest = content.hashed()
        _same(said, self._expected(one, rest))
        self._authentic(message, ends, now)
        self.quicks[message_id], self.about = one, one.token
        one.heard, one.reply, one.replays, one.iv = digest, b"", 0, iv
        try:
            payloads = step.run(self, one, content, now)
        except (IkeError, WireError, CryptoError) as why:
            self._refuse(one, content, why, now)
        else:
            self._go_on(one, step, payloads, now)

    def _expected(self, one: Quick, rest: bytes) -> bytes:
        """The hash of the message a Quick Mode waits for, over what stands behind it."""
        keys = self.need_keys()
        if one.state is State.QUICK_R1:
            return quick.proof(self, one).data
        nonce = one.nonce if one.is_initiator else b""
        return oakley.hash_2(keys.oakley, keys.skeyid.a, one.message_id, nonce, rest)

    def _go_on(self, one: Quick, step: Step, payloads: Sequence[Payload], now: Instant) -> None:
        """A step is done: say so, install what is agreed, send what comes next."""
        self.log(f"transition from state {one.state} to state {step.target}")
        one.move(step.target)
        one.outstanding, one.until = None, now + self.need_policy().retransmit_timeout
        if one.state is State.QUICK_R1:
            assert one.agreement is not None
            hashed = self.need_keys().hashed(one.message_id, payloads, one.agreement.nonce_i)
            one.reply = self._seal(one, hashed)
            self._await(one, one.reply, now)
            self.log(f"{one.state}: {one.state.story}", one.state.code)
            return
        last = [quick.proof(self, one)] if one.is_initiator else []
        quick.establish(self, one, now, now + SETTLE)
        if last:
            one.reply = self._seal(one, last)
            self.send(one.reply)
        one.close()
        self._forget_oldest()
        self.pump(now)

    def _refuse(self, one: Quick, content: Content, why: IkeError | WireError | CryptoError, now: Instant) -> None:
        """A Quick Mode that comes to nothing by us: the peer is told, again when it repeats its message."""
        self.log(str(why), Rc.LOG_SERIOUS)
        notify = 0 if isinstance(why, CryptoError) else int(why.notify or 0)
        if notify:
            kind, offered = NotifyType(notify), content.first(Sa)
            first = offered.proposals[0] if offered else None
            self.log(f"sending encrypted notification {kind} to {self.remote}")
            protocol, spi = (first.protocol, first.spi) if first else (ProtocolId.ISAKMP, b"")
            one.reply = informational.tell(self, [Notify(kind, protocol=protocol, spi=spi)])
        self._lost(one, str(why), notify, now)

    def _lost(self, one: Quick, why: str, notify: int, now: Instant) -> None:
        """A Quick Mode has come to nothing."""
        one.until = now + self.need_policy().retransmit_timeout
        self._over(one)
        if one.request is not None:
            self._fail(one.request, why, notify)
        self.pump(now)

    def _forget_oldest(self) -> None:
        """Of the Quick Modes that are over no more than MOST_OVER are remembered."""
        over = [one.message_id for one in self.quicks.values() if not one.is_open]
        for message_id in over[: max(0, len(over) - MOST_OVER)]:
            del self.quicks[message_id]

    def _over(self, one: Quick) -> None:
        quick.withdraw(self, one)
        one.move(State.GONE)

    # --- sending

    def _seal(self, one: Quick, payloads: Sequence[Payload]) -> bytes:
        header = self.header(ExchangeType.QUICK, one.message_id, encrypted=True)
        data, one.iv = self.need_keys().seal(header, payloads, one.iv)
        return data

    def _await(self, one: Quick, data: bytes, now: Instant) -> None:
        """Send what is repeated until it is answered."""
        policy = self.need_policy()
        one.outstanding = Outstanding.start(0, (data,), policy.retransmit_interval, policy.retransmit_timeout, now)
        self.send(data)

    def _again(self, one: Quick, remote: Endpoint, now: Instant) -> None:
        """The peer repeats what was answered: it gets the same answer, where it has always been."""
        if not one.reply or remote != self.remote or one.replays >= MOST_REPLAYS:
            self.hint(f"discarding duplicate packet; already {one.state}", now)
            return
        one.replays += 1
        self.log(f"retransmitting in response to duplicate packet; already {one.state}", Rc.RETRANSMISSION)
        self.send(one.reply)
        old = self.children.get(one.request.spi_in) if isinstance(one.request, RekeyChild) else None
        if old is not None and old.delete_at is not None:
            old.delete_at = max(old.delete_at, now + SETTLE)  # the peer has no other pair yet

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
                self._look_at(one, one.outstanding, now)
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
        return [*found, self.last_heard] if self._has_turn() else found

    def _look_at(self, one: Quick, outstanding: Outstanding, now: Instant) -> None:
        due, self.about = outstanding.due(now), one.token
        if due is Due.REPEAT:
            self.log(f"{one.state}: retransmission; will wait {outstanding.wait:g}s for response", Rc.RETRANSMISSION)
            if self.last_word:
                self.send(self.last_word)
            self.send(outstanding.datagrams[0])
            self._count(outstanding)
        elif due is Due.GIVE_UP:
            liked = f"  {LIKED}" if one.is_initiator else ""
            text = f"max number of retransmissions ({outstanding.repeats}) reached {one.state}.{liked}"
            self.log(text, Rc.NORETRANSMISSION)
            self._lost(one, text, 0, now)

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
            self._count(clock)
        elif due is Due.GIVE_UP:
            self.log("DPD: No response from peer - declaring peer dead")
            self.end(Gone.TIMEOUT)

    def _count(self, outstanding: Outstanding) -> None:
        if outstanding.repeats >= SILENT and not self.silent:
            self.silent = True
            self.emit(Silent())

    def end(self, reason: Gone) -> None:
        """Nothing more comes of this SA."""
        for one in self.quicks.values():
            quick.withdraw(self, one)
        self.quicks.clear()
        self.again.clear()
        self.retire_at = None
        if self.heir is not None and self.heir.state is not State.GONE:
            self.emit(IsakmpReplaced(self.heir))
            self.children = {}
        super().end(reason)


def _same(said: bytes, computed: bytes) -> None:
    if not hmac.compare_digest(said, computed):
        raise WireError("received Hash Payload does not match computed value", NotifyType.INVALID_HASH_INFORMATION)
