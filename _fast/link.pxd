# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint32_t

from _fast.plant cimport outgoing_t, socket_t, worker_t

cdef enum:
    LINK_HEAD = 40             # octets of the larger of the two headers written before a packet

# May this packet of a raw ESP socket go straight to the next hop? Asks for one when it might be worth while.
cdef bint link_ready(worker_t *w, const outgoing_t *o, const socket_t *s) noexcept nogil
# Message `at` of the next system call: packet `i` under an IP header of ours, to be sent by the engine's packet socket.
cdef void link_name(worker_t *w, uint32_t at, uint32_t i) noexcept nogil
# This packet goes by its socket, whether or not it might have gone by the link.
cdef void link_missed(worker_t *w, outgoing_t *o) noexcept nogil
# The kernel (errno) would not have it: this path goes by its socket until it is told a next hop again.
cdef void link_refused(worker_t *w, outgoing_t *o) noexcept nogil
