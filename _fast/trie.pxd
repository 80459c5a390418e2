# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t, uint64_t, uintptr_t

from _fast.atomic cimport loadp
from _fast.epoch cimport epoch_t
from _fast.pool cimport pool_t

cdef extern from * nogil:
    """
    #include <stdint.h>
    #if defined(__x86_64__)
    static int ow_has_popcnt = -1;
    static inline int ow_popcount(uint64_t x) {
        uint64_t n;
        if (__builtin_expect(ow_has_popcnt < 0, 0)) ow_has_popcnt = !!__builtin_cpu_supports("popcnt");
        if (!ow_has_popcnt) return __builtin_popcountll(x);
        __asm__("popcnt %1, %0" : "=r"(n) : "r"(x) : "cc");
        return (int)n;
    }
    #else
    #define ow_popcount(x) __builtin_popcountll(x)
    #endif
    /* Six bits of an address from bit `d` on, a multiple of six; the words are in host order. */
    static inline unsigned ow_chunk(uint64_t a, uint64_t b, unsigned d) {
        if (d < 60) return (a >> (58 - d)) & 63;
        if (d == 60) return ((a & 15) << 2) | (b >> 62);
        return d == 126 ? (b & 3) << 4 : (b >> (122 - d)) & 63;
    }
    /* Do the first `n` bits differ? */
    static inline int ow_apart(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned n) {
        if (n == 0) return 0;
        if (n <= 64) return ((a ^ c) >> (64 - n)) != 0;
        return a != c || ((b ^ d) >> (128 - n)) != 0;
    }
    /* How many bits agree, from the first on. */
    static inline unsigned ow_common(uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
        if (a != c) return __builtin_clzll(a ^ c);
        return b == d ? 128 : 64 + __builtin_clzll(b ^ d);
    }
    /* The prefixes of 0 to 5 bits that cover chunk `c`, as bits of `inner`. */
    static inline uint64_t ow_above(unsigned c) {
        return 1ULL | 1ULL << (1 + (c >> 5)) | 1ULL << (3 + (c >> 4)) | 1ULL << (7 + (c >> 3))
            | 1ULL << (15 + (c >> 2)) | 1ULL << (31 + (c >> 1));
    }
    #define ow_top(x) (63 - __builtin_clzll(x))
    #define ow_swab(x) __builtin_bswap64(x)
    #define ow_prefetch(p) __builtin_prefetch((const void *)(p))
    """
    int popcount "ow_popcount"(uint64_t x)
    unsigned chunk_of "ow_chunk"(uint64_t a, uint64_t b, unsigned d)
    bint apart "ow_apart"(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned n)
    unsigned common_bits "ow_common"(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
    uint64_t above "ow_above"(unsigned c)
    int top_bit "ow_top"(uint64_t x)
    uint64_t swab "ow_swab"(uint64_t x)
    void prefetch "ow_prefetch"(const void *p)

# A node looks at six bits of the address, from bit `depth` on; what lies between it and its parent is in its key, when
# there is anything. All of a node but its slots is fixed: a change is a new node, published in one store.
#
#     inner  outer  depth  | children, as many as outer has bits | prefixes, as many as inner | key, two words |
#
# A prefix that ends in these six bits is a bit of `inner`, (1 << n) - 1 + its n bits. A child is another node or, with
# its lowest bit set, a prefix that has no other below it. 0 is an empty slot.
cdef struct tnode_t:
    uint64_t inner
    uint64_t outer
    uint8_t depth
    uint8_t skipped            # has a key
    uintptr_t slot[1]

cdef enum:
    LEAF = 1                   # tags of a word: prefix without company, in a child's slot;
    GROUP = 2                  # not an eroute but a structure that starts with prefix_t
    TAGS = 3
    MOST_TRAIL = 22

cdef struct prefix_t:
    uint64_t key[2]            # as in the packet, masked
    uint8_t length

# Which prefixes of an item's eroute the trie is about.
cdef enum:
    BY_SOURCE = 0
    BY_DESTINATION = 1

cdef struct step_t:
    tnode_t *node
    uint64_t hit               # bits of inner that cover the address

cdef struct trail_t:
    int count
    step_t at[22]
    uintptr_t leaf             # not yet compared

cdef struct trie_t:
    uintptr_t root
    uint8_t side

# Add or replace; `old` gets the word replaced or 0. -1: no memory. `word` may carry GROUP.
cdef int trie_put(trie_t *t, pool_t *pool, epoch_t *epoch, const uint64_t *key, uint8_t length, uintptr_t word,
                  uintptr_t *old) noexcept nogil
# The word of exactly this prefix, or 0; trie_cut takes it out too.
cdef uintptr_t trie_get(trie_t *t, const uint64_t *key, uint8_t length) noexcept nogil
cdef uintptr_t trie_cut(trie_t *t, pool_t *pool, epoch_t *epoch, const uint64_t *key, uint8_t length) noexcept nogil
# Visit every word in the order of the tree, for a reader inside the epoch or with the mutex.
ctypedef void (*visit_t)(uintptr_t word, void *context) noexcept nogil
cdef void trie_visit(uintptr_t root, visit_t visit, void *context) noexcept nogil

cdef inline uintptr_t *child_slot(tnode_t *n, uint64_t bit) noexcept nogil:
    return &n.slot[popcount(n.outer & (bit - 1))]

cdef inline uintptr_t *inner_slot(tnode_t *n, uint64_t bit) noexcept nogil:
    return &n.slot[popcount(n.outer) + popcount(n.inner & (bit - 1))]

cdef inline uintptr_t *node_key(tnode_t *n) noexcept nogil:
    return &n.slot[popcount(n.outer) + popcount(n.inner)]

# One step down: answers where the next word is, or NULL.
cdef inline uintptr_t *trie_step(tnode_t *n, uint64_t a, uint64_t b, trail_t *trail) noexcept nogil:
    cdef uint64_t hit, bit
    cdef unsigned c
    cdef uintptr_t *key
    if n.skipped:
        key = node_key(n)
        if apart(a, b, key[0], key[1], n.depth):
            return NULL
    c = chunk_of(a, b, n.depth)
    hit = n.inner & above(c)
    if hit:
        trail.at[trail.count].node = n
        trail.at[trail.count].hit = hit
        trail.count += 1
    bit = <uint64_t>1 << c
    return child_slot(n, bit) if n.outer & bit else NULL

cdef inline void trie_walk(uintptr_t word, uint64_t a, uint64_t b, trail_t *trail) noexcept nogil:
    cdef uintptr_t *slot
    trail.count = 0
    while word and not word & LEAF:
        slot = trie_step(<tnode_t *>word, a, b, trail)
        word = <uintptr_t>loadp(slot) if slot else 0
    trail.leaf = word

# The longest prefix that is left on the trail, taken from it; 0: none. The first may be a leaf that does not cover.
cdef inline uintptr_t trail_next(trail_t *trail) noexcept nogil:
    cdef uintptr_t word = trail.leaf
    cdef step_t *s
    cdef uint64_t bit
    if word:
        trail.leaf = 0
        return word
    while trail.count:
        s = &trail.at[trail.count - 1]
        bit = <uint64_t>1 << top_bit(s.hit)
        word = <uintptr_t>loadp(inner_slot(s.node, bit))
        s.hit &= ~bit
        if s.hit == 0:
            trail.count -= 1
        if word:
            return word
    return 0
