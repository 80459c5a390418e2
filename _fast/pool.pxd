# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t, uint64_t

cdef enum:
    LINE = 64
    MOST_LINES = 18            # the largest piece: a full node of _fast.trie

# Pieces of one to MOST_LINES cache lines, cut from large blocks that the kernel may back with huge pages: a million of
# them cost a look-up neither malloc's headers nor a walk of the page tables. What is given back serves pieces of its
# own size again; the system gets the blocks back in pool_free. All under the engine's mutex.
cdef struct block_t:
    block_t *next
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
