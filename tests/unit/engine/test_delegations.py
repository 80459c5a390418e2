# SPDX-License-Identifier: GPL-2.0-or-later
"""Who speaks for a host that is not itself: what the DNS has said of it, for its time, and never too many questions."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric import ed25519

from openswan.base.address import Endpoint
from openswan.base.entropy import SeededRng
from openswan.crypto.dnskey import raw_octets
from openswan.engine.core import Core
from openswan.engine.delegations import BURST, MOST_KNOWN, Delegations
from openswan.engine.effects import LearnGateways
from openswan.engine.events import GatewaysLearned
from openswan.engine.oeevents import Learned, Verdict
from openswan.engine.settings import Settings
from openswan.policy.gateways import Gateway
from openswan.policy.grade import Grade

HOST, GATEWAY = ip_address("10.1.0.2"), ip_address("192.0.2.1")
KEY, OTHER = (ed25519.Ed25519PrivateKey.generate().public_key() for _ in range(2))


@dataclass
class Peer:
    """As much of an IKE SA as is asked."""

    remote: Endpoint = field(default_factory=lambda: Endpoint(GATEWAY, 500))
    peer_key: bytes = raw_octets(KEY)
    peer_chain: tuple[Any, ...] = ()
    anonymous: bool = False


def made() -> Delegations:
    return Delegations(Core(SeededRng(1), Settings()))


def learned(host: object = HOST, *gateways: Gateway, ttl: float = 60.0) -> GatewaysLearned:
    verdict = Verdict.GATEWAYS if gateways else Verdict.NONE
    return GatewaysLearned(Learned(ip_address(str(host)), verdict, gateways, ttl))


def gateway(address: object = GATEWAY, key: Any = KEY) -> Gateway:
    return Gateway(ip_address(str(address)), key, b"", 10, "IPSECKEY", Grade.DNSSEC)


def allowed(known: Delegations, peer: Peer) -> bool:
    return known.allows(HOST, cast(Any, peer))


def test_one_question_however_many_wait() -> None:
    known, done = made(), list[str]()
    for name in ("first", "second"):
        known.start(HOST, lambda name=name: done.append(name))  # type: ignore[misc]
    assert known.core.effects == [LearnGateways(HOST)] and not known.knows(HOST)
    known.learned(learned(HOST, gateway()))
    assert done == ["first", "second"] and known.knows(HOST) and not known.waiting


def test_the_records_name_the_peer_with_the_key_it_has_shown() -> None:
    known = made()
    assert not allowed(known, Peer())
    known.learned(learned(HOST, gateway("192.0.2.9"), gateway()))
    assert allowed(known, Peer())
    assert not allowed(known, Peer(remote=Endpoint(ip_address("192.0.2.7"), 500)))
    assert not allowed(known, Peer(peer_key=raw_octets(OTHER))) and not allowed(known, Peer(peer_key=b""))
    assert not allowed(known, Peer(anonymous=True)), "nobody speaks for nobody"
    known.learned(learned(HOST, gateway(key=None)))
    assert not allowed(known, Peer())


def test_an_answer_is_good_for_its_time() -> None:
    known = made()
    known.learned(learned(HOST, gateway(), ttl=60.0))
    known.core.now = 59.0
    assert allowed(known, Peer())
    known.core.now = 60.0
    assert not allowed(known, Peer()) and not known.knows(HOST)
    known.learned(learned(HOST, ttl=0.0))
    assert known.knows(HOST) and not allowed(known, Peer()), "who asked comes back for it"


def test_no_more_questions_than_there_is_room_for() -> None:
    known, done = made(), list[int]()
    for number in range(int(BURST) + 10):
        host = ip_address(f"10.2.{number // 250}.{number % 250}")
        known.start(host, lambda number=number: done.append(number))  # type: ignore[misc]
        known.learned(learned(host))
    assert len(done) == int(BURST) + 10
    assert len([e for e in known.core.effects if isinstance(e, LearnGateways)]) == int(BURST)
    for number in range(MOST_KNOWN + 10):
        known.learned(learned(ip_address(0x0B000000 + number)))
    assert len(known.known) == MOST_KNOWN
