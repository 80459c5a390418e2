# SPDX-License-Identifier: GPL-2.0-or-later
"""The SA database: SAs by direction, the inbound ones by protocol, SPI and local address (RFC 4301 4.1), read without locks by the receiving
threads.

The address is that of the SA's path, which is replaced whole, so an SA keeps its place when it moves. It is not part of
the hash: as many SAs share a protocol and SPI as there are local addresses at the most.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcmp, memcpy, memset

from _fast.atomic cimport loadp, mum, wipe_free, alloc_zeroed
from _fast.cipher cimport key_free
from _fast.epoch cimport epoch_drain, epoch_init, epoch_retire, epoch_t
from _fast.replay cimport replay_free
from _fast.table cimport node_t, table_add, table_first, table_free, table_init, table_next, table_remove
from _fast.types cimport path_t, sa_t, selector_t, selectors_t

cdef extern from "<sys/random.h>" nogil:
    ssize_t getrandom(void *buf, size_t n, unsigned int flags)


cdef int sadb_init(sadb_t *db, epoch_t *epoch) noexcept nogil:
    if getrandom(&db.seed, sizeof(db.seed), 0) != sizeof(db.seed):
        return -1
    return table_init(&db.inbound, epoch) or table_init(&db.outbound, epoch)


cdef void sadb_free(sadb_t *db) noexcept nogil:
    table_free(&db.inbound)
    table_free(&db.outbound)


cdef inline uint64_t hash_spi(const sadb_t *db, uint8_t proto, uint32_t spi) noexcept nogil:
    return mum((<uint64_t>proto << 32 | spi) ^ db.seed, <uint64_t>0x9E3779B97F4A7C15)


cdef int sadb_add(sadb_t *db, sa_t *sa) noexcept nogil:
    return table_add(&db.inbound if sa.inbound else &db.outbound, hash_spi(db, sa.proto, sa.spi), sa)


cdef bint sadb_remove(sadb_t *db, sa_t *sa) noexcept nogil:
    return table_remove(&db.inbound if sa.inbound else &db.outbound, hash_spi(db, sa.proto, sa.spi), sa)


cdef sa_t *sadb_find(sadb_t *db, uint8_t proto, uint32_t spi, const uint8_t *dst16, uint8_t version) noexcept nogil:
    cdef node_t *n = table_first(&db.inbound, hash_spi(db, proto, spi))
    cdef sa_t *sa
    cdef path_t *path
    while n:
        sa = <sa_t *>loadp(&n.item)
        if sa.spi == spi and sa.proto == proto:
            path = <path_t *>loadp(&sa.path)
            if path.version == version and (dst16 == NULL or memcmp(path.local, dst16, 16) == 0):
                return sa
        n = table_next(n)
    return NULL


cdef sa_t *sadb_heard(sadb_t *db, uint8_t proto, uint32_t spi, const uint8_t *dst16, uint8_t version) noexcept nogil:
    """The inbound SA a packet belongs to: at this address of ours, or last at it."""
    cdef sa_t *sa = sadb_find(db, proto, spi, dst16, version)
    cdef node_t *n
    cdef path_t *path
    if sa != NULL or dst16 == NULL:
        return sa
    n = table_first(&db.inbound, hash_spi(db, proto, spi))
    while n:
        sa = <sa_t *>loadp(&n.item)
        if sa.spi == spi and sa.proto == proto:
            path = <path_t *>loadp(&sa.path)
            if path.was_version == version and memcmp(path.was, dst16, 16) == 0:
                return sa
        n = table_next(n)
    return NULL


cdef sa_t *sadb_named(sadb_t *db, bint inbound, uint8_t proto, uint32_t spi, const uint8_t *name16, uint8_t version) noexcept nogil:
    cdef node_t *n = table_first(&db.inbound if inbound else &db.outbound, hash_spi(db, proto, spi))
    cdef sa_t *sa
    while n:
        sa = <sa_t *>n.item
        if sa.spi == spi and sa.proto == proto and sa.name_version == version and memcmp(sa.name, name16, 16) == 0:
            return sa
        n = n.next
    return NULL


cdef size_t selectors_size(uint32_t count) noexcept nogil:
    cdef selectors_t *none = NULL
    return sizeof(selectors_t) - sizeof(none.items) + sizeof(selector_t) * count


cdef void release_selectors(void *item, void *context) noexcept nogil:
    cdef selectors_t *selectors = <selectors_t *>item
    if selectors:
        wipe_free(selectors, selectors_size(selectors.count))


cdef void sa_release(void *item, void *context) noexcept nogil:
    cdef sa_t *sa = <sa_t *>item
    key_free(sa.key)
    if sa.replay.bits:
        replay_free(&sa.replay)
    wipe_free(sa.path, sizeof(path_t))
    release_selectors(sa.selectors, NULL)
    wipe_free(sa, sizeof(sa_t))


cdef int fill_local(uint8_t *local, bytes dst) except -1:
    if len(dst) != 4 and len(dst) != 16:
        raise ValueError("address")
    memset(local, 0, 16)
    memcpy(local, <const uint8_t *>dst, len(dst))
    return 0


cdef class Sadb:
    """An SA database of bare names, for tests; raced against klips.slow.sadb. Addresses are 4 or 16 octets."""

    cdef sadb_t db
    cdef epoch_t e

    def __cinit__(self):
        epoch_init(&self.e)
        if sadb_init(&self.db, &self.e):
            raise MemoryError

    cdef sa_t *get(self, uint8_t proto, uint32_t spi, bytes dst, int version) except? NULL:
        cdef uint8_t local[16]
        if dst is None:
            return sadb_find(&self.db, proto, spi, NULL, <uint8_t>version)
        fill_local(local, dst)
        return sadb_find(&self.db, proto, spi, local, 4 if len(dst) == 4 else 6)

    def add(self, uint8_t proto, uint32_t spi, bytes dst, uint64_t number):
        """Add an SA; False when its name is taken."""
        cdef sa_t *sa
        if self.get(proto, spi, dst, 0):
            return False
        sa = <sa_t *>alloc_zeroed(sizeof(sa_t))
        if sa == NULL:
            raise MemoryError
        sa.path = <path_t *>alloc_zeroed(sizeof(path_t))
        if sa.path == NULL:
            sa_release(sa, NULL)
            raise MemoryError
        sa.proto = proto
        sa.spi = spi
        sa.id = number
        sa.inbound = 1
        sa.path.version = 4 if len(dst) == 4 else 6
        fill_local(sa.path.local, dst)
        if sadb_add(&self.db, sa):
            sa_release(sa, NULL)
            raise MemoryError
        return True

    def remove(self, uint8_t proto, uint32_t spi, bytes dst):
        """Remove it; False when there is none."""
        cdef sa_t *sa = self.get(proto, spi, dst, 0)
        if sa == NULL:
            return False
        sadb_remove(&self.db, sa)
        epoch_retire(&self.e, sa, sa_release, NULL)
        return True

    def find(self, uint8_t proto, uint32_t spi, bytes dst=None, int version=4):
        """Its number, or None. Without `dst` any of this address family will do."""
        cdef sa_t *sa = self.get(proto, spi, dst, version)
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
