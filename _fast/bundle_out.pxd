# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport int32_t, uint8_t, uint32_t

from _fast.plant cimport worker_t
from _fast.types cimport packet_info_t, sa_t

# As out_sa of _fast.outbox, for an SA that is `chained`: it and what stands round it, innermost first.
cdef void bundle_out(worker_t *w, int32_t device, sa_t *sa, uint8_t *frame, uint32_t length, packet_info_t *info,
                     bint held) noexcept nogil
