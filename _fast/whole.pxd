# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport int32_t, uint8_t, uint32_t

from _fast.plant cimport worker_t
from _fast.types cimport packet_info_t, sa_t, selectors_t

# A fragment read from a device, vnet header first: the whole frame it completes, with `length` and `info` its own, valid
# until the next call. NULL: it was kept or dropped.
cdef uint8_t *whole_out(worker_t *w, const uint8_t *frame, uint32_t *length, packet_info_t *info) noexcept nogil
# Must this fragment out of an SA be seen whole before its selectors can be asked?
cdef bint whole_wanted(const selectors_t *allowed, const packet_info_t *info) noexcept nogil
# Such a fragment. If it completes its datagram, and that is allowed, it goes to the device. 0 or a drop reason.
cdef int whole_in(worker_t *w, sa_t *sa, int32_t device, const selectors_t *allowed, const uint8_t *packet,
                  const packet_info_t *info) noexcept nogil
