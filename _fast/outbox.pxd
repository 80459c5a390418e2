# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport int32_t, uint8_t, uint32_t

from _fast.plant cimport worker_t
from _fast.types cimport packet_info_t, sa_t

cdef enum:
    RAW_LEAD = 64              # octets before a raw packet, for link and IP headers

# Stage one frame (vnet header first) for an SA; it may become many packets. `held`: its sender could not have known
# the path's MTU. What is dropped is counted here. The frame is written to, and FRAME_SLACK octets behind it.
cdef void out_sa(worker_t *w, int32_t device, sa_t *sa, uint8_t *frame, uint32_t length, packet_info_t *info,
                 bint held) noexcept nogil
# The same in clear, past every eroute.
cdef void out_pass(worker_t *w, int32_t device, const uint8_t *frame, uint32_t length, packet_info_t *info) noexcept nogil
# Stage one packet that its receiver discards (RFC 4303 2.6), of an ESP SA that is in no bundle. 0 or a drop reason.
cdef int out_dummy(worker_t *w, sa_t *sa) noexcept nogil
# Tell a packet's sender that it is too big for `mtu`, or (0) that policy forbids it.
cdef void out_answer(worker_t *w, int32_t device, const uint8_t *packet, const packet_info_t *info, uint32_t mtu) noexcept nogil
# Where the next packet of at most so many octets may be put together; what lay there is sent first where room is short.
cdef uint8_t *out_reserve(worker_t *w, uint32_t octets) noexcept nogil
