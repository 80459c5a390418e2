# SPDX-License-Identifier: GPL-2.0-or-later
"""What `make fuzz-ike` fuzzes: every IKEv2 payload parser by its name (SA, KE ...), `message`, `cookie`,
`hash_and_url`, and whole encrypted exchanges: `exchange`, `auth` and `answer`; those of IKEv1 are in v1targets.py. Only
WireError may leave a parser, and nothing an IKE SA.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace

from openswan.base.entropy import SeededRng
from openswan.base.errors import WireError
from openswan.ike.events import CreateChild, Probe, RekeyChild, RekeyIke, Request
from openswan.ike.v2.cookie import CookieJar
from openswan.ike.v2.states import State
from openswan.wire.message import Message, sk_prefix
from openswan.wire.payload import REGISTRY, emit_chain, parse_chain
from openswan.wire.v2.cert import HashUrl
from openswan.wire.v2.numbers import ExchangeType, PayloadType
from openswan.wire.v2.sk import pad
from openswan.wire.v2.ts import TsI, TsR
from tests.fuzz import v1targets
from tests.fuzz.wire import PAYLOADS
from tests.unit.ike.pair import ADDRESS_A, Pair, Side

Target = Callable[[bytes], None]
EXCHANGES = (ExchangeType.CREATE_CHILD_SA, ExchangeType.INFORMATIONAL, ExchangeType(38), ExchangeType(43))
MOST_CHILDREN = 64


def payload(kind: PayloadType) -> Target:
    """A payload's body; what parses comes out again as octets that parse to the same."""

    def target(data: bytes) -> None:
        chain = bytes([0, 0]) + (len(data) + 4).to_bytes(2, "big") + data
        if len(data) > 65000:
            return
        with contextlib.suppress(WireError):
            (parsed,) = parse_chain(kind, chain)
            first, again = emit_chain([parsed])
            # What a payload leaves out on purpose (traffic selectors of unknown types) it does not emit.
            kept = replace(parsed, skipped=0) if isinstance(parsed, TsI | TsR) else parsed
            assert parse_chain(first, again) == [kept]

    return target


def message(data: bytes) -> None:
    """A whole datagram."""
    with contextlib.suppress(WireError):
        Message.parse(data)


def hash_and_url(data: bytes) -> None:
    """What a peer says of a certificate that is to be fetched."""
    with contextlib.suppress(WireError):
        parsed = HashUrl.parse(data)
        assert parsed.emit() == data and parsed.url.isprintable()


JAR = CookieJar(SeededRng("fuzz"), 0.0)


def cookie(data: bytes) -> None:
    """A first message under load: the octets alone."""
    if len(data) >= 28:
        JAR.meet(data, ADDRESS_A, 1.0)


def seal(side: Side, exchange: ExchangeType, message_id: int, response: bool, first: int, content: bytes) -> bytes:
    """A datagram of `side` with any octets at all inside."""
    sa = side.sa
    assert sa.channel is not None
    header = sa.header(exchange, message_id, response)
    out = sa.channel._out
    plain = pad(content, out.block)
    prefix = sk_prefix(header, PayloadType(first), out.body_octets(len(plain)))
    return prefix + out.seal(prefix, plain, sa.rng)


class Exchange:
    """Requests inside an IKE SA that stands, one after the other, as long as it stands."""

    def __init__(self) -> None:
        self.pair = Pair().up()

    def __call__(self, data: bytes) -> None:
        if len(data) < 2:
            return
        pair = self.pair
        b = pair.b.sa
        if not b.is_established or len(b.children) >= MOST_CHILDREN or len(pair.log) > 5000:
            self.pair = pair = Pair().up()
            b = pair.b.sa
        exchange = EXCHANGES[data[0] % len(EXCHANGES)]
        datagram = seal(pair.a, exchange, b.receive_window.expected, False, data[1], data[2:])
        pair.inject(pair.a, datagram)
        pair.wire.clear()


def answer(data: bytes) -> None:
    """An answer to a request of ours: any octets where the peer's should be."""
    if len(data) < 2:
        return
    pair = Pair().up()
    (spi,) = pair.a.installed
    requests: tuple[Request, ...] = (CreateChild(pair.child), RekeyChild(spi), RekeyIke(), Probe())
    pair.a.request(requests[data[0] % 4])
    exchange = ExchangeType.INFORMATIONAL if data[0] % 4 == 3 else ExchangeType.CREATE_CHILD_SA
    datagram = seal(pair.b, exchange, 2, True, data[1], data[2:])
    pair.wire.clear()
    pair.inject(pair.b, datagram)
    pair.wire.clear()
    pair.pass_time(100.0)


def auth(data: bytes) -> None:
    """IKE_AUTH requests (even first octet) and responses with anything inside."""
    if len(data) < 2:
        return
    pair = Pair()
    pair.start()
    pair.step()
    pair.step()
    if data[0] & 1:
        pair.wire.clear()
        datagram = seal(pair.b, ExchangeType.IKE_AUTH, 1, True, data[1], data[2:])
        pair.inject(pair.b, datagram)
        assert pair.a.sa.state is not State.I3, "nothing but the peer's proof establishes"
    else:
        datagram = seal(pair.a, ExchangeType.IKE_AUTH, 1, False, data[1], data[2:])
        pair.wire.clear()
        pair.inject(pair.a, datagram)
        assert not pair.b.sa.is_established, "nothing but the peer's proof establishes"


def targets() -> dict[str, Callable[[], Target]]:
    """Every target's name, and what makes it ready."""
    parsers = {kind.name: (lambda kind=kind: payload(kind)) for kind in REGISTRY}  # type: ignore[misc]
    more: dict[str, Callable[[], Target]] = {
        "message": lambda: message,
        "cookie": lambda: cookie,
        "hash_and_url": lambda: hash_and_url,
        "exchange": Exchange,
        "answer": lambda: answer,
        "auth": lambda: auth,
    }
    return {**parsers, **more, **v1targets.targets()}


def seeds(name: str) -> list[bytes]:
    """What an input of that target looks like."""
    if name.startswith("V1_"):
        return v1targets.seeds(name)
    if name in ("exchange", "answer", "auth"):
        chains = [emit_chain([one]) for one in PAYLOADS] + [emit_chain(PAYLOADS)]
        return [bytes([n, first]) + chain for first, chain in chains for n in range(4)]
    if name in ("message", "cookie"):
        return [datagram.data for datagram in Pair().up().log]
    if name == "hash_and_url":
        return [HashUrl.of("http://pki.example/certs/", b"certificate").emit()]
    return [one.emit() for one in PAYLOADS if one.type.name == name] or [bytes(20)]
