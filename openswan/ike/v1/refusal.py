# SPDX-License-Identifier: GPL-2.0-or-later
"""The peer does not accept our proof of who we are, and says so under the keys of phase 1 (RFC 2409 5.7).

HDR*, HASH(1), N ->

Phase 1 is not over for it then: ours was the last word, and it has not taken that. Openswan makes the IV of the last
block it has seen all the same; libreswan up to 4.10, and perhaps later ones, has none to make it of and takes none.
"""

from __future__ import annotations

from functools import partial

from openswan.base.errors import WireError
from openswan.ike.v1.core import Core
from openswan.ike.v1.states import State
from openswan.wire.v1.message import Content, Message
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import ExchangeType, NotifyType

REFUSES = frozenset(
    {
        NotifyType.INVALID_KEY_INFORMATION,
        NotifyType.INVALID_ID_INFORMATION,
        NotifyType.INVALID_CERT_ENCODING,
        NotifyType.INVALID_CERTIFICATE,
        NotifyType.CERT_TYPE_UNSUPPORTED,
        NotifyType.INVALID_CERT_AUTHORITY,
        NotifyType.INVALID_HASH_INFORMATION,
        NotifyType.AUTHENTICATION_FAILED,
        NotifyType.INVALID_SIGNATURE,
        NotifyType.CERTIFICATE_UNAVAILABLE,
    }
)


def may_come(sa: Core) -> bool:
    """Has the peer our proof, and said nothing since then that shows that it accepts it?"""
    if sa.state is State.MAIN_I3:
        return True
    return not sa.confirmed and sa.is_initiator == (sa.mode is ExchangeType.AGGRESSIVE)


def opened(sa: Core, message: Message) -> tuple[Content, bool]:
    """The payloads of an Informational that is authentic, and whether it comes of a phase 1 that is not over.

    WireError as IsakmpKeys.open() and check() say.
    """
    keys, message_id = sa.need_keys(), message.header.message_id
    check = partial(keys.hash_1, message_id)
    try:
        content, _ = keys.open(message, keys.exchange_iv(message_id))
        keys.check(content, check)
    except WireError:
        if not may_come(sa):
            raise
        try:
            content, _ = keys.open(message, keys.early_iv(message_id))
            keys.check(content, check)
        except WireError:
            pass
        else:
            return content, True
        raise
    return content, sa.state is State.MAIN_I3


def said(sa: Core, content: Content, early: bool) -> NotifyType | None:
    """What the peer refuses our proof with, None: it does not. A Quick Mode that is asked for may be meant instead."""
    asked = any(one.state is State.QUICK_I1 for one in sa.quicks.values())
    if not may_come(sa) or (asked and not early):
        return None
    return next((one.kind for one in content.all(Notify) if one.kind in REFUSES), None)
