# SPDX-License-Identifier: GPL-2.0-or-later
"""Two IKE SAs in one process, over a wire that the test can cut, repeat and reorder; the clock is a number.

pair = Pair()                       # PSK by default
pair.up()                           # IKE_SA_INIT and IKE_AUTH
pair.a.request(Probe(7)); pair.run()
pair.a.seen(ProbeAnswered)          # effects of one kind, in order
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from cryptography.x509 import Certificate

from openswan.base.address import Address, Endpoint, parse_address, parse_subnet
from openswan.base.entropy import SeededRng
from openswan.base.errors import CryptoError, IkeError
from openswan.crypto.revocation import Question
from openswan.ike.effects import (
    ChildEstablished,
    ChildGone,
    Effect,
    Forget,
    IkeRekeyed,
    NewSuccessor,
    PeerMoved,
    Send,
)
from openswan.ike.events import CreateChild, Request
from openswan.ike.policy import AddressQuestion, AuthQuestion, ChildPolicy, ChildQuestion, IkePolicy
from openswan.ike.resumption import Session, Ticket, TicketBox
from openswan.ike.v2.sa import IkeSaV2
from openswan.ike.v2.tasks.cert import my_identity
from openswan.policy.connection import Auth
from openswan.policy.gateways import Published
from openswan.policy.identity import NOBODY, Identity, parse_identity
from openswan.policy.modecfg import Assigned
from openswan.policy.proposal import Proposal, Transform
from openswan.policy.selector import Selector
from openswan.wire.header import Header
from openswan.wire.message import Message
from openswan.wire.payload import parse_chain
from openswan.wire.v2.body import Payload
from openswan.wire.v2.cert import HashUrl

E = TypeVar("E", bound=Effect)

GCM = Transform("aes_gcm_16", 256)
CBC = Transform("aes_cbc", 128)
SHA2 = Transform("hmac_sha2_256_128")
PRF = Transform("prf_hmac_sha2_256")
X25519, ECP256, MODP2048 = Transform("x25519"), Transform("ecp256"), Transform("modp2048")
IKE_GCM = Proposal(1, (GCM,), (), (PRF,), (X25519, ECP256, MODP2048))
IKE_CBC = Proposal(1, (CBC,), (SHA2,), (PRF,), (X25519, ECP256))
ESP_GCM = Proposal(3, (GCM,), esn=(True, False))
ESP_CBC = Proposal(3, (CBC,), (SHA2,))
NET_A = Selector.of(parse_subnet("10.1.0.0/16"))
NET_B = Selector.of(parse_subnet("10.2.0.0/16"))
ADDRESS_A, ADDRESS_B = Endpoint(parse_address("192.0.2.1"), 500), Endpoint(parse_address("192.0.2.2"), 500)
NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


def ike_policy(me: str = "@a", peer: str | None = "@b", **more: Any) -> IkePolicy:
    values: dict[str, Any] = {
        "name": "test",
        "proposals": (IKE_GCM, IKE_CBC),
        "my_id": parse_identity(me),
        "peer_id": parse_identity(peer) if peer else None,
        "my_auth": Auth.PSK,
        "peer_auth": Auth.PSK,
        "psk": b"a shared secret",
        "own_vendor": False,
    }
    return IkePolicy(**{**values, **more})


def child_policy(**more: Any) -> ChildPolicy:
    values: dict[str, Any] = {
        "name": "test",
        "proposals": (ESP_GCM, ESP_CBC),
        "mine": (NET_A,),
        "theirs": (NET_B,),
    }
    return ChildPolicy(**{**values, **more})


def mirrored(policy: ChildPolicy) -> ChildPolicy:
    return replace(policy, mine=policy.theirs, theirs=policy.mine)


class Asked:
    """The Responder double: fixed answers, and a record of the questions."""

    def __init__(self, policies: Sequence[IkePolicy], child: ChildPolicy) -> None:
        self.policies = tuple(policies)
        self.children: list[ChildPolicy] = [child]
        self.auth_questions: list[AuthQuestion] = []
        self.child_questions: list[ChildQuestion] = []
        self.taken: set[int] = set()
        self.taken_cpis: set[int] = set()
        self.others = False
        """Are there IKE SAs with the peer already?"""
        self.date = NOON
        self.passwords: dict[str, str] = {}
        self.questions: list[tuple[Question, ...]] = []
        """What is to be fetched before a chain can be judged, one answer a call; then nothing."""
        self.revoked = ""
        """Why no chain is good any more once nothing is left to be fetched."""
        self.dns: list[Published | str] = [Published(())]
        """What the DNS has for the peer, an answer a call; the last one stays."""
        self.claims: list[tuple[Identity, Address]] = []
        self.served: list[bytes | str | None] = []
        """What comes of certificates named by hash and URL, an answer a call; a text: why nothing does. The last one
        stays, and without any there is nothing."""
        self.named: list[tuple[HashUrl, Address]] = []
        self.gateways: set[Address] = set()
        """Hosts whose gateways are known."""
        self.hosts: list[Address] = []
        """Those it was asked about."""
        self.chains: list[Sequence[Certificate]] = []
        self.box: TicketBox | None = TicketBox(SeededRng("box"), 0.0)

    def ike_candidates(self, local: Endpoint, remote: Endpoint) -> tuple[IkePolicy, ...]:
        if not self.policies:
            raise IkeError("no connection has been authorized", 14)
        return self.policies

    def authenticate(self, question: AuthQuestion) -> IkePolicy:
        self.auth_questions.append(question)
        for policy in self.policies:
            if question.my_id in (None, my_identity(policy)) and (
                policy.peer_id in (None, question.peer_id) or question.peer_id == NOBODY
            ):
                return policy
        raise IkeError(f"no suitable connection for peer '{question.peer_id}'", 24)

    def child(self, question: ChildQuestion) -> ChildPolicy:
        self.child_questions.append(question)
        for policy in self.children:
            if any(m.intersect(q) for m in policy.mine for q in question.mine) and any(
                t.intersect(q) for t in policy.theirs for q in question.theirs
            ):
                return policy
        raise IkeError("no connection is known for these selectors", 38)

    def addresses(self, question: AddressQuestion) -> Assigned:
        raise IkeError("no addresses here", 36)

    def ticket_box(self) -> TicketBox | None:
        return self.box

    def resumable(self, session: Session, local: Endpoint, remote: Endpoint) -> IkePolicy:
        for policy in self.policies:
            if policy.name == session.connection and policy.resumption:
                return policy
        raise IkeError("nothing is resumed here", 24)

    def password(self, user: str) -> str | None:
        return self.passwords.get(user)

    def crash_token(self, spi_i: bytes, spi_r: bytes) -> bytes:
        return b""

    def other_addresses(self, local: Address) -> tuple[Address, ...]:
        return ()

    def spi_in_use(self, spi: int) -> bool:
        return spi in self.taken

    def cpi_in_use(self, cpi: int) -> bool:
        return cpi in self.taken_cpis

    def revocation(self, chain: Sequence[Certificate], at: datetime.datetime) -> tuple[Question, ...]:
        self.chains.append(chain)
        if self.questions:
            return self.questions.pop(0)
        if self.revoked:
            raise CryptoError(self.revoked)
        return ()

    def published(self, identity: Identity, remote: Address) -> Published | str:
        self.claims.append((identity, remote))
        return self.dns.pop(0) if len(self.dns) > 1 else self.dns[0]

    def certificate(self, what: HashUrl, remote: Address) -> bytes | None:
        self.named.append((what, remote))
        found = self.served.pop(0) if len(self.served) > 1 else self.served[0] if self.served else "nothing is served"
        if isinstance(found, str):
            raise CryptoError(found)
        return found

    def knows_gateways(self, host: Address) -> bool:
        self.hosts.append(host)
        return host in self.gateways

    def knows_another(self, local: Address, remote: Address) -> bool:
        return self.others

    def wall_clock(self, now: float) -> datetime.datetime:
        return self.date


@dataclass
class Side:
    """One end: its machines (the first one, then successors), all effects, and what it has installed."""

    pair: Pair
    name: str
    ask: Asked
    machines: list[IkeSaV2] = field(default_factory=list)
    sa: IkeSaV2 = None  # type: ignore[assignment]  # the machine that has the children
    effects: list[Effect] = field(default_factory=list)
    installed: dict[int, ChildEstablished] = field(default_factory=dict)

    def seen(self, kind: type[E]) -> list[E]:
        return [e for e in self.effects if isinstance(e, kind)]

    def do(self, sa: IkeSaV2, effects: Sequence[Effect]) -> None:
        for effect in effects:
            self.effects.append(effect)
            if isinstance(effect, Send):
                self.pair.post(self, effect)
            elif isinstance(effect, NewSuccessor):
                self.machines.append(effect.successor)
            elif isinstance(effect, IkeRekeyed):
                self.sa = effect.successor
            elif isinstance(effect, ChildEstablished):
                assert effect.spi_in not in self.installed
                self.installed[effect.spi_in] = effect
            elif isinstance(effect, ChildGone):
                del self.installed[effect.spi_in]
            elif isinstance(effect, Forget) and sa in self.machines:
                self.machines.remove(sa)

    def request(self, request: Request) -> None:
        self.do(self.sa, self.sa.request(request, self.pair.now))

    def logs(self) -> list[str]:
        return [f"{e.code:03} {e.text}" for e in self.effects if hasattr(e, "text")]

    def children(self) -> dict[int, ChildEstablished]:
        return self.installed


@dataclass
class Datagram:
    sender: Side
    local: Endpoint
    """Of the sender."""
    remote: Endpoint
    data: bytes


class Pair:
    """Side a initiates, side b responds."""

    def __init__(
        self,
        ike: IkePolicy | None = None,
        ike_b: IkePolicy | Sequence[IkePolicy] | None = None,
        child: ChildPolicy | None = None,
        child_b: ChildPolicy | None = None,
        seed: int | str = 1,
    ) -> None:
        self.now = 1000.0
        self.rng_a, self.rng_b = SeededRng(f"{seed} a"), SeededRng(f"{seed} b")
        ike = ike or ike_policy()
        self.ike = ike
        ike_b = ike_b if ike_b is not None else replace(ike, my_id=ike.peer_id or ike.my_id, peer_id=ike.my_id)
        self.child = child or child_policy()
        self.a = Side(self, "a", Asked((ike,), self.child))
        self.b = Side(
            self, "b", Asked((ike_b,) if isinstance(ike_b, IkePolicy) else ike_b, child_b or mirrored(self.child))
        )
        self.wire: list[Datagram] = []
        self.log: list[Datagram] = []
        """Everything ever sent."""
        self.filter: Callable[[Datagram], bool] = lambda _: True
        """False: lost."""
        self.nat: Callable[[Endpoint], Endpoint] = lambda end: end
        """What the other side sees of a's endpoint."""
        self.unnat: Callable[[Endpoint], Endpoint] = lambda end: end
        self.endpoint_a, self.endpoint_b = ADDRESS_A, ADDRESS_B

    def start(self, children: Sequence[CreateChild] | None = None, ticket: Ticket | None = None) -> None:
        sa = IkeSaV2.initiator(self.ike, self.endpoint_a, self.endpoint_b, self.a.ask, self.rng_a, self.now)
        self.a.sa = sa
        self.a.machines.append(sa)
        self.a.do(sa, sa.initiate(children or [CreateChild(self.child, 1)], self.now, ticket))

    def up(self) -> Pair:
        self.start()
        self.run()
        assert self.a.sa.is_established and self.b.sa.is_established, (self.a.logs(), self.b.logs())
        return self

    def post(self, side: Side, effect: Send) -> None:
        datagram = Datagram(side, effect.local, effect.remote, effect.data)
        self.log.append(datagram)
        if self.filter(datagram):
            self.wire.append(datagram)

    def deliver(self, datagram: Datagram) -> None:
        if datagram.sender is self.a:
            self.arrive(self.b, datagram.data, datagram.remote, self.nat(datagram.local))
        else:
            self.arrive(self.a, datagram.data, self.unnat(datagram.remote), datagram.local)

    def arrive(self, side: Side, data: bytes, local: Endpoint, remote: Endpoint) -> None:
        sa = self.find(side, data)
        if sa is None and side is self.b and len(data) >= 28 and data[18] in (34, 38) and not data[19] & 0x20:
            sa = IkeSaV2.responder(local, remote, side.ask, self.rng_b, self.now)
            side.machines.append(sa)
            if side.sa is None or side.sa not in side.machines:
                side.sa = sa
        if sa is not None:
            side.do(sa, sa.receive(data, local, remote, self.now))

    def find(self, side: Side, data: bytes) -> IkeSaV2 | None:
        try:
            header = Header.parse(data)
        except Exception:
            return side.machines[0] if side.machines else None
        for sa in side.machines:
            if sa.my_spi == (header.spi_i if sa.is_initiator else header.spi_r) and sa.my_spi != bytes(8):
                return sa
            if header.spi_r == bytes(8) and sa.is_initiator and header.is_response and sa.spi_i == header.spi_i:
                return sa
            # A first request is known by all its octets: another one may have the same SPI (RFC 7296 2.1).
            if not sa.is_initiator and not header.is_response and sa.init_i == data:
                return sa
        return None

    def step(self) -> bool:
        if not self.wire:
            return False
        self.deliver(self.wire.pop(0))
        return True

    def run(self, limit: int = 200) -> None:
        """Deliver until the wire is empty."""
        for _ in range(limit):
            if not self.step():
                return
        raise AssertionError("the two never stop talking")

    def pass_time(self, seconds: float) -> None:
        """Let the clock run to now + seconds, firing timers and delivering at once."""
        end = self.now + seconds
        for _ in range(5000):
            self.run()
            due = [
                (when, i, side, sa)
                for i, side in enumerate((self.a, self.b))
                for sa in side.machines
                if (when := sa.next_timer()) is not None and when <= end
            ]
            if not due:
                break
            when, _, side, sa = min(due, key=lambda row: row[:2])
            self.now = max(self.now, when)
            side.do(sa, sa.timer(self.now))
        else:
            raise AssertionError("timers never end")
        self.now = end

    def agree(self) -> None:
        """Both ends have the same children, mirrored, with the same keys."""
        theirs = {c.spi_out: c for c in self.b.installed.values()}
        assert set(self.a.installed) == set(theirs), (self.a.installed.keys(), theirs.keys())
        for spi, mine in self.a.installed.items():
            other = theirs[spi]
            assert mine.spi_out == other.spi_in
            assert (mine.enc_in, mine.auth_in) == (other.enc_out, other.auth_out)
            assert (mine.enc_out, mine.auth_out) == (other.enc_in, other.auth_in)
            assert (mine.mine, mine.theirs) == (other.theirs, other.mine)
            assert mine.chosen == other.chosen
            assert (mine.encap is None) == (other.encap is None)
        assert set(self.a.sa.children) == set(self.a.installed)
        assert set(self.b.sa.children) == set(self.b.installed)

    def peek(self, datagram: Datagram) -> tuple[Payload, ...]:
        """What an encrypted message says, opened with the receiver's own keys."""
        side = self.b if datagram.sender is self.a else self.a
        sa = self.find(side, datagram.data)
        message = Message.parse(datagram.data)
        assert sa is not None
        return opened(sa, message, datagram.data)

    def forge(self, side: Side, exchange: int, payloads: Sequence[Payload], *, message_id: int = -1) -> bytes:
        """A request that `side` would never send, sealed with its keys."""
        sa = side.sa
        header = sa.header(exchange, message_id if message_id >= 0 else sa.send_window.next_id, response=False)  # type: ignore[arg-type]
        assert sa.channel is not None
        return sa.channel.seal(header, payloads, SeededRng("forge"))[0]

    def inject(self, side: Side, data: bytes) -> None:
        """Deliver to the other side of `side`."""
        sender = side.sa
        self.deliver(Datagram(side, sender.local, sender.remote, data))


def opened(sa: IkeSaV2, message: Message, data: bytes) -> tuple[Payload, ...]:
    assert sa.channel is not None
    content = sa.channel.open(message, data)
    assert content is not None
    return tuple(parse_chain(content.first, content.content))


__all__ = ["Asked", "Datagram", "Pair", "PeerMoved", "Side", "child_policy", "ike_policy", "mirrored", "opened"]
