# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory in cache lines for the eroute table. A zeroed pool_t is an empty pool."""
from libc.stdint cimport uint8_t, uint64_t, uintptr_t
from libc.string cimport memset

from _fast.atomic cimport alloc_zeroed, wipe_free

cdef extern from * nogil:
    """
    /* A sanitizer must see every piece by itself, or it would not notice the use of one that was given back. */
    #ifdef __SANITIZE_ADDRESS__
    #define OW_SINGLY 1
    #else
    #define OW_SINGLY 0
    #endif
    """
    bint SINGLY "OW_SINGLY"

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


cdef void *pool_take(pool_t *p, uint64_t size) noexcept nogil:
    cdef uint64_t n = lines_of(size)
    cdef void *item
    if n > MOST_LINES:
        return NULL
    if SINGLY:
        item = alloc_zeroed(n * LINE)
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
        wipe_free(item, n * LINE)
        return
    (<void **>item)[0] = p.spare[n]
    p.spare[n] = item


cdef void pool_free(pool_t *p) noexcept nogil:
    cdef block_t *b = p.blocks
    cdef block_t *after
    while b:
        after = b.next
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
