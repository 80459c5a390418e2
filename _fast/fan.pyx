# SPDX-License-Identifier: GPL-2.0-or-later
"""Eroutes of one source and destination: by protocol and ports, most specific first."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t

from _fast.atomic cimport loadp, mum, storep
from _fast.epoch cimport epoch_retire
from _fast.pool cimport pool_give, pool_take
from _fast.radij cimport radij_t, same_key
from _fast.table cimport buckets_t, node_t, table_add, table_first, table_free, table_init, table_next, table_remove, table_swap


cdef uint32_t kind_of(const eroute_t *e) noexcept nogil:
    return (4 if e.proto else 0) | (2 if e.sport else 0) | (1 if e.dport else 0)


cdef inline uint64_t hash_ports(const radij_t *r, uint8_t proto, uint16_t sport, uint16_t dport) noexcept nogil:
    # Keyed, so that whoever chooses ports cannot choose collisions. Wildcards are zeros, so all kinds share the table.
    return mum(((<uint64_t>proto << 32) | (<uint64_t>sport << 16) | dport) ^ r.seed[0], r.seed[1] | 1)


cdef eroute_t *fan_find(radij_t *r, fan_t *f, uint8_t proto, uint16_t sport, uint16_t dport) noexcept nogil:
    cdef uint64_t hash
    cdef node_t *n
    cdef eroute_t *e
    if not (proto or sport or dport):
        return <eroute_t *>loadp(&f.any)
    hash = hash_ports(r, proto, sport, dport)
    n = table_first(&f.table, hash)
    while n:
        if n.hash == hash:
            e = <eroute_t *>loadp(&n.item)
            if e.proto == proto and e.sport == sport and e.dport == dport:
                return e
        n = table_next(n)
    return NULL


cdef eroute_t *fan_match(radij_t *r, fan_t *f, const flow_t *flow, bint narrow) noexcept nogil:
    cdef int kind
    cdef eroute_t *e
    for kind in range(7, -1, -1):
        if f.kinds & (1 << kind):
            # A flow without ports is not one of port 0 of an eroute that names ports.
            if (kind & 4 and not flow.proto) or (kind & 2 and not flow.sport) or (kind & 1 and not flow.dport):
                continue
            e = fan_find(r, f, flow.proto if kind & 4 else 0, flow.sport if kind & 2 else 0,
                         flow.dport if kind & 1 else 0)
            if e != NULL and (narrow or e.trap_cookie == 0):
                return e
    return NULL


cdef int fan_set(radij_t *r, fan_t *f, eroute_t *e, eroute_t **replaced) noexcept nogil:
    cdef uint32_t kind = kind_of(e)
    cdef uint64_t hash = hash_ports(r, e.proto, e.sport, e.dport)
    replaced[0] = fan_find(r, f, e.proto, e.sport, e.dport)
    if kind == 0:
        storep(&f.any, e)
    elif replaced[0]:
        table_swap(&f.table, hash, replaced[0], e)
    elif table_add(&f.table, hash, e):
        return -1
    if replaced[0] == NULL:
        f.count += 1
        f.of_kind[kind] += 1
        f.kinds |= <uint8_t>(1 << kind)
    return 0


cdef void fan_remove(radij_t *r, fan_t *f, eroute_t *e) noexcept nogil:
    cdef uint32_t kind = kind_of(e)
    if kind == 0:
        storep(&f.any, NULL)
    else:
        table_remove(&f.table, hash_ports(r, e.proto, e.sport, e.dport), e)
    f.count -= 1
    f.of_kind[kind] -= 1
    if f.of_kind[kind] == 0:
        f.kinds &= <uint8_t>~(1 << kind)


cdef eroute_t *fan_first(fan_t *f) noexcept nogil:
    cdef uint64_t b
    if f.any:
        return f.any
    for b in range(f.table.buckets.mask + 1):
        if f.table.buckets.head[b]:
            return <eroute_t *>f.table.buckets.head[b].item
    return NULL


cdef void table_of_fan_free(fan_t *f) noexcept nogil:
    table_free(&f.table)


cdef void release_fan(void *item, void *context) noexcept nogil:
    table_free(&(<fan_t *>item).table)
    pool_give(&(<radij_t *>context).pool, item, sizeof(fan_t))


cdef fan_t *fan_new(radij_t *r, eroute_t *a, eroute_t *b) noexcept nogil:
    cdef fan_t *f = <fan_t *>pool_take(&r.pool, sizeof(fan_t))
    cdef eroute_t *none = NULL
    if f == NULL:
        return NULL
    f.key[0] = a.dst[0]
    f.key[1] = a.dst[1]
    f.length = a.dstlen
    f.version = a.version
    f.src[0] = a.src[0]
    f.src[1] = a.src[1]
    if table_init(&f.table, r.epoch) or fan_set(r, f, a, &none) or fan_set(r, f, b, &none):
        release_fan(f, r)
        return NULL
    return f


cdef int pair_set(radij_t *r, uintptr_t *pair, eroute_t *e, eroute_t **replaced) noexcept nogil:
    cdef fan_t *f
    replaced[0] = NULL
    if pair[0] & GROUP:
        return fan_set(r, fan_of(pair[0]), e, replaced)
    if pair[0] and not same_key(eroute_of(pair[0]), e):
        f = fan_new(r, eroute_of(pair[0]), e)
        if f == NULL:
            return -1
        pair[0] = <uintptr_t>f | GROUP
    else:
        replaced[0] = eroute_of(pair[0])
        pair[0] = <uintptr_t>e
    return 0


cdef uintptr_t pair_without(radij_t *r, uintptr_t pair, eroute_t *e) noexcept nogil:
    cdef fan_t *f
    if not pair & GROUP:
        return 0
    f = fan_of(pair)
    fan_remove(r, f, e)
    return pair if f.count > 1 else <uintptr_t>fan_first(f)


cdef eroute_t *pair_find(radij_t *r, uintptr_t pair, const eroute_t *key) noexcept nogil:
    if pair & GROUP:
        return fan_find(r, fan_of(pair), key.proto, key.sport, key.dport)
    return eroute_of(pair) if pair and same_key(eroute_of(pair), key) else NULL


cdef void pair_retire(radij_t *r, uintptr_t pair) noexcept nogil:
    if pair & GROUP:
        epoch_retire(r.epoch, fan_of(pair), release_fan, r)


cdef void pair_release(radij_t *r, uintptr_t pair) noexcept nogil:
    if pair & GROUP:
        release_fan(fan_of(pair), r)


cdef void pair_visit(uintptr_t pair, void (*visit)(eroute_t *e, void *context) noexcept nogil, void *context) noexcept nogil:
    cdef fan_t *f
    cdef eroute_t *e
    cdef buckets_t *buckets
    cdef node_t *n
    cdef uint64_t b
    if not pair & GROUP:
        visit(eroute_of(pair), context)
        return
    f = fan_of(pair)
    e = <eroute_t *>loadp(&f.any)
    if e != NULL:
        visit(e, context)
    buckets = <buckets_t *>loadp(&f.table.buckets)
    for b in range(buckets.mask + 1):
        n = <node_t *>loadp(&buckets.head[b])
        while n:
            visit(<eroute_t *>loadp(&n.item), context)
            n = table_next(n)
