# SPDX-License-Identifier: GPL-2.0-or-later
"""What IKEv1 strangers get, and that nothing they send lasts."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from openswan.base.address import Endpoint
from openswan.engine.events import Datagram
from openswan.engine.settings import Settings
from openswan.policy.connection import Auth, ShuntPolicy
from openswan.wire.header import Flags as FlagsV2
from openswan.wire.header import Header as HeaderV2
from openswan.wire.message import Message as MessageV2
from openswan.wire.v1.header import NO_COOKIE, Flags, Header
from openswan.wire.v1.message import Message
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import ExchangeType, NotifyType, ProtocolId
from openswan.wire.v1.vendor import VendorId
from openswan.wire.v2.notify import Notify as NotifyPayload
from openswan.wire.v2.numbers import ExchangeType as ExchangeV2
from openswan.wire.v2.numbers import NotifyType as NotifyV2
from tests.sim.net import Net, Packet
from tests.sim.pair import EAST, SimHost, end, psk, tunnel
from tests.sim.v1 import v1_pair, v1_tunnel, v1_up

STRANGER = Endpoint(ip_address("203.0.113.66"), 500)
WEST = Endpoint(ip_address("192.0.2.1"), 500)
HERE = Endpoint(ip_address(EAST), 500)
LONG = [VendorId(b"x" * 60)]


def host(settings: Settings | None = None, anybody: bool = True, version: int = 1) -> SimHost:
    it = SimHost(Net(0), "east", EAST, 0, psk("@east", "%any"), settings)
    policy = (v1_tunnel if version == 1 else tunnel)()[1]
    it.load(replace(policy, left=end("%any" if anybody else "192.0.2.1", "10.1.0.0/16", "@west")))
    return it


def answers(it: SimHost, data: bytes, remote: Endpoint = STRANGER) -> list[Message]:
    sent: list[Packet] = []
    it.net.attach(remote.address, sent.append)
    it.post(Datagram(HERE, remote, data))
    it.net.run(it.net.now + 0.1)
    return [Message.parse(packet.body) for packet in sent]


def kinds(found: list[Message]) -> list[object]:
    return [one.kind for message in found for one in message.content.all(Notify)]


def message(exchange: ExchangeType, cookie_r: bytes = b"r" * 8, cookie_i: bytes = b"i" * 8, flags: int = 0) -> bytes:
    return Message.clear(Header(cookie_i, cookie_r, exchange, Flags(flags), 7), LONG).emit()


def first_message(seed: int = 9) -> bytes:
    """A real first message of an honest initiator."""
    pair = v1_pair(seed)
    pair.west.load(v1_tunnel()[0])
    caught: list[bytes] = []
    pair.net.attach(pair.east.address, lambda packet: caught.append(packet.body))
    pair.west.request("initiate", name="net-net")
    pair.run(0.1)
    return caught[0]


def test_unknown_cookies_are_told_so_but_an_informational_never_and_no_answer_is_larger() -> None:
    it = host()
    for exchange in (ExchangeType.MAIN, ExchangeType.QUICK):
        [answer] = answers(it, message(exchange))
        assert kinds([answer]) == [NotifyType.INVALID_COOKIE] and answer.header.exchange == ExchangeType.INFORMATIONAL
        note = answer.content.first(Notify)
        assert note is not None and (note.protocol, note.spi) == (ProtocolId.ISAKMP, b"i" * 8 + b"r" * 8)
    assert answers(it, message(ExchangeType.INFORMATIONAL)) == []
    short = Message.clear(Header(b"i" * 8, b"r" * 8, ExchangeType.QUICK, message_id=7), [VendorId(b"x" * 8)]).emit()
    assert answers(it, short) == []
    assert any("Quick Mode message is for a non-existent (expired?) ISAKMP SA" in line for line in it.lines)
    assert any("phase 1 message is part of an unknown exchange" in line for line in it.lines)


def test_answers_and_lines_are_so_many_a_second() -> None:
    it = host()
    told = [answers(it, message(ExchangeType.QUICK, bytes([1, n] * 4))) for n in range(200)]
    lines = [line for line in it.lines if "non-existent" in line]
    # 40 at once, and 20 for each of the 20 seconds that the simulation has taken for this.
    assert sum(map(len, told)) <= 40 + 20 * 0.1 * 200 and len(lines) <= 40 + 20 * 0.1 * 200
    it.post(Datagram(HERE, STRANGER, message(ExchangeType.QUICK)))
    before = len(it.lines)
    for n in range(500):
        it.post(Datagram(HERE, STRANGER, message(ExchangeType.QUICK, bytes([2, n % 256] * 4))))
    assert len(it.lines) - before <= 41
    assert it.empty()


@pytest.mark.parametrize("policy", ["", "accept", "drop", "reject"])
def test_whom_no_connection_is_for(policy: str) -> None:
    it = host(Settings(ikev1=policy), version=2)
    found = kinds(answers(it, first_message()))
    wanted = {"accept": [NotifyType.NO_PROPOSAL_CHOSEN], "reject": [NotifyType.INVALID_MAJOR_VERSION]}
    assert found == wanted.get(policy, [])
    said = any("received on 198.51.100.7:500 but no connection has been authorized" in line for line in it.lines)
    assert said == (policy in ("", "accept")) == any("say ikev2=no" in line for line in it.lines)
    assert it.empty()


@pytest.mark.parametrize("peer", [str(STRANGER.address), "%any"])
def test_with_whom_a_shunt_forbids_to_negotiate(peer: str) -> None:
    it = SimHost(Net(0), "east", EAST, 0, psk("@east", "%any"))
    shunt = replace(tunnel()[1], name="keep-out", left=end(peer), right=end(EAST), auth=Auth.NEVER)
    it.load(replace(shunt, prospective=ShuntPolicy.DROP))
    assert answers(it, first_message()) == []
    text = 'initial Main Mode message received on 198.51.100.7:500 but "keep-out" forbids connection'
    assert it.lines[-2].endswith(text) and "likely cause: a peer calls that conn keep-out lets" in it.lines[-1]
    it.say("delete", name="keep-out")
    it.post(Datagram(HERE, STRANGER, first_message()))
    assert any("but no connection has been authorized" in line for line in it.lines)
    assert it.empty()


def test_those_ikev1_has_nothing_to_do_with_hear_nothing_of_us() -> None:
    it = host(anybody=False)
    for data in (first_message(), message(ExchangeType.QUICK), message(ExchangeType.MAIN, flags=0x80), b"\x10" * 28):
        assert answers(it, data) == []
    assert it.empty()


@pytest.mark.parametrize("exchange", [ExchangeType.BASE, ExchangeType.AUTH_ONLY, ExchangeType.QUICK, ExchangeType(77)])
def test_what_begins_no_isakmp_sa(exchange: ExchangeType) -> None:
    it = host()
    assert kinds(answers(it, message(exchange, NO_COOKIE))) == [NotifyType.INVALID_EXCHANGE_TYPE]
    assert it.empty()


def test_a_repeated_first_message_finds_its_isakmp_sa() -> None:
    it, data = host(), first_message()
    [one], [again] = answers(it, data), answers(it, data)
    assert one.header.cookie_r == again.header.cookie_r != NO_COOKIE
    assert it.pluto.core.states.half_open_v1 == 1
    it.net.run(it.net.now + 200.0)
    assert it.empty()


def test_half_open_ones_are_bounded_and_the_oldest_gives_way() -> None:
    it = host(Settings(half_open_v1=8))
    first = [first_message(seed) for seed in range(12)]
    cookies = [answers(it, data)[0].header.cookie_r for data in first]
    states = it.pluto.core.states
    assert states.half_open_v1 == 8 and len(set(cookies)) == 12
    assert [cookie in states.by_spi for cookie in cookies] == [False] * 4 + [True] * 8
    it = host(Settings(half_open_per_peer=3))
    assert [len(answers(it, data)) for data in first[:5]] == [1, 1, 1, 0, 0]
    assert any("too many half-open ISAKMP SAs" in line for line in it.lines)


def test_every_cut_and_every_bent_octet_of_a_first_message() -> None:
    it, data = host(), first_message()
    for length in range(len(data)):
        it.post(Datagram(HERE, STRANGER, data[:length]))
    for place in range(len(data)):
        it.post(Datagram(HERE, STRANGER, data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]))
    it.net.run(it.net.now + 200.0)
    assert it.empty()


def test_a_peer_reborn_says_so_in_clear_and_is_asked_under_the_isakmp_sa() -> None:
    pair = v1_up(dpd_delay=0.0)
    [ike] = pair.west.pluto.core.states.ikes.values()
    note = Notify(NotifyType.INVALID_COOKIE, protocol=ProtocolId.ISAKMP, spi=ike.machine.spi_i + ike.machine.spi_r)
    header = Header(ike.machine.spi_i, ike.machine.spi_r, ExchangeType.INFORMATIONAL, message_id=5)
    before = len(pair.net.transcript)
    pair.west.post(Datagram(WEST, HERE, Message.clear(header, [note]).emit()))
    pair.run(1.0)
    assert len(pair.net.transcript) == before + 2, "a question and its answer"
    assert any("the peer says INVALID_COOKIE: asking the peer" in line for line in pair.west.lines)
    assert pair.up()


def test_a_modern_peer_that_refuses_ikev1_is_a_hint() -> None:
    pair = v1_pair()
    pair.west.load(v1_tunnel()[0])
    pair.net.cut.add(pair.east.address)
    pair.west.request("initiate", name="net-net")
    pair.run(0.1)
    [ike] = pair.west.pluto.core.states.ikes.values()
    for kind, hints in ((NotifyV2.INVALID_IKE_SPI, 0), (NotifyV2.INVALID_MAJOR_VERSION, 1)):
        header = HeaderV2(ike.machine.spi_i, bytes(8), ExchangeV2.INFORMATIONAL, FlagsV2.RESPONSE)
        refusal = MessageV2(header, (NotifyPayload(kind),)).emit()
        pair.west.post(Datagram(WEST, HERE, refusal))
        said = [line for line in pair.west.lines if "seems to speak IKEv2 alone: if so, leave ikev2=no" in line]
        assert len(said) == hints
    pair.west.post(Datagram(WEST, HERE, refusal[:-1]))
    assert ike.serial in pair.west.pluto.core.states.ikes


def test_an_old_peer_that_refuses_ikev2_is_a_hint() -> None:
    pair = v1_pair()
    pair.west.load(tunnel()[0])
    pair.net.cut.add(pair.east.address)
    pair.west.request("initiate", name="net-net")
    pair.run(0.1)
    [ike] = pair.west.pluto.core.states.ikes.values()
    note = Notify(NotifyType.INVALID_MAJOR_VERSION, protocol=ProtocolId.ISAKMP)
    answer = Message.clear(Header(ike.machine.spi_i, b"r" * 8, ExchangeType.INFORMATIONAL, message_id=5), [note]).emit()
    pair.west.post(Datagram(WEST, HERE, answer))
    assert any("198.51.100.7 seems to speak IKEv1 alone: if so, say ikev2=no" in line for line in pair.west.lines)
    assert ike.serial in pair.west.pluto.core.states.ikes
