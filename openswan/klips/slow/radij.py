# SPDX-License-Identifier: GPL-2.0-or-later
"""The eroute table as the definition has it: look at all, take the most specific. Twin of _fast.radij."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from openswan.klips.keys import RawFlow, RawKey


class Radij:
    """Keys to cookies."""

    def __init__(self) -> None:
        self._rows: dict[RawKey, int] = {}

    @staticmethod
    def _masked(key: RawKey) -> RawKey:
        version, src, srclen, dst, dstlen, protocol, sport, dport = key
        return (
            version,
            ip_network((src, srclen), strict=False).network_address.packed,
            srclen,
            ip_network((dst, dstlen), strict=False).network_address.packed,
            dstlen,
            protocol,
            sport,
            dport,
        )

    def set(self, key: RawKey, cookie: int) -> int | None:
        """Add or replace; answers the cookie replaced, or None."""
        key = self._masked(key)
        old = self._rows.get(key)
        self._rows[key] = cookie
        return old

    def remove(self, key: RawKey) -> bool:
        """Remove; False when there is none."""
        return self._rows.pop(self._masked(key), None) is not None

    def match(self, flow: RawFlow) -> int | None:
        """Cookie of the most specific eroute: source first, then destination, protocol, source and destination port."""
        hits = [(_rank(key), cookie) for key, cookie in self._rows.items() if _covers(key, flow)]
        return max(hits)[1] if hits else None

    def cookies(self) -> list[int]:
        """The cookie of every eroute, sorted."""
        return sorted(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)


def _rank(key: RawKey) -> tuple[int, int, bool, bool, bool]:
    _, _, srclen, _, dstlen, protocol, sport, dport = key
    return (srclen, dstlen, protocol != 0, sport != 0, dport != 0)


def _covers(key: RawKey, flow: RawFlow) -> bool:
    version, src, srclen, dst, dstlen, protocol, sport, dport = key
    return (
        version == flow[0]
        and ip_address(flow[1]) in ip_network((src, srclen))
        and ip_address(flow[2]) in ip_network((dst, dstlen))
        and protocol in (0, flow[3])
        and sport in (0, flow[4])
        and dport in (0, flow[5])
    )
