# SPDX-License-Identifier: GPL-2.0-or-later
"""IPComp payloads by the zlib module. Twin of _fast.ipcomp."""

from __future__ import annotations

import zlib

HEADER = 4


def pack(payload: bytes) -> bytes | None:
    """Compressed, or None when with an IPComp header it would not be shorter."""
    stream = zlib.compressobj(1, zlib.DEFLATED, -11)
    out = stream.compress(payload) + stream.flush()
    return out if len(out) + HEADER < len(payload) else None


def unpack(payload: bytes, room: int = 65535) -> bytes | None:
    """Inflated, or None when it is not one deflate stream of 1 to `room` octets."""
    stream = zlib.decompressobj(-15)
    try:
        out = stream.decompress(payload, room + 1)
    except zlib.error:
        return None
    return out if stream.eof and 1 <= len(out) <= room else None
