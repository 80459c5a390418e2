# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t, uint16_t, uint32_t

# Cuts one whole IP packet, checksums right, into fragments of at most `mtu` octets. The packet stays where it is; each
# fragment is written into a buffer of the caller's. IPv4: RFC 791 3.2; a packet that is itself a fragment is cut
# further. IPv6: RFC 8200 4.5; only for packets of our own making, since nobody else may cut another's.
cdef struct fragmenter_t:
    const uint8_t *ip
    uint32_t head              # header of the packet, or IPv6's Per-Fragment headers: where what is cut starts
    uint32_t payload           # octets that are cut
    uint32_t offset            # of them, already written
    uint32_t base              # where in the original datagram they start
    uint32_t mtu
    uint32_t id                # IPv6
    uint32_t later_head        # IPv4: header of the second and later fragments
    uint32_t next_at           # IPv6: where the next header field that will say 44 stands
    uint8_t version
    uint8_t more               # IPv4: more fragments follow after this packet
    uint8_t later[60]          # IPv4: that header, with only the options that are copied

# `ip` must have passed parse_packet, or be of our own making; `length` is its own. `id` is for IPv6: unused lately
# between these two addresses. Answers 0, DROP_TOO_BIG when `mtu` has no room for 8 octets, or DROP_MALFORMED when it
# cannot be cut: IPv6 with a Fragment header, or headers that do not parse.
cdef int fragment_init(fragmenter_t *f, const uint8_t *ip, uint32_t length, uint32_t mtu, uint32_t id) noexcept nogil
# Largest fragment there will be, octets.
cdef uint32_t fragment_largest(const fragmenter_t *f) noexcept nogil
# Write the next fragment to `out`, which has room for fragment_largest(); its length, or 0 when there are no more.
cdef uint32_t fragment_next(fragmenter_t *f, uint8_t *out) noexcept nogil
