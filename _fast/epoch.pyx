# SPDX-License-Identifier: GPL-2.0-or-later
"""Quiescent-state reclamation: readers never wait, memory is wiped and freed once nobody can still see it."""
from libc.stdint cimport uint64_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from _fast.atomic cimport fence, fetch_add_sc, load_sc, store, load, store_sc, wipe_free

cdef enum:
    READERS = 16

cdef uint64_t AWAY = ~<uint64_t>0


cdef void epoch_init(epoch_t *e) noexcept nogil:
    cdef int i
    memset(e, 0, sizeof(epoch_t))
    e.now = 1
    for i in range(READERS):
        e.seen[i] = AWAY


cdef void epoch_enter(epoch_t *e, int reader) noexcept nogil:
    # Entering again is the quiescent point between two batches.
    store_sc(&e.seen[reader], load_sc(&e.now))
    fence()


cdef void epoch_leave(epoch_t *e, int reader) noexcept nogil:
    store_sc(&e.seen[reader], AWAY)


cdef void epoch_retire(epoch_t *e, void *item, release_t release, void *context) noexcept nogil:
    cdef retired_t *r
    if item == NULL:
        return
    r = <retired_t *>malloc(sizeof(retired_t))
    fence()
    if r == NULL:
        # Without memory even for this note the item is kept for ever rather than freed under a reader.
        return
    r.next = NULL
    r.item = item
    r.context = context
    r.release = release
    r.epoch = fetch_add_sc(&e.now, 1) + 1
    if e.tail:
        e.tail.next = r
    else:
        e.head = r
    e.tail = r
    store(&e.waiting, e.waiting + 1)


cdef void epoch_reclaim(epoch_t *e) noexcept nogil:
    cdef uint64_t oldest = AWAY
    cdef uint64_t seen
    cdef retired_t *r
    cdef int i
    fence()
    for i in range(READERS):
        seen = load_sc(&e.seen[i])
        if seen < oldest:
            oldest = seen
    while e.head and e.head.epoch <= oldest:
        r = e.head
        e.head = r.next
        if e.head == NULL:
            e.tail = NULL
        store(&e.waiting, e.waiting - 1)
        r.release(r.item, r.context)
        free(r)


cdef void epoch_drain(epoch_t *e) noexcept nogil:
    """Release everything; only when no reader is left."""
    cdef int i
    for i in range(READERS):
        store_sc(&e.seen[i], AWAY)
    epoch_reclaim(e)


cdef void release_memory(void *item, void *context) noexcept nogil:
    # `context` carries the size, so that old tables are wiped too.
    wipe_free(item, <size_t><uintptr_t>context)


cdef void count_release(void *item, void *context) noexcept nogil:
    (<uint64_t *>context)[0] += 1


cdef class Epoch:
    """An epoch with readers 0 to 15, for tests: counts what has been released."""

    cdef epoch_t e
    cdef uint64_t done

    def __cinit__(self):
        epoch_init(&self.e)
        self.done = 0

    def enter(self, int reader):
        """Reader comes in, or passes a quiescent point."""
        epoch_enter(&self.e, reader & 15)

    def leave(self, int reader):
        """Reader goes to sleep."""
        epoch_leave(&self.e, reader & 15)

    def retire(self):
        """Retire one item."""
        epoch_retire(&self.e, <void *>&self.done, count_release, <void *>&self.done)

    def reclaim(self):
        """Release what nobody can see; answers how many have been released so far."""
        epoch_reclaim(&self.e)
        return self.done

    @property
    def waiting(self):
        """Items retired and not released."""
        return load(&self.e.waiting)

    def __dealloc__(self):
        epoch_drain(&self.e)
