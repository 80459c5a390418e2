# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from _fast.octets cimport sum_pseudo
from _fast.types cimport flow_t, packet_info_t, selectors_t

# Parse the IPv4 or IPv6 packet in data[0:length]. Octets after the packet's own length are allowed (RFC 4303 2.7).
# Answers 0, or DROP_MALFORMED and leaves `info` undefined.
cdef int parse_packet(const uint8_t *data, uint32_t length, packet_info_t *info) noexcept nogil

# For an ICMP error: the flow of the quoted packet turned round, so that it reads in the error's own direction.
# Answers 0, or DROP_MALFORMED when what is quoted does not parse or was not sent by the error's destination.
cdef int quoted_flow(const uint8_t *data, packet_info_t *info, flow_t *quoted) noexcept nogil

# The packet that an ICMP error quotes, which stands 8 octets behind `info.l4` and may be cut short; as parse_packet.
cdef int quoted_info(const uint8_t *data, const packet_info_t *info, packet_info_t *inside) noexcept nogil

cdef bint selectors_allow(const selectors_t *selectors, const flow_t *flow) noexcept nogil

# Sum over the pseudo header; add the transport segment and fold (RFC 793 3.1, RFC 8200 8.1).
# The upper half of a 32-bit length is zero: no packet here is longer than 65,535 octets.
cdef inline uint64_t pseudo_sum(const uint8_t *ip, uint8_t proto, uint32_t length) noexcept nogil:
    return sum_pseudo(ip, proto, length)

# Lower the MSS option of a SYN to `mss` and mend its checksum (RFC 1624); nothing else is touched.
cdef void clamp_mss(uint8_t *data, packet_info_t *info, uint32_t mss) noexcept nogil

# Write the IPv4 header checksum anew.
cdef void put_ip_sum(uint8_t *ip) noexcept nogil
