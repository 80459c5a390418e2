# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from _fast.types cimport packet_info_t

# Cuts what was read from a TUN (virtio_net_hdr, then one packet or a TSO/USO super-packet) into packets for the wire.
cdef enum:
    FRONT = 128                # headers longer than this are never put in place

cdef struct segmenter_t:
    const uint8_t *ip
    uint32_t length
    uint32_t l4
    uint32_t head
    uint32_t mss
    uint32_t offset
    uint32_t sequence
    uint16_t id
    uint16_t csum_start
    uint16_t csum_offset
    uint8_t kind               # 0 one packet, 6 TCP, 17 UDP
    uint8_t version
    uint8_t needs_csum
    uint8_t done
    # Sums that are the same for every segment: of the IPv4 header without length, identification and checksum; of
    # pseudo header and transport header without lengths, sequence number, flags and checksum.
    uint64_t ip_sum
    uint64_t l4_sum
    uint8_t front[128]         # the headers, once those of the frame are written over

# `frame` starts with the vnet header. 0 or a drop reason. `limit`: largest packet wanted, 0 for no limit; TCP is cut
# smaller to fit, nothing else is.
cdef int segment_init(segmenter_t *s, const uint8_t *frame, uint32_t length, const packet_info_t *info,
                      uint32_t limit) noexcept nogil
cdef uint32_t segment_largest(const segmenter_t *s) noexcept nogil
# Write the next packet to `out`, which has room for segment_largest(); 0 when there are no more.
cdef uint32_t segment_next(segmenter_t *s, uint8_t *out) noexcept nogil
# How many packets there will be, and their octets together.
cdef uint32_t segment_count(const segmenter_t *s, uint64_t *octets) noexcept nogil
# The next packet where its payload stands in the frame, which must be writable; what came before it there is written
# over. Answers its length, 0 when there are no more. One frame goes all by this or all by segment_next, this only when
# segment_placeable.
cdef uint32_t segment_place(segmenter_t *s, uint8_t **packet) noexcept nogil

cdef inline bint segment_placeable(const segmenter_t *s) noexcept nogil:
    return s.kind == 0 or s.head <= FRONT
