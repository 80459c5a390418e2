# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport int32_t, uint8_t, uint32_t

from _fast.plant cimport worker_t
from _fast.types cimport ENCAP_UDP, packet_info_t, path_t, sa_t

cdef enum:
    RAW_LEAD = 64              # octets before a packet that is not in UDP, for link and IP headers or a stream's key

# Octets to be left free before a packet of this path. Segments in UDP lie end to end: UDP_SEGMENT wants them so.
cdef inline uint32_t out_lead(const path_t *path) noexcept nogil:
    return 0 if path.encap == ENCAP_UDP else RAW_LEAD

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
# The first, of a packet on its way into an SA, whose sender knows it as it was before.
cdef void out_too_big(worker_t *w, int32_t device, const sa_t *sa, uint8_t *frame, packet_info_t *info,
                      uint32_t mtu) noexcept nogil
# Where the next packet of at most so many octets may be put together; what lay there is sent first where room is short.
cdef uint8_t *out_reserve(worker_t *w, uint32_t octets) noexcept nogil
