# SPDX-License-Identifier: GPL-2.0-or-later
"""Transaction exchanges under an ISAKMP SA: a question and its answer, something set and its acknowledgement.

    HDR*, HASH(1), ATTR(REQUEST or SET) ->
                                        <- HDR*, HASH(1), ATTR(REPLY or ACK)

draft-dukes-ike-mode-cfg-02 3.1. XAUTH and Mode Config are what is talked about; each has a module of its own. Whoever
asks repeats itself; an answer is repeated to the very same question only, MOST_REPLAYS times.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from openswan.base.errors import WireError
from openswan.base.interval import Duration, Instant
from openswan.ike.retransmit import Outstanding
from openswan.ike.v1.core import Core
from openswan.wire.attribute import Attribute
from openswan.wire.v1.auth import Hash
from openswan.wire.v1.message import Content
from openswan.wire.v1.modecfg import Attributes
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import CfgAttribute, CfgType, ExchangeType, NotifyType
from openswan.wire.v1.vendor import VendorId

MOST_TALKS = 16
"""Transactions whose answers are remembered; the oldest goes."""


@dataclass(slots=True)
class Talk:
    """One transaction; `message_id` finds it."""

    message_id: int
    iv: bytes
    """The next message's."""
    identifier: int = 0
    """Ours: of our question."""
    outstanding: Outstanding | None = None
    """Our question as long as it is not answered."""
    heard: bytes = b""
    """The digest of the datagram last acted on."""
    reply: bytes = field(default=b"", repr=False)
    """What was sent for it."""
    replays: int = 0


def ask(sa: Core, kind: CfgType, attributes: Iterable[Attribute], patience: Duration, now: Instant) -> None:
    """Send a question or something to be set, which is repeated until it is answered."""
    policy, message_id = sa.need_policy(), sa.new_message_id()
    talk = Talk(message_id, sa.need_keys().exchange_iv(message_id), int.from_bytes(sa.rng.octets(2), "big"))
    data = _seal(sa, talk, Attributes(kind, talk.identifier, tuple(attributes)))
    talk.outstanding = Outstanding.start(message_id, (data,), policy.retransmit_interval, patience, now)
    remember(sa, talk)
    sa.asking = talk
    sa.send(data)


def answer(sa: Core, talk: Talk, said: Attributes, attributes: Iterable[Attribute]) -> None:
    """Answer a question, or acknowledge what was set."""
    kind = CfgType.REPLY if said.kind == CfgType.REQUEST else CfgType.ACK
    talk.reply = _seal(sa, talk, Attributes(kind, said.identifier, tuple(attributes)))
    sa.send(talk.reply)


def tell(sa: Core, kind: CfgType, attributes: Iterable[Attribute]) -> None:
    """Say something once, whatever becomes of it."""
    message_id = sa.new_message_id()
    talk = Talk(message_id, sa.need_keys().exchange_iv(message_id))
    sa.send(_seal(sa, talk, Attributes(kind, int.from_bytes(sa.rng.octets(2), "big"), tuple(attributes))))


def remember(sa: Core, talk: Talk) -> None:
    """Keep a transaction, and no more than MOST_TALKS of them."""
    sa.talks[talk.message_id] = talk
    if len(sa.talks) > MOST_TALKS:
        del sa.talks[next(iter(sa.talks))]


def answered(sa: Core, talk: Talk) -> bool:
    """Is this what our question waits for? Then it waits no more.

    The Message ID tells, and the hash; the identifier is not looked at, as strongSwan always answers with zero.
    """
    if sa.asking is not talk:
        return False
    withdraw(sa)
    return True


def withdraw(sa: Core) -> None:
    """Our question needs no answer any more."""
    if sa.asking is not None:
        sa.asking.outstanding = None
        sa.asking = None


def attributes_of(content: Content) -> Attributes:
    """The one thing a message of these exchanges is about; WireError (PAYLOAD_MALFORMED) when it is not so."""
    rest = [one for one in content.payloads if not isinstance(one, Hash | Notify | VendorId)]
    if len(rest) != 1 or not isinstance(rest[0], Attributes):
        raise WireError("a Transaction message has one ATTRIBUTES payload", NotifyType.PAYLOAD_MALFORMED)
    return rest[0]


def kinds(said: Attributes) -> set[int]:
    """The types of all attributes."""
    return {one.type for one in said.attributes}


def is_xauth(said: Attributes) -> bool:
    """Is it a step of XAUTH?"""
    return any(CfgAttribute.XAUTH_TYPE <= kind <= CfgAttribute.XAUTH_ANSWER for kind in kinds(said))


def _seal(sa: Core, talk: Talk, payload: Attributes) -> bytes:
    keys = sa.need_keys()
    header = sa.header(ExchangeType.TRANSACTION, talk.message_id, encrypted=True)
    data, talk.iv = keys.seal(header, keys.hashed(talk.message_id, [payload]), talk.iv)
    return data
