# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t, uint64_t

cdef extern from * nogil:
    """
    #include <stdint.h>
    #include <sys/mman.h>
    /* A sanitizer must see every piece by itself, or it would not notice the use of one that was given back. */
    #if defined(__has_feature)
    #if __has_feature(address_sanitizer)
    #define OW_SINGLY 1
    #endif
    #endif
    #if !defined(OW_SINGLY) && defined(__SANITIZE_ADDRESS__)
    #define OW_SINGLY 1
    #elif !defined(OW_SINGLY)
    #define OW_SINGLY 0
    #endif
    /* `size` octets, a power of two, on a boundary of their own size. */
    static void *ow_block(size_t size) {
        uint8_t *p = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        size_t head;
        if (p == MAP_FAILED) return NULL;
        head = (size - ((uintptr_t)p & (size - 1))) & (size - 1);
        if (head) munmap(p, head);
        munmap(p + head + size, size - head);
        madvise(p + head, size, MADV_HUGEPAGE);
        return p + head;
    }
    """
    bint SINGLY "OW_SINGLY"
    void *map_block "ow_block"(size_t size)
    int munmap(void *p, size_t size)

cdef enum:
    LINE = 64
    MOST_LINES = 18            # the largest piece: a full node of _fast.tnode

# Pieces of one to MOST_LINES cache lines, cut from large blocks that the kernel may back with huge pages: a million of
# them cost a look-up neither malloc's headers nor a walk of the page tables. What is given back serves pieces of its
# own size again; the system gets the blocks back in pool_free. All under the engine's mutex.
cdef struct block_t:
    block_t *next
    block_t *before            # only under a sanitizer, where every piece is a block
    uint64_t size

cdef struct pool_t:
    void *spare[19]            # by lines
    block_t *blocks
    uint8_t *at
    uint8_t *end
    uint64_t octets            # of all blocks
    uint64_t used              # in pieces that are out

cdef void *pool_take(pool_t *p, uint64_t size) noexcept nogil      # zeroed, on a line of its own; NULL: no memory
cdef void pool_give(pool_t *p, void *item, uint64_t size) noexcept nogil
cdef void pool_free(pool_t *p) noexcept nogil
