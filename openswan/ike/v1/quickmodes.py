# SPDX-License-Identifier: GPL-2.0-or-later
"""The Quick Modes under an ISAKMP SA, any number at once (RFC 2409 5.5): begun, heard, answered again, given up.

The messages themselves are in `quick`, one step each. Within an exchange the very same datagram gets the same answer,
MOST_REPLAYS times and only to where that went. As both ends are known, each repeats what has to be answered: QR1 too,
without which a lost QI2 would never show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from openswan.base.address import Endpoint
from openswan.base.errors import CryptoError, IkeError, WireError
from openswan.base.interval import Duration, Instant
from openswan.base.log import Rc
from openswan.crypto import oakley
from openswan.ike.events import CreateChild, RekeyChild
from openswan.ike.retransmit import Due, Outstanding
from openswan.ike.v1 import informational, quick
from openswan.ike.v1.child import Child
from openswan.ike.v1.core import MOST_REPLAYS, Core
from openswan.ike.v1.effects import IsakmpReplaced, Unconfirmed
from openswan.ike.v1.exchange import Quick
from openswan.ike.v1.policy import NotYet, QuickPolicy
from openswan.ike.v1.states import State
from openswan.policy.selector import Selector
from openswan.wire.v1.body import Payload
from openswan.wire.v1.message import Content, Message
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import ExchangeType, NotifyType, ProtocolId
from openswan.wire.v1.sa import Sa
from openswan.wire.v1.vendor import OWN

MOST_OWN = 16
"""Quick Modes of ours that are unanswered at once; more wait."""
MOST_ELSEWHERE = 2
"""The same with a peer that is not of our kind: strongSwan keeps track of three exchanges at a time."""
MOST_THEIRS = 64
"""Quick Modes of the peer's that are under way at once,"""
MOST_OVER = 256
"""and those of both ends that are over and still answer repetitions; beyond that the oldest are forgotten."""
SETTLE: Duration = 20.0
"""How long a replaced pair is kept before it is deleted: the peer may not have had QI2 yet."""
UNKNOWN = "there is no such child SA"
LIKED = "No acceptable response to our first Quick Mode message: perhaps peer likes no proposal"

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


class QuickModes(Core):
    """An ISAKMP SA as far as pairs of IPsec SAs come of it."""

    # --- what is asked of it

    def pump(self, now: Instant) -> None:
        """Begin what waits, as far as there is room."""
        while self.has_turn():
            self._begin(self.waiting.popleft(), now)

    def has_turn(self) -> bool:
        """May the next of what waits begin?"""
        own = sum(one.is_initiator and one.is_open for one in self.quicks.values())
        room = MOST_OWN if OWN in self.announced else MOST_ELSEWHERE
        return bool(self.waiting) and self.is_established and own < room

    def _begin(self, request: CreateChild | RekeyChild, now: Instant) -> None:
        policy, self.about = request.policy, request.token
        if isinstance(request, RekeyChild):
            child = self.children.get(request.spi_in)
            if child is None:
                self.decline(request, UNKNOWN)
                return
            if child.replaced_by in self.children or self._is_being_replaced(child):
                self.decline(request, "the peer replaces it")
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
            self.decline(request, str(why))
            return
        self.quicks[message_id] = one
        data = self._seal(one, keys.hashed(message_id, payloads))
        self._await(one, data, now)
        one.move(State.QUICK_I1)
        self.log(f"{one.state}: initiate", one.state.code)

    def _assigned_client(self, policy: QuickPolicy) -> tuple[Selector, ...]:
        """Our side of a Quick Mode: the address the peer has given us, of the family of its side."""
        address = self.assigned.address(policy.theirs[0].first.version) if self.assigned else None
        return (Selector.host(address),) if address is not None else policy.mine

    def _is_being_replaced(self, child: Child) -> bool:
        """Is a Quick Mode of the peer's for the same clients under way?"""
        made = (one.agreement for one in self.quicks.values() if one.state is State.QUICK_R1)
        wanted = (child.protocol, child.mine, child.theirs)
        return any(
            (one.chosen.child.protocol, (one.clients.mine,), (one.clients.theirs,)) == wanted for one in made if one
        )

    # --- hearing

    def hear_quick(self, message: Message, digest: bytes, ends: tuple[Endpoint, Endpoint], now: Instant) -> None:
        """Take a message of a Quick Mode; WireError when its hash is wrong."""
        message_id, keys = message.header.message_id, self.need_keys()
        one = self.quicks.get(message_id)
        if one is None:
            if sum(known.is_open and not known.is_initiator for known in self.quicks.values()) >= MOST_THEIRS:
                self.hint("too many Quick Modes at once", now)
                return
            one = Quick(message_id, False, keys.exchange_iv(message_id), State.QUICK_R0, now, now)
        elif digest == one.heard:
            self._answer_again(one, ends[1], now)
            return
        step = STEPS.get(one.state)
        if step is None:
            self.hint(f"discarding duplicate packet; already {one.state}", now)
            return
        content, iv = keys.open(message, one.iv)
        keys.check(content, partial(self._expected, one))
        self.believe(message, ends, now)
        if not (one.is_initiator or one.number):
            one.number = self.ask.number()
        self.quicks[message_id], self.about = one, one.token
        one.heard, one.reply, one.replays, one.iv = digest, b"", 0, iv
        try:
            payloads = step.run(self, one, content, now)
        except NotYet as why:
            self.log(f"{why}, before Quick Mode is answered")
            del self.quicks[message_id]
            self.spent.discard(message_id)
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

    def refused(self, notify: Notify, now: Instant) -> None:
        """The peer does not want a Quick Mode of ours: the one whose SPI it names, or the only one there is.

        Who refuses before it has read the proposal says an SPI of 0.
        """
        asking = [one for one in self.quicks.values() if one.state is State.QUICK_I1]
        meant = [one for one in asking if one.spi.to_bytes(4, "big") == notify.spi]
        if not meant and len(asking) == 1 and (len(notify.spi) != 4 or not any(notify.spi)):
            meant = asking
        for one in meant:
            self._lost(one, f"the peer refuses our Quick Mode: {notify.kind}", int(notify.kind), now)

    def _lost(self, one: Quick, why: str, notify: int, now: Instant) -> None:
        """A Quick Mode has come to nothing."""
        one.until = now + self.need_policy().retransmit_timeout
        self.over(one)
        if one.request is not None and self.heir is not None and not notify:
            self.heir.waiting.append(one.request)  # the peer may know nothing of this ISAKMP SA any more
            self.emit(IsakmpReplaced(self.heir))
        elif one.request is not None:
            self.decline(one.request, why, notify)
        self.pump(now)

    def over(self, one: Quick) -> None:
        """A Quick Mode has ended without a pair."""
        quick.withdraw(self, one)
        one.move(State.GONE)

    def _forget_oldest(self) -> None:
        """Of the Quick Modes that are over no more than MOST_OVER are remembered."""
        over = [one.message_id for one in self.quicks.values() if not one.is_open]
        for message_id in over[: max(0, len(over) - MOST_OVER)]:
            del self.quicks[message_id]

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

    def _answer_again(self, one: Quick, remote: Endpoint, now: Instant) -> None:
        """The peer repeats what was answered: it gets the same answer, where it has always been."""
        if not one.reply or remote != self.remote or one.replays >= MOST_REPLAYS:
            self.hint(f"discarding duplicate packet; already {one.state}", now)
            return
        one.replays += 1
        self.log(f"retransmitting in response to duplicate packet; already {one.state}", Rc.RETRANSMISSION)
        self.send(one.reply)
        if one.is_initiator and one.spi in self.children:
            self.emit(Unconfirmed(one.spi))
        old = self.children.get(one.request.spi_in) if isinstance(one.request, RekeyChild) else None
        if old is not None and old.delete_at is not None:
            old.delete_at = max(old.delete_at, now + SETTLE)  # the peer has no other pair yet

    def look_at_quick(self, one: Quick, outstanding: Outstanding, now: Instant) -> None:
        """Repeat what has to be answered, or give up."""
        due, self.about = outstanding.due(now), one.token
        if due is Due.REPEAT:
            self.log(f"{one.state}: retransmission; will wait {outstanding.wait:g}s for response", Rc.RETRANSMISSION)
            if self.last_word:
                self.send(self.last_word)
            self.send(outstanding.datagrams[0])
            self.count(outstanding)
        elif due is Due.GIVE_UP:
            liked = f"  {LIKED}" if one.is_initiator else ""
            text = f"max number of retransmissions ({outstanding.repeats}) reached {one.state}.{liked}"
            self.log(text, Rc.NORETRANSMISSION)
            self._lost(one, text, 0, now)
