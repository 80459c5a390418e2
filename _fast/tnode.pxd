# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t, uint64_t, uintptr_t

from _fast.bits cimport popcount
from _fast.epoch cimport epoch_t
from _fast.pool cimport pool_t

# A node looks at six bits of the address, from bit `depth` on; what lies between it and its parent is in its key, when
# there is anything. All of a node but its words is fixed: a change is a new node, published in one store.
#
#     inner  outer  depth | key, two words | children, as many as outer has bits | prefixes, as many as inner |
#
# A prefix that ends in these six bits is a bit of `inner`, (1 << n) - 1 + its n bits. A child is another node or, with
# LEAF, a prefix that has no other below it.
cdef struct tnode_t:
    uint64_t inner
    uint64_t outer
    uint8_t depth
    uint8_t skipped            # words of its key: 2, or 0 when there is nothing between
    uintptr_t slot[1]

# Which prefix of an item is meant: with GROUP it starts with a prefix_t, else it is an eroute.
cdef enum:
    BY_SOURCE = 0
    BY_DESTINATION = 1

cdef struct prefix_t:
    uint64_t key[2]            # as in the packet, masked
    uint8_t length

# Where nodes come from, and whose they are.
cdef struct soil_t:
    pool_t *pool
    epoch_t *epoch
    uint8_t side
    uint8_t base               # depth of the first node below the place

# Below a place that holds 0, a node or a leaf, add or replace; `old` gets the word replaced or 0. -1: no memory.
cdef int nodes_put(const soil_t *s, uintptr_t *place, const uint64_t *key, uint8_t length, uintptr_t word,
                   uintptr_t *old) noexcept nogil
# The word of exactly this prefix, or 0; nodes_cut takes it out, which must be there.
cdef uintptr_t nodes_get(uintptr_t at, uint8_t side, const uint64_t *key, uint8_t length) noexcept nogil
# The prefix a word stands for, in host order.
cdef void pick(uintptr_t word, uint8_t side, uint64_t *a, uint64_t *b, uint8_t *length) noexcept nogil
cdef void nodes_cut(const soil_t *s, uintptr_t *place, const uint64_t *key, uint8_t length) noexcept nogil
# Visit every word in the order of the tree, for a reader inside the epoch or with the mutex.
ctypedef void (*visit_t)(uintptr_t word, void *context) noexcept nogil
cdef void nodes_visit(uintptr_t at, visit_t visit, void *context) noexcept nogil
# Every node goes back to the pool once no reader is left; the items are the caller's.
cdef void nodes_retire(const soil_t *s, uintptr_t at) noexcept nogil

cdef inline uintptr_t *child_slot(tnode_t *n, uint64_t bit) noexcept nogil:
    return &n.slot[n.skipped + popcount(n.outer & (bit - 1))]

cdef inline uintptr_t *inner_slot(tnode_t *n, uint64_t bit) noexcept nogil:
    return &n.slot[n.skipped + popcount(n.outer) + popcount(n.inner & (bit - 1))]
