# SPDX-License-Identifier: GPL-2.0-or-later
"""The chain of payloads behind an IKEv2 header: generic headers, critical bit, which class reads what (RFC 7296 3.2).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------+-+-------------+-------------------------------+
| next payload  |C|  reserved   |        payload length         |
+---------------+-+-------------+-------------------------------+
```
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from openswan.base.errors import WireError
from openswan.wire.cursor import Reader, Writer
from openswan.wire.v2.auth import Auth
from openswan.wire.v2.body import Payload
from openswan.wire.v2.cert import Cert, CertReq
from openswan.wire.v2.cp import Cp
from openswan.wire.v2.delete import Delete
from openswan.wire.v2.eap import Eap
from openswan.wire.v2.fragment import Skf
from openswan.wire.v2.ident import IdI, IdR
from openswan.wire.v2.ke import Ke
from openswan.wire.v2.nonce import Nonce
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType, PayloadType
from openswan.wire.v2.sa import Sa
from openswan.wire.v2.sk import Sk
from openswan.wire.v2.ts import TsI, TsR
from openswan.wire.v2.unknown import Unknown
from openswan.wire.v2.vendor import VendorId

GENERIC_OCTETS = 4
CRITICAL = 0x80
MAX_PAYLOADS = 64
"""Ours: no exchange needs that many, and a stranger's message must not cost more."""

REGISTRY: dict[PayloadType, type[Payload]] = {
    cls.TYPE: cls
    for cls in (Sa, Ke, IdI, IdR, Cert, CertReq, Auth, Nonce, Notify, Delete, VendorId, TsI, TsR, Sk, Skf, Cp, Eap)
}
"""Which class reads the body of which payload type; all others become Unknown."""


def parse_chain(first: int, data: bytes) -> list[Payload]:
    """Read all payloads of `data`, the first being of type `first`.

    An Encrypted payload or fragment ends the chain and must end the data. WireError: truncated or overlong chain, more
    than MAX_PAYLOADS, a body that does not parse, or an unknown payload with the critical bit
    (UNSUPPORTED_CRITICAL_PAYLOAD with its type as data).
    """
    reader = Reader(data)
    found: list[Payload] = []
    kind = PayloadType(first)
    while kind != PayloadType.NONE:
        if len(found) >= MAX_PAYLOADS:
            raise WireError(f"more than {MAX_PAYLOADS} payloads in one message")
        following, critical, length = PayloadType(reader.u8()), bool(reader.u8() & CRITICAL), reader.u16()
        body = reader.counted(length, GENERIC_OCTETS)
        payload = _parse_one(kind, critical, body)
        if isinstance(payload, Sk | Skf):
            payload = replace(payload, first_inner=following)
            following = PayloadType.NONE
        found.append(payload)
        kind = following
    reader.expect_end()
    return found


def _parse_one(kind: PayloadType, critical: bool, body: bytes) -> Payload:
    cls = REGISTRY.get(kind)
    if cls is None:
        if critical:
            raise WireError(
                f"critical payload of unknown type {int(kind)}",
                NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD,
                bytes([kind]),
            )
        return Unknown(kind, body)
    reader = Reader(body)
    try:
        payload = cls.parse(reader)
        reader.expect_end()
    except WireError as why:
        raise WireError(f"{kind.name} payload: {why}", why.notify, why.data) from None
    return payload


def emit_chain(payloads: Sequence[Payload]) -> tuple[PayloadType, bytes]:
    """The type of the first payload (NONE when there is none) and all payloads with their generic headers."""
    out = Writer()
    for index, payload in enumerate(payloads):
        if isinstance(payload, Sk | Skf):
            if index + 1 != len(payloads):
                raise WireError("an Encrypted payload must be the last", None)
            following = payload.first_inner
        else:
            following = payloads[index + 1].type if index + 1 < len(payloads) else PayloadType.NONE
        body = payload.emit()
        out.octets(generic(following, len(body))).octets(body)
    return (payloads[0].type if payloads else PayloadType.NONE), out.done()


def generic(following: PayloadType, body_octets: int) -> bytes:
    """A generic payload header; the critical bit stays clear, as for all payloads of RFC 7296 (section 3.2)."""
    return Writer().u8(following).u8(0).u16(body_octets + GENERIC_OCTETS).done()
