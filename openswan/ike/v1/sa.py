# SPDX-License-Identifier: GPL-2.0-or-later
"""One ISAKMP SA, initiator or responder: bytes and the clock in, effects out (RFC 2408, RFC 2409).

Here is its face and what it hears. The messages of Main Mode are in `main`, one step each; how it sends and ends is in
`core`. A responder never sends anything by itself before the initiator has proved itself, and repeats an answer only to
whoever repeats the question, MOST_REPLAYS times: nobody is flooded through us (CVE-2016-5361).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from openswan.base.address import Endpoint
from openswan.base.entropy import Rng
from openswan.base.errors import CryptoError, IkeError, IpsecError, WireError
from openswan.base.interval import Duration, Instant
from openswan.base.log import Rc
from openswan.ike.effects import Gone
from openswan.ike.later import Job, Later
from openswan.ike.retransmit import Due, Outstanding
from openswan.ike.v1 import aggressive, further, main, proof
from openswan.ike.v1.core import COOKIE_OCTETS, HALF_OPEN, MOST_REPLAYS, Postponed, malformed
from openswan.ike.v1.effects import Effect
from openswan.ike.v1.exchanges import Exchanges
from openswan.ike.v1.methods import METHODS
from openswan.ike.v1.parts import Step
from openswan.ike.v1.policy import IsakmpPolicy, Owner
from openswan.ike.v1.states import BEGINNING, FURTHER, KEYED, PROVEN, State
from openswan.wire.header import HEADER_OCTETS
from openswan.wire.v1.body import Payload
from openswan.wire.v1.fragment import Fragment
from openswan.wire.v1.header import NO_COOKIE
from openswan.wire.v1.message import Content, Message
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import ExchangeType, NotifyType

DIFFER = "probable authentication failure (mismatch of preshared secrets?)"
EXCHANGE_AT = 18
"""Where a header has its exchange type (RFC 2408 3.1)."""
STEPS: dict[State, Step] = {**main.STEPS, **aggressive.STEPS}
LATER = (ExchangeType.QUICK, ExchangeType.TRANSACTION, ExchangeType.INFORMATIONAL)
"""Exchanges of an ISAKMP SA that is established."""
OPENED = (State.MAIN_I1, State.AGGR_I1)
"""Initiators that do not know the responder's cookie yet."""
EXHAUSTED = {
    State.MAIN_I1: "No response (or no acceptable response) to our first IKE message",
    State.AGGR_I1: "No response (or no acceptable response) to our first IKE message",
    State.MAIN_I3: "Possible authentication failure: no acceptable response to our first encrypted message",
}


class IsakmpSa(Exchanges):
    """An ISAKMP SA. Every method that takes `now` returns the effects to carry out, in order; bad input raises nothing.

    Read-only views: `cookie_i`, `cookie_r` (8 octets each; what find it), `is_initiator`, `state`, `is_established`,
    `policy`, `peer_id`, `chosen`, `local`, `remote`, `method`, `nat`, `created`, `established`, `last_heard`.
    """

    @classmethod
    def initiator(
        cls, policy: IsakmpPolicy, local: Endpoint, remote: Endpoint, owner: Owner, rng: Rng, now: Instant
    ) -> IsakmpSa:
        """A machine that will open an ISAKMP SA; `initiate` makes it begin."""
        sa = cls(True, local, remote, owner, rng, now)
        sa.policy = policy
        return sa

    @classmethod
    def responder(cls, local: Endpoint, remote: Endpoint, owner: Owner, rng: Rng, now: Instant) -> IsakmpSa:
        """A machine for a first message without a responder's cookie, which is to be given to `receive` next."""
        return cls(False, local, remote, owner, rng, now)

    # --- what goes in

    def initiate(self, now: Instant, replacing: int = 0) -> list[Effect]:
        """Send the first message of Main or Aggressive Mode; IpsecError when it has been sent: a caller's mistake.

        `replacing`: the owner's number of the SA whose place this one is to take; 0: of none.
        """
        if self.state is not State.MAIN_I0:
            raise IpsecError("an ISAKMP SA is initiated once")
        if self.need_policy().aggressive:
            self._begin_aggressive(now)
        else:
            self.log("initiating Main Mode" + (f" to replace #{replacing}" if replacing else ""))
            self._ask(self.clear(main.first(self)), now, self.need_policy().first_patience)
            self.move(State.MAIN_I1)
        self.log(f"{self.state}: initiate" + (f", replacing #{replacing}" if replacing else ""), self.state.code)
        return self.drain()

    def receive(self, data: bytes, local: Endpoint, remote: Endpoint, now: Instant) -> list[Effect]:
        """Take a datagram that came for these cookies, without non-ESP marker."""
        if self.state is not State.GONE:
            try:
                message = Message.parse(data)
                if message.content.first(Fragment) is None:
                    self._dispatch(message, data, local, remote, now)
                elif whole := self._join(message, now):
                    data = whole
                    self._dispatch(self._joined(whole), data, local, remote, now)
            except (WireError, IkeError) as why:
                self._blame(data, str(why), why.notify, now)
            except CryptoError as why:
                self._blame(data, str(why), None, now)
        return self.drain()

    def timer(self, now: Instant) -> list[Effect]:
        """Do what is due: repeating a message, giving up."""
        if self.postponed is not None:
            self._look_at_postponed(self.postponed, now)
        elif self.deadline is not None and now >= self.deadline:
            who = "peer" if self.state in FURTHER else "initiator"
            self.log(f"{self.state}: the {who} does not go on")
            self.give_up(f"the {who} does not go on")
        elif self.outstanding is not None:
            self._look(self.outstanding, now)
        if self.state is not State.GONE:
            self.look(now)
        return self.drain()

    def next_timer(self) -> Instant | None:
        """When `timer` wants to be called; None: never as things stand."""
        if self.postponed is not None:
            return min([self.postponed.until, *self.instants()])
        waiting = [self.outstanding.next] if self.outstanding else []
        waiting += [self.deadline] if self.deadline is not None else []
        return min(waiting + self.instants(), default=None)

    def abandon(self, now: Instant) -> list[Effect]:
        """End without a word to the peer."""
        if self.state is not State.GONE:
            self.end(Gone.LOCAL)
        return self.drain()

    def _begin_aggressive(self, now: Instant) -> None:
        self.mode = ExchangeType.AGGRESSIVE
        self.move(State.AGGR_I0)
        self.log(f'initiating Aggressive Mode #{self.serial}, connection "{self.need_policy().name}"')
        if any(METHODS[one].by_secret for one in self.need_policy().terms.methods):
            self.log(aggressive.EXPOSED, Rc.LOG_SERIOUS)
        self._ask(self.clear(aggressive.first(self)), now)
        self.move(State.AGGR_I1)

    # --- hearing

    def _join(self, message: Message, now: Instant) -> bytes | None:
        """Take a piece of a message; the message when it is whole. Nothing is ever said to the peer about pieces."""
        header = message.header
        ours = (header.cookie_i, header.cookie_r) == (self.cookie_i, self.cookie_r) or self.state in OPENED
        policy = self.policy
        if policy is None or not policy.fragmentation or not ours or len(message.content.payloads) > 1:
            why = "discarding IKE fragment packet: fragmentation not allowed by local policy (ike_frag=no)"
            if self.state in BEGINNING:
                self.refuse(why, None, now)
            else:
                self.hint(why, now)
            return None
        try:
            return self.assembler.add(message.content.all(Fragment)[0], now)
        except WireError as why:
            self.hint(f"discarding IKE fragment packet: {why}", now)
            return None

    def _joined(self, data: bytes) -> Message:
        message = Message.parse(data)
        if message.content.first(Fragment) is not None:
            raise malformed("a piece of a message is cut into pieces")
        return message

    def _blame(self, data: bytes, why: str, notify: int | None, now: Instant) -> None:
        """Refuse a datagram, and tell the peer unless it was no message of phase 1 or no longer matters."""
        if self.state in BEGINNING:
            self.cookie_i = data[:COOKIE_OCTETS] if len(data) >= HEADER_OCTETS else NO_COOKIE
        is_ours = data[EXCHANGE_AT : EXCHANGE_AT + 1] == bytes([self.mode])
        if self.state in PROVEN:
            self.hint(why, now)
        else:
            self.refuse(why, notify if is_ours else None, now)

    def _dispatch(self, message: Message, data: bytes, local: Endpoint, remote: Endpoint, now: Instant) -> None:
        header = message.header
        if self.state is State.MAIN_R0 and header.exchange == ExchangeType.AGGRESSIVE:
            self.mode = ExchangeType.AGGRESSIVE
            self.move(State.AGGR_R0)
        if header.exchange != self.mode:
            self._hear_other(message, data, (local, remote), now)
            return
        if header.message_id:
            raise malformed(
                f"{self.mode.name.capitalize()} Mode message with a Message ID", NotifyType.INVALID_MESSAGE_ID
            )
        digest = hashlib.sha256(data).digest()
        if digest == self.heard:
            self._repeat(remote)
            return
        step = STEPS.get(self.state)
        if self.postponed is not None:
            self.hint(f"discarding packet; waiting for {self.postponed.job}", now)
            return
        if step is None or not self._is_ours(message):
            self.hint(f"discarding duplicate packet; already {self.state}", now)
            return
        ends = (local, remote)
        self._attempt(lambda when: self._take(step, message, digest, ends, when), now)

    def _hear_other(self, message: Message, data: bytes, ends: tuple[Endpoint, Endpoint], now: Instant) -> None:
        """A message that is none of phase 1.

        Whoever goes on as if Aggressive Mode were over, and knows our cookie, has had AR1; that we have no AI2 is news
        to it, and it says AI2 again when it hears AR1 again. We never repeat that by ourselves.
        """
        header = message.header
        early = self.state is State.AGGR_R1 and header.is_encrypted and header.exchange in LATER
        if early and (header.cookie_i, header.cookie_r) == (self.cookie_i, self.cookie_r):
            self._repeat(self.remote)
            return
        self.hear(message, data, ends, now)

    def _attempt(self, step: Callable[[Instant], None], now: Instant) -> None:
        """Do a step, or begin what it cannot go on without and do it again then."""
        mark = len(self._effects)
        try:
            step(now)
        except Later as later:
            del self._effects[mark:]
            self.postpone(Postponed(later.job, step, now + HALF_OPEN))
        else:
            self.results.clear()

    def resume(self, job: Job, result: bytes | CryptoError, now: Instant) -> list[Effect]:
        """What Work asked for is done: go on where it was needed. What fails then fails for good."""
        if self.postponed is not None and self.postponed.job == job and self.state is not State.GONE:
            step, self.postponed = self.postponed.step, None
            self.results[job] = result
            try:
                self._attempt(step, now)
            except (WireError, IkeError) as why:
                self.refuse(str(why), why.notify, now)
                self.fail(str(why), why.notify or 0)
        return self.drain()

    def _is_ours(self, message: Message) -> bool:
        """Do the cookies fit? The responder's comes into being with its first message."""
        header = message.header
        if self.state in BEGINNING:
            self.cookie_i = header.cookie_i
            return header.cookie_r == NO_COOKIE
        if self.state in OPENED:
            return header.cookie_i == self.cookie_i and header.cookie_r != NO_COOKIE
        return (header.cookie_i, header.cookie_r) == (self.cookie_i, self.cookie_r)

    def _take(self, step: Step, message: Message, digest: bytes, ends: tuple[Endpoint, Endpoint], now: Instant) -> None:
        encrypted = message.header.is_encrypted
        if step.shape.encrypted != encrypted and not (step.shape.either and not encrypted):
            raise malformed(
                "packet rejected: should have been encrypted"
                if step.shape.encrypted
                else "discarding encrypted message because we haven't yet negotiated keying material",
                NotifyType.INVALID_FLAGS,
            )
        content, iv = self._open(step, message)
        before = self.cookie_r
        if self.state in OPENED:
            self.cookie_r = message.header.cookie_r
        try:
            payloads = step.run(self, content, now)
        except (IkeError, WireError, CryptoError, Later):
            self.cookie_r = before
            raise
        self._settle(step, iv, ends)
        data = self._emit(step, payloads, iv)
        self.heard, self.reply, self.replays, self.last_heard = digest, data, 0, now
        self._arrive(step, content if encrypted else Content(), data, now)

    def _open(self, step: Step, message: Message) -> tuple[Content, bytes]:
        """The payloads, of the right shape; and the IV to go on with."""
        wanted = proof.their_class(self)
        if not message.header.is_encrypted:
            step.shape.check(message.content, wanted)
            return message.content, b""
        try:
            content, iv = self.need_keys().open(message, self.need_keys().last_block)
            step.shape.check(content, wanted)
        except (WireError, IkeError) as why:
            if not METHODS[self.need_chosen().method].by_secret:
                raise
            raise malformed(f"{DIFFER}: malformed payload in packet ({why})") from None
        return content, iv

    def _settle(self, step: Step, iv: bytes, ends: tuple[Endpoint, Endpoint]) -> None:
        """What had to come encrypted and was right shows where the peer is: a NAT may have moved it (RFC 3947 4)."""
        if iv:
            self.need_keys().last_block = iv
        if step.shape.encrypted:
            self.local, self.remote = ends

    def _emit(self, step: Step, payloads: Sequence[Payload], iv: bytes) -> bytes:
        """The datagram of what a step wants sent, empty for nothing."""
        if not payloads:
            return b""
        if not step.seals:
            return self.clear(payloads)
        keys = self.need_keys()
        data, keys.last_block = keys.seal(self.header(self.mode, encrypted=True), payloads, iv or keys.last_block)
        return data

    def _arrive(self, step: Step, content: Content, data: bytes, now: Instant) -> None:
        self.log(f"transition from state {self.state} to state {step.target}")
        self.move(step.target)
        if data and step.target in KEYED and self.is_initiator:
            self.last_word = data
            self.send(data)
        elif data and self.is_initiator:
            self._ask(data, now)
        elif data:
            self.send(data)
        details = f" {{{self.chosen}}}" if step.target in KEYED else ""
        self.log(f"{self.state}: {self.state.story}{details}", self.state.code)
        if step.target in KEYED:
            # INITIAL_CONTACT counts when it came encrypted.
            further.begin(self, any(one.kind == NotifyType.INITIAL_CONTACT for one in content.all(Notify)), now)
        self.pump(now)

    # --- repeating

    def _ask(self, data: bytes, now: Instant, once: Duration = 0.0) -> None:
        """Send what is repeated until it is answered; `once`: what is not, and is given up after that long."""
        policy = self.need_policy()
        interval, patience = once or policy.retransmit_interval, once or policy.retransmit_timeout
        self.outstanding = Outstanding.start(0, (data,), interval, patience, now)
        self.send(data)

    def _look_at_postponed(self, postponed: Postponed, now: Instant) -> None:
        """While a job is done nothing is repeated: it is our turn."""
        if now >= postponed.until:
            text = f"gave up waiting for {postponed.job}"
            self.log(text, Rc.LOG_SERIOUS)
            self.fail(text, timeout=True)

    def _look(self, outstanding: Outstanding, now: Instant) -> None:
        due = outstanding.due(now)
        if due is Due.REPEAT:
            self.log(f"{self.state}: retransmission; will wait {outstanding.wait:g}s for response", Rc.RETRANSMISSION)
            self.send(outstanding.datagrams[0])
        elif due is Due.GIVE_UP:
            why = EXHAUSTED.get(self.state, "No acceptable response to our message")
            text = f"max number of retransmissions ({outstanding.repeats}) reached {self.state}.  {why}"
            self.log(text, Rc.NORETRANSMISSION)
            self.give_up(text)

    def _repeat(self, remote: Endpoint) -> None:
        """The peer repeats what was answered: it gets the same answer, where it has always been."""
        moved = self.state is State.AGGR_I2 and remote.address == self.remote.address
        if not self.reply or (remote != self.remote and not moved):
            self.log(f"discarding duplicate packet; already {self.state}", Rc.LOG_SERIOUS)
        elif self.replays >= MOST_REPLAYS:
            self.log(f"discarding duplicate packet -- exhausted retransmission; already {self.state}", Rc.LOG_SERIOUS)
        else:
            self.replays += 1
            self.log(f"retransmitting in response to duplicate packet; already {self.state}", Rc.RETRANSMISSION)
            self.send(self.reply)
