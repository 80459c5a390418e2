# SPDX-License-Identifier: GPL-2.0-or-later
"""Segmentation of super-packets, with every checksum computed once.

    struct virtio_net_hdr, little-endian (virtio 1.1, 5.1.6):
    +-------+----------+---------+----------+------------+-------------+
    | flags | gso_type | hdr_len | gso_size | csum_start | csum_offset |
    |   1   |    1     |    2    |    2     |     2      |      2      |
    +-------+----------+---------+----------+------------+-------------+
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from _fast.iphdr cimport parse_packet, pseudo_sum, put_ip_sum
from _fast.join cimport GSO_JOINED
from _fast.numbers cimport GSO_ECN, GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, NEEDS_CSUM, TCP, UDP
from _fast.octets cimport get16, get32, le16, own16, put16, put32, put_sum, copy_sum, sum_octets, summed
from _fast.types cimport DROP_MALFORMED, PASSED, VNET_LEN, packet_info_t

cdef enum:
    LEAST_MSS = 88             # below this a smaller cut would cost more than it helps


cdef int segment_init(segmenter_t *s, const uint8_t *frame, uint32_t length, const packet_info_t *info,
                      uint32_t limit) noexcept nogil:
    cdef uint8_t type = frame[1] & 0x7F
    memset(s, 0, <size_t>(<uint8_t *>s.front - <uint8_t *>s))
    s.ip = frame + VNET_LEN
    s.length = info.length
    s.l4 = info.l4
    s.version = info.flow.version
    if type == GSO_NONE or type == GSO_JOINED:
        if frame[0] & NEEDS_CSUM:
            s.needs_csum = 1
            s.csum_start = le16(frame + 6)
            s.csum_offset = le16(frame + 8)
            # Never into the IP header: policy has looked at its addresses already.
            if <uint32_t>s.csum_start + s.csum_offset + 2 > s.length or s.csum_start < s.l4:
                return DROP_MALFORMED
        return PASSED
    if info.fragmented:
        return DROP_MALFORMED
    if (type == GSO_TCPV4 and s.version == 4) or (type == GSO_TCPV6 and s.version == 6):
        if info.flow.proto != TCP or s.length < s.l4 + 20:
            return DROP_MALFORMED
        s.kind = TCP
        s.head = s.l4 + (s.ip[s.l4 + 12] >> 4) * 4
        if s.head < s.l4 + 20:
            return DROP_MALFORMED
        s.sequence = get32(s.ip + s.l4 + 4)
    elif type == GSO_UDP_L4 and info.flow.proto == UDP:
        s.kind = UDP
        s.head = s.l4 + 8
    else:
        return DROP_MALFORMED
    s.mss = le16(frame + 4)
    if s.mss == 0 or s.head >= s.length:
        return DROP_MALFORMED
    if s.kind == TCP and limit and s.head + s.mss > limit and limit >= s.head + LEAST_MSS:
        s.mss = limit - s.head
    if s.mss > s.length - s.head:
        s.mss = s.length - s.head
    s.id = get16(s.ip + 4)
    steady_sums(s)
    return PASSED


cdef uint32_t segment_largest(const segmenter_t *s) noexcept nogil:
    return s.head + s.mss if s.kind else s.length


cdef uint32_t segment_count(const segmenter_t *s, uint64_t *octets) noexcept nogil:
    cdef uint32_t count
    octets[0] = s.length
    if s.kind == 0:
        return 1
    count = (s.length - s.head + s.mss - 1) // s.mss
    octets[0] += <uint64_t>(count - 1) * s.head
    return count


cdef inline uint16_t without(const uint8_t *field) noexcept nogil:
    # Added to a sum, takes these two octets out of it (RFC 1624).
    return <uint16_t>~own16(field)


cdef void steady_sums(segmenter_t *s) noexcept nogil:
    cdef const uint8_t *l4 = s.ip + s.l4
    s.l4_sum = sum_octets(pseudo_sum(s.ip, s.kind, 0), l4, s.head - s.l4) + without(l4 + 4) + without(l4 + 6)
    if s.kind == TCP:
        s.l4_sum += <uint64_t>without(l4 + 12) + without(l4 + 16)
    if s.version == 4:
        s.ip_sum = sum_octets(0, s.ip, s.l4) + without(s.ip + 2) + without(s.ip + 4) + without(s.ip + 10)


cdef void put_headers(segmenter_t *s, uint8_t *out, uint32_t n, uint64_t body) noexcept nogil:
    # The super-packet's headers stand at `out` and become those of the next segment: `n` octets that sum up to `body`.
    # They fill whole words, so the sums add up.
    cdef uint8_t *l4 = out + s.l4
    cdef uint32_t transport = s.head - s.l4 + n
    if s.version == 4:
        put16(out + 2, <uint16_t>(s.head + n))
        put16(out + 4, s.id)
        s.id += 1
        put_sum(out + 10, s.ip_sum + own16(out + 2) + own16(out + 4))
    else:
        put16(out + 4, <uint16_t>(s.head + n - 40))
    if s.kind == TCP:
        put32(l4 + 4, s.sequence + s.offset)
        if not s.done:
            l4[13] &= 0xF6                         # FIN and PSH belong to the last
        if s.offset:
            l4[13] &= 0x7F                         # CWR to the first (RFC 3168 6.1.2)
        put_sum(l4 + 16, s.l4_sum + body + summed(transport) + own16(l4 + 4) + own16(l4 + 6) + own16(l4 + 12))
    else:
        put16(l4 + 4, <uint16_t>transport)
        # Once in the pseudo header, once in the header.
        put_sum(l4 + 6, s.l4_sum + body + 2 * <uint64_t>summed(transport))
        if l4[6] == 0 and l4[7] == 0:
            l4[6] = l4[7] = 0xFF                   # zero would mean none (RFC 768)


cdef void complete(segmenter_t *s, uint8_t *packet) noexcept nogil:
    # A single packet: its checksum field may hold the pseudo header's sum and wait for the rest.
    cdef uint8_t *sum_at = packet + s.csum_start + s.csum_offset
    s.done = 1
    if s.needs_csum:
        put_sum(sum_at, sum_octets(0, packet + s.csum_start, s.length - s.csum_start))
        if sum_at[0] == 0 and sum_at[1] == 0 and s.csum_offset == 6:
            sum_at[0] = sum_at[1] = 0xFF


cdef inline uint32_t take(segmenter_t *s) noexcept nogil:
    # The payload of the next segment.
    cdef uint32_t left = s.length - s.head - s.offset
    cdef uint32_t n = left if left < s.mss else s.mss
    s.done = n == left
    return n


cdef uint32_t segment_next(segmenter_t *s, uint8_t *out) noexcept nogil:
    cdef uint32_t n
    if s.done:
        return 0
    if s.kind == 0:
        memcpy(out, s.ip, s.length)
        complete(s, out)
        return s.length
    n = take(s)
    memcpy(out, s.ip, s.head)
    put_headers(s, out, n, copy_sum(0, out + s.head, s.ip + s.head + s.offset, n))
    s.offset += n
    return s.head + n


cdef uint32_t segment_place(segmenter_t *s, uint8_t **packet) noexcept nogil:
    cdef uint8_t *at = <uint8_t *>s.ip + s.offset
    cdef uint32_t n
    if s.done:
        return 0
    packet[0] = at
    if s.kind == 0:
        complete(s, at)
        return s.length
    n = take(s)
    if s.offset:
        memcpy(at, s.front, s.head)
    else:
        memcpy(s.front, at, s.head)
    put_headers(s, at, n, sum_octets(0, at + s.head, n))
    s.offset += n
    return s.head + n


def cut(bytes frame, uint32_t limit=0, bint in_place=False):
    """(drop reason, packets) of a frame that starts with a vnet header; `in_place`: by segment_place where it can."""
    cdef packet_info_t info
    cdef segmenter_t s
    cdef int why
    cdef bytearray copy = bytearray(frame)
    cdef const uint8_t *data = copy
    cdef bytearray out
    cdef uint8_t *at
    cdef uint32_t n
    if len(frame) < VNET_LEN:
        return (DROP_MALFORMED, [])
    why = parse_packet(data + VNET_LEN, <uint32_t>len(frame) - VNET_LEN, &info)
    if why == PASSED:
        why = segment_init(&s, data, <uint32_t>len(frame), &info, limit)
    if why:
        return (why, [])
    packets = []
    if in_place and segment_placeable(&s):
        while True:
            n = segment_place(&s, &at)
            if n == 0:
                return (PASSED, packets)
            packets.append((<const uint8_t *>at)[:n])
    while True:
        out = bytearray(segment_largest(&s))
        n = segment_next(&s, out)
        if n == 0:
            return (PASSED, packets)
        packets.append(bytes(out[:n]))
