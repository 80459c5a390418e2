# SPDX-License-Identifier: GPL-2.0-or-later
"""The SA database: inbound SAs by SPI, read without locks by the receiving threads."""
from libc.stdint cimport uint32_t, uint64_t, uintptr_t

from _fast.atomic cimport loadp, mum, wipe_free, alloc_zeroed
from _fast.cipher cimport key_free
from _fast.epoch cimport epoch_drain, epoch_init, epoch_retire, epoch_t
from _fast.replay cimport replay_free
from _fast.table cimport node_t, table_add, table_first, table_free, table_init, table_next, table_remove
from _fast.types cimport path_t, sa_t, selector_t

cdef extern from "<sys/random.h>" nogil:
    ssize_t getrandom(void *buf, size_t n, unsigned int flags)


cdef int sadb_init(sadb_t *db, epoch_t *epoch) noexcept nogil:
    if getrandom(&db.seed, sizeof(db.seed), 0) != sizeof(db.seed):
        return -1
    return table_init(&db.inbound, epoch)


cdef void sadb_free(sadb_t *db) noexcept nogil:
    table_free(&db.inbound)


cdef inline uint64_t hash_spi(const sadb_t *db, uint32_t spi) noexcept nogil:
    return mum(<uint64_t>spi ^ db.seed, <uint64_t>0x9E3779B97F4A7C15)


cdef int sadb_add(sadb_t *db, sa_t *sa) noexcept nogil:
    return table_add(&db.inbound, hash_spi(db, sa.spi), sa)


cdef bint sadb_remove(sadb_t *db, sa_t *sa) noexcept nogil:
    return table_remove(&db.inbound, hash_spi(db, sa.spi), sa)


cdef sa_t *sadb_find(sadb_t *db, uint32_t spi) noexcept nogil:
    cdef node_t *n = table_first(&db.inbound, hash_spi(db, spi))
    cdef sa_t *sa
    while n:
        sa = <sa_t *>loadp(&n.item)
        if sa.spi == spi:
            return sa
        n = table_next(n)
    return NULL


cdef void sa_release(void *item, void *context) noexcept nogil:
    cdef sa_t *sa = <sa_t *>item
    key_free(sa.key)
    if sa.replay.bits:
        replay_free(&sa.replay)
    wipe_free(sa.path, sizeof(path_t))
    wipe_free(sa.selectors, sizeof(selector_t) * sa.nselectors)
    wipe_free(sa, sizeof(sa_t))


cdef class Sadb:
    """An SA database of bare SPIs, for tests; raced against klips.slow.sadb."""

    cdef sadb_t db
    cdef epoch_t e

    def __cinit__(self):
        epoch_init(&self.e)
        if sadb_init(&self.db, &self.e):
            raise MemoryError

    def add(self, uint32_t spi, uint64_t number):
        """Add an SA; False when the SPI is taken."""
        cdef sa_t *sa
        if sadb_find(&self.db, spi):
            return False
        sa = <sa_t *>alloc_zeroed(sizeof(sa_t))
        if sa == NULL:
            raise MemoryError
        sa.spi = spi
        sa.id = number
        if sadb_add(&self.db, sa):
            raise MemoryError
        return True

    def remove(self, uint32_t spi):
        """Remove it; False when there is none."""
        cdef sa_t *sa = sadb_find(&self.db, spi)
        if sa == NULL:
            return False
        sadb_remove(&self.db, sa)
        epoch_retire(&self.e, sa, sa_release, NULL)
        return True

    def find(self, uint32_t spi):
        """Its number, or None."""
        cdef sa_t *sa = sadb_find(&self.db, spi)
        return sa.id if sa else None

    def __len__(self):
        return self.db.inbound.count

    def __dealloc__(self):
        cdef uint64_t i
        cdef node_t *n
        epoch_drain(&self.e)
        for i in range(self.db.inbound.buckets.mask + 1 if self.db.inbound.buckets else 0):
            n = self.db.inbound.buckets.head[i]
            while n:
                sa_release(n.item, NULL)
                n = n.next
        sadb_free(&self.db)
