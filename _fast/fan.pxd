# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t, uint32_t, uint64_t, uintptr_t

from _fast.radij cimport radij_t
from _fast.table cimport table_t
from _fast.tnode cimport visit_t
from _fast.types cimport eroute_t, flow_t
from _fast.word cimport GROUP, TAGS

# All eroutes of one source and destination, when there are several: they differ in protocol and ports. Starts as a
# host_pair_t of _fast.front, and so as a prefix_t of _fast.tnode.
cdef struct fan_t:
    uint64_t key[2]
    uint8_t length
    uint8_t version
    uint64_t src[2]
    uint8_t kinds              # bit by kind_of
    uint32_t count
    uint32_t of_kind[8]
    eroute_t *any              # of any protocol
    table_t table              # the others

# What a source and a destination hold, their pair, is an eroute's address or, with GROUP, a fan's; 0: nothing.

# Makes `pair` what it is with `e`; an eroute of the same key is replaced and answered. -1: no memory.
cdef int pair_set(radij_t *r, uintptr_t *pair, eroute_t *e, eroute_t **replaced) noexcept nogil
# What is left of a pair without `e`: nothing, the pair itself, or the last eroute, and then the fan is to retire.
cdef uintptr_t pair_without(radij_t *r, uintptr_t pair, eroute_t *e) noexcept nogil
# The eroute of this very key, or NULL.
cdef eroute_t *pair_find(radij_t *r, uintptr_t pair, const eroute_t *key) noexcept nogil
# A pair that is out of the table: its fan goes back to the pool once no reader is left, or at once.
cdef void pair_retire(radij_t *r, uintptr_t pair) noexcept nogil
cdef void pair_release(radij_t *r, uintptr_t pair) noexcept nogil
# Every eroute, for a reader inside the epoch.
cdef void pair_visit(uintptr_t pair, void (*visit)(eroute_t *e, void *context) noexcept nogil, void *context) noexcept nogil
# Of a fan whose source and destination cover the flow.
cdef eroute_t *fan_match(radij_t *r, fan_t *f, const flow_t *flow, bint narrow) noexcept nogil
# Which of protocol (4), source port (2) and destination port (1) an eroute names.
cdef uint32_t kind_of(const eroute_t *e) noexcept nogil
cdef void table_of_fan_free(fan_t *f) noexcept nogil      # and all else is its pool's

cdef inline eroute_t *eroute_of(uintptr_t pair) noexcept nogil:
    return <eroute_t *>(pair & ~<uintptr_t>TAGS)

cdef inline fan_t *fan_of(uintptr_t pair) noexcept nogil:
    return <fan_t *>(pair & ~<uintptr_t>TAGS)

# The protocol and the ports of an eroute whose source and destination cover the flow.
cdef inline bint takes(const eroute_t *e, const flow_t *flow, bint narrow) noexcept nogil:
    return ((e.proto == 0 or e.proto == flow.proto) and (e.sport == 0 or e.sport == flow.sport)
            and (e.dport == 0 or e.dport == flow.dport) and (narrow or e.trap_cookie == 0))

cdef inline eroute_t *pair_match(radij_t *r, uintptr_t pair, const flow_t *flow, bint narrow) noexcept nogil:
    if pair & GROUP:
        return fan_match(r, fan_of(pair), flow, narrow)
    return eroute_of(pair) if takes(eroute_of(pair), flow, narrow) else NULL
