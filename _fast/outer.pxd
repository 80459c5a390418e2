# SPDX-License-Identifier: GPL-2.0-or-later
from _fast.plant cimport outgoing_t, worker_t

# Must this sealed packet leave in IPv6 fragments of our own making, because its path is narrower than the interface?
cdef inline bint outer_too_big(const outgoing_t *o) noexcept nogil:
    return (o.sa != NULL and o.path != NULL and o.path.cut
            and o.length + (48 if o.path.encap else 40) > o.path.cut)

# Send it so, at once, through the raw socket for whole packets. False when there is none.
cdef bint outer_send_cut(worker_t *w, const outgoing_t *o) noexcept nogil
