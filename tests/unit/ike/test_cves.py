# SPDX-License-Identifier: GPL-2.0-or-later
"""What has broken other IKEv2 daemons, sent to this one: no traceback, nothing left, honest peers are answered after.

docs/CVE.md says which flaw is shown where.
"""

from __future__ import annotations

import random

import pytest

from openswan.base.address import Endpoint
from openswan.engine.events import Datagram
from openswan.wire.header import NO_SPI, Flags, Header
from openswan.wire.message import Message
from openswan.wire.v2.auth import Auth
from openswan.wire.v2.body import Payload
from openswan.wire.v2.ident import IdI
from openswan.wire.v2.ke import Ke
from openswan.wire.v2.nonce import Nonce
from openswan.wire.v2.numbers import AuthMethod, DhId, ExchangeType, IdType, NotifyType, PayloadType, ProtocolId
from openswan.wire.v2.numbers import TransformType as T
from openswan.wire.v2.sa import Proposal, Sa, Transform
from openswan.wire.v2.ts import TsI, TsR
from openswan.wire.v2.unknown import Unknown
from tests.sim.pair import SimHost, make_pair, psk, tunnel
from tests.unit.engine.test_demux import HERE, STRANGER, answers, first_message, host
from tests.unit.ike.pair import Pair

FIRST = Header(b"initiatr", NO_SPI, ExchangeType.IKE_SA_INIT, Flags.INITIATOR)


def unharmed(it: SimHost) -> None:
    """It answers an honest first message, and keeps nothing of what came before."""
    it.net.run(it.net.now + 200.0)
    assert it.empty(), it.lines[-5:]
    assert not any("EXPECTATION" in line for line in it.lines)
    it.post(Datagram(HERE, Endpoint(tunnel()[0].left.host.address, 500), first_message()))  # type: ignore[arg-type]
    assert it.pluto.core.states.half_open_total == 1


def test_datagrams_of_every_length_up_to_a_header() -> None:
    """CVE-2013-4564."""
    it, good = host(), first_message()
    for length in range(29):
        for data in (good[:length], bytes(length), b"\xff" * length):
            assert answers(it, data) == []
    unharmed(it)


@pytest.mark.parametrize("major", [0, 1, *range(3, 16)])
def test_every_major_version(major: int) -> None:
    """CVE-2013-4564: higher ones are told ours, lower ones nothing."""
    it = host()
    data = bytearray(first_message())
    data[17] = major << 4
    told = answers(it, bytes(data))
    assert [n.kind for m in told for n in m.payloads] == ([NotifyType.INVALID_MAJOR_VERSION] if major > 2 else [])  # type: ignore[attr-defined]
    unharmed(it)


@pytest.mark.parametrize("kind", [*range(1, 14), *range(54, 128, 9), 128, 255])
def test_payload_types_of_ikev1_and_of_nobody_in_every_message(kind: int) -> None:
    """CVE-2014-2037, CVE-2015-3991."""
    it = host()
    real = Message.parse(first_message())
    for payloads in ((Unknown(PayloadType(kind), b"\0" * 12),), (Unknown(PayloadType(kind), b""), *real.payloads)):
        answers(it, Message(real.header, payloads).emit())
    it.net.run(it.net.now + 200.0)
    pair = Pair().up()
    for exchange in (ExchangeType.INFORMATIONAL, ExchangeType.CREATE_CHILD_SA):
        pair.inject(pair.a, pair.forge(pair.a, exchange, [Unknown(PayloadType(kind), b"\0" * 12)]))
        pair.run()
        if not pair.b.machines or not pair.b.sa.is_established:
            pair = Pair().up()
        else:
            pair.a.sa.send_window.next_id += 1
    unharmed(it)


@pytest.mark.parametrize("exchange", [36, 37, 38, 43, 44, 99, 255])
def test_other_exchanges_before_authentication(exchange: int) -> None:
    """CVE-2019-12312 (no keys for the answer), CVE-2014-2338 (rekeying instead of authentication)."""
    pair = Pair()
    pair.start()
    pair.step()
    pair.step()
    pair.wire.clear()
    sent, answer = len(pair.log), pair.log[1].data
    rekey: list[Payload] = [
        Sa((Proposal(1, ProtocolId.IKE, b"newspi!!", GOOD),)),
        Nonce(bytes(32)),
        Ke(DhId(31), bytes(32)),
    ]
    for message_id in (0, 1, 2):
        for payloads in ([], rekey):
            pair.inject(pair.a, pair.forge(pair.a, exchange, payloads, message_id=message_id))
    assert not pair.b.sa.is_established
    assert all(datagram.data == answer for datagram in pair.log[sent:]), "at most what was said already"
    assert len(pair.b.machines) == 1


GOOD = (Transform(T.ENCR, 20, 256), Transform(T.PRF, 5), Transform(T.DH, 31))
TRANSFORMS = {
    "no group (CVE-2016-5391)": GOOD[:2],
    "no PRF": (GOOD[0], GOOD[2]),
    "no cipher": GOOD[1:],
    "PRF HMAC-MD5 (CVE-2018-10811)": (GOOD[0], Transform(T.PRF, 1), GOOD[2]),
    "PRF and integrity AES-XCBC (CVE-2016-3071)": (
        Transform(T.ENCR, 12, 256),
        Transform(T.INTEG, 5),
        Transform(T.PRF, 4),
        GOOD[2],
    ),
    "nothing at all": (),
    "group 1025 (CVE-2014-9221)": (*GOOD[:2], Transform(T.DH, 1025)),
    "a key of 1 bit": (Transform(T.ENCR, 20, 1), *GOOD[1:]),
    "3DES with a key length (CVE-2005-3671)": (Transform(T.ENCR, 3, 64), Transform(T.INTEG, 2), *GOOD[1:]),
}


@pytest.mark.parametrize("what", TRANSFORMS)
def test_proposals_nobody_can_use(what: str) -> None:
    it = host()
    group = next((t.id for t in TRANSFORMS[what] if t.type == T.DH), 31)
    try:
        data = Message(
            FIRST,
            (Sa((Proposal(1, ProtocolId.IKE, b"", TRANSFORMS[what]),)), Ke(DhId(group), bytes(32)), Nonce(bytes(32))),
        ).emit()
    except ValueError:
        return
    west = Endpoint(tunnel()[0].left.host.address, 500)  # type: ignore[arg-type]
    it.post(Datagram(HERE, west, data))
    assert it.pluto.core.states.half_open_total == 0
    unharmed(it)


@pytest.mark.parametrize(
    "body", [b"", b"\x30", b"\x30\x00", b"\x30\x84\xff\xff\xff\xff", b"\x30\x82\x10\x00a", b"0", b"\xff" * 300]
)
@pytest.mark.parametrize("kind", [IdType.DER_ASN1_DN, IdType.DER_ASN1_GN])
def test_names_that_are_none(kind: IdType, body: bytes) -> None:
    """CVE-2014-2891, CVE-2013-6075, CVE-2013-5018."""
    pair = Pair()
    pair.start()
    pair.step()
    pair.step()
    request = pair.peek(pair.wire.pop())
    changed = [IdI(kind, body) if isinstance(p, IdI) else p for p in request] if body else list(request[1:])
    pair.inject(pair.a, pair.forge(pair.a, ExchangeType.IKE_AUTH, changed, message_id=1))
    assert not pair.b.sa.is_established


@pytest.mark.parametrize("count", [0, 1, 255])
@pytest.mark.parametrize("length", [0, 7, 8, 65535])
def test_traffic_selectors_that_lie(count: int, length: int) -> None:
    """CVE-2023-23009."""
    pair = Pair().up()
    body = bytes([count, 0, 0, 0]) + b"\x07\x00" + length.to_bytes(2, "big") + bytes(12)
    good = pair.b.sa
    payloads: list[Payload] = [
        Sa((Proposal(1, ProtocolId.ESP, b"spi!", (Transform(T.ENCR, 20, 256), Transform(T.ESN, 0))),)),
        Nonce(bytes(32)),
        Unknown(PayloadType(TsI.TYPE), body),
        Unknown(PayloadType(TsR.TYPE), body),
    ]
    pair.inject(pair.a, pair.forge(pair.a, ExchangeType.CREATE_CHILD_SA, payloads))
    assert len(good.children) <= 1


def test_no_secret_for_the_peer_and_the_request_comes_again() -> None:
    """CVE-2024-2357."""
    pair = make_pair(1, east_secrets=psk("@somebody", "@else"))
    west, east = tunnel()
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    for datagram in range(3):
        pair.run(1.0 + datagram)
    assert not pair.up()
    pair.sane()


def test_random_first_messages_of_up_to_10000_octets() -> None:
    """The generator of fuzzer-ikev2-01: a good header, then anything."""
    it, dice = host(), random.Random(1)
    for _ in range(300):
        body = dice.randbytes(dice.choice((0, 3, 40, 400, 10_000)))
        header = Header(dice.randbytes(8), NO_SPI, ExchangeType.IKE_SA_INIT, Flags.INITIATOR)
        data = (
            header.with_length(28 + len(body), PayloadType(dice.choice((33, 34, 40, 41, 43, 46, 53, 200)))).emit()
            + body
        )
        it.post(Datagram(HERE, STRANGER, data))
    unharmed(it)


def test_the_proof_of_nobody() -> None:
    """CVE-2013-6466 and its kin for the identity and proof: each missing, twice, and of no length."""
    for change in (
        lambda p: [x for x in p if not isinstance(x, Auth)],
        lambda p: [x for x in p if not isinstance(x, IdI)],
        lambda p: [*p, *[x for x in p if isinstance(x, Auth)]],
        lambda p: [Auth(AuthMethod.SHARED_KEY, b"") if isinstance(x, Auth) else x for x in p],
    ):
        pair = Pair()
        pair.start()
        pair.step()
        pair.step()
        request = list(pair.peek(pair.wire.pop()))
        pair.inject(pair.a, pair.forge(pair.a, ExchangeType.IKE_AUTH, change(request), message_id=1))
        assert not pair.b.sa.is_established
