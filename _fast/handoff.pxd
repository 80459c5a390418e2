# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from _fast.plant cimport ring_t, worker_t

cdef enum:
    OUTBOUND = 1               # a frame of device `slot`, vnet header first
    INBOUND = 2                # a datagram of socket `slot`, from `remote`

cdef struct parcel_t:
    uint32_t length
    int32_t slot
    uint32_t kind
    uint8_t tos
    uint8_t spare[3]
    uint8_t remote[28]
    uint8_t room[20]           # before the data, for a vnet header

# The worker that opens packets with this SPI where the kernel spreads them over so many lanes. What openswan.host loads
# into the kernel computes the same.
cdef inline int lane_of(uint32_t spi, int32_t lanes) noexcept nogil:
    return 1 + <int>((<uint32_t>((spi ^ (spi >> 16)) * <uint32_t>0x9E3779B1) >> 16) % <uint32_t>lanes)

# Copy something into the inbox of worker `to`; False: no room. It is told by hand_wake, once for all of a visit.
cdef bint hand_over(worker_t *w, int to, uint32_t kind, int32_t slot, const uint8_t *remote, uint8_t tos,
                    const uint8_t *data, uint32_t length) noexcept nogil
cdef void hand_wake(worker_t *w) noexcept nogil
# Is there nothing in this inbox?
cdef bint hand_empty(ring_t *r) noexcept nogil
# What `at` octets ring position holds, with `at` moved past it; NULL at `end`. It stays until hand_release gives back
# everything before a position.
cdef parcel_t *hand_next(ring_t *r, uint64_t *at, uint64_t end) noexcept nogil
cdef void hand_release(ring_t *r, uint64_t at) noexcept nogil
