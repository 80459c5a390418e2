# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uintptr_t

from _fast.radij cimport radij_t
from _fast.types cimport eroute_t

# The pair (_fast.fan) of an eroute's source and destination in the trees, or 0.
cdef uintptr_t trees_pair(radij_t *r, const eroute_t *key) noexcept nogil
# Put `e` in; an eroute of the same key is replaced and answered. -1: no memory.
cdef int trees_set(radij_t *r, eroute_t *e, eroute_t **replaced) noexcept nogil
# Take out `e`, which is there.
cdef void trees_remove(radij_t *r, eroute_t *e) noexcept nogil
# Every pair of a family, for a reader inside the epoch.
cdef void trees_visit(radij_t *r, int family, void (*visit)(uintptr_t pair, void *context) noexcept nogil,
                      void *context) noexcept nogil
