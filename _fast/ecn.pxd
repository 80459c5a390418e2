# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t, uint64_t

from _fast.types cimport packet_info_t, sa_t

# The TOS or traffic class an outer packet gets for an inner one's (RFC 6040 4.1 normal mode, RFC 4301 5.1.2).
cdef inline uint8_t tos_outside(const sa_t *sa, uint8_t inner) noexcept nogil:
    # The DSCP would tell classes of traffic apart, so it goes outside only by wish; the ECN field always does.
    return inner if sa.copy_dscp else inner & 3

# Bring an outer packet's congestion mark into the inner packet (RFC 6040 4.2); its DSCP stays outside. 0, or
# DROP_CONGESTED: the mark cannot be told to the sender otherwise. `alarm` counts pairs no honest path makes.
cdef int ecn_inside(uint8_t *packet, packet_info_t *info, uint8_t outer, uint64_t *alarm) noexcept nogil

# Bring an outer packet's DSCP into the inner packet (decap-dscp=, RFC 2983 3.1 uniform); the ECN field stays.
cdef void dscp_inside(uint8_t *packet, packet_info_t *info, uint8_t outer) noexcept nogil
