# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from _fast.plant cimport engine_t, held_t, hold_t
from _fast.types cimport eroute_t, packet_info_t

cdef enum:
    MOST_HELD = 32768
    MOST_HELD_OCTETS = 64 << 20
    MOST_PAIR = 4096           # a sender that pauses at its own socket buffer never meets this
    MOST_PAIR_OCTETS = 8 << 20
    MOST_NARROW = 65536        # holds the engine made itself

# All with the engine's mutex held. `e` is a %hold that is in the table.
# Keep a copy of `frame`. Answers how many packets had to go for it (to be counted), or -1 when it could not be kept.
cdef int hold_put(hold_t *h, eroute_t *e, const uint8_t *frame, uint32_t length, int32_t device,
                  const packet_info_t *info) noexcept nogil
# The oldest packet of the eroute's pairs, unlinked; the caller frees it with hold_drop.
cdef held_t *hold_take(hold_t *h, eroute_t *e) noexcept nogil
cdef void hold_drop(held_t *p) noexcept nogil
# Enter a %hold into, or take it from, the list of all holds.
cdef void hold_enlist(hold_t *h, eroute_t *e) noexcept nogil
cdef void hold_delist(hold_t *h, eroute_t *e) noexcept nogil
