# SPDX-License-Identifier: GPL-2.0-or-later
# Words of the eroute table's trees, inline. Where one leads is a piece of _fast.pool, on a line of the cache, so that an
# address leaves 20 bits for a hint: what the packet must look like for the way to be worth a wait for memory.
#
#     hint, 20 bits  | address / 64, 42 bits | GROUP | LEAF |        0 is an empty place
#
# The hint of a pair, or of a source with no other pair: its destination's length (8 bits), and the last 12 bits of that
# prefix. Of a source with several (GROUP): of 16 stretches of destinations, those that it has something in, and whether
# it has a second line. Of a node: how far that is from the first, 0 when there is none.
from libc.stdint cimport uint8_t, uint64_t, uintptr_t

from _fast.bits cimport swab, tail_of

cdef enum:
    LEAF = 1                   # a prefix without company, in a child's place of a node; the walk has not compared it
    GROUP = 2                  # not an eroute but what holds several
    TAGS = 3
    HINT = 44                  # bits below the hint
    SECOND_LINE = 1 << 19      # in the hint of a source_t

cdef inline void *item_of(uintptr_t word) noexcept nogil:
    return <void *>((word << 4) & <uintptr_t>0xFFFFFFFFFFC0)

cdef inline uintptr_t word_of(const void *item, unsigned kind, uint64_t hint) noexcept nogil:
    return hint << HINT | <uintptr_t>item >> 4 | kind

cdef inline uint64_t hint_of(const uint64_t *dst, uint8_t length) noexcept nogil:
    return <uint64_t>length << 12 | tail_of(swab(dst[0]), swab(dst[1]), length)

# May the destination (host order) be one of this pair's? Wrongly yes for one of 4096, where there are that many bits.
cdef inline bint hinted(uintptr_t word, uint64_t a, uint64_t b) noexcept nogil:
    return (((word >> HINT) ^ tail_of(a, b, <unsigned>(word >> 56))) & 4095) == 0

# In which of 16 stretches a destination is: by its first four bits, of IPv6 by the second four, since all global unicast
# addresses begin with 001.
cdef inline unsigned stretch_of(uint64_t a, uint8_t version) noexcept nogil:
    return <unsigned>(a >> (60 if version == 4 else 56)) & 15

cdef inline uint64_t stretches_of(uint64_t a, uint8_t length, uint8_t version) noexcept nogil:
    # Of a prefix, as bits.
    cdef unsigned at = stretch_of(a, version), n = length if version == 4 else length - 4 if length > 4 else 0
    if n >= 4:
        return <uint64_t>1 << at
    at &= ~((16 >> n) - 1)
    return ((<uint64_t>1 << (16 >> n)) - 1) << at
