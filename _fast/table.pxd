# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint64_t

from _fast.epoch cimport epoch_t
from _fast.atomic cimport loadp

# A hash table of pointers, read without locks, changed under the engine's mutex. The caller hashes and compares.
cdef struct node_t:
    node_t *next
    void *item
    uint64_t hash

cdef struct buckets_t:
    uint64_t mask
    node_t *head[1]            # mask + 1 of them

cdef struct table_t:
    buckets_t *buckets
    uint64_t count
    epoch_t *epoch

cdef int table_init(table_t *t, epoch_t *epoch) noexcept nogil
cdef int table_add(table_t *t, uint64_t hash, void *item) noexcept nogil
cdef bint table_swap(table_t *t, uint64_t hash, void *old, void *new) noexcept nogil
cdef bint table_remove(table_t *t, uint64_t hash, void *item) noexcept nogil
cdef void table_free(table_t *t) noexcept nogil

cdef inline node_t *table_first(table_t *t, uint64_t hash) noexcept nogil:
    cdef buckets_t *b = <buckets_t *>loadp(&t.buckets)
    return <node_t *>loadp(&b.head[hash & b.mask])

cdef inline node_t *table_next(node_t *n) noexcept nogil:
    return <node_t *>loadp(&n.next)
