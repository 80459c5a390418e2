# SPDX-License-Identifier: GPL-2.0-or-later
"""A worker's bench: memory for whole packets while AH, IPComp and bundles work on them.

    | front, for headers | packet ...  | slack |      twice: what is inflated needs somewhere to go
    | vnet | packet | vnet | packet | ...      |      the shelf, emptied by a flush of the coalescer
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from _fast.atomic cimport alloc_zeroed, wipe_free
from _fast.coalesce cimport merge_flush
from _fast.ipcomp cimport squeeze_free, squeeze_new
from _fast.sysio cimport MAP_ANONYMOUS, MAP_NORESERVE, MAP_PRIVATE, PROT_READ, PROT_WRITE, mmap, munmap
from _fast.types cimport VNET_LEN

cdef enum:
    MEMORY = 2 * 67584 + 262144


cdef bench_t *bench_of(worker_t *w) noexcept nogil:
    cdef bench_t *b = <bench_t *>w.bench
    cdef uint8_t *memory
    if b != NULL:
        return b
    b = <bench_t *>alloc_zeroed(sizeof(bench_t))
    if b == NULL:
        return NULL
    b.squeeze = squeeze_new()
    memory = <uint8_t *>mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    if b.squeeze == NULL or <void *>memory == <void *>-1:
        if <void *>memory != <void *>-1:
            munmap(memory, MEMORY)
        squeeze_free(b.squeeze)
        wipe_free(b, sizeof(bench_t))
        return NULL
    b.room[0] = memory
    b.room[1] = memory + BENCH_ROOM
    b.shelf = memory + 2 * BENCH_ROOM
    w.bench = b
    return b


cdef void bench_free(worker_t *w) noexcept nogil:
    cdef bench_t *b = <bench_t *>w.bench
    if b == NULL:
        return
    munmap(b.room[0], MEMORY)
    squeeze_free(b.squeeze)
    wipe_free(b, sizeof(bench_t))
    w.bench = NULL


cdef uint8_t *bench_shelve(worker_t *w, bench_t *b, const uint8_t *packet, uint32_t length) noexcept nogil:
    cdef uint8_t *at
    cdef uint32_t need = (VNET_LEN + length + 15) & ~<uint32_t>15
    if b.used + need > SHELF_OCTETS:
        merge_flush(w)
        b.used = 0
    at = b.shelf + b.used + VNET_LEN
    b.used += need
    memcpy(at, packet, length)
    return at


cdef uint16_t bench_id(bench_t *b) noexcept nogil:
    b.id += 1
    if b.id == 0:
        b.id = 1
    return b.id
