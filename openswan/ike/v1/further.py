# SPDX-License-Identifier: GPL-2.0-or-later
"""What may have to follow phase 1 before an ISAKMP SA counts: XAUTH first, then Mode Config.

Quick Modes wait until then. Each stage ends by going on to the next one; the last one says that the SA is there.
"""

from __future__ import annotations

from openswan.base.interval import Instant
from openswan.ike.retransmit import Outstanding
from openswan.ike.v1 import modecfg, transactions, xauth
from openswan.ike.v1.core import Core
from openswan.ike.v1.effects import IsakmpEstablished
from openswan.ike.v1.methods import METHODS
from openswan.ike.v1.states import FURTHER, State
from openswan.ike.v1.transactions import Talk
from openswan.policy.modecfg import ConfigRole
from openswan.wire.v1.modecfg import Attributes
from openswan.wire.v1.numbers import CfgType


def begin(sa: Core, contact: bool, now: Instant) -> None:
    """Phase 1 is over; `contact`: the peer says that it remembers no other SA with us."""
    sa.contact, sa.settled, sa.deadline, sa.outstanding = contact, sa.state, None, None
    method = METHODS[sa.need_chosen().method]
    if method.is_server(sa.is_initiator):
        xauth.ask(sa, now)
    elif method.is_client(sa.is_initiator):
        xauth.await_question(sa, now)
    else:
        _configure(sa, now)
    if sa.last_word and sa.asking is None and sa.state in FURTHER:
        # We wait for the peer, and it may wait for AI2.
        policy, words = sa.need_policy(), (sa.last_word,)
        sa.outstanding = Outstanding.start(0, words, policy.retransmit_interval, policy.retransmit_timeout, now)


def _configure(sa: Core, now: Instant) -> None:
    policy = sa.need_policy()
    sa.deadline = None
    if policy.config is ConfigRole.CLIENT:
        modecfg.ask(sa, now)
    elif policy.config is ConfigRole.SERVER and not policy.config_pull:
        modecfg.push(sa, now)
    else:
        _establish(sa, now)


def _establish(sa: Core, now: Instant) -> None:
    policy, chosen, peer = sa.need_policy(), sa.need_chosen(), sa.peer_id
    assert peer is not None
    if sa.state is not sa.settled:
        sa.move(sa.settled)
    sa.established, sa.deadline = now, None
    sa.emit(IsakmpEstablished(policy, peer, chosen, sa.is_initiator, sa.contact, sa.user, sa.failed_login))


def take(sa: Core, talk: Talk, said: Attributes, now: Instant) -> None:
    """Act on a Transaction message that is authentic."""
    act = {
        CfgType.REQUEST: _request,
        CfgType.REPLY: _reply,
        CfgType.SET: _set,
        CfgType.ACK: _acknowledged,
    }.get(said.kind)
    if act is None:
        sa.hint(f"ignoring a Transaction message of kind {said.kind}", now)
        return
    act(sa, talk, said, now)


def _request(sa: Core, talk: Talk, said: Attributes, now: Instant) -> None:
    if transactions.is_xauth(said):
        xauth.take_request(sa, talk, said, now)
        return
    if sa.state is State.XAUTH_R1:
        # It goes on, so it has heard that it is in: the acknowledgement is late, or lost.
        transactions.withdraw(sa)
        _configure(sa, now)
    if sa.state not in (sa.settled, State.MODE_CFG_R1):
        sa.hint("modecfg: the peer asks for an address before it may", now)
        talk.heard, talk.iv = b"", sa.need_keys().exchange_iv(talk.message_id)  # it will ask again
    elif modecfg.take_request(sa, talk, said):
        _establish(sa, now)


def _reply(sa: Core, talk: Talk, said: Attributes, now: Instant) -> None:
    if sa.state not in (State.XAUTH_R0, State.MODE_CFG_I1) or not transactions.answered(sa, talk):
        sa.hint("ignoring an answer nobody waits for", now)
    elif sa.state is State.XAUTH_R0:
        xauth.take_reply(sa, said, now)
    elif modecfg.learn(sa, said):
        _establish(sa, now)


def _set(sa: Core, talk: Talk, said: Attributes, now: Instant) -> None:
    if transactions.is_xauth(said):
        if xauth.take_status(sa, talk, said):
            _configure(sa, now)
    elif modecfg.take_set(sa, talk, said):
        _establish(sa, now)


def _acknowledged(sa: Core, talk: Talk, said: Attributes, now: Instant) -> None:
    if sa.state not in (State.XAUTH_R1, State.MODE_CFG_R1) or not transactions.answered(sa, talk):
        sa.hint("ignoring an acknowledgement nobody waits for", now)
    elif sa.state is State.XAUTH_R1:
        _configure(sa, now)
    else:
        _establish(sa, now)
