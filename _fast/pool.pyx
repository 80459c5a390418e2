# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory in cache lines for the eroute table. A zeroed pool_t is an empty pool."""
from libc.stdint cimport uint8_t, uint64_t, uintptr_t
from libc.string cimport memset

cdef extern from * nogil:
    """
    #include <stdlib.h>
    #include <string.h>
    """
    int posix_memalign(void **p, size_t boundary, size_t size)
    void free(void *p)

cdef enum:
    SMALLEST = 1 << 16
    LARGEST = 1 << 21


cdef inline uint64_t lines_of(uint64_t size) noexcept nogil:
    return (size + LINE - 1) // LINE


cdef bint more(pool_t *p) noexcept nogil:
    # Blocks double until they fill a huge page, so that a small table stays small.
    cdef uint64_t size = SMALLEST
    cdef block_t *b
    while size < LARGEST and size < p.octets:
        size *= 2
    b = <block_t *>map_block(size)
    if b == NULL:
        return False
    b.next = p.blocks
    b.size = size
    p.blocks = b
    p.octets += size
    p.at = <uint8_t *>b + LINE
    p.end = <uint8_t *>b + size
    return True


cdef void *take_singly(pool_t *p, uint64_t size) noexcept nogil:
    # Behind a line that links it to the others, so that pool_free finds it.
    cdef void *raw = NULL
    cdef block_t *b
    if posix_memalign(&raw, LINE, LINE + size):
        return NULL
    memset(raw, 0, LINE + size)
    b = <block_t *>raw
    b.next = p.blocks
    if p.blocks:
        p.blocks.before = b
    p.blocks = b
    return <uint8_t *>raw + LINE


cdef void give_singly(pool_t *p, void *item) noexcept nogil:
    cdef block_t *b = <block_t *>(<uint8_t *>item - LINE)
    if b.next:
        b.next.before = b.before
    if b.before:
        b.before.next = b.next
    else:
        p.blocks = b.next
    free(b)


cdef void *pool_take(pool_t *p, uint64_t size) noexcept nogil:
    cdef uint64_t n = lines_of(size)
    cdef void *item
    if n > MOST_LINES:
        return NULL
    if SINGLY:
        item = take_singly(p, size)
        p.octets += n * LINE if item else 0
    elif p.spare[n]:
        item = p.spare[n]
        p.spare[n] = (<void **>item)[0]
        memset(item, 0, n * LINE)
    else:
        # What is left of a block when a large piece does not fit becomes small ones.
        while <uint64_t>(p.end - p.at) < n * LINE:
            while p.at != p.end:
                (<void **>p.at)[0] = p.spare[1]
                p.spare[1] = p.at
                p.at += LINE
            if not more(p):
                return NULL
        item = p.at            # zeroed: fresh from the system
        p.at += n * LINE
    if item:
        p.used += n * LINE
    return item


cdef void pool_give(pool_t *p, void *item, uint64_t size) noexcept nogil:
    cdef uint64_t n = lines_of(size)
    if item == NULL:
        return
    p.used -= n * LINE
    if SINGLY:
        p.octets -= n * LINE
        give_singly(p, item)
        return
    (<void **>item)[0] = p.spare[n]
    p.spare[n] = item


cdef void pool_free(pool_t *p) noexcept nogil:
    cdef block_t *b = p.blocks
    cdef block_t *after
    while b:
        after = b.next
        if SINGLY:
            free(b)
        else:
            munmap(b, b.size)
        b = after
    memset(p, 0, sizeof(pool_t))


cdef class Pool:
    """A pool by itself, for tests: pieces are named by their addresses."""

    cdef pool_t p

    def take(self, uint64_t size):
        """The address of a new piece; MemoryError for one too large. Fills it, so that overlaps show."""
        cdef uint8_t *item = <uint8_t *>pool_take(&self.p, size)
        cdef uint64_t i
        if item == NULL:
            raise MemoryError
        for i in range(size):
            if item[i]:
                raise AssertionError("not zeroed")
        memset(item, 0xAA, size)
        return <uintptr_t>item

    def give(self, uintptr_t item, uint64_t size):
        """Give a piece back."""
        pool_give(&self.p, <void *>item, size)

    @property
    def octets(self):
        """(in use, taken from the system)."""
        return (self.p.used, self.p.octets)

    def __dealloc__(self):
        pool_free(&self.p)
