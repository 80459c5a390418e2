# SPDX-License-Identifier: GPL-2.0-or-later
"""Passwords of XAUTH users on their way to a judge and back, and who is wrong too often."""

from __future__ import annotations

from ipaddress import ip_address

from openswan.base.errors import CryptoError
from openswan.engine.events import LoggedIn
from openswan.engine.logins import FORGIVEN, MOST_FAILURES, MOST_REMEMBERED, Logins, Wrong
from openswan.ike.later import XauthJob
from openswan.policy.connection import XauthBy
from tests.sim.v1 import v1_pair, v1_tunnel

HERE = ip_address("192.0.2.1")


def logins(**more: object) -> tuple[Logins, list[object], list[bytes | CryptoError]]:
    """With a conn `net-net`; what is asked of the host, and what comes of it."""
    pair = v1_pair()
    pair.east.load(v1_tunnel(**more)[1])
    core = pair.east.pluto.core
    asked: list[object] = []
    core.emit = asked.append  # type: ignore[method-assign]
    return Logins(core), asked, []


def job(user: str = "carla", conn: str = "net-net", remote: str = "192.0.2.1") -> XauthJob:
    return XauthJob(conn, "@a", ip_address(remote), user, b"open sesame")


def outcome(them: Logins, done: list[bytes | CryptoError], one: XauthJob, reason: str = "") -> bytes | str:
    them.start(one, done.append)
    if them.under_way:
        them.judged(LoggedIn(them.last, reason))
    return str(done[-1]) if isinstance(done[-1], CryptoError) else done[-1]


def test_right_and_wrong() -> None:
    them, asked, done = logins()
    assert outcome(them, done, job()) == b""
    assert outcome(them, done, job(), "Incorrect Username or Password") == "Incorrect Username or Password"
    assert len(asked) == 2 and "open sesame" not in repr(asked)
    assert outcome(them, done, job(conn="gone")) == "no connection 'gone' any more"
    them.judged(LoggedIn(99))
    assert len(done) == 3


def test_everybody_is_let_in_where_the_conn_says_so() -> None:
    them, asked, done = logins(xauth_by=XauthBy.ALWAYS_OK)
    assert outcome(them, done, job()) == b"" and asked == []


def test_who_is_wrong_too_often_is_not_heard_for_a_while() -> None:
    them, asked, done = logins()
    for number in range(MOST_FAILURES):
        outcome(them, done, job(user=f"u{number}"), "no")
    assert "too many wrong passwords" in str(outcome(them, done, job(user="another")))
    assert len(asked) == MOST_FAILURES
    assert outcome(them, done, job(user="another", remote="192.0.2.9")) == b""
    for number in range(MOST_FAILURES):
        outcome(them, done, job(user="carla", remote=f"203.0.113.{number}"), "no")
    assert "too many" in str(outcome(them, done, job(remote="203.0.113.77")))
    them.core.now += FORGIVEN
    assert outcome(them, done, job()) == b""


def test_what_is_remembered_is_bounded() -> None:
    them, _, done = logins()
    for number in range(MOST_REMEMBERED + 100):
        them.wrong[f"user{number}"] = Wrong(1, 0.0)
    for _ in range(3):
        before = len(them.wrong)
        outcome(them, done, job(user="new", remote="198.51.100.1"), "no")
        assert len(them.wrong) <= before
