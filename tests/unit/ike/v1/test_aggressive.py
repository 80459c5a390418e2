# SPDX-License-Identifier: GPL-2.0-or-later
"""Aggressive Mode from end to end: who may begin it, what strangers get, NATs, and every message bent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from openswan.base.address import Endpoint, parse_address
from openswan.base.entropy import SeededRng
from openswan.ike.effects import ChildEstablished, Forget, IkeFailed, Send
from openswan.ike.events import CreateChild
from openswan.ike.v1 import aggressive
from openswan.ike.v1.core import MOST_NOTIFIES, MOST_REPLAYS
from openswan.ike.v1.effects import IsakmpEstablished
from openswan.ike.v1.keys import IsakmpKeys
from openswan.ike.v1.sa import IsakmpSa
from openswan.ike.v1.states import State
from openswan.wire.header import HEADER_OCTETS
from openswan.wire.v1.auth import Hash
from openswan.wire.v1.header import Flags, Header
from openswan.wire.v1.ident import Id
from openswan.wire.v1.ke import Ke
from openswan.wire.v1.message import Content, Message
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import ExchangeType, IdType, NotifyType
from openswan.wire.v1.sa import Sa
from tests.unit.ike.v1.pair import ADDRESS_A, ADDRESS_B, Asked, End, Pair, by_rsa, policy, quick

ON: dict[str, Any] = {"aggressive": True}
BOX = Endpoint(parse_address("203.0.113.9"), 500)


def pair_of(a: dict[str, Any] | None = None, b: dict[str, Any] | None = None, **more: Any) -> Pair:
    return Pair(policy(**{**ON, **(a or {})}), policy("@b", "@a", **{**ON, **(b or {})}), **more)


def stands(pair: Pair) -> bool:
    return (pair.a.sa.state, pair.b.sa.state) == (State.AGGR_I2, State.AGGR_R2)


def ai1(**more: Any) -> bytes:
    return pair_of(more).start().a.sent()[0]


def fresh(**more: Any) -> End:
    asked = Asked(policy("@b", "@a", **{**ON, **more}))
    return End(IsakmpSa.responder(ADDRESS_B, ADDRESS_A, asked, SeededRng("b"), 0.0))


@pytest.mark.parametrize("ike", ["aes128-sha1-ecp256", "aes256-sha2_256-modp2048", "3des-md5-modp1024"])
def test_preshared_keys(ike: str) -> None:
    pair = pair_of({"ike": ike}, {"ike": ike}).up()
    assert stands(pair) and len(pair.a.sent()) == 2 and len(pair.b.sent()) == 1
    ours, theirs = pair.a.sa.need_keys(), pair.b.sa.need_keys()
    assert ours.skeyid.d.data == theirs.skeyid.d.data and ours.last_block == theirs.last_block
    assert pair.a.sa.next_timer() is None and pair.b.sa.next_timer() is None
    if "modp1024" not in ike:
        pair.tunnel()


def test_rsa_signatures() -> None:
    pair = pair_of(by_rsa(1, 2), by_rsa(2, 1)).up()
    assert stands(pair) and not any("guess" in line for line in pair.a.lines())


def test_the_lines() -> None:
    pair = pair_of().up()
    lines = pair.a.lines()
    words = 'initiating Aggressive Mode #0, connection "test"'
    assert lines[:3] == [words, aggressive.EXPOSED, "STATE_AGGR_I1: initiate"]
    assert "Aggressive mode peer ID is ID_FQDN: '@b'" in lines
    assert lines[-1].startswith("STATE_AGGR_I2: sent AI2, ISAKMP SA established {auth=OAKLEY_PRESHARED_KEY ")
    assert pair.b.lines()[-1].startswith("STATE_AGGR_R2: ISAKMP SA established {")
    assert pair.a.sa.state.code == pair.b.sa.state.code == 4


def test_one_group_is_offered() -> None:
    data = ai1(ike="aes128-sha1-modp2048,aes128-sha1-ecp256,aes256-sha1-modp2048")
    offered = Message.parse(data).content.first(Sa)
    assert offered is not None and len(offered.proposals[0].transforms) == 2


def test_it_has_to_be_allowed_on_both_sides() -> None:
    end = fresh(aggressive=False)
    end.effects += end.sa.receive(ai1(), ADDRESS_B, ADDRESS_A, 0.0)
    assert end.seen(Forget) and any("aggrmode=no" in line for line in end.lines())
    [answer] = end.sent()
    assert Message.parse(answer).content.all(Notify)[0].kind is NotifyType.NO_PROPOSAL_CHOSEN
    # One that began Main Mode takes no other, and the reverse.
    for mine, header in ((False, ExchangeType.AGGRESSIVE), (True, ExchangeType.MAIN)):
        pair = Pair(policy(aggressive=mine)).start()
        other = pair_of().start() if not mine else Pair().start()
        [(_, sent)] = other.wire
        end = fresh()
        end.effects += end.sa.receive(sent.data, ADDRESS_B, ADDRESS_A, 0.0)
        data = bytearray(end.sent()[0])
        assert data[18] == header
        data[:8] = pair.a.sa.cookie_i
        state = pair.a.sa.state
        pair.a.effects += pair.a.sa.receive(bytes(data), ADDRESS_A, ADDRESS_B, 0.0)
        assert pair.a.sa.state is state and len(pair.a.sent()) == 1


def test_unknown_names_and_the_wrong_ones() -> None:
    pair = pair_of({"my_id": policy("@x").my_id}).start().run()
    assert pair.b.seen(Forget) and any("no connection has been authorized" in line for line in pair.b.lines())
    pair = pair_of(b={"my_id": policy("@x").my_id}).start().run()
    assert "we require peer to have ID '@b', but peer declares '@x'" in pair.a.lines()
    assert pair.a.sa.state is State.AGGR_I1 and not pair.b.seen(IsakmpEstablished)


def test_another_secret() -> None:
    pair = pair_of({"psk": b"another"}).start().run()
    assert (pair.a.sa.state, pair.b.sa.state) == (State.AGGR_I1, State.AGGR_R1)
    assert "received Hash Payload does not match computed value" in pair.a.lines()
    pair.later(61)
    assert pair.a.seen(Forget) and pair.b.seen(Forget)
    assert [one.timeout for one in pair.a.seen(IkeFailed) + pair.b.seen(IkeFailed)] == [True, True]


def test_the_initiator_has_another_secret_and_goes_on_anyway() -> None:
    """It takes the responder's word, but the responder does not take its."""
    pair = pair_of().start()
    pair.deliver(*pair.wire.pop(0))
    pair.b.sa.need_keys().skeyid.id._data[0] ^= 1
    pair.run()
    assert pair.b.sa.state is State.AGGR_R1 and not pair.b.seen(IsakmpEstablished)


@pytest.mark.parametrize("where", [None, "initiator", "responder"])
def test_nats(where: str | None) -> None:
    pair = pair_of(box=BOX if where else None)
    pair.start().run()
    assert pair.a.sa.is_established and pair.b.sa.is_established
    assert pair.a.sa.nat_here == pair.b.sa.nat_there == bool(where)
    assert (pair.a.sa.local.port, pair.b.sa.local.port) == ((4500, 4500) if where else (500, 500))
    pair.tunnel()


@pytest.mark.parametrize("lost", range(3))
@pytest.mark.parametrize("boxed", [False, True])
def test_any_one_message_may_be_lost(lost: int, boxed: bool) -> None:
    number = 0

    def bend(sent: Send) -> list[Send]:
        nonlocal number
        number += 1
        return [] if number - 1 == lost else [sent]

    pair = pair_of(box=BOX if boxed else None)
    pair.bend = bend
    pair.collect(pair.a, pair.a.sa.request(CreateChild(quick(), 7), pair.now))
    pair.start().run()
    for _ in range(6):
        if not pair.b.seen(ChildEstablished):
            pair.tick().run()
    assert stands(pair) and len(pair.b.seen(ChildEstablished)) == 1
    assert len(pair.a.seen(IsakmpEstablished)) == len(pair.b.seen(IsakmpEstablished)) == 1


def test_an_initiator_of_another_kind_whose_last_message_is_lost_hears_the_answer_again() -> None:
    pair = pair_of()
    pair.start()
    pair.deliver(*pair.wire.pop(0))
    pair.deliver(*pair.wire.pop(0))
    pair.wire.clear()  # AI2
    pair.a.sa.last_word = b""
    pair.collect(pair.a, pair.a.sa.request(CreateChild(quick(), 7), pair.now))
    pair.run()
    assert stands(pair)
    pair.tick().run()
    assert len(pair.b.seen(ChildEstablished)) == 1


def test_every_message_may_come_three_times() -> None:
    pair = pair_of()
    pair.bend = lambda sent: [sent, sent, sent] if len(pair.a.sent()) + len(pair.b.sent()) < 20 else [sent]
    pair.start().run()
    assert stands(pair)
    assert len(pair.a.seen(IsakmpEstablished)) == len(pair.b.seen(IsakmpEstablished)) == 1


def test_what_a_forged_first_message_brings_about() -> None:
    """CVE-2016-5361: one answer, in a minute; a few to the very same question, and only to where the first went."""
    end, data = fresh(), ai1()
    for _ in range(20):
        end.effects += end.sa.receive(data, ADDRESS_B, ADDRESS_A, 0.0)
        end.effects += end.sa.receive(data, ADDRESS_B, replace(ADDRESS_A, port=999), 0.0)
    assert len(end.sent()) == 1 + MOST_REPLAYS
    end = fresh()
    end.effects += end.sa.receive(data, ADDRESS_B, ADDRESS_A, 0.0)
    while (when := end.sa.next_timer()) is not None:
        end.effects += end.sa.timer(when)
    assert len(end.sent()) == 1 and end.seen(Forget)
    assert len(end.sent()[0]) <= len(data) + 200


def test_proofs_that_are_none() -> None:
    pair = pair_of().start()
    pair.deliver(*pair.wire.pop(0))
    sa = pair.b.sa
    for flags in (Flags.NONE, Flags.ENCRYPTION):
        header = Header(sa.cookie_i, sa.cookie_r, ExchangeType.AGGRESSIVE, flags)
        for _ in range(10):
            plain = Message.clear(replace(header, flags=Flags.NONE), [Hash(bytes(20))]).emit()
            data = plain if not flags else plain[:19] + b"\1" + plain[20:24] + (HEADER_OCTETS + 32).to_bytes(4, "big")
            data = data if not flags else data[:28] + bytes(32)
            pair.b.effects += sa.receive(data, ADDRESS_B, ADDRESS_A, pair.now)
    assert len(pair.b.sent()) == 1 + MOST_NOTIFIES and sa.state is State.AGGR_R1
    pair.run()
    assert stands(pair)


def test_the_last_message_may_come_in_clear_but_says_nothing_more_then() -> None:
    pair = pair_of({"initial_contact": True}).start()
    pair.deliver(*pair.wire.pop(0))
    pair.deliver(*pair.wire.pop(0))
    [(_, sent)] = pair.wire
    keys: IsakmpKeys = pair.b.sa.need_keys()
    content: Content = keys.open(Message.parse(sent.data), keys.last_block)[0]
    header = Header(pair.b.sa.cookie_i, pair.b.sa.cookie_r, ExchangeType.AGGRESSIVE)
    data = Message.clear(header, content.payloads).emit()
    pair.b.effects += pair.b.sa.receive(data, ADDRESS_B, ADDRESS_A, pair.now)
    assert pair.b.sa.state is State.AGGR_R2
    assert [one.initial_contact for one in pair.b.seen(IsakmpEstablished)] == [False]
    assert [one.initial_contact for one in pair_of({"initial_contact": True}).up().b.seen(IsakmpEstablished)] == [True]


@pytest.mark.parametrize("kind", [0, 4, 6, 7, 8, 10, 12, 99])
def test_identities_nobody_can_be(kind: int) -> None:
    message = Message.parse(ai1())
    body = bytes(32) if kind in (6, 8) else bytes(8) if kind in (4, 7) else b"x"
    if kind == 7:
        body = b"\0\0\0\1\0\0\0\2"
    if kind == 8:
        body = bytes(15) + b"\1" + bytes(15) + b"\2"
    payloads = [Id(IdType(kind), body) if isinstance(one, Id) else one for one in message.content.payloads]
    end = fresh()
    end.effects += end.sa.receive(Message.clear(message.header, payloads).emit(), ADDRESS_B, ADDRESS_A, 0.0)
    assert end.seen(Forget) and len(end.sent()) == 1


@pytest.mark.parametrize("public", [b"\0", bytes(64), b"\xff" * 64, bytes(63) + b"\1", b"\1" * 65])
def test_public_values_of_no_group(public: bytes) -> None:
    message = Message.parse(ai1())
    payloads = [Ke(public) if isinstance(one, Ke) else one for one in message.content.payloads]
    end = fresh()
    end.effects += end.sa.receive(Message.clear(message.header, payloads).emit(), ADDRESS_B, ADDRESS_A, 0.0)
    assert end.seen(Forget) and len(end.sent()) == 1


def test_each_payload_missing_and_doubled() -> None:
    """CVE-2005-3671's Aggressive Mode half: what comes of it is a refusal or a whole negotiation."""
    for which in range(2):
        for index in range(20):
            for action in ("drop", "double"):
                number = 0

                def bend(sent: Send, which: int = which, index: int = index, action: str = action) -> list[Send]:
                    nonlocal number
                    number += 1
                    message = Message.parse(sent.data)
                    if number - 1 != which or index >= len(message.content.payloads):
                        return [sent]
                    payloads = list(message.content.payloads)
                    if action == "drop":
                        del payloads[index]
                    else:
                        payloads.insert(index, payloads[index])
                    return [replace(sent, data=Message.clear(message.header, payloads).emit())]

                pair = pair_of()
                pair.bend = bend
                pair.start().run()
                assert len(pair.a.sent()) + len(pair.b.sent()) <= 8
                assert pair.b.sa.state is not State.GONE or pair.b.seen(Forget)


@pytest.mark.parametrize("which", range(3))
def test_each_message_with_each_octet_changed_does_no_harm(which: int) -> None:
    for at in range(0, 500, 11):
        number = 0

        def bend(sent: Send, at: int = at) -> list[Send]:
            nonlocal number
            number += 1
            if number - 1 != which or at >= len(sent.data):
                return [sent]
            data = bytearray(sent.data)
            data[at] ^= 0x5A
            return [replace(sent, data=bytes(data)), sent]

        pair = pair_of()
        pair.bend = bend
        pair.start().run()
        assert stands(pair) or pair.b.seen(Forget) or which in (0, 1), pair.a.lines() + pair.b.lines()
        assert len(pair.a.sent()) + len(pair.b.sent()) < 20


def test_a_refused_first_message_comes_again_with_a_cookie_of_ours() -> None:
    """CVE-2023-30570: two packets of Aggressive Mode."""
    end = fresh(ike="aes256-sha1-ecp256")
    data = ai1()
    end.effects += end.sa.receive(data, ADDRESS_B, ADDRESS_A, 0.0)
    count = len(end.effects)
    again = data[:8] + b"\1" * 8 + data[16:]
    end.effects += end.sa.receive(again, ADDRESS_B, ADDRESS_A, 0.0)
    assert len(end.effects) == count and end.sa.state is State.GONE
    other = fresh()
    other.effects += other.sa.receive(again, ADDRESS_B, ADDRESS_A, 0.0)
    assert not other.sent() and not other.sa.is_established
