# SPDX-License-Identifier: GPL-2.0-or-later
"""Two ISAKMP SAs in one process, over a wire that the test can cut, repeat and bend; the clock is a number.

pair = Pair()          # PSK by default
pair.up()              # Main Mode
pair.a.lines()         # what the initiator has logged
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from ipaddress import ip_network
from typing import Any, TypeVar

from cryptography.x509 import Certificate

from openswan.base.address import Address, Endpoint, parse_address
from openswan.base.entropy import SeededRng
from openswan.base.errors import CryptoError, IkeError
from openswan.crypto import rsakey
from openswan.crypto.revocation import Question
from openswan.ike.effects import ChildEstablished, Log, Send
from openswan.ike.events import CreateChild, Request
from openswan.ike.v1.effects import Effect
from openswan.ike.v1.life import Life
from openswan.ike.v1.phase1 import Terms
from openswan.ike.v1.policy import IdQuestion, IsakmpPolicy, LeaseQuestion, NotYet, QuickPolicy, QuickQuestion
from openswan.ike.v1.sa import IsakmpSa
from openswan.ike.v1.states import State
from openswan.policy.algorithms import parse_esp, parse_ike
from openswan.policy.gateways import Published
from openswan.policy.identity import Identity, matches, parse_identity
from openswan.policy.modecfg import Assigned
from openswan.policy.selector import Selector
from openswan.wire.v1.body import Payload
from openswan.wire.v1.header import Flags, Header
from openswan.wire.v1.message import Content, Message
from openswan.wire.v1.numbers import AuthMethod, ExchangeType
from tests.unit.crypto.keys import rsa_key
from tests.unit.ike.pair import NOON
from tests.unit.ike.pki import authority, holder

E = TypeVar("E")
ADDRESS_A, ADDRESS_B = Endpoint(parse_address("192.0.2.1"), 500), Endpoint(parse_address("192.0.2.2"), 500)
PSK, RSA = AuthMethod.PRE_SHARED_KEY, AuthMethod.RSA_SIG
UP = ((State.MAIN_I4, State.MAIN_R3), (State.AGGR_I2, State.AGGR_R2))
EASY = "aes128-sha1-ecp256"
"""Quick to compute."""


def policy(
    me: str = "@a", peer: str | None = "@b", ike: str = EASY, method: AuthMethod = PSK, **more: Any
) -> IsakmpPolicy:
    values: dict[str, Any] = {
        "name": "test",
        "terms": Terms(parse_ike(ike, ikev1=True).proposals, (method,), Life(3600)),
        "my_id": parse_identity(me),
        "peer_id": parse_identity(peer) if peer else None,
        "psk": b"a shared secret",
    }
    return IsakmpPolicy(**{**values, **more})


def net(text: str, protocol: int = 0, port: int = 0) -> Selector:
    return Selector.of(ip_network(text), protocol, port)


def quick(mine: str = "10.1.0.0/16", theirs: str = "10.2.0.0/16", esp: str = "aes128-sha1", **more: Any) -> QuickPolicy:
    """A connection's Quick Mode, from the initiator's side."""
    values: dict[str, Any] = {
        "name": "test",
        "proposals": parse_esp(esp, ikev1=True).proposals,
        "mine": (net(mine),),
        "theirs": (net(theirs),),
        "life": Life(28800),
        "words": "PSK+ENCRYPT+TUNNEL+PFS+UP",
    }
    return QuickPolicy(**{**values, **more})


def mirrored(policy: QuickPolicy, **more: Any) -> QuickPolicy:
    """The same from the other side."""
    return replace(policy, mine=policy.theirs, theirs=policy.mine, **more)


def by_rsa(which: int, other: int) -> dict[str, Any]:
    """What a policy has for RSA signatures."""
    public = rsakey.encode_public(rsa_key(2048, 65537, other).public_key())
    return {"method": RSA, "psk": b"", "private_key": rsa_key(2048, 65537, which), "peer_keys": (public,)}


def by_certificate(me: str, kind: str = "rsa", **more: Any) -> dict[str, Any]:
    """What a policy has for certificates."""
    own = holder(me, kind)
    values: dict[str, Any] = {
        "method": RSA,
        "psk": b"",
        "private_key": own.key,
        "certificates": (own.der,),
        "peer_by_certificate": True,
        "anchors": (authority().der,),
    }
    return {**values, **more}


def sealed(
    sa: IsakmpSa,
    payloads: list[Payload],
    message_id: int = 0x1234,
    exchange: ExchangeType = ExchangeType.INFORMATIONAL,
    flags: Flags = Flags.ENCRYPTION,
    hashed: bool = True,
) -> bytes:
    """A datagram by the keys of an ISAKMP SA."""
    keys = sa.need_keys()
    header = Header(sa.cookie_i, sa.cookie_r, exchange, flags, message_id)
    whole = keys.hashed(message_id, payloads) if hashed else payloads
    return keys.seal(header, whole, keys.exchange_iv(message_id))[0]


def opened(sa: IsakmpSa, data: bytes) -> Content:
    """The payloads of the first message of a phase 2 exchange."""
    message = Message.parse(data)
    return sa.need_keys().open(message, sa.need_keys().exchange_iv(message.header.message_id))[0]


class Asked:
    """The Owner double: policies in order, and a record of the questions."""

    def __init__(self, *policies: IsakmpPolicy) -> None:
        self.policies = list(policies)
        self.questions: list[IdQuestion] = []
        self.quick = [mirrored(quick())]
        self.asked: list[QuickQuestion] = []
        self.taken: set[int] = set()
        self.numbers = 500
        self.another = False
        """There is another ISAKMP SA with the peer."""
        self.chains: list[tuple[Certificate, ...]] = []
        self.unknown: list[tuple[Question, ...]] = []
        """What has to be fetched, question after question."""
        self.revoked = ""
        self.leases: list[LeaseQuestion] = []
        self.assigned: Assigned | None = None
        self.dns: Published | str = Published(())
        self.looked_up = True
        """Whether whoever asks for clients may ask for them is known."""

    def published(self, identity: Identity, remote: Address) -> Published | str:
        return self.dns

    def isakmp_policy(self, local: Endpoint, remote: Endpoint) -> IsakmpPolicy:
        if not self.policies:
            raise IkeError("initial Main Mode message received but no connection has been authorized", 14)
        return self.policies[0]

    def aggressive_policy(self, local: Endpoint, remote: Endpoint, peer_id: Identity) -> IsakmpPolicy:
        for one in self.policies:
            if matches(one.peer_id, peer_id):
                return one
        raise IkeError("initial Aggressive Mode message received but no connection has been authorized", 14)

    def lease(self, question: LeaseQuestion) -> Assigned:
        self.leases.append(question)
        if self.assigned is None:
            raise IkeError("no address is left", 0)
        return self.assigned

    def revocation(self, chain: Sequence[Certificate], at: datetime) -> tuple[Question, ...]:
        self.chains.append(tuple(chain))
        if self.revoked:
            raise CryptoError(self.revoked)
        return self.unknown.pop(0) if self.unknown else ()

    def wall_clock(self, now: float) -> datetime:
        return NOON

    def refine(self, question: IdQuestion) -> IsakmpPolicy:
        self.questions.append(question)
        for one in self.policies:
            if matches(one.peer_id, question.peer_id):
                return one
        raise IkeError(f"no suitable connection for peer '{question.peer_id}'", 18)

    def quick_policy(self, question: QuickQuestion) -> QuickPolicy:
        self.asked.append(question)
        if not self.looked_up:
            raise NotYet("the gateways are being looked up", 0)
        for one in self.quick:
            if one.mine[0].contains(question.mine) and one.theirs[0].contains(question.theirs):
                return one
        raise IkeError("cannot respond to IPsec SA request because no connection is known", 18)

    def number(self) -> int:
        """Far from those the tests give themselves."""
        self.numbers += 1
        return self.numbers

    def knows_another(self, local: Endpoint, remote: Endpoint) -> bool:
        """Whatever the test says."""
        return self.another

    def spi_in_use(self, spi: int) -> bool:
        return spi in self.taken

    def cpi_in_use(self, cpi: int) -> bool:
        return cpi in self.taken


@dataclass
class End:
    """One machine with what it has wanted and told."""

    sa: IsakmpSa
    effects: list[Effect] = field(default_factory=list)

    def seen(self, kind: type[E]) -> list[E]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def lines(self) -> list[str]:
        return [effect.text for effect in self.seen(Log)]

    def sent(self) -> list[bytes]:
        return [effect.data for effect in self.seen(Send)]


class Pair:
    """An initiator `a` and a responder `b`; `bend` may change, multiply or drop what is on the wire."""

    def __init__(
        self,
        first: IsakmpPolicy | None = None,
        second: IsakmpPolicy | None = None,
        *more: IsakmpPolicy,
        box: Endpoint | None = None,
    ) -> None:
        self.now = 1000.0
        self.asked = Asked(second or policy("@b", "@a"), *more)
        a = IsakmpSa.initiator(first or policy(), ADDRESS_A, ADDRESS_B, Asked(), SeededRng("a"), self.now)
        self.a = End(a)
        b = IsakmpSa.responder(ADDRESS_B, box or ADDRESS_A, self.asked, SeededRng("b"), self.now)
        self.b = End(b)
        self.wire: list[tuple[End, Send]] = []
        self.bend: Callable[[Send], list[Send]] = lambda sent: [sent]
        self.box = box
        """A NAT: what `b` sees instead of `a`'s address; each port of `a` has its own, counted up from this one's."""

    def up(self) -> Pair:
        self.start().run()
        states = (self.a.sa.state, self.b.sa.state)
        assert states in UP, self.a.lines() + self.b.lines()
        return self

    def start(self) -> Pair:
        self.collect(self.a, self.a.sa.initiate(self.now))
        return self

    def ask(self, end: End, request: Request) -> Pair:
        """Request something and let it come to rest."""
        self.collect(end, end.sa.request(request, self.now))
        return self.run()

    def tunnel(self, policy: QuickPolicy | None = None, token: int = 7) -> Pair:
        """Main Mode if need be, then a Quick Mode of `a`'s that has to succeed."""
        if not self.a.sa.is_established:
            self.up()
        before = len(self.b.seen(ChildEstablished))
        self.ask(self.a, CreateChild(policy or quick(), token))
        assert len(self.b.seen(ChildEstablished)) == before + 1, self.a.lines() + self.b.lines()
        return self

    def later(self, seconds: float) -> Pair:
        """Let time pass, everything that is due in it included."""
        end = self.now + seconds
        while (due := self.due()) is not None and due <= end:
            self.tick().run()
        self.now = end
        return self

    def due(self) -> float | None:
        """When either end wants to be called."""
        return min((w for one in (self.a, self.b) if (w := one.sa.next_timer()) is not None), default=None)

    def forge(self, end: End, payloads: list[Payload], message_id: int = 0x1234, **more: Any) -> None:
        """Give `end` what its peer could have sent: hashed and sealed, the first message of its exchange."""
        sa = end.sa
        data = sealed(sa, payloads, message_id, **more)
        self.collect(end, sa.receive(data, sa.local, sa.remote, self.now))

    def collect(self, end: End, effects: list[Effect]) -> None:
        end.effects += effects
        self.wire += [(end, effect) for effect in effects if isinstance(effect, Send)]

    def run(self) -> Pair:
        """Until the wire is empty."""
        while self.wire:
            sender, sent = self.wire.pop(0)
            for one in self.bend(sent):
                self.deliver(sender, one)
        return self

    def deliver(self, sender: End, sent: Send) -> None:
        other = self.b if sender is self.a else self.a
        source, target = sent.local, sent.remote
        if self.box is not None and sender is self.a:
            source = replace(self.box, port=self.box.port + (source.port != 500))
        elif self.box is not None:
            target = replace(ADDRESS_A, port=500 if target.port == self.box.port else 4500)
        self.collect(other, other.sa.receive(sent.data, target, source, self.now))

    def tick(self) -> Pair:
        """Let the earliest timer of either end go off."""
        due = [when for end in (self.a, self.b) if (when := end.sa.next_timer()) is not None]
        self.now = max(self.now, min(due))
        for end in (self.a, self.b):
            self.collect(end, end.sa.timer(self.now))
        return self
