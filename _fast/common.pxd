# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint64_t

from _fast.radij cimport common_t, radij_t
from _fast.types cimport eroute_t

cdef enum:
    COMMON_FROM = 16384        # eroutes of the table that are worth asking, and every so many again,
    COMMON_SOON = 20           # or where a sanitizer looks

cdef inline bint beats(const eroute_t *e, const common_t *c) noexcept nogil:
    return e.srclen > c.srclen or (e.srclen == c.srclen and e.dstlen > c.dstlen)

cdef inline bint among(const common_t *c, const eroute_t *e) noexcept nogil:
    return c != NULL and e.srclen == c.srclen and e.dstlen == c.dstlen

# Choose the lengths of a family that more than half of its eroutes in the trees have, and move those out of the trees. All
# under the mutex, with readers about: what moves is in both places for a while, and numbered as a change on both ways.
cdef void common_choose(radij_t *r, int family) noexcept nogil
# Give up the lengths of which no pair is left.
cdef void common_leave(radij_t *r, int family) noexcept nogil
cdef void common_free(common_t *c) noexcept nogil
