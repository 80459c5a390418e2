# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint64_t

cdef enum:
    SLOT_BITS = 24             # of a handle, the rest counts up

# What was taken out is named by its handle, which nothing else ever is: its slot's place, and above it a number that
# grows, so that handles sort by age. Bit 62 is set in all of them. For one thread.
cdef struct slot_t:
    uint64_t handle            # 0: free
    void *item                 # of a free slot: the next free one, its place + 1

cdef struct handles_t:
    slot_t *slots
    uint64_t room
    uint64_t used              # slots that ever were
    uint64_t free              # the first free one, its place + 1; 0: none
    uint64_t number

# 0: no memory, or too many.
cdef uint64_t handle_new(handles_t *h, void *item) noexcept nogil
# NULL when there is no such handle (any more).
cdef void *handle_item(const handles_t *h, uint64_t handle) noexcept nogil
cdef void handle_drop(handles_t *h, uint64_t handle) noexcept nogil
cdef void handles_free(handles_t *h) noexcept nogil
