# SPDX-License-Identifier: GPL-2.0-or-later
"""IKE messages in words and in hexadecimal, for the debugging classes raw, parsing and emitting.

What a payload holds is told as kinds, numbers and lengths. Values that prove somebody (hashes, signatures, passwords,
what EAP says) and keys stay out: a log is read by more people than a wire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from openswan.base.errors import WireError
from openswan.wire import header as v2header
from openswan.wire import message as v2message
from openswan.wire.v1 import header as v1header
from openswan.wire.v1 import ident as v1ident
from openswan.wire.v1 import message as v1message
from openswan.wire.v1 import modecfg, vendor
from openswan.wire.v1 import sa as v1sa
from openswan.wire.v2 import cert, cp, ident, ke, sa, ts
from openswan.wire.v2 import vendor as v2vendor
from openswan.wire.v2.body import Payload

OCTETS_PER_LINE = 16


def hex_lines(data: bytes) -> Iterator[str]:
    """The octets, sixteen a line."""
    for at in range(0, len(data), OCTETS_PER_LINE):
        row = data[at : at + OCTETS_PER_LINE].hex(" ")
        yield f"  {row[:23]}  {row[24:]}".rstrip()


def header_words(header: v2header.Header | v1header.Header) -> str:
    """What kind of message it is and of which SA."""
    if isinstance(header, v1header.Header):
        spis = header.cookie_i, header.cookie_r
        return f"{header.exchange} message, msgid:{header.message_id:08x}, cookies {spis[0].hex()} {spis[1].hex()}"
    kind = "response" if header.is_response else "request"
    return f"{header.exchange} {kind} {header.message_id}, SPIs {header.spi_i.hex()} {header.spi_r.hex()}"


def _proposals(payload: Any) -> str:
    return "; ".join(f"{one.num}: {one.protocol} with {len(one.transforms)} transforms" for one in payload.proposals)


def _cp(payload: cp.Cp) -> str:
    return f"{payload.kind}: {', '.join(str(one.type) for one in payload.attributes)}"


WORDS: dict[type[Any], Callable[[Any], str]] = {
    sa.Sa: _proposals,
    v1sa.Sa: _proposals,
    ke.Ke: lambda one: f"group {one.group}, {len(one.data)} octets",
    ident.IdI: lambda one: f"{one.kind}, {len(one.body)} octets",
    ident.IdR: lambda one: f"{one.kind}, {len(one.body)} octets",
    v1ident.Id: lambda one: f"{one.kind}, {len(one.body)} octets, protocol {one.protocol} port {one.port}",
    ts.TsI: lambda one: ", ".join(map(_selector, one.selectors)),
    ts.TsR: lambda one: ", ".join(map(_selector, one.selectors)),
    cp.Cp: _cp,
    modecfg.Attributes: lambda one: f"{one.kind}: types {', '.join(str(each.type) for each in one.attributes)}",
    cert.Cert: lambda one: f"{one.encoding}, {len(one.data)} octets",
    vendor.VendorId: lambda one: one.data.hex(),
    v2vendor.VendorId: lambda one: one.data.hex(),
}
"""Payload -> what is told of it beyond its name; of others what they have of kind, method, protocol and SPIs."""


def _selector(one: ts.TrafficSelector) -> str:
    return f"{one.first}-{one.last} protocol {one.protocol} ports {one.first_port}-{one.last_port}"


def _otherwise(payload: Any) -> str:
    words = [f"{getattr(payload, name)}" for name in ("kind", "method", "protocol") if getattr(payload, name, 0)]
    words += [f"SPI {spi.hex()}" for spi in getattr(payload, "spis", ())]
    return ", ".join([*words, f"{len(payload.emit())} octets"])


def chain_lines(way: str, header: v2header.Header | v1header.Header, payloads: Sequence[Any]) -> Iterator[str]:
    """A line for the message and one for each payload; `way` is parse or emit."""
    yield f"{way} {header_words(header)}"
    for payload in payloads:
        name = payload.type if isinstance(payload, Payload) else type(payload).__name__
        yield f"{way}   {name}: {WORDS.get(type(payload), _otherwise)(payload)}"


def clear_lines(way: str, data: bytes) -> Iterator[str]:
    """The same of a datagram, as far as it is in clear; nothing of what an encrypted one hides."""
    try:
        if data[17:18] == b"\x10":
            v1 = v1message.Message.parse(data)
            yield from chain_lines(way, v1.header, v1.content.payloads)
            if v1.sealed:
                yield f"{way}   {len(v1.sealed)} encrypted octets"
        else:
            v2 = v2message.Message.parse(data)
            yield from chain_lines(way, v2.header, v2.payloads)
    except WireError as why:
        yield f"{way} {len(data)} octets that are no message: {why}"
