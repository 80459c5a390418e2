# SPDX-License-Identifier: GPL-2.0-or-later
"""ICMP and ICMPv6 errors the engine sends into the virtual interface: too big, administratively prohibited.

    +---------------+---------------+-------------------------------+
    |     Type      |     Code      |           Checksum            |
    +---------------+---------------+-------------------------------+
    |      unused (IPv4: MTU in the lower half; IPv6: MTU)          |
    +---------------------------------------------------------------+
    |      the packet that caused it, as much as fits               |
    +---------------------------------------------------------------+
"""
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy, memset

from _fast.iphdr cimport parse_packet, pseudo_sum, put_ip_sum
from _fast.octets cimport put16, put32, put_sum, sum_octets
from _fast.types cimport PASSED, packet_info_t


cdef bint icmp_may_answer(const uint8_t *packet, const packet_info_t *info) noexcept nogil:
    cdef const uint8_t *src = <const uint8_t *>info.flow.src
    cdef const uint8_t *dst = <const uint8_t *>info.flow.dst
    if info.icmp_error or info.flow.fragment:
        return False
    if info.flow.version == 4:
        # Neither to nor about multicast, broadcast or the unspecified address.
        return 0 < src[0] < 224 and dst[0] < 224 and src[0] != 127
    return src[0] != 0xFF and dst[0] != 0xFF and (info.flow.src[0] | info.flow.src[1]) != 0


cdef uint32_t error(uint8_t *out, const uint8_t *packet, const packet_info_t *info, uint8_t type, uint8_t code,
                    uint32_t word) noexcept nogil:
    cdef uint32_t room = 576 - 28 if info.flow.version == 4 else 1280 - 48
    cdef uint32_t quoted = info.length if info.length < room else room
    cdef uint32_t head = 20 if info.flow.version == 4 else 40
    memset(out, 0, head + 8)
    if info.flow.version == 4:
        out[0] = 0x45
        out[1] = 0xC0          # internetwork control (RFC 1812 4.3.2.5)
        put16(out + 2, <unsigned short>(28 + quoted))
        out[8] = 64
        out[9] = 1
        memcpy(out + 12, info.flow.dst, 4)
        memcpy(out + 16, info.flow.src, 4)
        put_ip_sum(out)
    else:
        out[0] = 0x60
        put16(out + 4, <unsigned short>(8 + quoted))
        out[6] = 58
        out[7] = 64
        memcpy(out + 8, info.flow.dst, 16)
        memcpy(out + 24, info.flow.src, 16)
    out[head] = type
    out[head + 1] = code
    put32(out + head + 4, word)
    memcpy(out + head + 8, packet, quoted)
    put_sum(out + head + 2, sum_octets(
        0 if info.flow.version == 4 else pseudo_sum(out, 58, 8 + quoted), out + head, 8 + quoted))
    return head + 8 + quoted


cdef uint32_t icmp_too_big(uint8_t *out, const uint8_t *packet, const packet_info_t *info, uint32_t mtu) noexcept nogil:
    if info.flow.version == 4:
        return error(out, packet, info, 3, 4, mtu)
    return error(out, packet, info, 2, 0, mtu if mtu > 1280 else 1280)


cdef uint32_t icmp_prohibited(uint8_t *out, const uint8_t *packet, const packet_info_t *info) noexcept nogil:
    if info.flow.version == 4:
        return error(out, packet, info, 3, 13, 0)
    return error(out, packet, info, 1, 1, 0)


def answer(bytes packet, int mtu=0):
    """The error for `packet`: too big with `mtu`, prohibited with 0; None when it must not be answered."""
    cdef packet_info_t info
    cdef uint8_t out[ICMP_ROOM]
    cdef uint32_t n
    if parse_packet(packet, <uint32_t>len(packet), &info) != PASSED or not icmp_may_answer(packet, &info):
        return None
    n = icmp_too_big(out, packet, &info, <uint32_t>mtu) if mtu else icmp_prohibited(out, packet, &info)
    return (<const uint8_t *>out)[:n]
