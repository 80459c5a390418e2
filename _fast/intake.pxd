# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport int32_t, uint8_t, uint32_t

from _fast.plant cimport worker_t

# Everything there is, up to a limit; `trouble`: the kernel has an error to tell.
cdef void intake_read(worker_t *w, int32_t slot, bint trouble) noexcept nogil
# One packet of at most `room` octets from an IP header on; it stays where it is until rcv_open of w.endpoint.
cdef void intake_take(worker_t *w, uint8_t *packet, uint32_t room) noexcept nogil
# A raw socket has given so many packets: too many, and pluto is told.
cdef void intake_load(worker_t *w, int32_t slot, uint32_t packets) noexcept nogil
