# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport int32_t, uint8_t, uint32_t

from _fast.plant cimport held_t, worker_t
from _fast.types cimport eroute_t

# One frame (vnet header first) through the eroute table; packets for the wire collect in the
# worker's outbox until send_outbox. What is dropped is counted here. The frame is written to, and FRAME_SLACK octets
# behind it.
cdef void xmit_frame(worker_t *w, int32_t device, uint8_t *frame, uint32_t length) noexcept nogil
# The same with a frame as a device gave it, which cannot pass for one the engine has put together.
cdef void xmit_read(worker_t *w, int32_t device, uint8_t *frame, uint32_t length) noexcept nogil
# A held frame by an eroute already chosen; engine's mutex held. May meet a %hold again and stay.
cdef void xmit_held(worker_t *w, held_t *p, eroute_t *e) noexcept nogil
# Read a device until it is empty or the budget is used. False: it gave an error, or the end of all things.
cdef bint xmit_device(worker_t *w, int32_t device) noexcept nogil
# Give an eroute its place; holds it has made superfluous are emptied its way, before the world sees it.
cdef int eroute_install(worker_t *w, eroute_t *e) noexcept nogil
cdef bint eroute_uninstall(worker_t *w, eroute_t *key) noexcept nogil
