# SPDX-License-Identifier: GPL-2.0-or-later
"""What strangers get, and that nothing they send lasts."""

from __future__ import annotations

import random
from ipaddress import ip_address

import pytest

from openswan.base.address import Endpoint
from openswan.engine.demux import Bucket
from openswan.engine.events import Datagram, Datagrams
from openswan.engine.settings import Settings
from openswan.wire.header import NO_SPI, Flags, Header
from openswan.wire.message import Message
from openswan.wire.v2.numbers import ExchangeType, NotifyType, PayloadType
from tests.sim.net import Net, Packet
from tests.sim.pair import EAST, SimHost, make_pair, psk, tunnel

STRANGER = Endpoint(ip_address("203.0.113.66"), 500)
HERE = Endpoint(ip_address(EAST), 500)
CUTS = [slice(0, length) for length in range(28)]


def host(settings: Settings | None = None) -> SimHost:
    it = SimHost(Net(0), "east", EAST, 0, psk("@east", "@west"), settings)
    it.load(tunnel()[1])
    return it


def answers(it: SimHost, data: bytes) -> list[Message]:
    sent: list[Packet] = []
    it.net.attach(STRANGER.address, sent.append)
    it.post(Datagram(HERE, STRANGER, data))
    it.net.run(it.net.now + 1.0)
    return [Message.parse(packet.body) for packet in sent]


def message(exchange: ExchangeType, flags: Flags, spi_r: bytes = b"r" * 8, major: int = 2) -> bytes:
    return Message(Header(b"i" * 8, spi_r, exchange, flags, 1, major=major), ()).emit()


def first_message() -> bytes:
    """A real first message of an honest initiator."""
    pair = make_pair(9)
    pair.west.load(tunnel()[0])
    caught: list[bytes] = []
    pair.net.attach(pair.east.address, lambda packet: caught.append(packet.body))
    pair.west.request("initiate", name="net-net")
    pair.run(0.1)
    return caught[0]


def test_a_higher_version_is_told_ours() -> None:
    data = bytearray(message(ExchangeType.IKE_SA_INIT, Flags.INITIATOR, NO_SPI))
    data[17] = 0x30
    (answer,) = answers(host(), bytes(data))
    assert answer.notify(NotifyType.INVALID_MAJOR_VERSION) is not None
    assert answer.header.is_response


def test_an_ike_ping_is_answered_with_as_many_octets() -> None:
    ping = bytes.fromhex("0102030405060708 0000000000000000 00 10 f4 00 00000000 0000001c")

    def sent(data: bytes) -> list[bytes]:
        it, caught = host(), list[bytes]()
        it.net.attach(STRANGER.address, lambda packet: caught.append(packet.body))
        it.post(Datagram(HERE, STRANGER, data))
        it.net.run(it.net.now + 1.0)
        return caught

    assert sent(ping) == [ping[:18] + b"\xf5" + ping[19:]]
    for wrong in (ping + b"\0", ping[:-1] + b"\x1d", ping[:18] + b"\xf5" + ping[19:], *map(ping.__getitem__, CUTS)):
        assert sent(wrong) == []


def test_a_request_for_an_unknown_sa_is_told_so_but_a_response_never() -> None:
    it = host()
    (answer,) = answers(it, message(ExchangeType.INFORMATIONAL, Flags.INITIATOR))
    assert answer.notify(NotifyType.INVALID_IKE_SPI) is not None
    assert answers(it, message(ExchangeType.INFORMATIONAL, Flags.RESPONSE)) == []


def test_stateless_answers_and_lines_are_limited() -> None:
    it = host()
    before = len(it.lines)
    sent: list[Packet] = []
    it.net.attach(STRANGER.address, sent.append)
    for _ in range(1000):
        it.post(Datagram(HERE, STRANGER, message(ExchangeType.INFORMATIONAL, Flags.INITIATOR)))
    it.net.run(1.0)
    assert 20 <= len(sent) <= 41
    assert len(it.lines) - before <= 41


def test_a_busy_responder_asks_for_a_cookie_and_keeps_nothing() -> None:
    it = host(Settings(force_busy=True))
    (answer,) = answers(it, first_message())
    assert answer.notify(NotifyType.COOKIE) is not None
    assert it.empty() and it.pluto.core.states.by_init == {}


def test_a_repeated_first_message_finds_its_half_open_sa_and_gets_the_same_answer() -> None:
    it, data = host(), first_message()
    sent: list[Packet] = []
    it.net.attach(ip_address("192.0.2.1"), sent.append)
    for _ in range(3):
        it.post(Datagram(HERE, Endpoint(ip_address("192.0.2.1"), 500), data))
    it.net.run(0.2)
    assert len(it.pluto.core.states.ikes) == 1 == it.pluto.core.states.half_open_total
    assert len(sent) == 3 and len({packet.body for packet in sent}) == 1
    it.net.run(200.0)
    assert it.empty() and it.pluto.core.states.by_init == {} and it.pluto.core.timers.current == {}


def test_a_forged_first_message_with_a_borrowed_spi_does_not_take_the_true_ones_place() -> None:
    it, data = host(), first_message()
    initiator = Endpoint(ip_address("192.0.2.1"), 500)
    sent: list[Packet] = []
    it.net.attach(initiator.address, sent.append)
    forged = data[:-1] + bytes([data[-1] ^ 1])
    for message_ in (forged, data):
        it.post(Datagram(HERE, initiator, message_))
    it.net.run(0.2)
    assert len({packet.body for packet in sent}) == 2, "each got an answer of its own"
    assert it.pluto.core.states.half_open_total == 2


def test_many_first_messages_a_second_need_cookies_even_if_none_lasts() -> None:
    it, data = host(Settings(cookie_rate=10.0)), first_message()
    sent: list[Packet] = []
    it.net.attach(STRANGER.address, sent.append)
    for n in range(60):
        it.post(Datagram(HERE, Endpoint(STRANGER.address, 1000 + n), bytes([n]) + data[1:]))
    it.net.run(1.0)
    kinds = [next(n.kind for n in Message.parse(p.body).payloads) for p in sent]  # type: ignore[attr-defined]
    assert kinds.count(NotifyType.COOKIE) == 40 and kinds.count(NotifyType.NO_PROPOSAL_CHOSEN) == 20
    it.net.run(5.0)
    assert [n.kind for n in answers(it, data)[0].payloads] == [NotifyType.NO_PROPOSAL_CHOSEN]  # type: ignore[attr-defined]


def test_what_belongs_to_an_ike_sa_is_dealt_with_first() -> None:
    pair = make_pair(3)
    west, east = tunnel()
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, pair.up)
    it = pair.east
    (ike,) = it.pluto.core.states.ikes.values()
    seen: list[bytes] = []
    it.pluto.brain.demux.datagram = lambda _local, _remote, data: seen.append(data)  # type: ignore[method-assign]
    spis = ike.machine.spi_i + ike.machine.spi_r
    known = spis + message(ExchangeType.INFORMATIONAL, Flags.INITIATOR)[16:]
    bare = first_message()
    cookie = bare[:16] + bytes([PayloadType.NOTIFY]) + bare[17:]
    it.post(Datagrams(HERE, tuple((STRANGER, data) for data in (bare, cookie, b"", bare, known))))
    assert seen == [b"", known, cookie, bare, bare]


def test_a_flood_in_somebodys_name_does_not_lock_him_out() -> None:
    it, data = host(Settings(half_open_per_peer=5, cookie_threshold=3)), first_message()
    west = ip_address("192.0.2.1")
    sent: list[Packet] = []
    it.net.attach(west, sent.append)
    for n in range(200):
        it.post(Datagram(HERE, Endpoint(west, 1000 + n), bytes([n]) + data[1:]))
    assert it.pluto.core.states.half_open_total == 3
    sent.clear()
    it.net.run(it.net.now + 1.0)
    answer = Message.parse(sent[-1].body)
    cookie = answer.notify(NotifyType.COOKIE)
    assert cookie is not None
    with_cookie = Message(Message.parse(data).header, (cookie, *Message.parse(data).payloads)).emit()
    with_cookie = answer.header.spi_i + with_cookie[8:]
    it.post(Datagram(HERE, sent[-1].dst, with_cookie))
    assert it.pluto.core.states.half_open_total == 4


def test_half_open_sas_are_bounded_per_source_and_in_all() -> None:
    it, data = (
        host(Settings(cookie_threshold=10**6, cookie_rate=1e9, half_open_per_peer=5, half_open_limit=12)),
        first_message(),
    )
    for n in range(10):
        it.post(Datagram(HERE, Endpoint(ip_address("192.0.2.1"), 1000 + n), bytes([n]) + data[1:]))
    assert it.pluto.core.states.half_open_total == 5
    for n in range(20):
        # These addresses have a connection of their own.
        it.post(Datagram(HERE, Endpoint(ip_address("192.0.2.1"), 2000 + n), bytes([n]) + data[1:]))
    assert it.pluto.core.states.half_open_total == 5
    assert any("too many half-open" in line for line in it.lines)


@pytest.mark.parametrize("seed", range(5))
def test_garbage_of_any_kind_never_raises_and_leaves_nothing(seed: int) -> None:
    it, good, dice = host(), first_message(), random.Random(seed)
    for _ in range(400):
        data = bytearray(good[: dice.randrange(len(good) + 1)] if dice.random() < 0.5 else good)
        for _ in range(dice.randrange(6)):
            if data:
                data[dice.randrange(len(data))] = dice.randrange(256)
        if len(data) >= 28 and dice.random() < 0.7:
            data[24:28] = len(data).to_bytes(4, "big")
        it.post(Datagram(HERE, Endpoint(STRANGER.address, dice.randrange(1, 65536)), bytes(data)))
    it.net.run(400.0)
    assert it.empty() and it.pluto.core.states.by_init == {}
    it.sane()


def test_nobody_is_answered_before_listen() -> None:
    it = SimHost(Net(0), "east", EAST)
    assert answers(it, first_message()) == []
    assert answers(it, message(ExchangeType.INFORMATIONAL, Flags.INITIATOR)) == []


def test_bucket() -> None:
    bucket = Bucket(2.0, 3.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.take(0.5) and not bucket.take(0.5)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_looking_at_a_bucket_takes_nothing() -> None:
    bucket = Bucket(1.0, 1.0)
    assert bucket.has(0.0) and bucket.has(0.0) and bucket.take(0.0) and not bucket.has(0.5) and bucket.has(1.0)


def test_ddos_mode_unlimited_asks_nobody_for_a_cookie() -> None:
    it, data = host(Settings(cookie_rate=1.0, cookie_threshold=1, never_busy=True)), first_message()
    sent: list[Packet] = []
    it.net.attach(STRANGER.address, sent.append)
    for n in range(60):
        it.post(Datagram(HERE, Endpoint(STRANGER.address, 1000 + n), bytes([n]) + data[1:]))
    it.net.run(1.0)
    kinds = [next(n.kind for n in Message.parse(p.body).payloads) for p in sent]  # type: ignore[attr-defined]
    assert kinds == [NotifyType.NO_PROPOSAL_CHOSEN] * 60


@pytest.mark.parametrize("limited", [True, False])
def test_lines_about_strangers_are_few_unless_loglimit_says_no(limited: bool) -> None:
    it = host(Settings(log_limit=limited))
    for n in range(200):
        it.post(Datagram(HERE, Endpoint(STRANGER.address, 1000 + n), b"x" * 30))
    assert (sum(str(STRANGER.address) in line for line in it.lines) == 200) is not limited
