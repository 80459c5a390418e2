# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t, uint64_t, uintptr_t

from _fast.atomic cimport loadp, mum
from _fast.epoch cimport epoch_t
from _fast.word cimport GROUP, TAGS
from _fast.types cimport eroute_t

cdef extern from * nogil:
    """
    #include <stdint.h>
    /* The words of a line with this tag, as bits. */
    static inline unsigned ow_tagged(const uint64_t *line, uint64_t tag) {
        unsigned found = 0;
        for (int i = 0; i < 8; i++)
            found |= (unsigned)((__atomic_load_n(&line[i], __ATOMIC_RELAXED) >> 48) == tag) << i;
        return found;
    }
    #define ow_lowest(x) __builtin_ctz(x)
    """
    unsigned tagged "ow_tagged"(const uintptr_t *line, uint64_t tag)
    int lowest "ow_lowest"(unsigned x)

# Pairs of hosts, each an eroute or (GROUP) something that starts with a host_pair_t, under a keyed hash of the two addresses:
# one line of the cache says whether a pair is there, another is the pair.
#
#     hash  | tag, 16 bits |  ...  | line |        word of a line  | tag | address of the pair, 48 bits with its tags |
#
# A line takes eight. The ninth is refused and is the caller's, so that a look-up ends with its line.
cdef enum:
    FRONT_WAYS = 8
    FRONT_FILL = 4             # a line, on average, when the lines are doubled

cdef struct host_pair_t:
    uint64_t dst[2]            # first, with its length: what a prefix_t of _fast.tnode has
    uint8_t length
    uint8_t version
    uint64_t src[2]

cdef struct lines_t:
    uint64_t mask
    uintptr_t *words

cdef struct front_t:
    lines_t *lines             # NULL: none yet
    uint64_t count
    uint64_t seed[2]
    epoch_t *epoch

cdef void front_init(front_t *f, epoch_t *epoch, const uint64_t *seed) noexcept nogil
cdef void front_free(front_t *f) noexcept nogil
# False: no room in its line, or no memory. The pair must not be there.
cdef bint front_add(front_t *f, uintptr_t word) noexcept nogil
# Put `word`, of the same pair, in the place of `old`; 0: take it out.
cdef void front_swap(front_t *f, uintptr_t old, uintptr_t word) noexcept nogil
cdef void front_visit(front_t *f, void (*visit)(uintptr_t word, void *context) noexcept nogil, void *context) noexcept nogil
cdef uint64_t front_octets(const front_t *f) noexcept nogil

cdef inline uint64_t front_hash(const front_t *f, const uint64_t *src, const uint64_t *dst) noexcept nogil:
    cdef uint64_t hash = mum(src[0] ^ f.seed[0], dst[0] ^ f.seed[1])
    if src[1] or dst[1]:
        hash ^= mum(src[1] ^ f.seed[1], dst[1] ^ hash)
    # Once more: addresses that count up in step would crowd in some lines.
    return mum(hash ^ f.seed[1], <uint64_t>0x9E3779B97F4A7C15)

cdef inline uint64_t front_tag(uint64_t hash) noexcept nogil:
    return (hash >> 48) | 1    # an empty word has none

cdef inline uintptr_t *front_line(const lines_t *lines, uint64_t hash) noexcept nogil:
    return &lines.words[(hash & lines.mask) * FRONT_WAYS]

cdef inline uintptr_t untagged(uintptr_t word) noexcept nogil:
    return word & ((<uintptr_t>1 << 48) - 1)

cdef inline bint front_is(uintptr_t word, const uint64_t *src, const uint64_t *dst, uint8_t version) noexcept nogil:
    cdef eroute_t *e
    cdef host_pair_t *p
    if word & GROUP:
        p = <host_pair_t *>(word & ~<uintptr_t>TAGS)
        return (p.src[0] == src[0] and p.dst[0] == dst[0] and p.src[1] == src[1] and p.dst[1] == dst[1]
                and p.version == version)
    e = <eroute_t *>word
    return (e.src[0] == src[0] and e.dst[0] == dst[0] and e.src[1] == src[1] and e.dst[1] == dst[1]
            and e.version == version)

# The word of a pair, or 0.
cdef inline uintptr_t front_get(const front_t *f, uint64_t hash, const uint64_t *src, const uint64_t *dst,
                                uint8_t version) noexcept nogil:
    cdef lines_t *lines = <lines_t *>loadp(&f.lines)
    cdef uintptr_t *line
    cdef uintptr_t word
    cdef unsigned found
    if lines == NULL:
        return 0
    line = front_line(lines, hash)
    found = tagged(line, front_tag(hash))
    while found:
        # Another may have taken the place since.
        word = untagged(<uintptr_t>loadp(&line[lowest(found)]))
        if word and front_is(word, src, dst, version):
            return word
        found &= found - 1
    return 0
