# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy

from _fast.atomic cimport store_sc
from _fast.epoch cimport epoch_t
from _fast.front cimport front_t
from _fast.pool cimport pool_t
from _fast.trie cimport trie_t
from _fast.types cimport eroute_t, flow_t

cdef enum:
    CHANGES = 64               # remembered, a power of two
    LOOK_BACK = 24             # how many of them a flow cache goes through before it asks the table
    MATCH_BATCH = 64

cdef struct change_t:
    uint64_t src[2]
    uint64_t dst[2]
    uint8_t srclen
    uint8_t dstlen
    uint8_t version

# The pairs of one source's and one destination's prefix length, other than hosts (_fast.common).
cdef struct common_t:
    front_t pairs
    uint8_t srclen
    uint8_t dstlen
    uint64_t src[2]            # masks
    uint64_t dst[2]
    uint64_t beaten            # eroutes in the trees that are more specific; 0: what is found among the pairs decides

cdef struct radij_t:
    front_t hosts              # pairs of hosts; one whose line is full is in the trees
    common_t *common[2]        # IPv4, IPv6: of the lengths most eroutes have; NULL: none
    trie_t sources[2]          # the trees of the others; what their words lead to is in _fast.source
    uint64_t generation        # grows with every change
    change_t changes[64]       # change number n is at n % CHANGES
    uint64_t count
    uint64_t seed[2]
    epoch_t *epoch
    pool_t pool                # of eroutes too

cdef struct cached_t:
    flow_t flow
    uint64_t generation
    eroute_t *eroute

cdef int radij_init(radij_t *r, epoch_t *epoch) noexcept nogil
# Frees the eroutes too; nobody may use them or the table any more, and the epoch must be drained.
cdef void radij_free(radij_t *r) noexcept nogil
# A zeroed eroute, and its release for epoch_retire (the context is the table). With the engine's mutex.
cdef eroute_t *radij_new(radij_t *r) noexcept nogil
cdef void radij_release(void *item, void *context) noexcept nogil
# Put `e` in; an eroute of the same key is replaced in one store and answered (the caller retires it). -1: no memory.
cdef int radij_set(radij_t *r, eroute_t *e, eroute_t **replaced) noexcept nogil
cdef bint radij_remove(radij_t *r, eroute_t *e) noexcept nogil
cdef eroute_t *radij_find(radij_t *r, const eroute_t *key) noexcept nogil
# The most specific eroute that covers the flow, or NULL. `narrow` False passes over holds the engine made itself.
cdef eroute_t *radij_match(radij_t *r, const flow_t *flow, bint narrow) noexcept nogil
# The same for up to MATCH_BATCH flows, whose memory is fetched side by side.
cdef void radij_match_batch(radij_t *r, const flow_t **flows, int count, eroute_t **found) noexcept nogil
cdef eroute_t *radij_cached(radij_t *r, cached_t *cache, uint64_t mask, const flow_t *flow) noexcept nogil
# Every eroute, into `rows`, `room` of them; answers how many there are. For the mutex's holder or inside the epoch.
cdef uint64_t radij_rows(radij_t *r, eroute_t **rows, uint64_t room) noexcept nogil
# Memory in use: eroutes, trees, lines.
cdef uint64_t radij_octets(radij_t *r) noexcept nogil
# Does `outer`'s key cover all of `inner`'s?
cdef bint radij_covers(const eroute_t *outer, const eroute_t *inner) noexcept nogil
# Of two eroutes that cover a flow the one of greater rank decides.
cdef uint32_t radij_rank(const eroute_t *e) noexcept nogil
cdef void fill_key(eroute_t *e, tuple key) except *
cdef void flow_from(flow_t *f, tuple flow) except *

cdef inline int family_of(uint8_t version) noexcept nogil:
    return 0 if version == 4 else 1

cdef inline trie_t *sources_of(radij_t *r, uint8_t version) noexcept nogil:
    return &r.sources[family_of(version)]

cdef inline bint same_key(const eroute_t *a, const eroute_t *b) noexcept nogil:
    return (a.src[0] == b.src[0] and a.src[1] == b.src[1] and a.dst[0] == b.dst[0] and a.dst[1] == b.dst[1]
            and a.sport == b.sport and a.dport == b.dport and a.proto == b.proto and a.version == b.version
            and a.srclen == b.srclen and a.dstlen == b.dstlen)

# Of two with one source.
cdef inline bint same_pair(const eroute_t *a, const eroute_t *b) noexcept nogil:
    return a.dst[0] == b.dst[0] and a.dst[1] == b.dst[1] and a.dstlen == b.dstlen

# For the writer, once a change can be seen. Its words first, then its number: who reads a number may read the words.
cdef inline void changed(radij_t *r, const eroute_t *e) noexcept nogil:
    cdef uint64_t number = r.generation + 1
    cdef change_t *c = &r.changes[number & (CHANGES - 1)]
    memcpy(c.src, e.src, 16)
    memcpy(c.dst, e.dst, 16)
    c.srclen = e.srclen
    c.dstlen = e.dstlen
    c.version = e.version
    store_sc(&r.generation, number)

cdef inline bint same_flow(const flow_t *a, const flow_t *b) noexcept nogil:
    # Field by field: the last ones have just been written one by one, and a read across writes waits for all of them.
    return (a.src[0] == b.src[0] and a.dst[0] == b.dst[0] and a.sport == b.sport and a.dport == b.dport
            and a.proto == b.proto and a.version == b.version and a.fragment == b.fragment
            and a.src[1] == b.src[1] and a.dst[1] == b.dst[1])
