# SPDX-License-Identifier: GPL-2.0-or-later
"""IP fragmentation of whole packets.

    IPv4 (RFC 791 3.2): ID kept, MF and the offset set, options without the copy bit only in the first
    | header + options | 0 ... n | MF    | header + copied | n ... | MF    | header + copied | ... end |

    IPv6 (RFC 8200 4.5): the Fragment header goes after the headers every router must see
    | IPv6 + hop-by-hop + routing |  Fragment header  | 0 ... n |
                                  +---------------+---------------+-------------------------+---+-+
                                  |  Next Header  |       0       |    Fragment Offset      | 0 |M|
                                  +---------------+---------------+-------------------------+---+-+
                                  |                        Identification                         |
                                  +---------------------------------------------------------------+
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memset

from _fast.iphdr cimport put_ip_sum
from _fast.numbers cimport FRAGMENT, ROUTING
from _fast.octets cimport get16, put16, put32
from _fast.types cimport DROP_MALFORMED, DROP_TOO_BIG, PASSED

cdef enum:
    HOP_BY_HOP = 0
    DESTINATION = 60
    MOBILITY = 135
    FRAGMENT_LEN = 8
    COPIED = 0x80              # the option goes into every fragment
    MORE = 0x2000
    MOST_HEADERS = 7           # one less than a packet may have: the fragment header comes to them


cdef int copy_options(fragmenter_t *f) noexcept nogil:
    # RFC 791 3.1: end of list and no operation are one octet, all others carry their length.
    cdef uint32_t at = 20, used = 20, n
    cdef uint8_t kind
    while at < f.head:
        kind = f.ip[at]
        if kind == 0:
            break
        n = 1
        if kind != 1:
            if at + 2 > f.head:
                return DROP_MALFORMED
            n = f.ip[at + 1]
            if n < 2 or at + n > f.head:
                return DROP_MALFORMED
        if kind & COPIED:
            memcpy(f.later + used, f.ip + at, n)
            used += n
        at += n
    # `later` is zero after what was copied, and zero means end of list.
    f.later_head = (used + 3) // 4 * 4
    f.later[0] = <uint8_t>(0x40 | f.later_head // 4)
    return PASSED


cdef int find_headers(fragmenter_t *f, uint32_t length) noexcept nogil:
    # All headers up to the last routing header belong into every fragment, or else up to the hop-by-hop options.
    cdef uint32_t at = 40, next_at = 6
    cdef uint8_t kind = f.ip[6]
    cdef int walked
    f.head = 40
    f.next_at = 6
    for walked in range(MOST_HEADERS):
        if kind == FRAGMENT:
            return DROP_MALFORMED
        if kind != HOP_BY_HOP and kind != ROUTING and kind != DESTINATION and kind != MOBILITY:
            return PASSED
        if at + 8 > length or at + (<uint32_t>f.ip[at + 1] + 1) * 8 > length:
            return DROP_MALFORMED
        next_at = at
        at += (<uint32_t>f.ip[at + 1] + 1) * 8
        if kind == HOP_BY_HOP or kind == ROUTING:
            f.head = at
            f.next_at = next_at
        kind = f.ip[next_at]
    return DROP_MALFORMED


cdef int fragment_init(fragmenter_t *f, const uint8_t *ip, uint32_t length, uint32_t mtu, uint32_t id) noexcept nogil:
    cdef uint16_t flags
    cdef int why
    memset(f, 0, sizeof(fragmenter_t))
    f.ip = ip
    f.mtu = mtu
    f.id = id
    f.version = ip[0] >> 4
    if f.version == 4:
        f.head = (ip[0] & 15) * 4
        if f.head < 20 or f.head > length:
            return DROP_MALFORMED
        flags = get16(ip + 6)
        f.more = (flags & MORE) != 0
        f.base = (flags & 0x1FFF) * 8
        memcpy(f.later, ip, 20)
        why = copy_options(f)
        if why:
            return why
        if f.more and (length - f.head) % 8:
            return DROP_MALFORMED
        # The offset has 13 bits: what would end past the largest datagram would wrap round into the flags.
        if f.base + (length - f.head) > 65535:
            return DROP_MALFORMED
    elif length < 40:
        return DROP_MALFORMED
    else:
        why = find_headers(f, length)
        if why:
            return why
    f.payload = length - f.head
    # Room for eight octets in the first fragment, whose header is the longest.
    if f.mtu < f.head + (0 if f.version == 4 else FRAGMENT_LEN) + 8:
        return DROP_TOO_BIG
    return PASSED


cdef uint32_t fragment_largest(const fragmenter_t *f) noexcept nogil:
    cdef uint32_t whole = f.head + f.payload + (0 if f.version == 4 else FRAGMENT_LEN)
    return f.mtu if f.mtu < whole else whole


cdef uint32_t fragment_next(fragmenter_t *f, uint8_t *out) noexcept nogil:
    cdef uint32_t left = f.payload - f.offset
    cdef uint32_t head = f.head if f.version == 6 or f.offset == 0 else f.later_head
    cdef uint32_t room = f.mtu - head - (0 if f.version == 4 else FRAGMENT_LEN)
    cdef uint32_t n
    cdef bint more
    if left == 0:
        return 0
    n = left if left <= room else room & ~<uint32_t>7
    more = n < left
    if f.version == 4:
        memcpy(out, f.ip if f.offset == 0 else f.later, head)
        put16(out + 2, <uint16_t>(head + n))
        # DF stays as it was: a fragment may carry it.
        put16(out + 6, <uint16_t>((get16(f.ip + 6) & 0xC000) | (MORE if more or f.more else 0)
                                  | ((f.base + f.offset) >> 3)))
        put_ip_sum(out)
    else:
        memcpy(out, f.ip, head)
        put16(out + 4, <uint16_t>(head - 40 + FRAGMENT_LEN + n))
        out[f.next_at] = FRAGMENT
        out[head] = f.ip[f.next_at]
        out[head + 1] = 0
        put16(out + head + 2, <uint16_t>(f.offset | more))
        put32(out + head + 4, f.id)
        head += FRAGMENT_LEN
    memcpy(out + head, f.ip + f.head + f.offset, n)
    f.offset += n
    return head + n


def cut(bytes packet, uint32_t mtu, uint32_t ident=0):
    """(drop reason, fragments) of one whole IP packet."""
    cdef fragmenter_t f
    cdef bytearray out
    cdef uint32_t n
    cdef int why = DROP_MALFORMED
    if len(packet) >= 20:
        why = fragment_init(&f, packet, <uint32_t>len(packet), mtu, ident)
    if why:
        return (why, [])
    pieces = []
    while True:
        out = bytearray(fragment_largest(&f))
        n = fragment_next(&f, out)
        if n == 0:
            return (PASSED, pieces)
        pieces.append(bytes(out[:n]))
