# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from _fast.types cimport packet_info_t

cdef enum:
    JOIN_PLACES = 32           # datagrams under way at once
    JOIN_OF_PAIR = 8           # of them between the same two addresses
    JOIN_RANGES = 64           # stretches of one datagram that are there, with holes between them
    JOIN_HEAD = 256            # octets of header before what was cut
    JOIN_NS = 5000000000       # after which a datagram is given up; far less than IPv4 needs to use an identification again
    JOIN_KEPT = -1
    JOIN_ROOM = 65536 + 512    # JOIN_HEAD, a vnet header, and the largest packet, in whole pages' worth
    GSO_JOINED = 0x7E          # vnet gso_type of a frame made here; no kernel has it

cdef struct range_t:
    uint32_t start
    uint32_t end

# One datagram under way.
cdef struct joining_t:
    uint64_t began             # ns; 0: place free
    uint64_t owner             # pieces of different owners never meet: the SA they came out of, or 0 going out
    uint64_t src[2]
    uint64_t dst[2]
    uint32_t ident
    uint32_t end               # octets that were cut, 0: the last piece is not there yet
    uint32_t head              # octets of the first piece's headers, 0: it is not there yet
    uint32_t next_at           # IPv6: of the octet that said 44
    uint32_t count             # pieces
    uint32_t used              # ranges
    uint16_t largest           # piece, octets as it came
    uint8_t version
    uint8_t proto
    uint8_t next_header        # IPv6: of the first piece's Fragment header
    uint8_t spoilt             # pieces overlapped: what still comes goes the same way (RFC 5722 4)
    uint8_t ce                 # a piece bore a congestion mark,
    uint8_t deaf               # or came from a transport that knows none
    range_t ranges[64]         # in order, none touching the next

cdef struct join_t:
    joining_t places[33]       # the last for an IPv6 packet in one fragment, which meets no other (RFC 6946)
    uint8_t *memory            # JOIN_ROOM octets a place
    uint64_t made              # pieces of the datagrams that became whole, for who keeps accounts

# NULL without memory.
cdef join_t *join_new() noexcept nogil
cdef void join_free(join_t *j) noexcept nogil
# One fragment. 0: it was the last that was missing, and the whole packet is at frame[0][VNET_LEN:length], behind a vnet
# header that marks it, until the next join_put. JOIN_KEPT: others must come first. Else a drop reason for it and
# `pieces` - 1 others. What had to go to make room or was too old is added to `lost`.
cdef int join_put(join_t *j, uint64_t now, uint64_t owner, const uint8_t *packet, const packet_info_t *info,
                  uint8_t **frame, uint32_t *length, uint32_t *pieces, uint64_t *lost) noexcept nogil
# What parse_packet cannot know of a frame made here: it may be cut again, to which size, and under which number.
cdef void join_recall(const uint8_t *frame, packet_info_t *info) noexcept nogil
