# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport int32_t, uint8_t, uint32_t

from _fast.plant cimport worker_t
from _fast.types cimport sa_t

# One datagram (or segment of one) from socket `slot`: IKE goes to pluto, ESP waits in the worker's batch for rcv_open.
# `remote` stays valid until then. What is dropped is counted here.
# `front` octets of IP header at `head` stood before it; 0: the socket does not tell.
cdef void rcv_take(worker_t *w, int32_t slot, const uint8_t *remote, const uint8_t *head, uint32_t front,
                   uint8_t *data, uint32_t length, uint8_t tos) noexcept nogil
# Decrypt the batch, check, and hand what is good to the coalescer.
cdef void rcv_open(worker_t *w, int32_t slot) noexcept nogil
# Is `remote` where this SA's packets may come from? A NAT that changed its mind is told.
cdef bint source_allowed(worker_t *w, int32_t slot, sa_t *sa, const uint8_t *remote) noexcept nogil
# What an SA has opened goes to the host, if its selectors allow: a packet in at most `room` octets, which stay until
# the coalescer's next flush, with VNET_LEN octets of ours before them. `tos` is the outer header's; `spend`: it counts
# towards the SA's end. 0 or a drop reason; on 0 both counters grow.
cdef int enter_host(worker_t *w, sa_t *sa, uint8_t *packet, uint32_t room, uint8_t tos, bint spend, uint32_t *packets,
                    uint32_t *octets) noexcept nogil
