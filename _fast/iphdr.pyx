# SPDX-License-Identifier: GPL-2.0-or-later
"""IPv4 and IPv6 headers of inner packets: flow keys, selectors, checksums, MSS.

     0                   1                   2                   3
    +-------+-------+---------------+-------------------------------+
    |Version|  IHL  |Type of Service|          Total Length         |  IPv4 (RFC 791)
    +-------+-------+---------------+-----+-------------------------+
    |         Identification        |Flags|      Fragment Offset    |
    +---------------+---------------+-----+-------------------------+
    |      TTL      |    Protocol   |         Header Checksum       |
    +---------------+---------------+-------------------------------+
    |        Source Address         |       Destination Address     |
    +-------------------------------+-------------------------------+
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from _fast.bits cimport swab
from _fast.numbers cimport ICMP, ICMP6, TCP, UDP
from _fast.octets cimport fold_sum, get16, get32, put16, put_sum, sum_octets
from _fast.types cimport DROP_MALFORMED, PASSED, flow_t, packet_info_t, selector_t, selectors_t

cdef enum:
    MOST_EXTENSIONS = 8        # headers walked before an IPv6 packet counts as malformed


cdef inline bint has_ports(uint8_t proto) noexcept nogil:
    # TCP, UDP, DCCP, SCTP, UDP-Lite
    return proto == TCP or proto == UDP or proto == 33 or proto == 132 or proto == 136


cdef inline int read_ports(const uint8_t *data, uint32_t have, packet_info_t *info, bint strict) noexcept nogil:
    cdef flow_t *flow = &info.flow
    if flow.fragment:
        return PASSED
    if has_ports(flow.proto):
        if have < info.l4 + 4:
            return DROP_MALFORMED
        # A TCP first fragment too short for its flags is an old way round filters (RFC 1858).
        if strict and flow.proto == TCP and have < info.l4 + 20:
            return DROP_MALFORMED
        flow.sport = get16(data + info.l4)
        flow.dport = get16(data + info.l4 + 2)
    elif (flow.proto == ICMP and flow.version == 4) or (flow.proto == ICMP6 and flow.version == 6):
        if have < info.l4 + 2:
            return DROP_MALFORMED
        # RFC 7296 3.13.1: type in the upper octet, code in the lower, of both ports.
        flow.sport = flow.dport = get16(data + info.l4)
        if flow.version == 4:
            info.icmp_error = data[info.l4] in (3, 4, 5, 11, 12)
        else:
            info.icmp_error = data[info.l4] < 128
    return PASSED


cdef inline int parse_any(const uint8_t *data, uint32_t length, packet_info_t *info, bint quoted) noexcept nogil:
    # `quoted`: the packet inside an ICMP error, which may be cut short anywhere after its transport's first 8 octets.
    cdef uint32_t head, total, at, have, step
    cdef uint16_t frag
    cdef uint8_t proto
    cdef int walked
    memset(info, 0, sizeof(packet_info_t))
    if length < 20:
        return DROP_MALFORMED
    info.flow.version = data[0] >> 4
    if info.flow.version == 4:
        head = (data[0] & 15) * 4
        total = get16(data + 2)
        if head < 20 or head > length or total < head or (total > length and not quoted):
            return DROP_MALFORMED
        have = total if total < length else length
        frag = get16(data + 6)
        info.tos = data[1]
        info.length = total
        info.l4 = head
        info.dont_fragment = (frag & 0x4000) != 0
        info.fragmented = (frag & 0x3FFF) != 0
        info.flow.fragment = (frag & 0x1FFF) != 0
        info.flow.proto = data[9]
        # Written whole, as the table reads them: a read of two writes waits for both.
        info.flow.src[0] = swab(<uint64_t>get32(data + 12) << 32)
        info.flow.dst[0] = swab(<uint64_t>get32(data + 16) << 32)
        return read_ports(data, have, info, not quoted)
    if info.flow.version != 6 or length < 40:
        return DROP_MALFORMED
    total = 40 + get16(data + 4)
    if total > length and not quoted:
        return DROP_MALFORMED
    have = total if total < length else length
    info.tos = <uint8_t>((get16(data) >> 4) & 0xFF)
    info.length = total
    info.dont_fragment = 1
    memcpy(info.flow.src, data + 8, 16)
    memcpy(info.flow.dst, data + 24, 16)
    proto = data[6]
    at = 40
    for walked in range(MOST_EXTENSIONS):
        if proto == 44:
            if have < at + 8:
                return DROP_MALFORMED
            frag = get16(data + at + 2)
            info.fragmented = 1
            proto = data[at]
            at += 8
            if frag & 0xFFF8:
                info.flow.fragment = 1
                break
        elif proto == 0 or proto == 43 or proto == 60 or proto == 135:
            if have < at + 8:
                return DROP_MALFORMED
            step = (<uint32_t>data[at + 1] + 1) * 8
            proto = data[at]
            at += step
            if at > have:
                return DROP_MALFORMED
        else:
            break
    else:
        return DROP_MALFORMED
    info.flow.proto = proto
    info.l4 = at
    return read_ports(data, have, info, not quoted)


cdef int parse_packet(const uint8_t *data, uint32_t length, packet_info_t *info) noexcept nogil:
    return parse_any(data, length, info, False)


cdef int quoted_info(const uint8_t *data, const packet_info_t *info, packet_info_t *inside) noexcept nogil:
    cdef uint32_t at = info.l4 + 8
    if not info.icmp_error or info.length < at + 20:
        return DROP_MALFORMED
    if parse_any(data + at, info.length - at, inside, True) != PASSED or inside.flow.version != info.flow.version:
        return DROP_MALFORMED
    return PASSED


cdef int quoted_flow(const uint8_t *data, packet_info_t *info, flow_t *quoted) noexcept nogil:
    cdef packet_info_t inside
    if quoted_info(data, info, &inside) != PASSED or memcmp(inside.flow.src, info.flow.dst, 16):
        return DROP_MALFORMED
    memset(quoted, 0, sizeof(flow_t))
    memcpy(quoted.src, inside.flow.dst, 16)
    memcpy(quoted.dst, inside.flow.src, 16)
    quoted.version = inside.flow.version
    quoted.proto = inside.flow.proto
    quoted.fragment = inside.flow.fragment
    quoted.sport = inside.flow.dport
    quoted.dport = inside.flow.sport
    return PASSED


cdef bint selectors_allow(const selectors_t *selectors, const flow_t *flow) noexcept nogil:
    cdef uint32_t i
    cdef size_t n = 4 if flow.version == 4 else 16
    cdef const selector_t *s
    for i in range(selectors.count):
        s = &selectors.items[i]
        if s.version != flow.version or (s.proto and s.proto != flow.proto):
            continue
        if memcmp(flow.src, s.src_first, n) < 0 or memcmp(flow.src, s.src_last, n) > 0:
            continue
        if memcmp(flow.dst, s.dst_first, n) < 0 or memcmp(flow.dst, s.dst_last, n) > 0:
            continue
        # A later fragment has no ports: only selectors for all ports, or for OPAQUE (65535-0), cover it (RFC 4301 7).
        if flow.fragment:
            if ((s.sport_low == 0 and s.sport_high == 65535) or s.sport_low > s.sport_high) and (
                    (s.dport_low == 0 and s.dport_high == 65535) or s.dport_low > s.dport_high):
                return True
            continue
        if flow.sport < s.sport_low or flow.sport > s.sport_high:
            continue
        if flow.dport < s.dport_low or flow.dport > s.dport_high:
            continue
        return True
    return False


cdef void put_ip_sum(uint8_t *ip) noexcept nogil:
    ip[10] = 0
    ip[11] = 0
    put_sum(ip + 10, sum_octets(0, ip, (ip[0] & 15) * 4))


cdef void clamp_mss(uint8_t *data, packet_info_t *info, uint32_t mss) noexcept nogil:
    cdef uint8_t *tcp = data + info.l4
    cdef uint32_t at, end
    cdef uint16_t was
    cdef uint64_t total
    cdef uint8_t before[2]
    cdef uint8_t old[4]
    if info.flow.proto != TCP or info.flow.fragment or info.length < info.l4 + 20 or not tcp[13] & 2:
        return
    end = (tcp[12] >> 4) * 4
    if end < 20 or info.length < info.l4 + end:
        return
    at = 20
    while at + 1 < end:
        if tcp[at] == 0:
            return
        if tcp[at] == 1:
            at += 1
            continue
        if tcp[at + 1] < 2 or at + tcp[at + 1] > end:
            return
        if tcp[at] == 2 and tcp[at + 1] == 4:
            was = get16(tcp + at + 2)
            if was <= mss or mss < 64:
                return
            put16(tcp + at + 2, <uint16_t>mss)
            # RFC 1624 equation 3, on the octets at their place; an odd place swaps their weight.
            before[0] = <uint8_t>(was >> 8)
            before[1] = <uint8_t>(was & 0xFF)
            memset(old, 0, 4)
            total = <uint16_t>~fold_sum(sum_octets(0, tcp + 16, 2))
            if at & 1:
                old[1] = before[0]
                old[2] = before[1]
                total += <uint16_t>~fold_sum(sum_octets(0, old, 4))
                old[1] = <uint8_t>(mss >> 8)
                old[2] = <uint8_t>(mss & 0xFF)
            else:
                old[0] = before[0]
                old[1] = before[1]
                total += <uint16_t>~fold_sum(sum_octets(0, old, 4))
                old[0] = <uint8_t>(mss >> 8)
                old[1] = <uint8_t>(mss & 0xFF)
            put_sum(tcp + 16, sum_octets(total, old, 4))
            return
        at += tcp[at + 1]


cdef tuple flow_tuple(const flow_t *flow):
    cdef int n = 4 if flow.version == 4 else 16
    return (flow.version, (<const uint8_t *>flow.src)[:n], (<const uint8_t *>flow.dst)[:n], flow.proto, flow.sport,
            flow.dport, bool(flow.fragment))


def parse(bytes packet):
    """(version, src, dst, protocol, sport, dport, later fragment), or None for a packet that does not parse."""
    cdef packet_info_t info
    if parse_packet(packet, <uint32_t>len(packet), &info) != PASSED:
        return None
    return flow_tuple(&info.flow)


def parse_quoted(bytes packet):
    """The flow an ICMP error speaks of, in the error's own direction; None when it quotes nothing usable."""
    cdef packet_info_t info
    cdef flow_t quoted
    if parse_packet(packet, <uint32_t>len(packet), &info) != PASSED or quoted_flow(packet, &info, &quoted) != PASSED:
        return None
    return flow_tuple(&quoted)


def clamp(bytes packet, int mss):
    """The packet with its TCP SYN's MSS lowered to `mss`, or as it was; ValueError when it does not parse."""
    cdef packet_info_t info
    cdef bytearray copy = bytearray(packet)
    if parse_packet(packet, <uint32_t>len(packet), &info) != PASSED:
        raise ValueError("not a packet")
    clamp_mss(copy, &info, <uint32_t>mss)
    return bytes(copy)
