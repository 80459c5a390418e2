# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from _fast.epoch cimport epoch_t
from _fast.table cimport table_t
from _fast.types cimport eroute_t, flow_t

# All eroutes that care for the same bits of a packet: one hash table.
cdef struct tuple_t:
    uint64_t src_mask[2]
    uint64_t dst_mask[2]
    uint16_t sport_mask
    uint16_t dport_mask
    uint8_t proto_mask
    uint32_t rank              # source length, destination length, protocol, ports: greater is more specific
    table_t table

cdef struct tuples_t:
    uint64_t count
    tuple_t *at[1]             # most specific first

cdef struct radij_t:
    tuples_t *list[2]          # IPv4, IPv6
    uint64_t generation        # grows with every change: what a flow cache remembers holds for one generation
    uint64_t count
    uint64_t seed[6]
    epoch_t *epoch

cdef struct cached_t:
    flow_t flow
    uint64_t generation
    eroute_t *eroute

cdef int radij_init(radij_t *r, epoch_t *epoch) noexcept nogil
cdef void radij_free(radij_t *r) noexcept nogil
# Put `e` in; an eroute of the same key is replaced in one store and answered (the caller retires it). -1: no memory.
cdef int radij_set(radij_t *r, eroute_t *e, eroute_t **replaced) noexcept nogil
cdef bint radij_remove(radij_t *r, eroute_t *e) noexcept nogil
cdef eroute_t *radij_find(radij_t *r, const eroute_t *key) noexcept nogil
# The most specific eroute that covers the flow, or NULL. `narrow` False passes over holds the engine made itself.
cdef eroute_t *radij_match(radij_t *r, const flow_t *flow, bint narrow) noexcept nogil
cdef eroute_t *radij_cached(radij_t *r, cached_t *cache, uint64_t mask, const flow_t *flow) noexcept nogil
# Does `outer`'s key cover all of `inner`'s?
cdef bint radij_covers(const eroute_t *outer, const eroute_t *inner) noexcept nogil
# Of two eroutes that cover a flow the one of greater rank decides.
cdef uint32_t radij_rank(const eroute_t *e) noexcept nogil
cdef void prefix_mask(uint64_t *mask, int length) noexcept nogil
cdef void fill_key(eroute_t *e, tuple key) except *
cdef void flow_from(flow_t *f, tuple flow) except *
