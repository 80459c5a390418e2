# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from _fast.epoch cimport epoch_t
from _fast.table cimport table_t
from _fast.types cimport sa_t

cdef struct sadb_t:
    table_t inbound            # by protocol and SPI; the local address is compared, because it may move
    table_t outbound           # likewise, for the control thread alone: packets reach these through their eroutes
    uint64_t seed

cdef int sadb_init(sadb_t *db, epoch_t *epoch) noexcept nogil
cdef void sadb_free(sadb_t *db) noexcept nogil
# -1 without memory.
cdef int sadb_add(sadb_t *db, sa_t *sa) noexcept nogil
cdef bint sadb_remove(sadb_t *db, sa_t *sa) noexcept nogil
# `dst16` is the local address a packet came to, 4 octets and zeros for IPv4; NULL: not known, so any will do.
cdef sa_t *sadb_heard(sadb_t *db, uint8_t proto, uint32_t spi, const uint8_t *dst16, uint8_t version) noexcept nogil
cdef sa_t *sadb_find(sadb_t *db, uint8_t proto, uint32_t spi, const uint8_t *dst16, uint8_t version) noexcept nogil
# The SA that was given this name, `name16` as `dst16` above, wherever its path is by now.
cdef sa_t *sadb_named(sadb_t *db, bint inbound, uint8_t proto, uint32_t spi, const uint8_t *name16, uint8_t version) noexcept nogil
# Of a selectors_t of so many.
cdef size_t selectors_size(uint32_t count) noexcept nogil
# For epoch_retire when an SA's are replaced.
cdef void release_selectors(void *item, void *context) noexcept nogil
# Wipes keys and frees all an SA owns; for epoch_retire.
cdef void sa_release(void *item, void *context) noexcept nogil
