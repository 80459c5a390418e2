# SPDX-License-Identifier: GPL-2.0-or-later
"""Postquantum preshared keys: a secret both ends share is mixed into SK_d, SK_pi and SK_pr (RFC 8784).

```
initiator                                          responder
HDR, SAi1, KEi, Ni, N(USE_PPK)                     -->
                                                   <--  HDR, SAr1, KEr, Nr, N(USE_PPK)
HDR, SK {IDi, AUTH, SAi2, TSi, TSr,
    N(PPK_IDENTITY, id) [, N(NO_PPK_AUTH)]}        -->   (NO_PPK_AUTH: AUTH without the key, where that will do)
                                                   <--  HDR, SK {IDr, AUTH, SAr2, TSi, TSr [, N(PPK_IDENTITY)]}
```
With EAP all this goes with the last AUTH.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from openswan.base.errors import IkeError
from openswan.crypto import keymat
from openswan.ike.policy import IkePolicy
from openswan.ike.v2.core import Core
from openswan.policy.connection import PpkUse
from openswan.wire.message import Message
from openswan.wire.v2.auth import Auth
from openswan.wire.v2.body import Payload
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType

FIXED = 2
"""PPK_ID_FIXED: the identifier is just a name both ends know (RFC 8784 5.1)."""
MOST_NAME = 256
REFUSED = NotifyType.AUTHENTICATION_FAILED
Make = Callable[[], Auth]
"""Makes our AUTH with the keys of the moment."""


def announce(policies: Iterable[IkePolicy]) -> list[Payload]:
    """N(USE_PPK) when one of these connections could use a key."""
    return [Notify(NotifyType.USE_PPK)] if any(p.ppk is not PpkUse.NO and p.ppks for p in policies) else []


def learn(sa: Core, ours: Iterable[IkePolicy], message: Message) -> None:
    """Do both ends want that?"""
    sa.uses_ppk = bool(announce(ours)) and message.notify(NotifyType.USE_PPK) is not None


def mix(sa: Core, name: bytes, secret: bytes) -> None:
    """Replace SK_d, SK_pi and SK_pr by prf+(PPK, old) (RFC 8784 3); the old ones are kept until `settle`."""
    prf, keys, _ = sa.need_keys()
    sa.keys_without_ppk = keys
    sa.keys = replace(keys, **keymat.with_ppk(prf, secret, keys))
    sa.log(f"PPK '{_shown(name)}' used as additional IKE secret")


def settle(sa: Core, mixed: bool = True) -> None:
    """Take the keys with the PPK, or (not `mixed`) those without; the others are forgotten once this step is over."""
    without, sa.keys_without_ppk = sa.keys_without_ppk, None
    if without is not None and sa.keys is not None:
        sa.keys, sa.unused_keys = (sa.keys, without) if mixed else (without, sa.keys)


def prove(sa: Core, policy: IkePolicy, make: Make) -> list[Payload]:
    """The initiator's AUTH, with a PPK if both ends have agreed to that; IkeError when ppk=insist and they have not."""
    if not sa.uses_ppk or policy.ppk is PpkUse.NO or not policy.ppks:
        _not_insisted(policy, "the peer does not want one" if policy.ppks else "there is none in ipsec.secrets")
        return [make()]
    name, secret = policy.ppks[0]
    plain = [Notify(NotifyType.NO_PPK_AUTH, make().data)] if policy.ppk is PpkUse.PROPOSE else []
    mix(sa, name, secret)
    return [make(), Notify(NotifyType.PPK_IDENTITY, bytes([FIXED]) + name), *plain]


def accepted(sa: Core, policy: IkePolicy, answer: Message) -> None:
    """Before the responder's AUTH is checked: with the PPK or without? IkeError when ppk=insist and it is without."""
    if sa.keys_without_ppk is None:
        return
    mixed = answer.notify(NotifyType.PPK_IDENTITY) is not None
    if not mixed:
        _not_insisted(policy, "the peer goes on without")
        sa.log("the peer does without a PPK")
    settle(sa, mixed)


def judge(sa: Core, policy: IkePolicy, request: Message, proof: Auth) -> tuple[Auth, list[Payload]]:
    """The responder's choice: which proof of the initiator is to be checked, what to say; IkeError: none will do."""
    named = request.notify(NotifyType.PPK_IDENTITY)
    plain = request.notify(NotifyType.NO_PPK_AUTH)
    if not sa.uses_ppk or named is None:
        _not_insisted(policy, "the peer does not use one")
        return proof, []
    name = named.data[1:] if named.data[:1] == bytes([FIXED]) else b""
    known = dict(policy.ppks) if policy.ppk is not PpkUse.NO else {}
    if name in known:
        mix(sa, name, known[name])
        settle(sa)
        return proof, [Notify(NotifyType.PPK_IDENTITY)]
    _not_insisted(policy, f"we have none of the name '{_shown(name)}'")
    if plain is None:
        raise IkeError(f"the peer insists on a PPK '{_shown(name)}', which this connection does not have", REFUSED)
    sa.log(f"no PPK '{_shown(name)}' here: going on without")
    return Auth(proof.method, plain.data), []


def _not_insisted(policy: IkePolicy, why: str) -> None:
    if policy.ppk is PpkUse.INSIST:
        raise IkeError(f"connection {policy.name} wants a postquantum preshared key (ppk=insist): {why}", REFUSED)


def _shown(name: bytes) -> str:
    text = name[:MOST_NAME].decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "?" for char in text)
