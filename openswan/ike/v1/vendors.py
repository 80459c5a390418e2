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
    vendor.OWN: "Openswan",
    vendor.XAUTH: "XAUTH",
    vendor.UNITY: "Cisco-Unity",
    vendor.FRAGMENTATION: "FRAGMENTATION",
}
HEEDED = frozenset(
    {
        *(method.vendor for method in natt.METHODS),
        vendor.DPD,
        vendor.OWN,
        vendor.XAUTH,
        vendor.UNITY,
        vendor.FRAGMENTATION,
    }
)
"""Those that change what we do."""
MOST_LINES = 10
"""Lines about one message's vendor IDs: it may hold dozens."""
MOST_OCTETS = 24
"""Of an unknown one, in a line."""


def announced(
    *,
    nat_traversal: bool,
    dpd: bool,
    fragmentation: bool = False,
    own: bool = False,
    xauth: bool = False,
    unity: bool = False,
    method: natt.Method | None = None,
) -> list[VendorId]:
    """What we say we know; with a `method`, that is the one dialect of NAT traversal still in question.

    `own`: who we are. `unity`: Cisco's attributes of Mode Config.
    """
    said = ((own, vendor.OWN), (xauth, vendor.XAUTH), (dpd, vendor.DPD), (unity, vendor.UNITY))
    found = [one for wanted, one in said if wanted]
    if fragmentation:
        found += [vendor.FRAGMENTATION, vendor.FRAGMENTATION_MAIN]
    if nat_traversal:
        found += [method.vendor] if method else [one.vendor for one in natt.METHODS]
    return [VendorId(one) for one in found]


def lines(said: Iterable[VendorId]) -> list[str]:
    """A line for each of the peer's, the same one once, MOST_LINES at most."""
    return list(dict.fromkeys(_line(one.data) for _, one in zip(range(MOST_LINES), said, strict=False)))


def heeded(said: Iterable[VendorId]) -> set[bytes]:
    """Those of the peer's that change what we do, each without what its version adds."""
    return {_base(one.data) for one in said} & HEEDED


def _base(data: bytes) -> bytes:
    octets = len(vendor.FRAGMENTATION)
    return data[:octets] if data.startswith(vendor.FRAGMENTATION) and len(data) <= octets + 4 else data


def _line(data: bytes) -> str:
    data = _base(data)
    name = NAMES.get(data)
    if name is None:
        text = data[:MOST_OCTETS].hex() + ("..." if len(data) > MOST_OCTETS else "")
        return f"ignoring unknown Vendor ID payload [{text}]"
    return f"{'received' if data in HEEDED else 'ignoring'} Vendor ID payload [{name}]"
