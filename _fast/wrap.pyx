# SPDX-License-Identifier: GPL-2.0-or-later
"""Where AH, ESP and IPComp stand in an IP packet, and the headers in front of them.

    transport   | IP | options, hop-by-hop, routing | AH or ESP | destination options | TCP ...
    tunnel      | new IP | AH or ESP | IP | ...
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove, memset

from _fast.iphdr cimport put_ip_sum
from _fast.numbers cimport FRAGMENT, ROUTING
from _fast.octets cimport fold_sum, get16, put16, put_sum, sum_octets
from _fast.types cimport DROP_FRAGMENT, DROP_MALFORMED, PASSED

cdef enum:
    HOP_BY_HOP = 0
    DESTINATION = 60
    MOST_HEADERS = 8


cdef int wrap_split(packed_t *p) noexcept nogil:
    cdef uint32_t at = 40, next_at = 6, step
    cdef uint8_t kind
    cdef int walked
    if p.version == 4:
        if get16(p.at + 6) & 0x3FFF:
            return DROP_FRAGMENT
        p.head = (p.at[0] & 15) * 4
        p.next_at = 9
        return DROP_MALFORMED if p.head < 20 or p.head > p.length else PASSED
    if p.length < 40:
        return DROP_MALFORMED
    p.head = 40
    p.next_at = 6
    kind = p.at[6]
    for walked in range(MOST_HEADERS):
        if kind == FRAGMENT:
            return DROP_FRAGMENT
        if kind != HOP_BY_HOP and kind != ROUTING and kind != DESTINATION:
            return PASSED
        if at + 8 > p.length:
            return DROP_MALFORMED
        step = (<uint32_t>p.at[at + 1] + 1) * 8
        if at + step > p.length or at + step > MOST_FRONT:
            return DROP_MALFORMED
        next_at = at
        at += step
        if kind != DESTINATION:
            # Destination options count as in front only when a routing header follows them.
            p.head = at
            p.next_at = next_at
        kind = p.at[next_at]
    return DROP_MALFORMED


cdef uint8_t wrap_next(const packed_t *p) noexcept nogil:
    return p.at[p.next_at]


cdef void wrap_close(packed_t *p, uint8_t next_header) noexcept nogil:
    p.at[p.next_at] = next_header
    if p.version == 4:
        put16(p.at + 2, <uint16_t>p.length)
        put_ip_sum(p.at)
    else:
        put16(p.at + 4, <uint16_t>(p.length - 40))


cdef void wrap_grow(packed_t *p, uint32_t n) noexcept nogil:
    memmove(p.at - n, p.at, p.head)
    p.at -= n
    p.length += n


cdef void wrap_shrink(packed_t *p, uint32_t n) noexcept nogil:
    memmove(p.at + n, p.at, p.head)
    p.at += n
    p.length -= n


cdef void wrap_outer(packed_t *p, uint8_t version, const uint8_t *src, const uint8_t *dst, uint8_t tos, uint8_t ttl,
                     uint16_t id) noexcept nogil:
    cdef uint32_t n = 20 if version == 4 else 40
    cdef uint8_t inside = 4 if p.version == 4 else 41
    p.at -= n
    p.length += n
    p.head = n
    p.version = version
    memset(p.at, 0, n)
    if version == 4:
        p.next_at = 9
        p.at[0] = 0x45
        p.at[1] = tos
        put16(p.at + 4, id)
        p.at[8] = ttl
        memcpy(p.at + 12, src, 4)
        memcpy(p.at + 16, dst, 4)
    else:
        p.next_at = 6
        put16(p.at, <uint16_t>(0x6000 | <uint16_t>tos << 4))
        p.at[7] = ttl
        memcpy(p.at + 8, src, 16)
        memcpy(p.at + 24, dst, 16)
    wrap_close(p, inside)


cdef void wrap_mend(packed_t *p, const uint8_t *src, const uint8_t *dst) noexcept nogil:
    cdef uint8_t kind = wrap_next(p)
    cdef uint32_t at, n = 4 if p.version == 4 else 16
    cdef uint8_t *field
    cdef uint64_t total
    if kind == 6:
        at = 16
    elif kind == 17 or kind == 33 or kind == 136:
        at = 6
    elif kind == 58 and p.version == 6:
        at = 2
    else:
        return
    if p.length < p.head + at + 2:
        return
    field = p.at + p.head + at
    if kind == 17 and field[0] == 0 and field[1] == 0:
        return                 # none was made (RFC 768)
    # RFC 1624 equation 3
    total = <uint16_t>~fold_sum(sum_octets(0, field, 2))
    total += <uint16_t>~fold_sum(sum_octets(sum_octets(0, src, n), dst, n))
    total = sum_octets(total, p.at + (12 if p.version == 4 else 8), 2 * n)
    put_sum(field, total)
    if kind == 17 and field[0] == 0 and field[1] == 0:
        field[0] = field[1] = 0xFF


cdef int load(packed_t *p, bytearray room, bytes packet) except -1:
    memcpy(<uint8_t *>room + 256, <const uint8_t *>packet, len(packet))
    p.at = <uint8_t *>room + 256
    p.length = <uint32_t>len(packet)
    p.version = p.at[0] >> 4
    return 0


def split(bytes packet):
    """(drop reason, octets of headers that stay in front, offset of the octet that names what comes after)."""
    cdef packed_t p
    cdef int why
    cdef bytearray room = bytearray(len(packet) + 512)
    load(&p, room, packet)
    why = wrap_split(&p)
    if why:
        return (why, 0, 0)
    return (PASSED, p.head, p.next_at)


def outer(bytes packet, bytes src, bytes dst, int tos=0, int ttl=64, int number=1):
    """The packet in another from `src` to `dst`, which are 4 or 16 octets."""
    cdef packed_t p
    cdef bytearray room = bytearray(len(packet) + 512)
    if len(src) != len(dst) or len(src) not in (4, 16):
        raise ValueError("addresses")
    load(&p, room, packet)
    wrap_outer(&p, 4 if len(src) == 4 else 6, src, dst, <uint8_t>tos, <uint8_t>ttl, <uint16_t>number)
    return (<const uint8_t *>p.at)[:p.length]


def mend(bytes packet, bytes src, bytes dst):
    """The packet, whose checksum was made over `src` and `dst`, with the checksum its own addresses ask for."""
    cdef packed_t p
    cdef bytearray room = bytearray(len(packet) + 512)
    load(&p, room, packet)
    if wrap_split(&p) or len(src) != (4 if p.version == 4 else 16) or len(dst) != len(src):
        raise ValueError("packet or addresses")
    wrap_mend(&p, src, dst)
    return (<const uint8_t *>p.at)[:p.length]
