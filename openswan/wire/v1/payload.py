# SPDX-License-Identifier: GPL-2.0-or-later
"""The chain of payloads behind an ISAKMP header: generic headers, which class reads what (RFC 2408 3.2).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------+---------------+-------------------------------+
| next payload  |   reserved    |        payload length         |
+---------------+---------------+-------------------------------+
```
"""

from __future__ import annotations

from collections.abc import Sequence

from openswan.base.errors import WireError
from openswan.wire.cursor import Reader, Writer
from openswan.wire.v1.auth import Hash, Sig
from openswan.wire.v1.body import Payload, reserved, told
from openswan.wire.v1.cert import Cert, CertReq
from openswan.wire.v1.delete import Delete
from openswan.wire.v1.fragment import Fragment
from openswan.wire.v1.ident import Id
from openswan.wire.v1.ke import Ke
from openswan.wire.v1.modecfg import Attributes
from openswan.wire.v1.natd import NatD, NatDDraft, NatOa, NatOaDraft
from openswan.wire.v1.nonce import Nonce
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import NotifyType, PayloadType
from openswan.wire.v1.sa import Sa
from openswan.wire.v1.vendor import VendorId

GENERIC_OCTETS = 4
MAX_PAYLOADS = 64
"""Ours: no exchange needs that many, and a stranger's message must not cost more."""

CLASSES: tuple[type[Payload], ...] = (
    Sa, Ke, Id, Cert, CertReq, Hash, Sig, Nonce, Notify, Delete, VendorId, Attributes, NatD, NatDDraft, NatOa,
    NatOaDraft, Fragment,
)  # fmt: skip
REGISTRY: dict[PayloadType, type[Payload]] = {cls.TYPE: cls for cls in CLASSES}
"""Which class reads the body of which payload type; there are no others (RFC 2408 5.3)."""


def parse_chain(first: int, data: bytes) -> tuple[tuple[Payload, ...], int]:
    """Read all payloads at the start of `data`, the first being of type `first`; and how many octets they take.

    What is left over is for the caller to judge. WireError: INVALID_PAYLOAD_TYPE with the type as data, a truncated
    chain, more than MAX_PAYLOADS, or what the class of the payload says of its body.
    """
    reader = Reader(data)
    found: list[Payload] = []
    kind = PayloadType(first)
    while kind != PayloadType.NONE:
        cls = REGISTRY.get(kind)
        if cls is None:
            raise WireError(f"payload of unknown type {int(kind)}", NotifyType.INVALID_PAYLOAD_TYPE, bytes([kind]))
        if len(found) >= MAX_PAYLOADS:
            raise WireError(f"more than {MAX_PAYLOADS} payloads in one message", NotifyType.PAYLOAD_MALFORMED)
        with told(f"{kind} payload", NotifyType.PAYLOAD_MALFORMED):
            following = PayloadType(reader.u8())
            reserved(reader, 1)
            body = Reader(reader.counted(reader.u16(), GENERIC_OCTETS))
        with told(f"{kind} payload", cls.MALFORMED):
            found.append(cls.parse(body))
            body.expect_end()
        kind = following
    return tuple(found), reader.position


def emit_chain(payloads: Sequence[Payload]) -> tuple[PayloadType, bytes]:
    """The type of the first payload (NONE when there is none) and all payloads with their generic headers."""
    out = Writer()
    types = [*(payload.type for payload in payloads), PayloadType.NONE]
    for payload, following in zip(payloads, types[1:], strict=True):
        body = payload.emit()
        out.u8(following).u8(0).u16(len(body) + GENERIC_OCTETS).octets(body)
    return types[0], out.done()
