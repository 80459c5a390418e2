# SPDX-License-Identifier: GPL-2.0-or-later
"""Transaction exchanges: repetitions, replays, forgeries, and how many are remembered."""

from __future__ import annotations

from openswan.ike.effects import Send
from openswan.ike.v1.core import MOST_REPLAYS
from openswan.ike.v1.states import State
from openswan.ike.v1.transactions import MOST_TALKS, is_xauth
from openswan.policy.modecfg import Assigned, ConfigRole
from openswan.wire.attribute import Attribute
from openswan.wire.v1.auth import Hash
from openswan.wire.v1.header import Flags
from openswan.wire.v1.modecfg import Attributes
from openswan.wire.v1.nonce import Nonce
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import CfgAttribute, CfgType, ExchangeType, NotifyType
from tests.unit.ike.v1.pair import ADDRESS_A, ADDRESS_B, Pair, policy, sealed
from tests.unit.ike.v1.test_modecfg import GIVEN, pair_of

ASK = Attributes(CfgType.REQUEST, 5, (Attribute(CfgAttribute.INTERNAL_IP4_ADDRESS, b""),))


def server() -> Pair:
    pair = Pair(policy(), policy("@b", "@a", config=ConfigRole.SERVER))
    pair.asked.assigned = GIVEN
    return pair.up()


def test_the_very_same_question_gets_the_very_same_answer_a_few_times() -> None:
    pair = server()
    data = sealed(pair.b.sa, [ASK], 0x77, exchange=ExchangeType.TRANSACTION)
    before = len(pair.b.sent())
    for _ in range(20):
        pair.b.effects += pair.b.sa.receive(data, ADDRESS_B, ADDRESS_A, pair.now)
    answers = pair.b.sent()[before:]
    assert len(answers) == 1 + MOST_REPLAYS and len(set(answers)) == 1
    for _ in range(5):
        elsewhere = pair.b.sa.receive(data, ADDRESS_B, ADDRESS_B, pair.now)
        assert not [one for one in elsewhere if isinstance(one, Send)]
    assert len(pair.asked.leases) == 1


def test_what_is_forged_or_malformed_changes_nothing() -> None:
    pair = server()
    sa, before = pair.b.sa, len(pair.b.sent())
    bad = [
        sealed(sa, [ASK], 0x77, exchange=ExchangeType.TRANSACTION, hashed=False),
        sealed(sa, [Hash(bytes(20)), ASK], 0x78, exchange=ExchangeType.TRANSACTION, hashed=False),
        sealed(sa, [ASK], 0, exchange=ExchangeType.TRANSACTION),
        sealed(sa, [ASK, ASK], 0x79, exchange=ExchangeType.TRANSACTION),
        sealed(sa, [Nonce(bytes(8))], 0x7A, exchange=ExchangeType.TRANSACTION),
        sealed(sa, [Notify(NotifyType.CONNECTED)], 0x7B, exchange=ExchangeType.TRANSACTION),
    ]
    good = bytearray(sealed(sa, [ASK], 0x7C, exchange=ExchangeType.TRANSACTION))
    for at in range(28, len(good), 3):
        good[at] ^= 1
        bad.append(bytes(good))
        good[at] ^= 1
    for data in bad:
        pair.b.effects += sa.receive(data, ADDRESS_B, ADDRESS_A, pair.now)
    clear = bytearray(sealed(sa, [ASK], 0x7D, exchange=ExchangeType.TRANSACTION))
    clear[19] &= ~Flags.ENCRYPTION
    pair.b.effects += sa.receive(bytes(clear), ADDRESS_B, ADDRESS_A, pair.now)
    assert len(pair.b.sent()) == before and sa.is_established and not pair.asked.leases


def test_the_oldest_are_forgotten_and_do_not_come_again() -> None:
    pair = server()
    first = sealed(pair.b.sa, [ASK], 1, exchange=ExchangeType.TRANSACTION)
    pair.b.effects += pair.b.sa.receive(first, ADDRESS_B, ADDRESS_A, pair.now)
    for number in range(2, 100):
        pair.forge(pair.b, [ASK], number, exchange=ExchangeType.TRANSACTION)
    assert len(pair.b.sa.talks) == MOST_TALKS
    before = len(pair.b.sent())
    pair.b.effects += pair.b.sa.receive(first, ADDRESS_B, ADDRESS_A, pair.now)
    assert len(pair.b.sent()) == before


def test_before_phase_1_is_over_there_are_none() -> None:
    pair = Pair().start()
    pair.deliver(*pair.wire.pop(0))
    data = b"".join(
        (pair.b.sa.cookie_i, pair.b.sa.cookie_r, bytes([8, 0x10, 6, 1, 0, 0, 0, 7, 0, 0, 0, 60]), bytes(32))
    )
    before = len(pair.b.sent())
    for _ in range(5):
        pair.b.effects += pair.b.sa.receive(data, ADDRESS_B, ADDRESS_A, pair.now)
    assert len(pair.b.sent()) == before and pair.b.sa.state is State.MAIN_R1


def test_a_question_that_nobody_answers() -> None:
    pair = pair_of(True, Assigned())
    pair.bend = lambda sent: [] if sent.data[18] == ExchangeType.TRANSACTION else [sent]
    pair.start().run().later(70)
    assert pair.a.sa.state is State.GONE
    assert any("reached STATE_MODE_CFG_I1" in line for line in pair.a.lines())


def test_which_are_about_xauth() -> None:
    assert not is_xauth(ASK)
    for kind in range(CfgAttribute.XAUTH_TYPE, CfgAttribute.XAUTH_ANSWER + 1):
        assert is_xauth(Attributes(CfgType.REQUEST, 0, (Attribute(kind, b""),)))
