# SPDX-License-Identifier: GPL-2.0-or-later
"""What strangers and broken wires may send: every message cut, flipped, repeated, replayed, in clear, out of place."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from openswan.base.entropy import SeededRng
from openswan.ike.effects import Effect, Send
from openswan.ike.events import CreateChild, DeleteChild, DeleteIke, Probe, RekeyChild, RekeyIke
from openswan.ike.v2.sa import IkeSaV2
from openswan.ike.v2.states import State
from openswan.ike.v2.values import Ignored
from openswan.wire.header import NO_SPI, Flags, Header
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.delete import Delete
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import ExchangeType, NotifyType, PayloadType, ProtocolId
from openswan.wire.v2.unknown import Unknown
from tests.unit.ike.pair import ADDRESS_A, ADDRESS_B, Datagram, Pair, Side, ike_policy

STORIES: dict[str, Any] = {
    "probe": lambda pair: Probe(1),
    "create": lambda pair: CreateChild(pair.child),
    "rekey child": lambda pair: RekeyChild(next(iter(pair.a.installed))),
    "rekey ike": lambda pair: RekeyIke(),
    "delete child": lambda pair: DeleteChild(next(iter(pair.a.installed))),
    "delete ike": lambda pair: DeleteIke(),
}


def snapshot(side: Side) -> tuple[object, ...]:
    """All that a bad message must not change."""
    return tuple(
        (
            sa.state,
            sa.spi_i,
            sa.spi_r,
            sa.local,
            sa.remote,
            sorted(sa.children),
            sa.send_window.next_id,
            set(sa.send_window.unanswered),
            sa.receive_window.expected,
            set(sa.receive_window.ahead),
            sa.last_heard,
            sa.task,
            len(sa.queue),
            sa.outstanding and sa.outstanding.give_up,
            sa.heir,
            sa.nonce_r,
            sa.init_r,
        )
        for sa in side.machines
    )


def conversation(story: str) -> Pair:
    """A pair in the middle of something, one datagram on the wire at a time."""
    pair = Pair().up()
    pair.a.request(STORIES[story](pair))
    return pair


def target_of(pair: Pair, datagram: Datagram) -> Side:
    return pair.b if datagram.sender is pair.a else pair.a


def mutations(data: bytes, rng: SeededRng) -> list[bytes]:
    cut = [data[:at] for at in range(len(data))]
    flips = []
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 1 << rng.octets(1)[0] % 8
        flips.append(bytes(broken))
    return [*cut, *flips, data + b"\0", data * 2]


@pytest.mark.parametrize("story", STORIES)
def test_encrypted_messages_broken_in_every_way(story: str) -> None:
    pair = conversation(story)
    rng = SeededRng(story)
    turns = 0
    while pair.wire and turns < 8:
        turns += 1
        datagram = pair.wire[0]
        side = target_of(pair, datagram)
        before = snapshot(side)
        effects = len(side.effects)
        for broken in mutations(datagram.data, rng):
            for sa in list(side.machines):
                side.do(sa, sa.receive(broken, datagram.remote, datagram.local, pair.now + 5))
        assert snapshot(side) == before
        assert len(side.effects) == effects
        pair.step()
    assert turns >= 2
    if story != "delete ike":
        pair.agree()


def test_ike_sa_init_broken_in_every_way() -> None:
    rng = SeededRng("init")
    pair = Pair()
    pair.start()
    request = pair.wire[0]
    for broken in mutations(request.data, rng):
        sa = IkeSaV2.responder(ADDRESS_B, ADDRESS_A, pair.b.ask, pair.rng_b, pair.now)
        effects = sa.receive(broken, ADDRESS_B, ADDRESS_A, pair.now)
        assert sa.state in (State.R0, State.R1, State.GONE)
        assert sum(isinstance(e, Send) for e in effects) <= 1
    pair.step()
    answer = pair.wire[0]
    for broken in mutations(answer.data, rng):
        # Each on a machine of its own: a changed nonce or key is not noticed before IKE_AUTH.
        fresh = Pair()
        fresh.start()
        fresh.a.sa.receive(broken, ADDRESS_A, ADDRESS_B, pair.now)
        assert fresh.a.sa.state in (State.I1, State.I2)
        assert not fresh.a.sa.children


def test_random_datagrams_with_a_good_header() -> None:
    rng = SeededRng("random")
    pair = Pair().up()
    header = pair.a.sa.header(ExchangeType.INFORMATIONAL, pair.a.sa.send_window.next_id, response=False)
    before = snapshot(pair.b)
    for turn in range(2000):
        body = rng.octets(1 + int.from_bytes(rng.octets(2), "big") % 300)
        kind = PayloadType((46, 53, 33, 41, 0, 200)[turn % 6])
        data = header.with_length(28 + len(body), kind).emit() + body
        assert pair.b.sa.receive(data, ADDRESS_B, ADDRESS_A, pair.now) == []
    assert snapshot(pair.b) == before


def test_random_first_requests() -> None:
    # fuzzer-ikev2-01: random bodies up to 10,000 octets behind a valid header.
    rng = SeededRng("first")
    pair = Pair()
    header = Header(b"12345678", NO_SPI, ExchangeType.IKE_SA_INIT, Flags.INITIATOR)
    for turn in range(600):
        body = rng.octets(int.from_bytes(rng.octets(2), "big") % (10000 if turn % 10 == 0 else 200))
        data = header.with_length(28 + len(body), PayloadType(33 + turn % 16)).emit() + body
        sa = IkeSaV2.responder(ADDRESS_B, ADDRESS_A, pair.b.ask, pair.rng_b, 0.0)
        sa.receive(data, ADDRESS_B, ADDRESS_A, 0.0)
        assert sa.state is State.GONE


@pytest.mark.parametrize("story", STORIES)
def test_authentic_but_malformed_content(story: str) -> None:
    """The peer itself is broken: payloads cut and flipped inside the encryption."""
    rng = SeededRng(f"inner {story}")
    pair = conversation(story)
    datagram = pair.wire[0]
    side = target_of(pair, datagram)
    plain = pair.peek(datagram)
    bodies = [(p.type, p.emit()) for p in plain] or [(PayloadType.NOTIFY, Notify(NotifyType(40000)).emit())]
    for turn in range(400):
        pair = conversation(story)
        side = pair.b
        index = turn % len(bodies)
        body = bodies[index][1]
        if turn % 2:
            broken = body[: int.from_bytes(rng.octets(2), "big") % (len(body) + 1)]
        else:
            at = int.from_bytes(rng.octets(2), "big") % len(body)
            broken = body[:at] + bytes([body[at] ^ (1 << rng.octets(1)[0] % 8)]) + body[at + 1 :]
        payloads: list[Payload] = [Unknown(k, b if i != index else broken) for i, (k, b) in enumerate(bodies)]
        data = pair.forge(pair.a, datagram.data[18], payloads, message_id=Header.parse(datagram.data).message_id)
        pair.wire.clear()
        pair.inject(pair.a, data)
        assert len(pair.wire) >= 1, "every authentic request is answered"
        assert side.sa.state in (State.R2, State.LINGER, State.REPLACED)


@pytest.mark.parametrize("story", STORIES)
def test_repeated_requests_get_the_same_reply_and_change_nothing(story: str) -> None:
    pair = conversation(story)
    request = pair.wire[0]
    pair.deliver(request)
    reply = pair.wire[-1].data
    before, effects = snapshot(pair.b), len(pair.b.effects)
    for _ in range(3):
        pair.deliver(request)
    assert snapshot(pair.b) == before
    assert [e.data for e in pair.b.effects[effects:] if isinstance(e, Send)] == [reply] * 3
    assert len(pair.b.effects) == effects + 3


def test_replays_of_a_whole_life_change_nothing() -> None:
    pair = Pair(ike_policy(window=1)).up()
    for story in ("probe", "create", "rekey child", "delete child"):
        pair.a.request(STORIES[story](pair))
        pair.run()
    old = list(pair.log)
    before = snapshot(pair.a), snapshot(pair.b)
    sent = len(pair.log)
    for datagram in old:
        pair.deliver(datagram)
    pair.wire.clear()
    assert (snapshot(pair.a), snapshot(pair.b)) == before
    # At most the last reply of each side is given once more.
    assert len(pair.log) - sent <= 2
    pair.agree()


def test_requests_and_responses_are_not_reflected() -> None:
    pair = Pair().up()
    pair.a.request(Probe())
    datagram = pair.wire.pop()
    before = snapshot(pair.a)
    pair.arrive(pair.a, datagram.data, ADDRESS_A, ADDRESS_B)
    assert snapshot(pair.a) == before
    assert pair.a.sa.counters[Ignored.FOREIGN] >= 1


@pytest.mark.parametrize("exchange", [35, 36, 37])
@pytest.mark.parametrize("response", [True, False])
@pytest.mark.parametrize("when", ["R1 and I2", "established"])
def test_nothing_in_clear_changes_anything(exchange: int, response: bool, when: str) -> None:
    pair = Pair()
    pair.start()
    pair.step()
    pair.step()
    if when == "established":
        pair.run()
        pair.a.request(Probe())
        pair.b.request(Probe())
        pair.wire.clear()
    payload_sets: list[tuple[Payload, ...]] = [
        (),
        (Notify(NotifyType.AUTHENTICATION_FAILED),),
        (Notify(NotifyType.INVALID_IKE_SPI),),
        (Notify(NotifyType.INVALID_SYNTAX),),
        (Delete(ProtocolId.IKE),),
    ]
    for side in (pair.a, pair.b):
        peer = pair.b if side is pair.a else pair.a
        for payloads in payload_sets:
            for message_id in (0, 1, 2):
                before, effects = snapshot(side), len(side.effects)
                header = peer.sa.header(ExchangeType(exchange), message_id, response)
                data = Message(header, payloads).emit()
                side.do(side.sa, side.sa.receive(data, side.sa.local, side.sa.remote, pair.now + 9))
                assert snapshot(side) == before
                assert len(side.effects) == effects


def test_unknown_exchanges_are_dropped() -> None:
    pair = Pair().up()
    before = snapshot(pair.b)
    for exchange in (0, 1, 33, 38, 43, 45, 240, 255):
        pair.inject(pair.a, pair.forge(pair.a, exchange, ()))
    assert snapshot(pair.b) == before
    assert pair.b.sa.counters[Ignored.OUT_OF_PLACE] == 8


def test_message_ids_outside_the_window() -> None:
    pair = Pair(ike_policy(window=1)).up()
    pair.a.request(Probe())
    pair.run()
    for message_id in (0, 1, 4, 5, 2**31, 2**32 - 1):
        before = snapshot(pair.b)
        pair.inject(pair.a, pair.forge(pair.a, 37, (), message_id=message_id))
        assert snapshot(pair.b) == before, message_id
    assert pair.b.sa.counters[Ignored.OUTSIDE_WINDOW] >= 4


def test_unknown_critical_payload_inside_is_named_and_the_sa_lives() -> None:
    pair = Pair().up()
    sa = pair.a.sa
    assert sa.channel is not None
    header = sa.header(ExchangeType.INFORMATIONAL, sa.send_window.next_id, response=False)
    honest = sa.channel.seal
    (data,) = honest(header, (Critical(PayloadType(200), b"x"),), SeededRng("x"))
    pair.inject(pair.a, data)
    (notify,) = pair.peek(pair.wire[-1])
    assert isinstance(notify, Notify)
    assert (notify.kind, notify.data) == (NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, b"\xc8")
    assert pair.b.sa.is_established


class Critical(Unknown):
    """An unknown payload whose generic header carries the critical bit: made by nesting it in an unknown one."""

    @property
    def type(self) -> PayloadType:
        return PayloadType(201)

    def emit(self) -> bytes:
        return b""


@pytest.fixture(autouse=True)
def _critical(monkeypatch: pytest.MonkeyPatch) -> None:
    from openswan.ike.v2 import protect

    honest = protect.emit_chain

    def chain(payloads: Any) -> Any:
        if any(isinstance(p, Critical) for p in payloads):
            return PayloadType(200), b"\0\x80\0\5x"
        return honest(payloads)

    monkeypatch.setattr(protect, "emit_chain", chain)


@pytest.mark.parametrize("count", [20, 63, 64, 65, 200])
def test_many_unknown_outer_payloads(count: int) -> None:
    # CVE-2026-12413
    pair = Pair().up()
    header = pair.a.sa.header(ExchangeType.INFORMATIONAL, 2, response=False)
    data = Message(header, tuple(Unknown(PayloadType(200), b"") for _ in range(count))).emit()
    for kind in (46, 53):
        chained = data[:-4] + bytes([kind]) + data[-3:]
        tail = bytes([0, 0, 0, 40]) + bytes(36)
        whole = chained[:24] + (len(chained) + len(tail)).to_bytes(4, "big") + chained[28:] + tail
        before = snapshot(pair.b)
        assert pair.b.sa.receive(whole, ADDRESS_B, ADDRESS_A, pair.now) == []
        assert snapshot(pair.b) == before


def test_versions() -> None:
    pair = Pair().up()
    pair.a.request(Probe())
    good = pair.wire.pop().data
    for version in (0x00, 0x10, 0x30, 0xF0):
        assert pair.b.sa.receive(good[:17] + bytes([version]) + good[18:], ADDRESS_B, ADDRESS_A, pair.now) == []
    assert pair.b.sa.counters[Ignored.MALFORMED] == 4


def test_a_machine_that_has_ended_says_nothing() -> None:
    pair = Pair().up()
    pair.a.request(Probe())
    datagram = pair.wire.pop()
    pair.b.do(pair.b.sa, pair.b.sa.abandon(pair.now))
    ended: list[Effect] = pair.b.sa.receive(datagram.data, ADDRESS_B, ADDRESS_A, pair.now)
    assert ended == []


def test_views_are_not_shared_between_machines() -> None:
    pair, other = Pair().up(), Pair(seed=2).up()
    before = copy.copy(other.a.sa.counters)
    pair.a.sa.receive(b"", ADDRESS_A, ADDRESS_B, pair.now)
    assert other.a.sa.counters == before
