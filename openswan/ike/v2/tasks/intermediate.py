# SPDX-License-Identifier: GPL-2.0-or-later
"""IKE_INTERMEDIATE between IKE_SA_INIT and IKE_AUTH: additional key exchanges, one each (RFC 9242, RFC 9370 2.2.2).

```
initiator                                          responder
HDR, SK {[KEi(n)]}                                 -->
                                                   <--  HDR, SK {[KEr(n)]}
```
Both are encrypted, so they may come in fragments, which the large keys of ML-KEM need. Each exchange is sealed with the
keys of the one before, changes them, and goes into what AUTH covers (RFC 9242 3.3.2).
"""

from __future__ import annotations

from collections.abc import Sequence

from openswan.base.address import Endpoint
from openswan.base.errors import CryptoError, IkeError, IpsecError, WireError
from openswan.base.interval import Instant
from openswan.crypto import dh, keymat
from openswan.crypto.registry import Kind
from openswan.ike.policy import IkePolicy
from openswan.ike.v2.core import Core, first_error
from openswan.ike.v2.negotiate import number
from openswan.ike.v2.protect import Opened
from openswan.ike.v2.task import Task
from openswan.ike.v2.tasks.ike_auth import AuthTask
from openswan.ike.v2.tasks.opening import install_keys
from openswan.policy.proposal import Transform
from openswan.wire.header import Header
from openswan.wire.message import Message, sk_prefix
from openswan.wire.payload import emit_chain
from openswan.wire.v2.body import Payload
from openswan.wire.v2.ke import Ke
from openswan.wire.v2.numbers import DhId, ExchangeType, NotifyType, PayloadType

MOST_EMPTY = 2
"""Exchanges a peer may make that hold nothing for us: more of them mean nothing."""


def remember(sa: Core, header: Header, first: PayloadType, content: bytes, initiator: bool) -> None:
    """Let a message go into what AUTH covers: prf(SK_p, the last value | A | P) (RFC 9242 3.3.2).

    A: the message up to the Encrypted payload's own header, with lengths as if there were neither IV, padding nor
    checksum; P: `content`, the payloads inside. It counts with the keys the message is sealed with.
    """
    prf, keys, _ = sa.need_keys()
    covered = sk_prefix(header, first, len(content)) + content
    if initiator:
        sa.intermediate_i = prf(keys.pi.data, sa.intermediate_i + covered)
    else:
        sa.intermediate_r = prf(keys.pr.data, sa.intermediate_r + covered)


def renew(sa: Core, shared: bytes) -> None:
    """The keys after one more exchange (RFC 9370 2.2.2): SKEYSEED(n) = prf(SK_d(n-1), SK(n) | Ni | Nr)."""
    prf, keys, chosen = sa.need_keys()
    seed = keymat.skeyseed_rekey(prf, keys.d, sa.nonce_i, sa.nonce_r, shared)
    old, channel = keys, sa.channel
    install_keys(sa, chosen, prf, seed)
    old.wipe()
    if channel is not None:
        channel.wipe()


class IntermediateTask(Task):
    """The initiator's part of one exchange."""

    exchange = ExchangeType.IKE_INTERMEDIATE
    alone = True

    def __init__(self, policy: IkePolicy, group: Transform | None) -> None:
        super().__init__()
        self.policy, self.group = policy, group
        self.key: dh.DhPair | None = None
        self.payloads: tuple[Payload, ...] = ()

    def build(self, sa: Core, now: Instant) -> Sequence[Payload]:
        """A fresh key of the method that is due; nothing when none is."""
        if self.group is not None:
            self.key = dh.generate(self.group.name, sa.rng)
            self.payloads = (Ke(DhId(number(Kind.DH, self.group)), self.key.public),)
        return self.payloads

    def answered(self, sa: Core, answer: Message, now: Instant) -> None:
        """New keys, and on."""
        refused = first_error(answer)
        if refused is not None:
            raise IkeError(f"the peer refuses IKE_INTERMEDIATE: {refused.kind}", refused.kind)
        opened = sa.opening
        if opened is None:
            raise WireError("IKE_INTERMEDIATE response in clear")
        first, content = emit_chain(self.payloads)
        request = sa.header(self.exchange, answer.header.message_id, response=False)
        remember(sa, request, first, content, initiator=True)
        remember(sa, answer.header, opened.first, opened.content, initiator=False)
        if self.group is not None and self.key is not None:
            ke = answer.first(Ke)
            if ke is None or ke.group != number(Kind.DH, self.group):
                raise WireError("IKE_INTERMEDIATE response without the key of the method agreed on")
            renew(sa, self.key.shared(ke.data))
        sa.intermediates += 1
        # A step of its own: what is above must not be done again if our proof needs time.
        sa.attempt(lambda when: proceed(sa, self.policy, when), now)

    def failed(self, sa: Core, reason: str, notify: int = 0) -> None:
        """The IKE SA fails with it, and says so."""


def due(sa: Core) -> Transform | None:
    """The method of the next exchange, None when all have been done; those of a resumed session were (RFC 5723)."""
    _, _, chosen = sa.need_keys()
    if sa.resumed is not None:
        return None
    return chosen.addke[sa.intermediates] if sa.intermediates < len(chosen.addke) else None


def proceed(sa: Core, policy: IkePolicy, now: Instant) -> None:
    """As initiator: the next exchange before IKE_AUTH, or IKE_AUTH itself."""
    group = due(sa)
    idle = policy.intermediate and sa.intermediate and not sa.intermediates
    task: Task = IntermediateTask(policy, group) if group is not None or idle else AuthTask(policy, sa.initial[0])
    if isinstance(task, AuthTask):
        sa.auth_id = sa.send_window.next_id
    try:
        payloads = task.build(sa, now)
    except IpsecError as why:
        sa.fail(str(why), NotifyType.AUTHENTICATION_FAILED)
        sa.vanish()
        return
    if payloads is not None:
        sa.transmit(task, payloads, now)


def takes(sa: Core) -> bool:
    """As responder: may an IKE_INTERMEDIATE request come now?"""
    if not sa.intermediate or sa.rounds is not None:
        return False
    _, _, chosen = sa.need_keys()
    return sa.intermediates < len(chosen.addke) + MOST_EMPTY


def respond(sa: Core, request: Message, opened: Opened, local: Endpoint, remote: Endpoint, now: Instant) -> None:
    """The responder's part of one exchange; WireError when the key that is due is not there."""
    group = due(sa)
    ke = request.first(Ke)
    payloads: tuple[Payload, ...] = ()
    shared = b""
    if group is not None:
        if ke is None or ke.group != number(Kind.DH, group):
            raise WireError(f"IKE_INTERMEDIATE request without the key of {group.name}", NotifyType.INVALID_SYNTAX)
        try:
            public, shared = dh.respond(group.name, ke.data, sa.rng)
        except CryptoError as why:
            raise WireError(str(why), NotifyType.INVALID_SYNTAX) from None
        payloads = (Ke(DhId(number(Kind.DH, group)), public),)
    first, content = emit_chain(payloads)
    remember(sa, request.header, opened.first, opened.content, initiator=True)
    answer = sa.header(ExchangeType.IKE_INTERMEDIATE, request.header.message_id, response=True)
    remember(sa, answer, first, content, initiator=False)
    sa.reply(request.header, opened, payloads, local, remote)
    if shared:
        renew(sa, shared)
    sa.intermediates += 1
