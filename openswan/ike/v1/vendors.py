# SPDX-License-Identifier: GPL-2.0-or-later
"""Vendor IDs: what we announce, and the lines about what the peer does (RFC 2408 3.16)."""

from __future__ import annotations

from collections.abc import Iterable

from openswan.ike.v1 import natt
from openswan.wire.v1 import vendor
from openswan.wire.v1.vendor import VendorId

NAMES: dict[bytes, str] = {
    **{method.vendor: method.name for method in natt.METHODS},
    vendor.DPD: "Dead Peer Detection",
    vendor.XAUTH: "XAUTH",
    vendor.UNITY: "Cisco-Unity",
    vendor.FRAGMENTATION: "FRAGMENTATION",
}
HEEDED = frozenset({*(method.vendor for method in natt.METHODS), vendor.DPD})
"""Those that change what we do."""
MOST_LINES = 10
"""Lines about one message's vendor IDs: it may hold dozens."""
MOST_OCTETS = 24
"""Of an unknown one, in a line."""


def announced(*, nat_traversal: bool, dpd: bool, method: natt.Method | None = None) -> list[VendorId]:
    """What we say we know; with a `method`, that is the one dialect of NAT traversal still in question."""
    found = [vendor.DPD] if dpd else []
    if nat_traversal:
        found += [method.vendor] if method else [one.vendor for one in natt.METHODS]
    return [VendorId(one) for one in found]


def lines(said: Iterable[VendorId]) -> list[str]:
    """A line for each of the peer's, MOST_LINES at most."""
    return [_line(one.data) for _, one in zip(range(MOST_LINES), said, strict=False)]


def _line(data: bytes) -> str:
    name = NAMES.get(data)
    if name is None:
        text = data[:MOST_OCTETS].hex() + ("..." if len(data) > MOST_OCTETS else "")
        return f"ignoring unknown Vendor ID payload [{text}]"
    return f"{'received' if data in HEEDED else 'ignoring'} Vendor ID payload [{name}]"
