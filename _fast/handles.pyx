# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers for what the engine's owner may name: an array, so that one costs sixteen octets. Zeroed, it is empty."""
from libc.stdint cimport uint64_t, uintptr_t
from libc.stdlib cimport free, realloc

cdef uint64_t MARK = <uint64_t>1 << 62


cdef uint64_t handle_new(handles_t *h, void *item) noexcept nogil:
    cdef slot_t *more
    cdef slot_t *s
    cdef uint64_t at, room
    if h.free:
        at = h.free - 1
        h.free = <uint64_t><uintptr_t>h.slots[at].item
    else:
        if h.used == h.room:
            # By an eighth: a copy now and then, little that lies idle.
            room = h.room + h.room // 8 + 64
            more = <slot_t *>realloc(h.slots, room * sizeof(slot_t)) if room < 1 << SLOT_BITS else NULL
            if more == NULL:
                return 0
            h.slots, h.room = more, room
        at = h.used
        h.used += 1
    h.number += 1
    s = &h.slots[at]
    s.handle = MARK | h.number << SLOT_BITS | at
    s.item = item
    return s.handle


cdef void *handle_item(const handles_t *h, uint64_t handle) noexcept nogil:
    cdef uint64_t at = handle & ((1 << SLOT_BITS) - 1)
    return h.slots[at].item if handle and at < h.used and h.slots[at].handle == handle else NULL


cdef void handle_drop(handles_t *h, uint64_t handle) noexcept nogil:
    cdef uint64_t at = handle & ((1 << SLOT_BITS) - 1)
    if handle_item(h, handle) == NULL:
        return
    h.slots[at].handle = 0
    h.slots[at].item = <void *><uintptr_t>h.free
    h.free = at + 1


cdef void handles_free(handles_t *h) noexcept nogil:
    free(h.slots)
    h.slots = NULL
    h.room = h.used = h.free = 0


cdef class Handles:
    """Handles of small integers, for tests."""

    cdef handles_t h

    def new(self, uintptr_t item):
        """The handle of `item` (not 0)."""
        return handle_new(&self.h, <void *>item)

    def item(self, uint64_t handle):
        """What is behind it, or 0."""
        return <uintptr_t>handle_item(&self.h, handle)

    def drop(self, uint64_t handle):
        """Forget it; nothing when it is not there."""
        handle_drop(&self.h, handle)

    def __dealloc__(self):
        handles_free(&self.h)
