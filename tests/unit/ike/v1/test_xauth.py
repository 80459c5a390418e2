# SPDX-License-Identifier: GPL-2.0-or-later
"""XAUTH from end to end: who asks whom, what a password costs, and what nobody gets to say."""

from __future__ import annotations

from typing import Any

import pytest

from openswan.base.errors import CryptoError
from openswan.ike.effects import ChildEstablished, Forget, IkeFailed, Send, Work
from openswan.ike.events import CreateChild
from openswan.ike.later import XauthJob
from openswan.ike.v1.core import HALF_OPEN
from openswan.ike.v1.effects import IsakmpEstablished
from openswan.ike.v1.states import State
from openswan.ike.v1.xauth import MOST_NAME, PENALTY
from openswan.wire.attribute import Attribute
from openswan.wire.v1.modecfg import Attributes
from openswan.wire.v1.numbers import AuthMethod, CfgAttribute, CfgType, ExchangeType, NotifyType
from tests.unit.ike.v1.pair import End, Pair, by_rsa, policy, quick

A = CfgAttribute
CLIENT: dict[str, Any] = {"xauth_user": "carla", "xauth_password": b"open sesame"}
METHODS = {
    "psk": (AuthMethod.XAUTH_INIT_PRE_SHARED, {}, {}),
    "rsa": (AuthMethod.XAUTH_INIT_RSA, by_rsa(1, 2), by_rsa(2, 1)),
    "hybrid": (AuthMethod.HYBRID_INIT_RSA, {**by_rsa(1, 2), "private_key": None}, {**by_rsa(2, 1), "peer_keys": ()}),
}
BACKWARDS = {
    "psk": (AuthMethod.XAUTH_RESP_PRE_SHARED, {}, {}),
    "rsa": (AuthMethod.XAUTH_RESP_RSA, by_rsa(1, 2), by_rsa(2, 1)),
    "hybrid": (AuthMethod.HYBRID_RESP_RSA, {**by_rsa(1, 2), "peer_keys": ()}, {**by_rsa(2, 1), "private_key": None}),
}
MODES = pytest.mark.parametrize("aggressive", [False, True], ids=["main", "aggressive"])


def pair_of(
    kind: str = "psk", a: dict[str, Any] | None = None, b: dict[str, Any] | None = None, backwards: bool = False,
    aggressive: bool = False,
) -> Pair:  # fmt: skip
    method, mine, theirs = (BACKWARDS if backwards else METHODS)[kind]
    first = {**mine, "method": method, "aggressive": aggressive, **({} if backwards else CLIENT), **(a or {})}
    second = {**theirs, "method": method, "aggressive": aggressive, **(CLIENT if backwards else {}), **(b or {})}
    return Pair(policy(**first), policy("@b", "@a", **second))


def judge(pair: Pair, end: End, result: bytes | CryptoError = b"") -> XauthJob:
    """Answer the question about a password."""
    job = end.seen(Work)[-1].job
    assert isinstance(job, XauthJob)
    pair.collect(end, end.sa.resume(job, result, pair.now))
    pair.run()
    return job


@MODES
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("kind", ["psk", "rsa", "hybrid"])
def test_every_method_in_either_direction(kind: str, backwards: bool, aggressive: bool) -> None:
    pair = pair_of(kind, backwards=backwards, aggressive=aggressive)
    pair.collect(pair.a, pair.a.sa.request(CreateChild(quick(), 7), pair.now))
    pair.start().run()
    server, client = (pair.a, pair.b) if backwards else (pair.b, pair.a)
    assert (server.sa.state, client.sa.state) == (State.XAUTH_R0, State.XAUTH_I1)
    assert not server.seen(IsakmpEstablished) + client.seen(IsakmpEstablished)
    job = judge(pair, server)
    assert (job.user, job.password, job.connection) == ("carla", b"open sesame", "test")
    assert "open sesame" not in repr(job) and not any("open sesame" in line for line in server.lines())
    [there] = server.seen(IsakmpEstablished)
    assert there.user == "carla" and client.seen(IsakmpEstablished)[0].user == ""
    assert pair.a.sa.is_established and pair.b.sa.is_established
    assert len(pair.b.seen(ChildEstablished)) == 1, "what was asked for waited, and is made then"
    assert "XAUTH: User carla: Authentication Successful" in server.lines()
    assert "XAUTH: Answering XAUTH challenge with user='carla'" in client.lines()
    assert "XAUTH: Successfully Authenticated" in client.lines()


def test_hybrid_authenticates_the_server_before_anything_is_said_to_it() -> None:
    pair = pair_of("hybrid", b={"private_key": by_rsa(3, 1)["private_key"]})
    pair.start().run()
    assert pair.a.sa.state is State.MAIN_I3 and any("Signature check" in line for line in pair.a.lines())
    assert not pair.b.seen(Work)


@pytest.mark.parametrize("lost", range(12))
@MODES
def test_any_one_message_may_be_lost(lost: int, aggressive: bool) -> None:
    number = 0

    def bend(sent: Send) -> list[Send]:
        nonlocal number
        number += 1
        return [] if number - 1 == lost else [sent]

    pair = pair_of(aggressive=aggressive)
    pair.bend = bend
    pair.start().run()
    for _ in range(12):
        if pair.b.seen(Work) and not pair.b.sa.user:
            judge(pair, pair.b)
        if pair.due() is not None and not (pair.a.sa.is_established and pair.b.sa.is_established):
            pair.tick().run()
    assert pair.a.sa.is_established and pair.b.sa.is_established
    assert len(pair.a.seen(IsakmpEstablished)) == len(pair.b.seen(IsakmpEstablished)) == 1


def test_every_message_may_come_three_times() -> None:
    pair = pair_of()
    pair.bend = lambda sent: [sent] * 3 if len(pair.a.sent()) + len(pair.b.sent()) < 40 else [sent]
    pair.start().run()
    assert len(pair.b.seen(Work)) == 1
    judge(pair, pair.b)
    assert len(pair.a.seen(IsakmpEstablished)) == len(pair.b.seen(IsakmpEstablished)) == 1


def test_a_wrong_password_is_answered_later_and_ends_it_all() -> None:
    pair = pair_of()
    pair.start().run()
    before = len(pair.b.sent())
    judge(pair, pair.b, CryptoError("Incorrect Username or Password"))
    assert "XAUTH: User carla: Authentication Failed: Incorrect Username or Password" in pair.b.lines()
    assert len(pair.b.sent()) == before and pair.b.sa.state is State.XAUTH_R0
    pair.later(PENALTY - 0.5)
    assert len(pair.b.sent()) == before
    # Nothing the client says meanwhile is another try.
    pair.forge(pair.b, [Attributes(CfgType.REPLY, 1, (Attribute(A.XAUTH_USER_NAME, b"x"),))], 0x77,
               exchange=ExchangeType.TRANSACTION)  # fmt: skip
    assert len(pair.b.seen(Work)) == 1
    pair.later(1.0)
    assert pair.a.seen(Forget) and pair.b.seen(Forget)
    assert [one.notify for one in pair.a.seen(IkeFailed) + pair.b.seen(IkeFailed)] == [24, 24]
    assert "XAUTH: Authentication failed" in pair.a.lines()
    assert not pair.a.seen(IsakmpEstablished) + pair.b.seen(IsakmpEstablished)


@pytest.mark.parametrize(
    "more",
    [
        {"xauth_user": ""},
        {"xauth_password": b""},
    ],
)
def test_a_client_without_a_password(more: dict[str, Any]) -> None:
    pair = pair_of(a=more)
    pair.start().run()
    assert any("in ipsec.secrets" in line and "no password is known" in line for line in pair.a.lines())
    assert pair.a.seen(Forget) and not pair.b.seen(Work)
    pair.later(PENALTY + 1)
    assert pair.b.seen(Forget)


def reply(*attributes: Attribute) -> Attributes:
    return Attributes(CfgType.REPLY, 0, attributes)


NAME, WORD = Attribute(A.XAUTH_USER_NAME, b"carla"), Attribute(A.XAUTH_USER_PASSWORD, b"x")


@pytest.mark.parametrize(
    "said",
    [
        (),
        (NAME,),
        (WORD,),
        (NAME, NAME, WORD),
        (NAME, WORD, WORD),
        (NAME, WORD, Attribute(A.XAUTH_STATUS, 0)),
        (Attribute(A.XAUTH_USER_NAME, b""), WORD),
        (Attribute(A.XAUTH_USER_NAME, b"x" * (MOST_NAME + 1)), WORD),
        (Attribute(A.XAUTH_USER_NAME, b"a\nb"), WORD),
        (Attribute(A.XAUTH_USER_NAME, b"\x1b[2J"), WORD),
        (NAME, Attribute(A.XAUTH_USER_PASSWORD, b"x" * 5000)),
        (Attribute(A.XAUTH_USER_NAME, b"0\x84\xff\xff\xff\xff"), WORD),
        (Attribute(A.XAUTH_USER_NAME, b"0"), Attribute(A.XAUTH_USER_PASSWORD, 7)),
    ],
)
def test_answers_a_server_makes_nothing_of(said: tuple[Attribute, ...]) -> None:
    """CVE-2013-5018 among them: names that look like broken ASN.1 are names, or none."""
    pair = pair_of()
    pair.bend = lambda sent: [] if sent.data[18] == ExchangeType.TRANSACTION else [sent]
    pair.start().run()
    talk = pair.b.sa.asking
    assert talk is not None
    keys = pair.b.sa.need_keys()
    payload = Attributes(CfgType.REPLY, talk.identifier, said)
    header = pair.a.sa.header(ExchangeType.TRANSACTION, talk.message_id, encrypted=True)
    data, _ = keys.seal(header, keys.hashed(talk.message_id, [payload]), talk.iv)
    pair.collect(pair.b, pair.b.sa.receive(data, pair.b.sa.local, pair.b.sa.remote, pair.now))
    assert len(pair.b.seen(Work)) == (len(said) == 2 and said[-1].value in (7, b"x") and said[0].value[:1] == b"0")
    assert all(line.isprintable() for line in pair.b.lines())
    pair.later(HALF_OPEN + 1)
    assert pair.b.seen(Forget) and not pair.b.seen(IsakmpEstablished)


def test_a_judge_that_never_answers() -> None:
    pair = pair_of()
    pair.start().run()
    pair.later(HALF_OPEN + 1)
    assert "gave up waiting for the password of carla to be judged" in pair.b.lines()
    assert pair.b.seen(Forget)


def test_nobody_asks_for_passwords_that_were_not_agreed_on() -> None:
    pair = Pair(policy(**CLIENT), policy("@b", "@a")).up()
    question = Attributes(
        CfgType.REQUEST, 5, (Attribute(A.XAUTH_USER_NAME, b""), Attribute(A.XAUTH_USER_PASSWORD, b""))
    )
    pair.forge(pair.a, [question], 0x77, exchange=ExchangeType.TRANSACTION)
    pair.forge(pair.b, [question], 0x78, exchange=ExchangeType.TRANSACTION)
    assert "XAUTH: ignoring the peer's message: it was not agreed on, or is over" in pair.a.lines()
    for end in (pair.a, pair.b):
        assert not any("Answering" in line for line in end.lines()) and end.sa.is_established
    status = Attributes(CfgType.SET, 6, (Attribute(A.XAUTH_STATUS, 1),))
    pair.forge(pair.b, [status], 0x79, exchange=ExchangeType.TRANSACTION)
    assert len(pair.b.seen(IsakmpEstablished)) == 1


def test_a_client_of_xauth_is_not_let_in_by_its_own_word() -> None:
    """CVE-2015-8023's shape: a success the client says itself."""
    pair = pair_of()
    pair.bend = lambda sent: [] if sent.data[18] == ExchangeType.TRANSACTION else [sent]
    pair.start().run()
    assert pair.b.sa.state is State.XAUTH_R0
    status = (Attribute(A.XAUTH_STATUS, 1),)
    for number, kind in enumerate((CfgType.SET, CfgType.ACK, CfgType.REPLY, CfgType.REQUEST)):
        pair.forge(pair.b, [Attributes(kind, 0, status)], 0x100 + number, exchange=ExchangeType.TRANSACTION)
    pair.forge(pair.b, [Attributes(CfgType(9), 0, status)], 0x110, exchange=ExchangeType.TRANSACTION)
    assert pair.b.sa.state is State.XAUTH_R0 and not pair.b.seen(IsakmpEstablished)
    # Nor does anything of phase 2 count.
    pair.collect(pair.a, pair.a.sa.request(CreateChild(quick(), 1), pair.now))
    pair.run()
    assert not pair.b.seen(ChildEstablished) and not pair.asked.asked


@pytest.mark.parametrize("types", [1, 2, 3, 99])
def test_other_kinds_of_xauth(types: int) -> None:
    pair = pair_of()
    pair.bend = lambda sent: [] if sent.data[18] == ExchangeType.TRANSACTION else [sent]
    pair.start().run()
    question = Attributes(CfgType.REQUEST, 5, (Attribute(A.XAUTH_TYPE, types), Attribute(A.XAUTH_PASSCODE, b""),
                                              Attribute(A.XAUTH_MESSAGE, b"say\x07\n it")))  # fmt: skip
    pair.forge(pair.a, [question], 0x77, exchange=ExchangeType.TRANSACTION)
    assert pair.a.seen(Forget) and "XAUTH: server says: say?? it" in pair.a.lines()
    assert pair.a.seen(IkeFailed)[0].notify == NotifyType.AUTHENTICATION_FAILED


def test_a_server_that_lets_in_without_a_question() -> None:
    pair = pair_of()
    pair.bend = lambda sent: [] if sent.data[18] == ExchangeType.TRANSACTION else [sent]
    pair.start().run()
    status = Attributes(CfgType.SET, 6, (Attribute(A.XAUTH_STATUS, 1),))
    pair.forge(pair.a, [status], 0x79, exchange=ExchangeType.TRANSACTION)
    assert pair.a.sa.is_established
