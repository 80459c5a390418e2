# SPDX-License-Identifier: GPL-2.0-or-later
"""XAUTH: after phase 1 one end asks the other for a name and a password (draft-beaulieu-ike-xauth-02).

    server                                      client
    REQUEST(NAME, PASSWORD)                  ->
                                             <- REPLY(NAME, PASSWORD)
    SET(STATUS), in an exchange of its own   ->
                                             <- ACK(STATUS)

Nobody says a password before the other end has proved itself in phase 1 and both have agreed on XAUTH there. Whether a
password is right is somebody else's to say (XauthJob); a wrong one is answered after a while, and ends the ISAKMP SA.
"""

from __future__ import annotations

from openswan.base.errors import CryptoError
from openswan.base.interval import Duration, Instant
from openswan.base.log import Rc
from openswan.ike.later import XauthJob
from openswan.ike.v1 import informational, transactions
from openswan.ike.v1.core import HALF_OPEN, Core, Postponed
from openswan.ike.v1.states import State
from openswan.ike.v1.transactions import Talk
from openswan.wire.attribute import Attribute
from openswan.wire.v1.modecfg import Attributes
from openswan.wire.v1.numbers import CfgAttribute, CfgType, NotifyType, XauthType

A = CfgAttribute
MOST_NAME, MOST_PASSWORD = 255, 1023
"""Octets of what a client may say."""
MOST_MESSAGE = 200
"""Octets of a server's message that are logged."""
PATIENCE: Duration = 120.0
"""How long a server waits: a person may be typing."""
PENALTY: Duration = 2.0
"""How long a wrong password is not answered."""
OK, FAIL = 1, 0
"""Values of XAUTH_STATUS."""
INCORRECT = "Incorrect Username or Password"


# --- the server


def ask(sa: Core, now: Instant) -> None:
    """Begin: who is the client, and what is its password?"""
    sa.move(State.XAUTH_R0)
    sa.log("XAUTH: Sending Username/Password request (XAUTH_R0)")
    question = [Attribute(A.XAUTH_USER_NAME, b""), Attribute(A.XAUTH_USER_PASSWORD, b"")]
    transactions.ask(sa, CfgType.REQUEST, question, PATIENCE, now)


def take_reply(sa: Core, said: Attributes, now: Instant) -> None:
    """The client's answer: have it judged."""
    names, passwords = list(said.values(A.XAUTH_USER_NAME)), list(said.values(A.XAUTH_USER_PASSWORD))
    status = list(said.values(A.XAUTH_STATUS))
    if status or len(names) != 1 or len(passwords) != 1:
        _refuse(sa, "", "no name and password given", now)
        return
    name, password = names[0], passwords[0].rstrip(b"\0")
    user = name.rstrip(b"\0").decode("utf-8", "replace")
    if not 0 < len(name) <= MOST_NAME or len(password) > MOST_PASSWORD or not user.isprintable():
        _refuse(sa, "", INCORRECT, now)
        return
    policy, peer = sa.need_policy(), sa.peer_id
    assert peer is not None
    job = XauthJob(policy.name, str(peer), sa.remote.address, user, password)
    sa.postpone(Postponed(job, lambda when: _judged(sa, job, when), now + HALF_OPEN))


def _judged(sa: Core, job: XauthJob, now: Instant) -> None:
    try:
        sa.need(job)
    except CryptoError as why:
        if not sa.need_policy().xauth_soft:
            _refuse(sa, job.user, str(why) or INCORRECT, now)
            return
        sa.log(f"XAUTH: User {job.user}: Authentication Failed: {why or INCORRECT}", Rc.LOG_SERIOUS)
        sa.log("XAUTH: let in all the same (xauthfail=soft), updown commands hear XAUTH_FAILED=1", Rc.LOG_SERIOUS)
        sa.failed_login = True
    else:
        sa.user = job.user
        sa.log(f"XAUTH: User {job.user}: Authentication Successful")
    sa.move(State.XAUTH_R1)
    transactions.ask(sa, CfgType.SET, [Attribute(A.XAUTH_STATUS, OK)], sa.need_policy().retransmit_timeout, now)


def _refuse(sa: Core, user: str, why: str, now: Instant) -> None:
    sa.log(f"XAUTH: User {user or '(none)'}: Authentication Failed: {why}", Rc.LOG_SERIOUS)
    sa.refused_at = now + PENALTY


def say_no(sa: Core) -> None:
    """The penalty is over: the client hears that it has failed, and nothing is left."""
    transactions.tell(sa, CfgType.SET, [Attribute(A.XAUTH_STATUS, FAIL)])
    informational.delete_self(sa)
    sa.fail("XAUTH: the client is not let in", NotifyType.AUTHENTICATION_FAILED)


# --- the client


def await_question(sa: Core, now: Instant) -> None:
    """The server will ask."""
    sa.move(State.XAUTH_I0)
    sa.deadline = now + PATIENCE


def take_request(sa: Core, talk: Talk, said: Attributes, now: Instant) -> None:
    """The server asks: it gets the name and the password there are for it."""
    policy = sa.need_policy()
    for text in said.values(A.XAUTH_MESSAGE):
        shown = "".join(c if c.isprintable() else "?" for c in text[:MOST_MESSAGE].decode("utf-8", "replace"))
        sa.log(f"XAUTH: server says: {shown}")
    types = [int.from_bytes(value, "big") for value in said.values(A.XAUTH_TYPE)]
    if sa.state is not State.XAUTH_I0:
        _not_now(sa, talk, said, "it was not agreed on, or is over")
    elif any(kind != XauthType.GENERIC for kind in types):
        _give_up(sa, talk, said, f"the server wants {XauthType(types[0])}, and only GENERIC is known")
    elif not policy.xauth_user or not policy.xauth_password:
        whose = f"'{policy.xauth_user}'" if policy.xauth_user else "us"
        remedy = f'@{policy.xauth_user or "name"} : XAUTH "password"'
        _give_up(sa, talk, said, f"no password is known for {whose}: say {remedy} in ipsec.secrets")
    else:
        values = {A.XAUTH_USER_NAME: policy.xauth_user.encode(), A.XAUTH_USER_PASSWORD: policy.xauth_password}
        sa.log(f"XAUTH: Answering XAUTH challenge with user='{policy.xauth_user}'")
        sa.move(State.XAUTH_I1)
        sa.deadline = now + PATIENCE
        known = [Attribute(one.type, values[A(one.type)]) for one in said.attributes if one.type in values]
        transactions.answer(sa, talk, said, known)


def take_status(sa: Core, talk: Talk, said: Attributes) -> bool:
    """The server has decided; is it for us?"""
    status = [int.from_bytes(value, "big") for value in said.values(A.XAUTH_STATUS)]
    if sa.state not in (State.XAUTH_I0, State.XAUTH_I1) or len(status) != 1:
        _not_now(sa, talk, said, "a status nobody waits for")
        return False
    transactions.answer(sa, talk, said, [Attribute(A.XAUTH_STATUS, status[0])])
    if status[0] != OK:
        sa.log("XAUTH: Authentication failed", Rc.LOG_SERIOUS)
        sa.fail("XAUTH: the server does not let us in: compare name and password", NotifyType.AUTHENTICATION_FAILED)
        return False
    if sa.state is State.XAUTH_I0:
        # It may let us in without having asked: a server that knows us by our certificate.
        sa.log("XAUTH: the server asks for nothing")
    sa.log("XAUTH: Successfully Authenticated")
    return True


def _not_now(sa: Core, talk: Talk, said: Attributes, why: str) -> None:
    sa.log(f"XAUTH: ignoring the peer's message: {why}", Rc.LOG_SERIOUS)
    transactions.answer(sa, talk, said, [])


def _give_up(sa: Core, talk: Talk, said: Attributes, why: str) -> None:
    sa.log(f"XAUTH: {why}", Rc.LOG_SERIOUS)
    transactions.answer(sa, talk, said, [Attribute(A.XAUTH_STATUS, FAIL)])
    informational.delete_self(sa)
    sa.fail(f"XAUTH: {why}", NotifyType.AUTHENTICATION_FAILED)
