# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from _fast.ipcomp cimport squeeze_t
from _fast.plant cimport worker_t

cdef enum:
    BENCH_FRONT = 1024         # octets before a packet, for all the headers a bundle can put there
    BENCH_ROOM = 1024 + 65536 + 1024
    SHELF_OCTETS = 262144

# Where a worker takes packets apart and puts them together that the fast path does not know. Made when first needed.
cdef struct bench_t:
    uint8_t *room[2]           # BENCH_ROOM octets each
    uint8_t *shelf             # finished packets on their way to the host; they lie until the next flush
    uint32_t used
    uint16_t id                # IPv4 identification of the last header made here
    squeeze_t *squeeze

# NULL without memory.
cdef bench_t *bench_of(worker_t *w) noexcept nogil
cdef void bench_free(worker_t *w) noexcept nogil
# A copy of a packet that stays until the coalescer's next flush, with room for a vnet header before it.
cdef uint8_t *bench_shelve(worker_t *w, bench_t *b, const uint8_t *packet, uint32_t length) noexcept nogil
# An identification that is not zero, which the kernel would replace.
cdef uint16_t bench_id(bench_t *b) noexcept nogil
