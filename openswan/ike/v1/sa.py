# SPDX-License-Identifier: GPL-2.0-or-later
"""One ISAKMP SA, initiator or responder: bytes and the clock in, effects out (RFC 2408, RFC 2409).

Here is its face and what it hears. The messages of Main Mode are in `main`, one step each; how it sends and ends is in
`core`. A responder never sends anything by itself before the initiator has proved itself, and repeats an answer only to
whoever repeats the question, MOST_REPLAYS times: nobody is flooded through us (CVE-2016-5361).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from openswan.base.address import Endpoint
from openswan.base.entropy import Rng
from openswan.base.errors import CryptoError, IkeError, IpsecError, WireError
from openswan.base.interval import Instant
from openswan.base.log import Rc
from openswan.ike.effects import Gone
from openswan.ike.retransmit import Due, Outstanding
from openswan.ike.v1 import main
from openswan.ike.v1.core import COOKIE_OCTETS, malformed
from openswan.ike.v1.effects import Effect
from openswan.ike.v1.exchanges import MOST_REPLAYS, Exchanges
from openswan.ike.v1.main import STEPS, Step
from openswan.ike.v1.policy import IsakmpPolicy, Owner
from openswan.ike.v1.states import KEYED, State
from openswan.wire.header import HEADER_OCTETS
from openswan.wire.v1.body import Payload
from openswan.wire.v1.fragment import Fragment
from openswan.wire.v1.header import NO_COOKIE
from openswan.wire.v1.message import Content, Message
from openswan.wire.v1.numbers import AuthMethod, ExchangeType, NotifyType

DIFFER = "probable authentication failure (mismatch of preshared secrets?)"
EXCHANGE_AT = 18
"""Where a header has its exchange type (RFC 2408 3.1)."""
EXHAUSTED = {
    State.MAIN_I1: "No response (or no acceptable response) to our first IKE message",
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

    def initiate(self, now: Instant) -> list[Effect]:
        """Send the first message of Main Mode; IpsecError when it has been sent: a mistake of the caller."""
        if self.state is not State.MAIN_I0:
            raise IpsecError("an ISAKMP SA is initiated once")
        self.log("initiating Main Mode")
        self._ask(self.clear(main.first(self)), now)
        self.move(State.MAIN_I1)
        self.log(f"{self.state}: initiate", self.state.code)
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
        if self.deadline is not None and now >= self.deadline:
            self.log(f"{self.state}: the initiator does not go on")
            self.fail("the initiator does not go on", timeout=True)
        elif self.outstanding is not None:
            self._look(self.outstanding, now)
        if self.state is not State.GONE:
            self.look(now)
        return self.drain()

    def next_timer(self) -> Instant | None:
        """When `timer` wants to be called; None: never as things stand."""
        waiting = [self.outstanding.next] if self.outstanding else []
        waiting += [self.deadline] if self.deadline is not None else []
        return min(waiting + self.instants(), default=None)

    def abandon(self, now: Instant) -> list[Effect]:
        """End without a word to the peer."""
        if self.state is not State.GONE:
            self.end(Gone.LOCAL)
        return self.drain()

    # --- hearing

    def _join(self, message: Message, now: Instant) -> bytes | None:
        """Take a piece of a message; the message when it is whole. Nothing is ever said to the peer about pieces."""
        header = message.header
        ours = (header.cookie_i, header.cookie_r) == (self.cookie_i, self.cookie_r) or self.state is State.MAIN_I1
        policy = self.policy
        if policy is None or not policy.fragmentation or not ours or len(message.content.payloads) > 1:
            why = "discarding IKE fragment packet: fragmentation not allowed by local policy (ike_frag=no)"
            if self.state is State.MAIN_R0:
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
        """Refuse a datagram, and tell the peer unless it was no message of Main Mode or no longer matters."""
        if self.state is State.MAIN_R0:
            self.cookie_i = data[:COOKIE_OCTETS] if len(data) >= HEADER_OCTETS else NO_COOKIE
        is_main = data[EXCHANGE_AT : EXCHANGE_AT + 1] == bytes([ExchangeType.MAIN])
        if self.state in KEYED:
            self.hint(why, now)
        else:
            self.refuse(why, notify if is_main else None, now)

    def _dispatch(self, message: Message, data: bytes, local: Endpoint, remote: Endpoint, now: Instant) -> None:
        header = message.header
        if header.exchange != ExchangeType.MAIN:
            self.hear(message, data, (local, remote), now)
            return
        if header.message_id:
            raise malformed("Main Mode message with a Message ID", NotifyType.INVALID_MESSAGE_ID)
        digest = hashlib.sha256(data).digest()
        if digest == self.heard:
            self._repeat(remote)
            return
        step = STEPS.get(self.state)
        if step is None or not self._is_ours(message):
            self.hint(f"discarding duplicate packet; already {self.state}", now)
            return
        self._take(step, message, digest, (local, remote), now)

    def _is_ours(self, message: Message) -> bool:
        """Do the cookies fit? The responder's comes into being with its first message."""
        header = message.header
        if self.state is State.MAIN_R0:
            self.cookie_i = header.cookie_i
            return header.cookie_r == NO_COOKIE
        if self.state is State.MAIN_I1:
            return header.cookie_i == self.cookie_i and header.cookie_r != NO_COOKIE
        return (header.cookie_i, header.cookie_r) == (self.cookie_i, self.cookie_r)

    def _take(self, step: Step, message: Message, digest: bytes, ends: tuple[Endpoint, Endpoint], now: Instant) -> None:
        if step.shape.encrypted != message.header.is_encrypted:
            raise malformed(
                "packet rejected: should have been encrypted"
                if step.shape.encrypted
                else "discarding encrypted message because we haven't yet negotiated keying material",
                NotifyType.INVALID_FLAGS,
            )
        content, iv = self._open(step, message)
        before = self.cookie_r
        if self.state is State.MAIN_I1:
            self.cookie_r = message.header.cookie_r
        try:
            payloads = step.run(self, content, now)
        except (IkeError, WireError, CryptoError):
            self.cookie_r = before
            raise
        self._settle(iv, ends)
        data = self._emit(step, payloads, iv)
        self.heard, self.reply, self.replays, self.last_heard = digest, data, 0, now
        self._arrive(step, content, data, now)

    def _open(self, step: Step, message: Message) -> tuple[Content, bytes]:
        """The payloads, of the right shape; and the IV to go on with."""
        proof = main.proof_class(self)
        if not step.shape.encrypted:
            step.shape.check(message.content, proof)
            return message.content, b""
        try:
            content, iv = self.need_keys().open(message, self.need_keys().last_block)
            step.shape.check(content, proof)
        except (WireError, IkeError) as why:
            if self.need_chosen().method != AuthMethod.PRE_SHARED_KEY:
                raise
            raise malformed(f"{DIFFER}: malformed payload in packet ({why})") from None
        return content, iv

    def _settle(self, iv: bytes, ends: tuple[Endpoint, Endpoint]) -> None:
        """What came encrypted and was right shows where the peer is: a NAT may have moved it (RFC 3947 4)."""
        if iv:
            self.need_keys().last_block = iv
            self.local, self.remote = ends

    def _emit(self, step: Step, payloads: Sequence[Payload], iv: bytes) -> bytes:
        """The datagram of what a step wants sent, empty for nothing."""
        if not payloads:
            return b""
        if not step.seals:
            return self.clear(payloads)
        keys = self.need_keys()
        data, keys.last_block = keys.seal(
            self.header(ExchangeType.MAIN, encrypted=True), payloads, iv or keys.last_block
        )
        return data

    def _arrive(self, step: Step, content: Content, data: bytes, now: Instant) -> None:
        self.log(f"transition from state {self.state} to state {step.target}")
        self.move(step.target)
        if step.target in KEYED:
            main.established(self, content, now)
        if data and self.is_initiator:
            self._ask(data, now)
        elif data:
            self.send(data)
        details = f" {{{self.chosen}}}" if step.target in KEYED else ""
        self.log(f"{self.state}: {self.state.story}{details}", self.state.code)
        self.pump(now)

    # --- repeating

    def _ask(self, data: bytes, now: Instant) -> None:
        """Send what is repeated until it is answered."""
        policy = self.need_policy()
        self.outstanding = Outstanding.start(0, (data,), policy.retransmit_interval, policy.retransmit_timeout, now)
        self.send(data)

    def _look(self, outstanding: Outstanding, now: Instant) -> None:
        due = outstanding.due(now)
        if due is Due.REPEAT:
            self.log(f"{self.state}: retransmission; will wait {outstanding.wait:g}s for response", Rc.RETRANSMISSION)
            self.send(outstanding.datagrams[0])
        elif due is Due.GIVE_UP:
            why = EXHAUSTED.get(self.state, "No acceptable response to our message")
            text = f"max number of retransmissions ({outstanding.repeats}) reached {self.state}.  {why}"
            self.log(text, Rc.NORETRANSMISSION)
            self.fail(text, timeout=True)

    def _repeat(self, remote: Endpoint) -> None:
        """The peer repeats what was answered: it gets the same answer, where it has always been."""
        if not self.reply or remote != self.remote:
            self.log(f"discarding duplicate packet; already {self.state}", Rc.LOG_SERIOUS)
        elif self.replays >= MOST_REPLAYS:
            self.log(f"discarding duplicate packet -- exhausted retransmission; already {self.state}", Rc.LOG_SERIOUS)
        else:
            self.replays += 1
            self.log(f"retransmitting in response to duplicate packet; already {self.state}", Rc.RETRANSMISSION)
            self.send(self.reply)
