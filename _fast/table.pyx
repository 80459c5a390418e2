# SPDX-License-Identifier: GPL-2.0-or-later
"""The hash table under the SA database and the eroute tuples: lock-free to read, one writer at a time.

Growing builds new nodes beside the old ones and publishes the new buckets in one store; a reader that walks the old
chains meanwhile sees them unchanged until its next quiescent point.
"""
from libc.stdint cimport uint64_t, uintptr_t

from _fast.atomic cimport alloc_zeroed, storep, wipe_free
from _fast.epoch cimport epoch_init, epoch_retire, epoch_drain, epoch_t, release_memory


cdef size_t buckets_size(uint64_t mask) noexcept nogil:
    return sizeof(buckets_t) + mask * sizeof(node_t *)


cdef void release_buckets(void *item, void *context) noexcept nogil:
    # Releases the nodes too: they belong to this set of buckets alone.
    cdef buckets_t *b = <buckets_t *>item
    cdef node_t *n
    cdef node_t *after
    cdef uint64_t i
    for i in range(b.mask + 1):
        n = b.head[i]
        while n:
            after = n.next
            wipe_free(n, sizeof(node_t))
            n = after
    wipe_free(b, buckets_size(b.mask))


cdef int table_init(table_t *t, epoch_t *epoch) noexcept nogil:
    t.count = 0
    t.epoch = epoch
    t.buckets = <buckets_t *>alloc_zeroed(buckets_size(7))
    if t.buckets == NULL:
        return -1
    t.buckets.mask = 7
    return 0


cdef int grow(table_t *t) noexcept nogil:
    cdef buckets_t *old = t.buckets
    cdef uint64_t mask = old.mask * 4 + 3
    cdef buckets_t *new = <buckets_t *>alloc_zeroed(buckets_size(mask))
    cdef node_t *n
    cdef node_t *copy
    cdef uint64_t i
    if new == NULL:
        return -1
    new.mask = mask
    for i in range(old.mask + 1):
        n = old.head[i]
        while n:
            copy = <node_t *>alloc_zeroed(sizeof(node_t))
            if copy == NULL:
                release_buckets(new, NULL)
                return -1
            copy.item = n.item
            copy.hash = n.hash
            copy.next = new.head[n.hash & mask]
            new.head[n.hash & mask] = copy
            n = n.next
    storep(&t.buckets, new)
    epoch_retire(t.epoch, old, release_buckets, NULL)
    return 0


cdef int table_add(table_t *t, uint64_t hash, void *item) noexcept nogil:
    cdef node_t *n
    if t.count > t.buckets.mask:
        grow(t)                # a refusal only makes chains longer
    n = <node_t *>alloc_zeroed(sizeof(node_t))
    if n == NULL:
        return -1
    n.item = item
    n.hash = hash
    n.next = t.buckets.head[hash & t.buckets.mask]
    storep(&t.buckets.head[hash & t.buckets.mask], n)
    t.count += 1
    return 0


cdef bint table_swap(table_t *t, uint64_t hash, void *old, void *new) noexcept nogil:
    cdef node_t *n = table_first(t, hash)
    while n:
        if n.item == old:
            storep(&n.item, new)
            return True
        n = n.next
    return False


cdef bint table_remove(table_t *t, uint64_t hash, void *item) noexcept nogil:
    cdef node_t **link = &t.buckets.head[hash & t.buckets.mask]
    cdef node_t *n = link[0]
    while n:
        if n.item == item:
            storep(link, n.next)
            t.count -= 1
            epoch_retire(t.epoch, n, release_memory, <void *><uintptr_t>sizeof(node_t))
            return True
        link = &n.next
        n = n.next
    return False


cdef void table_free(table_t *t) noexcept nogil:
    if t.buckets:
        release_buckets(t.buckets, NULL)
        t.buckets = NULL


cdef class Table:
    """A table of small integers, for tests."""

    cdef table_t t
    cdef epoch_t e

    def __cinit__(self):
        epoch_init(&self.e)
        if table_init(&self.t, &self.e):
            raise MemoryError

    def add(self, uint64_t hash, uint64_t item):
        """Add `item` (not 0) under `hash`."""
        if table_add(&self.t, hash, <void *><uintptr_t>item):
            raise MemoryError

    def remove(self, uint64_t hash, uint64_t item):
        """Remove one; False when it is not there."""
        return table_remove(&self.t, hash, <void *><uintptr_t>item)

    def swap(self, uint64_t hash, uint64_t old, uint64_t new):
        """Replace one in place; False when it is not there."""
        return table_swap(&self.t, hash, <void *><uintptr_t>old, <void *><uintptr_t>new)

    def find(self, uint64_t hash):
        """Every item under exactly this hash."""
        cdef node_t *n = table_first(&self.t, hash)
        found = []
        while n:
            if n.hash == hash:
                found.append(<uint64_t><uintptr_t>n.item)
            n = table_next(n)
        return found

    def __len__(self):
        return self.t.count

    def __dealloc__(self):
        epoch_drain(&self.e)
        table_free(&self.t)
