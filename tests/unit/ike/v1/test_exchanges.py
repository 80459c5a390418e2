# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes on under an ISAKMP SA, under loss, repetition, disorder, garbage and time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from openswan.base.address import Endpoint, parse_address
from openswan.ike.effects import (
    ChildEstablished,
    ChildGone,
    Forget,
    Gone,
    Heard,
    IkeGone,
    PeerMoved,
    RequestFailed,
    Silent,
    SpiOffered,
)
from openswan.ike.events import CreateChild, DeleteChild, DeleteIke, Probe, RekeyChild, RekeyIke
from openswan.ike.v1.core import MOST_HINTS, MOST_REPLAYS
from openswan.ike.v1.sa import IsakmpSa
from openswan.ike.v1.states import State
from openswan.wire.v1.delete import Delete
from openswan.wire.v1.header import Flags
from openswan.wire.v1.message import Message
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import ExchangeType, NotifyType, ProtocolId
from tests.unit.ike.v1.pair import ADDRESS_A, ADDRESS_B, End, Pair, mirrored, quick, sealed
from tests.unit.ike.v1.test_quick import CLIENTS, qi1
from tests.unit.ike.v1.test_quickmodes import asked, stand


def test_what_is_asked_of_the_wrong_thing() -> None:
    pair = Pair().start()
    requests: list[Any] = [DeleteChild(1), Probe(), RekeyIke(5)]
    for one in requests:
        assert [type(e) for e in pair.a.sa.request(one, pair.now)] == [RequestFailed]
    pair.run()
    for one in [*requests[::2], RekeyChild(77)]:
        [failed] = pair.a.sa.request(one, pair.now)
        assert isinstance(failed, RequestFailed) and failed.request == one
    with pytest.raises(TypeError):
        pair.a.sa.request(CreateChild(None), pair.now)  # type: ignore[arg-type]
    pair.a.sa.abandon(pair.now)
    [failed] = pair.a.sa.request(CreateChild(quick()), pair.now)
    assert isinstance(failed, RequestFailed) and "has ended" in failed.reason


def test_deleting_a_pair() -> None:
    pair = Pair().tunnel()
    [spi] = pair.a.sa.children
    pair.ask(pair.a, DeleteChild(spi))
    assert [one.reason for one in pair.a.seen(ChildGone)] == [Gone.LOCAL]
    assert [one.reason for one in pair.b.seen(ChildGone)] == [Gone.PEER]
    assert not pair.a.sa.children and not pair.b.sa.children and pair.b.sa.is_established


def test_closing_the_isakmp_sa_ends_all() -> None:
    pair = Pair().tunnel()
    pair.ask(pair.a, DeleteIke())
    assert [one.reason for one in pair.a.seen(ChildGone)] == [Gone.IKE_GONE]
    assert [one.reason for one in pair.a.seen(IkeGone)] == [Gone.LOCAL]
    assert [one.reason for one in pair.b.seen(ChildGone)] == [Gone.PEER]
    assert [one.reason for one in pair.b.seen(IkeGone)] == [Gone.PEER]
    assert pair.a.seen(Forget) and pair.b.seen(Forget) and pair.due() is None


def test_closing_while_quick_modes_are_under_way() -> None:
    """CVE-2011-4073: a Quick Mode whose ISAKMP SA goes."""
    pair = asked()
    pair.deliver(*pair.wire.pop(0))
    pair.wire.clear()
    pair.ask(pair.a, DeleteIke())
    assert [one.withdrawn for one in pair.b.seen(SpiOffered)] == [False, True]
    assert stand(pair) == (0, 0) and pair.due() is None


def test_a_peer_behind_a_nat_moves() -> None:
    box = Endpoint(parse_address("203.0.113.9"), 1024)
    pair = Pair(box=box).up()
    pair.box = replace(box, port=3000)
    pair.ask(pair.a, Probe(1))
    assert [one.remote for one in pair.b.seen(PeerMoved)] == [replace(box, port=3001)]
    assert pair.b.sa.remote.port == 3001
    pair.b.sa.mapped(replace(box, port=4001))
    assert pair.b.sa.remote.port == 4001
    other = Pair().up()
    other.b.sa.mapped(box)
    assert other.b.sa.remote == ADDRESS_A


def test_silence_and_a_sign_of_life() -> None:
    pair = Pair().up()
    pair.bend = lambda sent: []
    pair.ask(pair.a, Probe(1)).later(5.0)
    assert len(pair.a.seen(Silent)) == 1
    pair.bend = lambda sent: [sent]
    pair.ask(pair.b, Probe(2))
    assert len(pair.a.seen(Heard)) == 1


@pytest.mark.parametrize("exchange", [ExchangeType.NEW_GROUP, ExchangeType.AGGRESSIVE])
def test_exchanges_that_are_refused(exchange: ExchangeType) -> None:
    pair = Pair().up()
    before = len(pair.b.sent())
    pair.forge(pair.b, [Notify(NotifyType.CONNECTED)], exchange=exchange)
    assert len(pair.b.sent()) == before
    assert pair.b.lines()[-1] == f"ignoring message of exchange {exchange} msgid=00001234"


def test_the_commit_flag_is_tolerated() -> None:
    pair = Pair().up()
    pair.asked.quick = [mirrored(quick(pfs=False))]
    pair.forge(pair.b, qi1(*CLIENTS), exchange=ExchangeType.QUICK, flags=Flags.ENCRYPTION | Flags.COMMIT)
    assert "IKE message has the Commit Flag set but Pluto doesn't implement this feature; ignoring flag" in (
        pair.b.lines()
    )
    assert next(iter(pair.b.sa.quicks.values())).state is State.QUICK_R1
    pair.forge(pair.b, [Notify(NotifyType.CONNECTED)], 99)
    assert pair.b.lines()[-1] == "STATE_QUICK_R1: sent QR1, expecting QI2"


def test_what_strangers_send_leaves_a_few_lines_a_minute() -> None:
    pair = Pair().up()
    sa = pair.b.sa
    bad = [
        sealed(sa, [Notify(NotifyType.CONNECTED)], 5, hashed=False),
        sealed(sa, [Notify(NotifyType.CONNECTED)], 0),
        Message.clear(replace(sa.header(ExchangeType.QUICK), message_id=4), [Notify(NotifyType.CONNECTED)]).emit(),
        Message.clear(replace(sa.header(ExchangeType.INFORMATIONAL), message_id=4),
                      [Delete(ProtocolId.ISAKMP, (sa.cookie_i + sa.cookie_r,))]).emit(),
        sealed(sa, [Notify(NotifyType.CONNECTED)], 6)[:-1],
    ]  # fmt: skip
    before, lines = len(pair.b.sent()), len(pair.b.lines())
    for _ in range(10):
        for data in bad:
            pair.b.effects += sa.receive(data, ADDRESS_B, ADDRESS_A, pair.now)
    assert len(pair.b.lines()) == lines + MOST_HINTS and len(pair.b.sent()) == before
    assert sa.is_established and not sa.spent
    for data in bad:
        pair.now += 60.0
        pair.b.effects += sa.receive(data, ADDRESS_B, ADDRESS_A, pair.now)
    assert len(pair.b.lines()) == lines + MOST_HINTS + len(bad)
    assert "ignoring Delete SA payload: not encrypted msgid=00000004" in pair.b.lines()


def test_quick_mode_before_the_isakmp_sa_stands() -> None:
    pair = Pair().start()
    pair.deliver(*pair.wire.pop(0))
    ready = Pair().up()
    data = sealed(ready.b.sa, qi1(*CLIENTS), exchange=ExchangeType.QUICK)
    pair.b.effects += pair.b.sa.receive(data, ADDRESS_B, ADDRESS_A, pair.now)
    assert pair.b.lines()[-1].startswith(
        "Quick Mode message is unacceptable because it is for an incomplete ISAKMP SA msgid="
    )
    assert len(pair.b.sent()) == 1


def test_cookies_of_another_isakmp_sa() -> None:
    pair, other = Pair().up(), Pair().tunnel()
    data = bytearray(sealed(pair.b.sa, qi1(*CLIENTS), exchange=ExchangeType.QUICK))
    data[15] ^= 1
    pair.b.effects += pair.b.sa.receive(bytes(data), ADDRESS_B, ADDRESS_A, pair.now)
    assert "non-existent (expired?) ISAKMP SA" in pair.b.lines()[-1] and other.b.sa.children


def test_a_refusal_in_clear_ends_nothing() -> None:
    pair = asked()
    header = replace(pair.a.sa.header(ExchangeType.INFORMATIONAL), message_id=4)
    for kind in (NotifyType.NO_PROPOSAL_CHOSEN, NotifyType.INVALID_ID_INFORMATION):
        data = Message.clear(header, [Notify(kind)]).emit()
        pair.a.effects += pair.a.sa.receive(data, ADDRESS_A, ADDRESS_B, pair.now)
    assert stand(pair.run()) == (1, 1)


def test_an_authentic_refusal_ends_the_quick_mode_it_means() -> None:
    pair = asked()
    pair.asked.quick.append(mirrored(quick("10.8.0.0/16")))
    pair.collect(pair.a, pair.a.sa.request(CreateChild(quick("10.8.0.0/16"), 8), pair.now))
    pair.forge(pair.a, [Notify(NotifyType.NO_PROPOSAL_CHOSEN)], 4)
    assert not pair.a.seen(RequestFailed), "nobody knows which of two is meant"
    meant = next(iter(pair.a.sa.quicks.values()))
    spi = meant.spi.to_bytes(4, "big")
    pair.forge(pair.a, [Notify(NotifyType.NO_PROPOSAL_CHOSEN, protocol=ProtocolId.ESP, spi=spi)], 5)
    [failed] = pair.a.seen(RequestFailed)
    assert (failed.request.token, failed.notify) == (7, 14)
    pair.run()
    assert [one.token for one in pair.a.seen(ChildEstablished)] == [8]


def test_a_refusal_is_repeated_to_whoever_repeats_the_question() -> None:
    pair = asked(quick(esp="aes256-sha2_256"))
    sender, first = pair.wire.pop(0)
    pair.deliver(sender, first)
    told = pair.b.sent()[-1]
    for _ in range(20):
        pair.deliver(sender, first)
    assert pair.b.sent()[3:] == [told] * (1 + MOST_REPLAYS)
    pair.run()
    assert len(pair.a.seen(RequestFailed)) == 1


def test_doubt_asks_the_peer_once() -> None:
    pair = Pair().up()
    for _ in range(3):
        pair.collect(pair.a, pair.a.sa.doubt("somebody says so", pair.now))
    assert len(pair.a.sent()) == 4
    pair.run()
    assert not pair.a.sa.busy


def test_the_machine_of_an_end_is_an_isakmp_sa() -> None:
    end = End(IsakmpSa.responder(ADDRESS_B, ADDRESS_A, Pair().asked, Pair().a.sa.rng, 0.0))
    assert not end.sa.peer_does_dpd and not end.sa.busy and end.sa.serial == 0
