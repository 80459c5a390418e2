# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t, uint32_t

from _fast.types cimport packet_info_t

cdef enum:
    ICMP_ROOM = 1280           # what the longest message here needs

# May this packet be answered with an ICMP error (RFC 1122 3.2.2, RFC 4443 2.4)?
cdef bint icmp_may_answer(const uint8_t *packet, const packet_info_t *info) noexcept nogil
# Write into `out` (ICMP_ROOM octets) the error for `packet`, from its destination to its source; answers the length.
cdef uint32_t icmp_too_big(uint8_t *out, const uint8_t *packet, const packet_info_t *info, uint32_t mtu) noexcept nogil
cdef uint32_t icmp_prohibited(uint8_t *out, const uint8_t *packet, const packet_info_t *info) noexcept nogil
