# SPDX-License-Identifier: GPL-2.0-or-later
"""What both ends must know of each other before IKE_AUTH: announced in IKE_SA_INIT, used when both have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from openswan.base.errors import IkeError
from openswan.ike.policy import IkePolicy
from openswan.ike.v2.core import Core
from openswan.ike.v2.tasks import ppk, redirect
from openswan.policy.connection import Childless
from openswan.policy.proposal import Transform
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType


def _intermediate(policies: Iterable[IkePolicy]) -> bool:
    return any(policy.intermediate or any(p.addke for p in policy.proposals) for policy in policies)


def request(policy: IkePolicy) -> list[Payload]:
    """As initiator."""
    payloads: list[Payload] = []
    if _intermediate((policy,)):
        payloads.append(Notify(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED))
    return payloads + ppk.announce((policy,)) + redirect.announce(policy)


def learn(sa: Core, candidates: Sequence[IkePolicy], message: Message) -> None:
    """What the peer's IKE_SA_INIT message announces and one of our policies knows too."""
    theirs = message.notify(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED)
    sa.intermediate = theirs is not None and _intermediate(candidates)
    if sa.is_initiator:
        sa.childless = message.notify(NotifyType.CHILDLESS_IKEV2_SUPPORTED) is not None
    else:
        redirect.learn(sa, message)
        sa.childless = any(policy.childless is not Childless.NEVER for policy in candidates)
    ppk.learn(sa, candidates, message)


def answer(sa: Core, candidates: Sequence[IkePolicy]) -> list[Payload]:
    """As responder: what the initiator has announced and we know too, and what we let it do."""
    payloads: list[Payload] = []
    if sa.intermediate:
        payloads.append(Notify(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED))
    if sa.childless:
        payloads.append(Notify(NotifyType.CHILDLESS_IKEV2_SUPPORTED))
    return payloads + (ppk.announce(candidates) if sa.uses_ppk else [])


def require(sa: Core, addke: Sequence[Transform]) -> None:
    """IkeError unless both ends can do the additional key exchanges that were agreed on (RFC 9370 2.2.1)."""
    if addke and not sa.intermediate:
        raise IkeError(
            "additional key exchanges were agreed on without IKE_INTERMEDIATE to do them in",
            NotifyType.NO_PROPOSAL_CHOSEN,
        )
