# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t, uintptr_t

from _fast.atomic cimport load_32, loadp
from _fast.bits cimport above, apart, chunk_of, prefetch, top_bit
from _fast.epoch cimport epoch_t
from _fast.pool cimport pool_t
from _fast.tnode cimport child_slot, inner_slot, tnode_t, visit_t
from _fast.word cimport HINT, LEAF, item_of

# Prefixes by the bits they share (_fast.tnode). Where there are many, the first 16 bits are one step, their stem: what a
# prefix of so many bits or less holds is in its table, and below each of the 65,536 values is a tree of the longer ones.
cdef enum:
    STEM_BITS = 16
    CELL_BITS = 13
    STEM_FROM = 32768          # prefixes that are worth its 2 MB;
    STEM_SOON = 24             # where a sanitizer looks, what tests and fuzzers come to
    STEM_SIZE = 1 << 21

# What a walk needs in any case is close together: for one value its tree's word, and for the eight that share 13 bits,
# a cell, which of their short prefixes there are. The words of those are asked for when their turn comes.
cdef struct cell_t:
    uintptr_t longer[8]        # a prefix of 13 + k bits, k at most 2, of which the last k are v: at (1 << k) - 1 + v

cdef struct stem_t:
    uintptr_t below[65536]     # the tree of the longer prefixes
    uint32_t short[8192]       # of a cell: bits ABOVE + n, a prefix of n bits, 12 at most; LONGER + place; OWN + last 3 bits
    cell_t cell[8192]
    uintptr_t own[65536]       # the prefix of just these 16 bits
    uintptr_t shorter[8192]    # a prefix of n bits, 12 at most, and value v: at (1 << n) + v

cdef enum:
    ABOVE = 0
    LONGER = 13
    OWN = 20

cdef struct trie_t:
    stem_t *stem               # NULL: none, and then
    uintptr_t root             # is a node or a leaf
    uint32_t count
    uint8_t side               # BY_SOURCE or BY_DESTINATION

# Add or replace; `old` gets the word replaced or 0. -1: no memory.
cdef int trie_put(trie_t *t, pool_t *pool, epoch_t *epoch, const uint64_t *key, uint8_t length, uintptr_t word,
                  uintptr_t *old) noexcept nogil
# The word of exactly this prefix, or 0; trie_cut takes it out too.
cdef uintptr_t trie_get(trie_t *t, const uint64_t *key, uint8_t length) noexcept nogil
cdef uintptr_t trie_cut(trie_t *t, pool_t *pool, epoch_t *epoch, const uint64_t *key, uint8_t length) noexcept nogil
# Every word, for a reader inside the epoch or with the mutex.
cdef void trie_visit(trie_t *t, visit_t visit, void *context) noexcept nogil
# The nodes and the stem go back once no reader is left; the items are the caller's.
cdef void trie_retire(trie_t *t, pool_t *pool, epoch_t *epoch) noexcept nogil
cdef void trie_free(trie_t *t) noexcept nogil      # the stem alone: nodes go with their pool
cdef uint64_t trie_octets(const trie_t *t) noexcept nogil      # of the stem

cdef inline unsigned longer_at(uint32_t value, unsigned length) noexcept nogil:
    return (1 << (length - CELL_BITS)) - 1 + ((value >> (STEM_BITS - length)) & ((1 << (length - CELL_BITS)) - 1))

# The place of a prefix of 16 bits or less.
cdef inline uintptr_t *stem_place(stem_t *stem, uint32_t value, unsigned length) noexcept nogil:
    if length < CELL_BITS:
        return &stem.shorter[(1 << length) + (value >> (STEM_BITS - length))]
    if length < STEM_BITS:
        return &stem.cell[value >> 3].longer[longer_at(value, length)]
    return &stem.own[value]

# What of a walk is next.
cdef enum:
    AT_STEM = 0                # the stem,
    AT_NODE = 1                # a node,
    AT_SLOT = 2                # or a place in one

cdef struct step_t:
    tnode_t *node
    uint64_t hit               # bits of inner that cover the address

# A walk down, and what it met on its way.
cdef struct trail_t:
    uintptr_t next             # a node's word, or a place
    uintptr_t leaf             # not yet compared
    int32_t count              # of steps
    uint32_t shorter           # bit n: a prefix of n bits, of the stem
    stem_t *stem
    uint32_t value             # the first 16 bits
    uint8_t at
    step_t steps[22]           # 128 bits of address, six at a time

# All of these answer whether the walk goes on, once memory that is on its way has come: at `at`, by the function of its
# name. At its end trail_next tells what it met.
cdef inline bint trail_start(trail_t *t, const trie_t *trie, uint64_t a) noexcept nogil:
    t.count = 0
    t.leaf = 0
    t.shorter = 0
    t.stem = <stem_t *>loadp(&trie.stem)
    if t.stem:
        t.value = <uint32_t>(a >> 48)
        prefetch(&t.stem.below[t.value])
        prefetch(&t.stem.short[t.value >> 3])
        t.at = AT_STEM
        return True
    t.value = 0
    return trail_below(t, <uintptr_t>loadp(&trie.root))

cdef inline bint trail_below(trail_t *t, uintptr_t word) noexcept nogil:
    cdef char *node
    if word == 0 or word & LEAF:
        t.leaf = word
        return False
    node = <char *>item_of(word)
    prefetch(node)
    prefetch(node + (word >> HINT))
    t.next = <uintptr_t>node
    t.at = AT_NODE
    return True

cdef inline bint trail_stem(trail_t *t) noexcept nogil:
    cdef uint64_t bits = load_32(&t.stem.short[t.value >> 3])
    t.shorter = <uint32_t>(bits & ((1 << LONGER) - 1) | (bits >> LONGER & 1) << 13
                           | (bits >> (LONGER + longer_at(t.value, 14)) & 1) << 14
                           | (bits >> (LONGER + longer_at(t.value, 15)) & 1) << 15
                           | (bits >> (OWN + (t.value & 7)) & 1) << 16)
    if t.shorter >> CELL_BITS:
        prefetch(&t.stem.cell[t.value >> 3])
        if t.shorter >> STEM_BITS:
            prefetch(&t.stem.own[t.value])
    return trail_below(t, <uintptr_t>loadp(&t.stem.below[t.value]))

cdef inline bint trail_node(trail_t *t, uint64_t a, uint64_t b) noexcept nogil:
    cdef tnode_t *n = <tnode_t *>t.next
    cdef uintptr_t *slot
    cdef uint64_t hit, bit
    cdef unsigned c
    if n.skipped and apart(a, b, n.slot[0], n.slot[1], n.depth):
        return False
    c = chunk_of(a, b, n.depth)
    hit = n.inner & above(c)
    if hit:
        t.steps[t.count].node = n
        t.steps[t.count].hit = hit
        t.count += 1
    bit = <uint64_t>1 << c
    if not n.outer & bit:
        return False
    slot = child_slot(n, bit)
    if <char *>slot - <char *>n >= 128:
        prefetch(slot)
        t.next = <uintptr_t>slot
        t.at = AT_SLOT
        return True
    return trail_below(t, <uintptr_t>loadp(slot))

cdef inline bint trail_slot(trail_t *t) noexcept nogil:
    return trail_below(t, <uintptr_t>loadp(<void *>t.next))

# The longest prefix that is left, taken from the trail; 0: none. The first may be a leaf that does not cover.
cdef inline uintptr_t trail_next(trail_t *t) noexcept nogil:
    cdef uintptr_t word = t.leaf
    cdef step_t *s
    cdef uint64_t bit
    cdef int n
    if word:
        t.leaf = 0
        return word
    while t.count:
        s = &t.steps[t.count - 1]
        bit = <uint64_t>1 << top_bit(s.hit)
        word = <uintptr_t>loadp(inner_slot(s.node, bit))
        s.hit &= ~bit
        if s.hit == 0:
            t.count -= 1
        if word:
            return word
    while t.shorter:
        n = top_bit(t.shorter)
        t.shorter &= ~(<uint32_t>1 << n)
        word = <uintptr_t>loadp(stem_place(t.stem, t.value, n))
        if word:
            return word
    return 0
