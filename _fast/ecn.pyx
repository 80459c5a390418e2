# SPDX-License-Identifier: GPL-2.0-or-later
"""ECN and DSCP through tunnels: what the inner packet says when it leaves (RFC 6040 4.2, figure 4; RFC 2983 3).

    inner \\ outer   Not-ECT     ECT(1)      ECT(0)      CE             values: Not-ECT 0, ECT(1) 1, ECT(0) 2, CE 3
    Not-ECT         Not-ECT     Not-ECT !   Not-ECT !   drop !
    ECT(1)          ECT(1)      ECT(1)      ECT(1)  !   CE             ! cannot come of an honest sender and path:
    ECT(0)          ECT(0)      ECT(1)      ECT(0)      CE               counted
    CE              CE          CE      !   CE          CE
"""
from libc.stdint cimport uint8_t, uint64_t

from _fast.atomic cimport fetch_add
from _fast.iphdr cimport parse_packet, put_ip_sum
from _fast.types cimport DROP_CONGESTED, DROP_MALFORMED, PASSED, packet_info_t

cdef enum:
    LOST = 8                   # no value: the packet is dropped
    ALARM = 16

# By inner * 4 + outer.
cdef uint8_t[16] RESULT = [0, 0 | ALARM, 0 | ALARM, LOST | ALARM,
                           1, 1, 1 | ALARM, 3,
                           2, 1, 2, 3,
                           3, 3 | ALARM, 3, 3]


cdef int ecn_inside(uint8_t *packet, packet_info_t *info, uint8_t outer, uint64_t *alarm) noexcept nogil:
    cdef uint8_t inner = info.tos & 3
    cdef uint8_t result = RESULT[inner * 4 + (outer & 3)]
    if result & ALARM:
        fetch_add(alarm, 1)
    if result & LOST:
        return DROP_CONGESTED
    result &= 3
    if result != inner:
        put_tos(packet, info, (info.tos & 0xFC) | result)
    return PASSED


cdef void dscp_inside(uint8_t *packet, packet_info_t *info, uint8_t outer) noexcept nogil:
    if (info.tos ^ outer) & 0xFC:
        put_tos(packet, info, (outer & 0xFC) | (info.tos & 3))


cdef void put_tos(uint8_t *packet, packet_info_t *info, uint8_t tos) noexcept nogil:
    if info.flow.version == 4:
        packet[1] = tos
        put_ip_sum(packet)
    else:
        packet[0] = (packet[0] & 0xF0) | tos >> 4
        packet[1] = (packet[1] & 0x0F) | <uint8_t>(tos << 4)
    info.tos = tos


def inward(bytes packet, int outer, bint dscp=False):
    """(drop reason, packet, alarms) of a packet that came in an outer one with that TOS or traffic class.

    `dscp`: its DSCP goes inside.
    """
    cdef packet_info_t info
    cdef bytearray copy = bytearray(packet)
    cdef uint64_t alarm = 0
    cdef int why
    if parse_packet(packet, <unsigned int>len(packet), &info) != PASSED:
        return (DROP_MALFORMED, b"", 0)
    why = ecn_inside(copy, &info, <uint8_t>outer, &alarm)
    if dscp and not why:
        dscp_inside(copy, &info, <uint8_t>outer)
    return (why, b"" if why else bytes(copy), alarm)
