# SPDX-License-Identifier: GPL-2.0-or-later
"""AH packets built and checked field by field. Twin of _fast.ah."""

from __future__ import annotations

import hmac

from openswan.base.drops import Drop
from openswan.klips.slow.esp import HASHES
from openswan.klips.slow.esp import icv as icv_of

AH, HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION = 51, 0, 43, 44, 60
IMMUTABLE = {130, 133, 134, 148, 149}
"""IPv4 options that no router changes (RFC 4302 A1); 0 and 1 have no content."""
SOURCE_ROUTES = {131, 137}


class Ah:
    """One SA."""

    def __init__(self, integ: str, auth: bytes, esn: bool = False) -> None:
        self.auth, self.esn = auth, esn
        self.hash, self.icv_len = HASHES[integ]

    def length(self, version: int) -> int:
        """Octets of the header."""
        unit = 4 if version == 4 else 8
        return -(-(12 + self.icv_len) // unit) * unit

    def _icv(self, masked: bytes, rest: bytes, sequence: int) -> bytes:
        high = (sequence >> 32).to_bytes(4, "big") if self.esn else b""
        return icv_of(self.hash, self.auth, masked + rest + high)[: self.icv_len]

    def seal(self, spi: int, sequence: int, packet: bytes) -> tuple[Drop, bytes]:
        """(drop reason, the packet with its AH)."""
        at, next_at, why = front(packet)
        if why:
            return why, b""
        n = self.length(packet[0] >> 4)
        head = bytearray(packet[:at])
        inside, head[next_at] = head[next_at], AH
        set_length(head, len(packet) + n)
        fixed = bytes([inside, n // 4 - 2, 0, 0]) + spi.to_bytes(4, "big") + (sequence & 0xFFFFFFFF).to_bytes(4, "big")
        masked = mask(bytes(head))
        if masked is None:
            return Drop.MALFORMED, b""
        icv = self._icv(masked, fixed + bytes(n - 12) + packet[at:], sequence)
        return Drop.NONE, bytes(head) + fixed + icv.ljust(n - 12, b"\0") + packet[at:]

    def open(self, packet: bytes, sequence: int = 0) -> tuple[Drop, bytes, int]:
        """(drop reason, the packet without its AH, sequence number)."""
        at, next_at, why = front(packet)
        if why:
            return why, b"", 0
        ah = packet[at:]
        if packet[next_at] != AH or len(ah) < 12:
            return Drop.MALFORMED, b"", 0
        n = (ah[1] + 2) * 4
        if n > len(ah) or n not in (self.length(packet[0] >> 4), self.length(6)):
            return Drop.MALFORMED, b"", 0
        full = sequence >> 32 << 32 | int.from_bytes(ah[8:12], "big")
        masked = mask(packet[:at])
        if masked is None:
            return Drop.MALFORMED, b"", 0
        end = 12 + self.icv_len
        if not hmac.compare_digest(self._icv(masked, ah[:12] + bytes(self.icv_len) + ah[end:], full), ah[12:end]):
            return Drop.AUTH_FAILED, b"", 0
        head = bytearray(packet[:at])
        head[next_at] = ah[0]
        set_length(head, len(packet) - n)
        return Drop.NONE, bytes(head) + ah[n:], full


def front(packet: bytes) -> tuple[int, int, Drop]:
    """(octets of headers before AH, offset of the octet that names what follows, drop reason)."""
    if packet[0] >> 4 == 4:
        fragment = int.from_bytes(packet[6:8], "big") & 0x3FFF
        return (packet[0] & 15) * 4, 9, Drop.FRAGMENT if fragment else Drop.NONE
    at, named, end, end_named = 40, 6, 40, 6
    for _ in range(8):
        kind = packet[named]
        if kind == FRAGMENT:
            return 0, 0, Drop.FRAGMENT
        if kind not in (HOP_BY_HOP, ROUTING, DESTINATION):
            return end, end_named, Drop.NONE
        if at + 8 > len(packet) or at + (packet[at + 1] + 1) * 8 > min(len(packet), 512):
            break
        named, at = at, at + (packet[at + 1] + 1) * 8
        if kind != DESTINATION:
            end, end_named = at, named
    return 0, 0, Drop.MALFORMED


def set_length(head: bytearray, total: int) -> None:
    """Length and, for IPv4, header checksum."""
    if head[0] >> 4 == 6:
        head[4:6] = (total - 40).to_bytes(2, "big")
        return
    head[2:4] = total.to_bytes(2, "big")
    head[10:12] = b"\0\0"
    words = sum(int.from_bytes(head[n : n + 2], "big") for n in range(0, len(head), 2))
    while words >> 16:
        words = (words & 0xFFFF) + (words >> 16)
    head[10:12] = (words ^ 0xFFFF).to_bytes(2, "big")


def mask(head: bytes) -> bytes | None:
    """The headers with what may change on the way as zeros; None when that cannot be told."""
    return _mask4(bytearray(head)) if head[0] >> 4 == 4 else _mask6(bytearray(head))


def _mask4(ip: bytearray) -> bytes | None:
    for at in (1, 6, 7, 8, 10, 11):
        ip[at] = 0
    at = 20
    while at < len(ip) and ip[at]:
        if ip[at] == 1:
            at += 1
            continue
        n = ip[at + 1] if at + 1 < len(ip) else 0
        if n < 2 or at + n > len(ip):
            return None
        if ip[at] in SOURCE_ROUTES and (n < 3 or ip[at + 2] <= n):
            return None
        if ip[at] not in IMMUTABLE:
            ip[at : at + n] = bytes(n)
        at += n
    return bytes(ip)


def _mask6(ip: bytearray) -> bytes | None:
    ip[0:4] = b"\x60\0\0\0"
    ip[7] = 0
    at, kind = 40, ip[6]
    while at < len(ip):
        end = at + (ip[at + 1] + 1) * 8
        if kind == ROUTING:
            if ip[at + 3]:
                return None
        else:
            option = at + 2
            while option < end:
                if ip[option] == 0:
                    option += 1
                    continue
                if option + 2 > end or option + 2 + ip[option + 1] > end:
                    return None
                if ip[option] & 0x20:
                    ip[option + 2 : option + 2 + ip[option + 1]] = bytes(ip[option + 1])
                option += 2 + ip[option + 1]
        kind, at = ip[at], end
    return bytes(ip)
