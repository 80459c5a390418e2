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
from _fast.octets cimport get16, get32, le16, put16, put32, put_sum, copy_sum, sum_octets
from _fast.types cimport DROP_MALFORMED, PASSED, VNET_LEN, packet_info_t

cdef enum:
    NEEDS_CSUM = 1
    GSO_NONE = 0
    GSO_TCPV4 = 1
    GSO_TCPV6 = 4
    GSO_UDP_L4 = 5
    GSO_ECN = 0x80
    LEAST_MSS = 88             # below this a smaller cut would cost more than it helps


cdef int segment_init(segmenter_t *s, const uint8_t *frame, uint32_t length, const packet_info_t *info,
                      uint32_t limit) noexcept nogil:
    cdef uint8_t type = frame[1] & 0x7F
    memset(s, 0, sizeof(segmenter_t))
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
        if info.flow.proto != 6 or s.length < s.l4 + 20:
            return DROP_MALFORMED
        s.kind = 6
        s.head = s.l4 + (s.ip[s.l4 + 12] >> 4) * 4
        if s.head < s.l4 + 20:
            return DROP_MALFORMED
        s.sequence = get32(s.ip + s.l4 + 4)
    elif type == GSO_UDP_L4 and info.flow.proto == 17:
        s.kind = 17
        s.head = s.l4 + 8
    else:
        return DROP_MALFORMED
    s.mss = le16(frame + 4)
    if s.mss == 0 or s.head >= s.length:
        return DROP_MALFORMED
    if s.kind == 6 and limit and s.head + s.mss > limit and limit >= s.head + LEAST_MSS:
        s.mss = limit - s.head
    if s.mss > s.length - s.head:
        s.mss = s.length - s.head
    s.id = get16(s.ip + 4)
    return PASSED


cdef uint32_t segment_largest(const segmenter_t *s) noexcept nogil:
    return s.head + s.mss if s.kind else s.length


cdef uint32_t segment_next(segmenter_t *s, uint8_t *out) noexcept nogil:
    cdef uint32_t left, n, transport
    cdef uint8_t *l4 = out + s.l4
    cdef uint64_t total, body
    cdef uint8_t *sum_at
    if s.done:
        return 0
    if s.kind == 0:
        s.done = 1
        memcpy(out, s.ip, s.length)
        if s.needs_csum:
            # The field holds the pseudo header's sum already.
            sum_at = out + s.csum_start + s.csum_offset
            put_sum(sum_at, sum_octets(0, out + s.csum_start, s.length - s.csum_start))
            if sum_at[0] == 0 and sum_at[1] == 0 and s.csum_offset == 6:
                sum_at[0] = sum_at[1] = 0xFF       # UDP: zero would mean none (RFC 768)
        return s.length
    left = s.length - s.head - s.offset
    n = left if left < s.mss else s.mss
    s.done = n == left
    transport = s.head - s.l4 + n
    memcpy(out, s.ip, s.head)
    body = copy_sum(0, out + s.head, s.ip + s.head + s.offset, n)
    if s.version == 4:
        put16(out + 2, <uint16_t>(s.head + n))
        put16(out + 4, s.id)
        s.id += 1
        put_ip_sum(out)
    else:
        put16(out + 4, <uint16_t>(s.head + n - 40))
    # Transport headers fill whole words, so the sums of header and payload add up.
    total = pseudo_sum(out, s.kind, transport) + body
    if s.kind == 6:
        put32(l4 + 4, s.sequence + s.offset)
        if not s.done:
            l4[13] &= 0xF6                         # FIN and PSH belong to the last
        if s.offset:
            l4[13] &= 0x7F                         # CWR to the first (RFC 3168 6.1.2)
        l4[16] = l4[17] = 0
        put_sum(l4 + 16, sum_octets(total, l4, s.head - s.l4))
    else:
        put16(l4 + 4, <uint16_t>transport)
        l4[6] = l4[7] = 0
        put_sum(l4 + 6, sum_octets(total, l4, 8))
        if l4[6] == 0 and l4[7] == 0:
            l4[6] = l4[7] = 0xFF
    s.offset += n
    return s.head + n


def cut(bytes frame, uint32_t limit=0):
    """(drop reason, packets) of a frame that starts with a vnet header."""
    cdef packet_info_t info
    cdef segmenter_t s
    cdef int why
    cdef const uint8_t *data = frame
    cdef bytearray out
    cdef uint32_t n
    if len(frame) < VNET_LEN:
        return (DROP_MALFORMED, [])
    why = parse_packet(data + VNET_LEN, <uint32_t>len(frame) - VNET_LEN, &info)
    if why == PASSED:
        why = segment_init(&s, data, <uint32_t>len(frame), &info, limit)
    if why:
        return (why, [])
    packets = []
    while True:
        out = bytearray(segment_largest(&s))
        n = segment_next(&s, out)
        if n == 0:
            return (PASSED, packets)
        packets.append(bytes(out[:n]))
