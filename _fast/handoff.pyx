# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets that reached a worker but belong to another: a ring for each pair of workers, so nothing is ever locked.

    head: written so far -------------------------------+
    +--------+------+--------+-----------+--------------v----------------+--------+
    | parcel | data | parcel |   data    |     free                      | parcel |  each on a multiple of 64 octets;
    +--------+------+--------+-----------+-------------------------------+--------+  one that does not fit before the
                      tail: taken so far ---------------------------------^          end begins at 0, after a mark
"""
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from _fast.atomic cimport alloc_zeroed, fence, load, load_sc, store_sc, wipe_free
from _fast.plant cimport RING_OCTETS
from _fast.sysio cimport write
from _fast.types cimport FRAME_SLACK

cdef uint32_t MARK = 0xFFFFFFFF


cdef inline uint64_t parcel_room(uint32_t length) noexcept nogil:
    # What takes it out may write behind it, as behind any frame.
    return (sizeof(parcel_t) + length + FRAME_SLACK + 63) & ~<uint64_t>63


cdef bint put(ring_t *r, const parcel_t *parcel, const uint8_t *data) noexcept nogil:
    cdef uint64_t head = load(&r.head)
    cdef uint64_t need = parcel_room(parcel.length)
    cdef uint64_t at = head % RING_OCTETS
    cdef uint64_t skip = RING_OCTETS - at if at + need > RING_OCTETS else 0
    cdef uint8_t *place = r.data + (0 if skip else at)
    if head + skip + need - load_sc(&r.tail) > RING_OCTETS:
        return False
    if skip:
        (<parcel_t *>(r.data + at)).length = MARK
    memcpy(place, parcel, sizeof(parcel_t))
    memcpy(place + sizeof(parcel_t), data, parcel.length)
    store_sc(&r.head, head + skip + need)
    return True


cdef bint hand_over(worker_t *w, int to, uint32_t kind, int32_t slot, const uint8_t *remote, uint8_t tos,
                    const uint8_t *data, uint32_t length) noexcept nogil:
    cdef parcel_t parcel
    memset(&parcel, 0, sizeof(parcel_t))
    parcel.length = length
    parcel.slot = slot
    parcel.kind = kind
    parcel.tos = tos
    if remote:
        memcpy(parcel.remote, remote, sizeof(parcel.remote))
    w.owes[to] = 1
    return put(w.engine.crew[to].inbox[w.index], &parcel, data)


cdef void hand_wake(worker_t *w) noexcept nogil:
    cdef uint64_t one = 1
    cdef int to
    for to in range(1, w.engine.workers + 1):
        if w.owes[to]:
            w.owes[to] = 0
            fence()
            # One that is awake looks into its inbox before it sleeps.
            if load_sc(&w.engine.crew[to].asleep):
                write(w.engine.crew[to].wake, &one, 8)


cdef bint hand_empty(ring_t *r) noexcept nogil:
    return load_sc(&r.head) == load(&r.tail)


cdef parcel_t *hand_next(ring_t *r, uint64_t *at, uint64_t end) noexcept nogil:
    cdef parcel_t *p
    if at[0] != end:
        p = <parcel_t *>(r.data + at[0] % RING_OCTETS)
        if p.length == MARK:
            at[0] += RING_OCTETS - at[0] % RING_OCTETS
    if at[0] == end:
        return NULL
    p = <parcel_t *>(r.data + at[0] % RING_OCTETS)
    at[0] += parcel_room(p.length)
    return p


cdef void hand_release(ring_t *r, uint64_t at) noexcept nogil:
    store_sc(&r.tail, at)


def lane(uint32_t spi, int lanes):
    """The worker for an inbound SPI, 1 to `lanes`."""
    return lane_of(spi, lanes)


cdef class Ring:
    """One ring, for tests."""

    cdef ring_t *r

    def __cinit__(self):
        self.r = <ring_t *>alloc_zeroed(sizeof(ring_t))
        if self.r == NULL:
            raise MemoryError

    def put(self, int32_t slot, bytes data):
        """False when there is no room."""
        cdef parcel_t parcel
        memset(&parcel, 0, sizeof(parcel_t))
        parcel.slot = slot
        parcel.length = <uint32_t>len(data)
        return put(self.r, &parcel, data)

    def take(self):
        """(slot, data) of the oldest, or None."""
        cdef uint64_t at = load(&self.r.tail)
        cdef parcel_t *p = hand_next(self.r, &at, load_sc(&self.r.head))
        if p == NULL:
            return None
        got = (p.slot, (<const uint8_t *>p)[sizeof(parcel_t):sizeof(parcel_t) + p.length])
        hand_release(self.r, at)
        return got

    @property
    def empty(self):
        """Is there nothing in it?"""
        return hand_empty(self.r)

    def __dealloc__(self):
        wipe_free(self.r, sizeof(ring_t))
