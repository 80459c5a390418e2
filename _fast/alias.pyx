# SPDX-License-Identifier: GPL-2.0-or-later
"""One address for another, one to one and without memory: what the peer of an SA calls this host, which is behind NAT.

    out   own 10.0.0.7 -> peer        becomes   given 100.64.0.3 -> peer      before ESP
    in    peer -> given 100.64.0.3    becomes   peer -> own 10.0.0.7          after the SA's selectors were asked

Checksums are changed by what the address changes (RFC 1624 equation 3), so one that was wrong stays wrong. ICMP errors
have the same address once more, in the packet they quote, at its other end (RFC 5508 4.2).
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from _fast.iphdr cimport parse_packet, quoted_info
from _fast.numbers cimport DCCP, ICMP6, NEEDS_CSUM, TCP, UDP, UDPLITE
from _fast.octets cimport fold_sum, le16, own16, put_sum, sum_octets
from _fast.types cimport PASSED, VNET_LEN, packet_info_t, sa_t

cdef enum:
    NOWHERE = 0


cdef inline uint32_t sum_place(const packet_info_t *info) noexcept nogil:
    # Where in its transport header the checksum is that covers the addresses too; a later fragment has none.
    if info.flow.fragment:
        return NOWHERE
    if info.flow.proto == TCP:
        return 16
    if info.flow.proto == UDP or info.flow.proto == UDPLITE or info.flow.proto == DCCP:
        return 6
    return 2 if info.flow.proto == ICMP6 and info.flow.version == 6 else NOWHERE


cdef inline uint64_t replaced(uint8_t *at, const uint8_t *by, uint32_t octets) noexcept nogil:
    # Answers what that adds to a sum over them.
    cdef uint64_t added = <uint16_t>~fold_sum(sum_octets(0, at, octets))
    memcpy(at, by, octets)
    return added + fold_sum(sum_octets(0, at, octets))


cdef inline uint64_t mended(uint8_t *field, uint64_t added, bint partial) noexcept nogil:
    # A checksum whose octets sum up to more by `added`; `partial`: the sum itself, to be completed and turned later.
    cdef uint16_t was = own16(field)
    if partial:
        put_sum(field, <uint16_t>~fold_sum(was + added))
    else:
        put_sum(field, <uint16_t>~was + added)
    return <uint64_t><uint16_t>~was + own16(field)


cdef uint64_t renamed(uint8_t *ip, const packet_info_t *info, uint32_t have, bint source, const uint8_t *was,
                      const uint8_t *becomes, bint partial) noexcept nogil:
    # Of the packet's `have` octets. Answers what that adds to a sum over all of them.
    cdef bint four = info.flow.version == 4
    cdef uint32_t octets = 4 if four else 16, place = sum_place(info)
    cdef uint8_t *at = ip + ((12 if source else 16) if four else (8 if source else 24))
    cdef uint8_t *field = ip + info.l4 + place
    cdef uint64_t added, total
    if memcmp(at, was, octets):
        return 0
    total = added = replaced(at, becomes, octets)
    if four:
        total += mended(ip + 10, added, False)
    if place == NOWHERE or have < info.l4 + place + 2:
        return total
    if info.flow.proto == UDP and field[0] == 0 and field[1] == 0 and not partial:
        return total           # none was made (RFC 768; tunnels by IPv6 may do so, RFC 6935)
    added = mended(field, added, partial)
    if info.flow.proto == UDP and field[0] == 0 and field[1] == 0 and not partial:
        field[0] = field[1] = 0xFF     # which sums up to the same, and does not say that there is none
    return total + added


cdef void rename_all(uint8_t *ip, packet_info_t *info, bint source, const uint8_t *was, const uint8_t *becomes,
                     bint partial) noexcept nogil:
    cdef packet_info_t inside
    cdef uint64_t added
    cdef uint8_t *key = <uint8_t *>(&info.flow.src[0] if source else &info.flow.dst[0])
    cdef uint32_t octets = 4 if info.flow.version == 4 else 16
    if info.icmp_error and quoted_info(ip, info, &inside) == PASSED:
        added = renamed(ip + info.l4 + 8, &inside, info.length - info.l4 - 8, not source, was, becomes, False)
        if added and not partial:
            mended(ip + info.l4 + 2, added, False)
    renamed(ip, info, info.length, source, was, becomes, partial)
    if memcmp(key, was, octets) == 0:
        memcpy(key, becomes, octets)


cdef inline bint is_partial(const uint8_t *frame, const packet_info_t *info) noexcept nogil:
    # Does the packet's own transport checksum wait for the rest? That of a packet inside it does not matter here.
    return frame[0] & NEEDS_CSUM and le16(frame + 6) == info.l4


cdef void alias_out(const sa_t *sa, uint8_t *frame, packet_info_t *info) noexcept nogil:
    rename_all(frame + VNET_LEN, info, True, sa.alias, sa.alias + 16, is_partial(frame, info))


cdef void alias_back(const sa_t *sa, uint8_t *frame, packet_info_t *info) noexcept nogil:
    rename_all(frame + VNET_LEN, info, True, sa.alias + 16, sa.alias, is_partial(frame, info))


cdef void alias_in(const sa_t *sa, uint8_t *packet, packet_info_t *info) noexcept nogil:
    rename_all(packet, info, False, sa.alias + 16, sa.alias, False)


def translate(bytes frame, bytes own, bytes given, str way):
    """A frame (vnet header first) as `out`, `back` or `in` leaves it, and whether `info` still says what stands there.

    ValueError: it does not parse.
    """
    cdef packet_info_t info, again
    cdef sa_t sa
    cdef bytearray copy = bytearray(frame)
    cdef uint8_t *data = copy
    cdef uint32_t length = <uint32_t>len(frame)
    memset(&sa, 0, sizeof(sa_t))
    memcpy(sa.alias, <const uint8_t *>own, len(own))
    memcpy(sa.alias + 16, <const uint8_t *>given, len(given))
    if length < VNET_LEN or parse_packet(data + VNET_LEN, length - VNET_LEN, &info) != PASSED:
        raise ValueError("not a packet")
    if way == "out":
        alias_out(&sa, data, &info)
    elif way == "back":
        alias_back(&sa, data, &info)
    else:
        alias_in(&sa, data + VNET_LEN, &info)
    parse_packet(data + VNET_LEN, length - VNET_LEN, &again)
    return bytes(copy), memcmp(&info.flow, &again.flow, sizeof(info.flow)) == 0
