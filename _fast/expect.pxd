# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from _fast.plant cimport expect_t, kept_t, worker_t

cdef enum:
    MOST_KEPT = 64             # datagrams for one SPI,
    MOST_KEPT_OCTETS = 131072  # and their octets; the oldest make room
    MOST_ALL_OCTETS = 4 << 20  # for all SPIs together: beyond that nothing is kept

cdef uint64_t KEEP             # nanoseconds after which nobody wants a datagram any more

# From now on keep what comes for this SPI. Answers how many datagrams for another one had to go.
cdef uint32_t expect_open(expect_t *x, uint8_t proto, uint32_t spi) noexcept nogil
# A copy of a datagram for an SPI that no SA has; False: nobody expects it. Packets that make room are counted here.
cdef bint expect_keep(worker_t *w, uint8_t proto, uint32_t spi, int32_t slot, const uint8_t *remote, uint8_t tos,
                      const uint8_t *data, uint32_t length) noexcept nogil
# Stop expecting: what was kept, the oldest first, for expect_deliver or expect_drop.
cdef kept_t *expect_close(expect_t *x, uint8_t proto, uint32_t spi) noexcept nogil
# Give it to the workers that have the SA now; what is too old, or does not fit their inboxes, is counted.
cdef void expect_deliver(worker_t *control, kept_t *first) noexcept nogil
# Forget it; answers how many there were.
cdef uint32_t expect_drop(kept_t *first) noexcept nogil
# Everything, at the end.
cdef void expect_free(expect_t *x) noexcept nogil
