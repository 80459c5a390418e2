# SPDX-License-Identifier: GPL-2.0-or-later
"""IKE_SA_INIT: the ordinary case, another group, cookies, refusals, and everything a stranger may send instead."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openswan.base.entropy import SeededRng
from openswan.crypto import dh
from openswan.ike.effects import Forget, IkeFailed, IkeGone, InitAnswered, Send
from openswan.ike.v2.cookie import CookieJar, refusal
from openswan.ike.v2.sa import IkeSaV2
from openswan.ike.v2.states import State
from openswan.ike.v2.values import Ignored
from openswan.policy.proposal import Transform
from openswan.wire.header import NO_SPI, Header
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.ke import Ke
from openswan.wire.v2.nonce import Nonce
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import DhId, ExchangeType, NotifyType, PayloadType
from openswan.wire.v2.sa import Sa
from openswan.wire.v2.unknown import Unknown
from tests.unit.ike.pair import ECP256, GCM, IKE_GCM, MODP2048, X25519, Pair, ike_policy

ALL_GROUPS = ["x25519", "ecp256", "ecp384", "ecp521", "modp2048", "modp3072", "modp4096", "modp6144", "modp8192"]


def first_request(pair: Pair | None = None) -> tuple[Pair, Message]:
    pair = pair or Pair()
    pair.start()
    return pair, Message.parse(pair.wire.pop().data)


def send(pair: Pair, message: Message) -> None:
    pair.arrive(pair.b, message.emit(), pair.endpoint_b, pair.endpoint_a)


def swapped(message: Message, new: Payload) -> Message:
    return replace(message, payloads=tuple(new if p.type == new.type else p for p in message.payloads))


@pytest.mark.parametrize("group", ALL_GROUPS)
def test_every_group(group: str) -> None:
    pair = Pair(ike_policy(proposals=(replace(IKE_GCM, dh=(Transform(group),)),))).up()
    pair.agree()


@pytest.mark.parametrize("prf", ["prf_hmac_sha1", "prf_hmac_sha2_256", "prf_hmac_sha2_384", "prf_hmac_sha2_512"])
@pytest.mark.parametrize("encr", [GCM, Transform("aes_gcm_16", 128), Transform("chacha20_poly1305")])
def test_every_aead_and_prf(prf: str, encr: Transform) -> None:
    Pair(ike_policy(proposals=(replace(IKE_GCM, encr=(encr,), prf=(Transform(prf),)),))).up().agree()


@pytest.mark.parametrize("integ", ["hmac_sha1_96", "hmac_sha2_256_128", "hmac_sha2_384_192", "hmac_sha2_512_256"])
@pytest.mark.parametrize("bits", [128, 192, 256])
def test_every_cbc_and_integrity(integ: str, bits: int) -> None:
    proposal = replace(IKE_GCM, encr=(Transform("aes_cbc", bits),), integ=(Transform(integ),))
    Pair(ike_policy(proposals=(proposal,))).up().agree()


def test_the_group_the_responder_wants() -> None:
    first = ike_policy(proposals=(replace(IKE_GCM, dh=(MODP2048, ECP256, X25519)),))
    pair = Pair(first, ike_policy("@b", "@a", proposals=(replace(IKE_GCM, dh=(X25519,)),))).up()
    pair.agree()
    assert pair.a.sa.chosen is not None and pair.a.sa.chosen.dh == X25519
    # The responder kept nothing of the first attempt (RFC 7296 2.7).
    assert len(pair.b.machines) == 1
    nonces = [m.first(Nonce) for d in pair.log if (m := Message.parse(d.data)).first(Ke) and d.sender is pair.a]
    assert len(nonces) == 2 and nonces[0] == nonces[1]


@pytest.mark.parametrize("data", [b"", b"\0", b"\4\1", b"\0\2", b"\0\x0f", b"\0\0\x13"])
def test_a_group_we_did_not_offer_is_not_followed(data: bytes) -> None:
    # 1025 (CVE-2014-9221), 2 (too short), 15 (not offered), malformed.
    pair, request = first_request()
    answer = refusal(request.header, Notify(NotifyType.INVALID_KE_PAYLOAD, data))
    pair.arrive(pair.a, answer, pair.endpoint_a, pair.endpoint_b)
    assert not pair.wire
    assert pair.a.sa.state is State.I1
    pair.filter = lambda _: False
    pair.pass_time(5)
    assert pair.a.seen(IkeFailed)[0].notify == NotifyType.INVALID_KE_PAYLOAD


def test_the_same_group_is_not_tried_twice() -> None:
    pair, request = first_request()
    for group in (DhId.ECP256, DhId.MODP2048, DhId.ECP256, DhId.X25519):
        data = refusal(request.header, Notify(NotifyType.INVALID_KE_PAYLOAD, int(group).to_bytes(2, "big")))
        pair.arrive(pair.a, data, pair.endpoint_a, pair.endpoint_b)
    groups = [int(ke.group) for d in pair.wire if (ke := Message.parse(d.data).first(Ke))]
    assert groups == [DhId.ECP256, DhId.MODP2048]


def test_cookie_and_then_another_group_keeps_the_cookie() -> None:
    pair = Pair(ike_b=ike_policy("@b", "@a", proposals=(replace(IKE_GCM, dh=(ECP256,)),)))
    jar = CookieJar(SeededRng("jar"), pair.now)
    pair.start()
    for _ in range(20):
        if not pair.wire:
            break
        datagram = pair.wire.pop(0)
        if datagram.sender is pair.a and datagram.data[18] == ExchangeType.IKE_SA_INIT:
            message = Message.parse(datagram.data)
            if not jar.proves(message, datagram.local, pair.now):
                answer = jar.challenge(message, datagram.local, pair.now)
                pair.arrive(pair.a, answer, datagram.local, datagram.remote)
                continue
        pair.deliver(datagram)
    assert pair.a.sa.is_established and pair.b.sa.is_established
    pair.agree()
    inits = [d for d in pair.log if d.sender is pair.a and d.data[18] == ExchangeType.IKE_SA_INIT]
    assert len(inits) == 3
    assert len(pair.a.seen(InitAnswered)) == 3, "who asks for more has answered"


def test_refusal_is_believed_only_after_a_while() -> None:
    # Anybody may have sent it (RFC 7296 2.21.1).
    pair, request = first_request()
    pair.arrive(
        pair.a, refusal(request.header, Notify(NotifyType.NO_PROPOSAL_CHOSEN)), pair.endpoint_a, pair.endpoint_b
    )
    assert pair.a.sa.state is State.I1
    send(pair, request)
    pair.run()
    assert pair.a.sa.is_established


def test_no_common_proposal() -> None:
    pair = Pair(ike_b=ike_policy("@b", "@a", proposals=(replace(IKE_GCM, encr=(Transform("aes_gcm_16", 128),)),)))
    pair.start()
    pair.pass_time(5)
    for side in (pair.a, pair.b):
        assert side.seen(IkeFailed)[0].notify == NotifyType.NO_PROPOSAL_CHOSEN
        assert not side.machines
    assert "214 " in "\n".join(pair.a.logs())


def test_no_connection_for_these_addresses() -> None:
    pair = Pair(ike_b=())
    pair.start()
    pair.pass_time(5)
    assert pair.b.seen(IkeFailed)[0].notify == NotifyType.NO_PROPOSAL_CHOSEN
    assert not pair.b.machines
    refused = Header.parse(next(d for d in pair.log if d.sender is pair.b).data)
    assert refused.spi_r == NO_SPI


def test_silence() -> None:
    pair = Pair()
    pair.filter = lambda _: False
    pair.start()
    pair.pass_time(59.9)
    assert pair.a.sa.state is State.I1
    times = [e for e in pair.a.effects if isinstance(e, Send)]
    assert len(times) == 7
    pair.pass_time(0.2)
    failed = pair.a.seen(IkeFailed)[0]
    assert failed.timeout and "max number of retransmissions (6) reached STATE_PARENT_I1" in failed.reason
    assert [type(e) for e in pair.a.effects[-2:]] == [IkeGone, Forget]
    assert pair.a.sa.next_timer() is None
    assert any(line.startswith("010 STATE_PARENT_I1: retransmission; will wait 1s") for line in pair.a.logs())
    assert any(line.startswith("031 ") for line in pair.a.logs())


@pytest.mark.parametrize("lost", range(4))
def test_each_datagram_lost_once(lost: int) -> None:
    pair = Pair()
    pair.filter = lambda _: len(pair.log) != lost + 1
    pair.start()
    pair.pass_time(10)
    assert pair.a.sa.is_established and pair.b.sa.is_established
    pair.agree()


def test_duplicate_request_gets_the_same_answer() -> None:
    pair, request = first_request()
    for _ in range(3):
        send(pair, request)
    assert len({d.data for d in pair.wire}) == 1 and len(pair.wire) == 3
    assert len(pair.b.machines) == 1


def test_the_responder_never_repeats_by_itself() -> None:
    # CVE-2016-5361
    pair, request = first_request()
    send(pair, request)
    pair.wire.clear()
    pair.log.clear()
    pair.filter = lambda d: d.sender is pair.b
    pair.a.machines.clear()
    pair.pass_time(61)
    assert not [d for d in pair.log if d.sender is pair.b]
    assert pair.b.seen(IkeFailed)[0].timeout
    assert not pair.b.machines


@pytest.mark.parametrize("missing", [PayloadType.SA, PayloadType.KE, PayloadType.NONCE])
def test_missing_payload_in_the_request(missing: PayloadType) -> None:
    # CVE-2013-6466
    pair, request = first_request()
    send(pair, replace(request, payloads=tuple(p for p in request.payloads if p.type != missing)))
    assert pair.b.seen(IkeFailed)[0].notify == NotifyType.INVALID_SYNTAX
    assert not pair.b.machines


@pytest.mark.parametrize("missing", [PayloadType.SA, PayloadType.KE, PayloadType.NONCE])
def test_missing_payload_in_the_response(missing: PayloadType) -> None:
    pair, request = first_request()
    send(pair, request)
    answer = Message.parse(pair.wire.pop().data)
    cut = replace(answer, payloads=tuple(p for p in answer.payloads if p.type != missing)).emit()
    pair.arrive(pair.a, cut, pair.endpoint_a, pair.endpoint_b)
    assert pair.a.sa.state is State.I1
    pair.arrive(pair.a, answer.emit(), pair.endpoint_a, pair.endpoint_b)
    pair.run()
    assert pair.a.sa.is_established


def bad_publics(group: str) -> list[bytes]:
    size = len(dh.generate(group, SeededRng("size")).public)
    lengths = [b"\1", bytes(size - 1), bytes(size + 1), bytes(65000)]
    if group == "x25519":
        # Points of small order (RFC 7748 6.1); numbers are little-endian there.
        return [bytes(32), b"\1" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f", *lengths]
    return [bytes(size), bytes(size - 1) + b"\1", b"\xff" * size, *lengths]


@pytest.mark.parametrize("group", ALL_GROUPS[:6])
def test_bad_public_values(group: str) -> None:
    # CVE-2015-3240, CVE-2023-41913
    policy = ike_policy(proposals=(replace(IKE_GCM, dh=(Transform(group),)),))
    for bad in bad_publics(group):
        pair, request = first_request(Pair(policy))
        ke = request.first(Ke)
        assert ke is not None
        send(pair, swapped(request, Ke(ke.group, bad)))
        assert pair.b.seen(IkeFailed), (group, bad[:8])
        assert not pair.b.machines
        pair, request = first_request(Pair(policy))
        send(pair, request)
        answer = Message.parse(pair.wire.pop().data)
        pair.arrive(pair.a, swapped(answer, Ke(ke.group, bad)).emit(), pair.endpoint_a, pair.endpoint_b)
        assert pair.a.sa.state is State.I1


@pytest.mark.parametrize("group", [0, 1, 2, 5, 22, 1024, 1025, 65535])
def test_odd_ke_groups_in_the_request(group: int) -> None:
    pair, request = first_request()
    send(pair, swapped(request, Ke(DhId(group), bytes(32))))
    answer = Message.parse(pair.wire.pop().data)
    notify = answer.notify(NotifyType.INVALID_KE_PAYLOAD)
    assert notify is not None and notify.data == b"\0\x1f"
    assert not pair.b.machines


def test_response_with_another_group_than_agreed() -> None:
    pair, request = first_request()
    send(pair, request)
    answer = Message.parse(pair.wire.pop().data)
    ke = answer.first(Ke)
    assert ke is not None
    pair.arrive(pair.a, swapped(answer, Ke(DhId.ECP256, ke.data)).emit(), pair.endpoint_a, pair.endpoint_b)
    assert pair.a.sa.state is State.I1
    assert pair.a.sa.counters[Ignored.BAD_ANSWER] == 1


def test_unknown_critical_payload_is_named() -> None:
    pair, request = first_request()
    data = replace(request, payloads=(*request.payloads, Unknown(PayloadType(200), b"x"))).emit()
    whole = data[:-5] + b"\0\x80" + data[-3:]
    pair.arrive(pair.b, whole, pair.endpoint_b, pair.endpoint_a)
    answer = Message.parse(pair.wire.pop().data)
    notify = answer.notify(NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD)
    assert notify is not None and notify.data == b"\xc8"


def test_unknown_payloads_and_notifications_are_skipped() -> None:
    pair, request = first_request()
    more = (Unknown(PayloadType(200), b"x"), Notify(NotifyType(40000), b"y"), Notify(NotifyType.REDIRECT_SUPPORTED))
    send(pair, replace(request, payloads=(*request.payloads, *more)))
    assert pair.b.sa.state is State.R1


@pytest.mark.parametrize("field", ["flags", "message_id", "spi_r", "spi_i"])
def test_first_request_with_an_odd_header(field: str) -> None:
    pair, request = first_request()
    odd = {"flags": 0, "message_id": 1, "spi_r": b"12345678", "spi_i": NO_SPI}[field]
    data = replace(request, header=replace(request.header, **{field: odd})).emit()  # type: ignore[arg-type]
    sa = IkeSaV2.responder(pair.endpoint_b, pair.endpoint_a, pair.b.ask, pair.rng_b, pair.now)
    effects = sa.receive(data, pair.endpoint_b, pair.endpoint_a, pair.now)
    assert [type(e) for e in effects] == [Forget]


def test_many_proposals_of_nonsense() -> None:
    pair, request = first_request()
    body = request.first(Sa)
    assert body is not None
    numbers = range(1, 60)
    nonsense = tuple(
        replace(
            body.proposals[0], num=n, transforms=tuple(replace(t, id=n + 900) for t in body.proposals[0].transforms)
        )
        for n in numbers
    )
    send(pair, swapped(request, Sa(nonsense)))
    assert pair.b.seen(IkeFailed)[0].notify == NotifyType.NO_PROPOSAL_CHOSEN


def test_spis_are_never_zero() -> None:
    class Zeros:
        def octets(self, count: int) -> bytes:
            return bytes(count)

    pair = Pair()
    sa = IkeSaV2.responder(pair.endpoint_b, pair.endpoint_a, pair.b.ask, Zeros(), 0.0)
    assert sa.new_spi() != NO_SPI
