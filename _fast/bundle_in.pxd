# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport int32_t, uint8_t, uint32_t

from _fast.plant cimport incoming_t, worker_t

# What came out of an ESP SA that is `chained`: `inner` octets at `payload`, of kind `next_header`. Takes out what the
# rest of its bundle put round the packet, and lets that into the host. 0 or a drop reason.
cdef int bundle_open(worker_t *w, int32_t slot, const incoming_t *j, uint8_t next_header, const uint8_t *payload,
                     uint32_t inner) noexcept nogil
# A packet from a raw socket of protocol 51 or 108, from that protocol's header on; `front` octets of IP header and
# extension headers at `head` stood before it. 0 or a drop reason.
cdef int bundle_take(worker_t *w, int32_t slot, const uint8_t *remote, const uint8_t *head, uint32_t front,
                     const uint8_t *data, uint32_t length) noexcept nogil
