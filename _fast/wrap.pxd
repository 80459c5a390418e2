# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t, uint16_t, uint32_t

cdef enum:
    MOST_FRONT = 512           # octets of IP header and extension headers that AH, ESP or IPComp may have before them

# A whole IP packet in a buffer of ours, with room before and after it.
cdef struct packed_t:
    uint8_t *at                # its IP header
    uint32_t length            # of all of it
    uint32_t head              # octets that stay in front of AH, ESP or IPComp (or, received, that stand in front)
    uint32_t next_at           # where the octet is that names what comes after them
    uint8_t version

# Find where AH, ESP or IPComp belongs: after IPv4's options; after IPv6's hop-by-hop options, routing header, and the
# destination options before that (RFC 4302 3.1.1, RFC 4303 3.1.1). `at`, `length`, `version` must be those of a packet
# that parses. 0, DROP_FRAGMENT for a fragment, DROP_MALFORMED for headers longer than MOST_FRONT or that do not parse.
cdef int wrap_split(packed_t *p) noexcept nogil
# What stands after the headers now is of this kind: name it, and put lengths and the IPv4 checksum right.
cdef void wrap_close(packed_t *p, uint8_t next_header) noexcept nogil
# The kind of what stands after the headers.
cdef uint8_t wrap_next(const packed_t *p) noexcept nogil
# Move the headers by `n` octets: make a gap after them, or (wrap_shrink) close one. The caller calls wrap_close.
cdef void wrap_grow(packed_t *p, uint32_t n) noexcept nogil
cdef void wrap_shrink(packed_t *p, uint32_t n) noexcept nogil
# Put a new IP header before the packet; afterwards it is all payload. Addresses are 4 or 16 octets. `id` is IPv4's.
cdef void wrap_outer(packed_t *p, uint8_t version, const uint8_t *src, const uint8_t *dst, uint8_t tos, uint8_t ttl,
                     uint16_t id) noexcept nogil
# A transport-mode packet whose addresses a NAT changed: mend the checksum of its TCP, UDP, DCCP, UDP-Lite or ICMPv6
# segment, which was made over the addresses `src` and `dst` (RFC 3948 3.1.2).
cdef void wrap_mend(packed_t *p, const uint8_t *src, const uint8_t *dst) noexcept nogil
