# SPDX-License-Identifier: GPL-2.0-or-later
"""The eroute table: most specific source first, then destination, protocol, ports.

Eroutes with the same prefix lengths and the same wildcards share one hash table (a tuple); the tuples are tried from
the most specific on, and the first hit wins. Real tables have few tuples however many eroutes, so a million host pairs
cost one probe. Readers take no lock; a writer publishes each change in one store.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcmp, memcpy, memset

from _fast.atomic cimport alloc_zeroed, fetch_add_sc, load, loadp, mum, storep, wipe_free, load_sc
from _fast.epoch cimport epoch_drain, epoch_init, epoch_retire, release_memory
from _fast.table cimport node_t, table_add, table_first, table_free, table_init, table_next, table_remove, table_swap

cdef extern from "<sys/random.h>" nogil:
    ssize_t getrandom(void *buf, size_t n, unsigned int flags)


cdef void prefix_mask(uint64_t *mask, int length) noexcept nogil:
    cdef uint8_t *octet = <uint8_t *>mask
    cdef int i
    for i in range(16):
        octet[i] = 0xFF if length >= 8 else 0 if length <= 0 else <uint8_t>(0xFF << (8 - length))
        length -= 8


cdef inline uint64_t tuples_size(uint64_t count) noexcept nogil:
    return sizeof(tuples_t) + count * sizeof(tuple_t *)


cdef int radij_init(radij_t *r, epoch_t *epoch) noexcept nogil:
    cdef int i
    memset(r, 0, sizeof(radij_t))
    r.epoch = epoch
    r.generation = 1
    # Keyed, so that whoever chooses addresses cannot choose collisions.
    if getrandom(r.seed, sizeof(r.seed), 0) != sizeof(r.seed):
        return -1
    for i in range(2):
        r.list[i] = <tuples_t *>alloc_zeroed(tuples_size(0))
        if r.list[i] == NULL:
            return -1
    return 0


cdef void radij_free(radij_t *r) noexcept nogil:
    cdef int family
    cdef uint64_t i
    for family in range(2):
        if r.list[family] == NULL:
            continue
        for i in range(r.list[family].count):
            table_free(&r.list[family].at[i].table)
            wipe_free(r.list[family].at[i], sizeof(tuple_t))
        wipe_free(r.list[family], tuples_size(r.list[family].count))
        r.list[family] = NULL


cdef inline uint64_t hash_key(const radij_t *r, uint64_t s0, uint64_t s1, uint64_t d0, uint64_t d1, uint64_t rest) noexcept nogil:
    cdef uint64_t h = mum(s0 ^ r.seed[0], d0 ^ r.seed[1])
    if s1 | d1:
        h ^= mum(s1 ^ r.seed[2], d1 ^ r.seed[3])
    return mum(h ^ r.seed[4], rest ^ r.seed[5])


cdef inline uint64_t rest_of(uint8_t proto, uint16_t sport, uint16_t dport) noexcept nogil:
    return (<uint64_t>proto << 32) | (<uint64_t>sport << 16) | dport


cdef inline uint64_t hash_eroute(const radij_t *r, const eroute_t *e) noexcept nogil:
    return hash_key(r, e.src[0], e.src[1], e.dst[0], e.dst[1], rest_of(e.proto, e.sport, e.dport))


cdef inline bint same_key(const eroute_t *a, const eroute_t *b) noexcept nogil:
    return (a.src[0] == b.src[0] and a.src[1] == b.src[1] and a.dst[0] == b.dst[0] and a.dst[1] == b.dst[1]
            and a.sport == b.sport and a.dport == b.dport and a.proto == b.proto and a.version == b.version
            and a.srclen == b.srclen and a.dstlen == b.dstlen)


cdef uint32_t radij_rank(const eroute_t *e) noexcept nogil:
    return (<uint32_t>e.srclen << 16) | (<uint32_t>e.dstlen << 8) | (4 if e.proto else 0) | (2 if e.sport else 0) | (
        1 if e.dport else 0)


cdef tuple_t *find_tuple(radij_t *r, const eroute_t *e) noexcept nogil:
    cdef tuples_t *list = r.list[0 if e.version == 4 else 1]
    cdef uint32_t rank = radij_rank(e)
    cdef uint64_t i
    for i in range(list.count):
        if list.at[i].rank == rank:
            return list.at[i]
    return NULL


cdef tuple_t *add_tuple(radij_t *r, const eroute_t *e) noexcept nogil:
    cdef int family = 0 if e.version == 4 else 1
    cdef tuples_t *old = r.list[family]
    cdef tuples_t *new = <tuples_t *>alloc_zeroed(tuples_size(old.count + 1))
    cdef tuple_t *t = <tuple_t *>alloc_zeroed(sizeof(tuple_t))
    cdef uint64_t i, at = 0
    if new == NULL or t == NULL or table_init(&t.table, r.epoch):
        wipe_free(new, 0)
        wipe_free(t, 0)
        return NULL
    t.rank = radij_rank(e)
    prefix_mask(t.src_mask, e.srclen)
    prefix_mask(t.dst_mask, e.dstlen)
    t.proto_mask = 0xFF if e.proto else 0
    t.sport_mask = 0xFFFF if e.sport else 0
    t.dport_mask = 0xFFFF if e.dport else 0
    while at < old.count and old.at[at].rank > t.rank:
        new.at[at] = old.at[at]
        at += 1
    new.at[at] = t
    for i in range(at, old.count):
        new.at[i + 1] = old.at[i]
    new.count = old.count + 1
    storep(&r.list[family], new)
    epoch_retire(r.epoch, old, release_memory, <void *><uintptr_t>tuples_size(old.count))
    return t


cdef void release_tuple(void *item, void *context) noexcept nogil:
    table_free(&(<tuple_t *>item).table)
    wipe_free(item, sizeof(tuple_t))


cdef void drop_tuple(radij_t *r, tuple_t *t, int family) noexcept nogil:
    cdef tuples_t *old = r.list[family]
    cdef tuples_t *new = <tuples_t *>alloc_zeroed(tuples_size(old.count))
    cdef uint64_t i
    if new == NULL:
        return                 # an empty tuple costs a probe, nothing else
    for i in range(old.count):
        if old.at[i] != t:
            new.at[new.count] = old.at[i]
            new.count += 1
    storep(&r.list[family], new)
    epoch_retire(r.epoch, old, release_memory, <void *><uintptr_t>tuples_size(old.count))
    epoch_retire(r.epoch, t, release_tuple, NULL)


cdef eroute_t *radij_find(radij_t *r, const eroute_t *key) noexcept nogil:
    cdef tuple_t *t = find_tuple(r, key)
    cdef uint64_t hash = hash_eroute(r, key)
    cdef node_t *n
    if t == NULL:
        return NULL
    n = table_first(&t.table, hash)
    while n:
        if n.hash == hash and same_key(<eroute_t *>n.item, key):
            return <eroute_t *>n.item
        n = table_next(n)
    return NULL


cdef int radij_set(radij_t *r, eroute_t *e, eroute_t **replaced) noexcept nogil:
    cdef uint64_t hash = hash_eroute(r, e)
    cdef tuple_t *t = find_tuple(r, e)
    replaced[0] = radij_find(r, e)
    if replaced[0]:
        table_swap(&t.table, hash, replaced[0], e)
    else:
        if t == NULL:
            t = add_tuple(r, e)
        if t == NULL or table_add(&t.table, hash, e):
            return -1
        r.count += 1
    fetch_add_sc(&r.generation, 1)
    return 0


cdef bint radij_remove(radij_t *r, eroute_t *e) noexcept nogil:
    cdef tuple_t *t = find_tuple(r, e)
    if t == NULL or not table_remove(&t.table, hash_eroute(r, e), e):
        return False
    r.count -= 1
    if t.table.count == 0:
        drop_tuple(r, t, 0 if e.version == 4 else 1)
    fetch_add_sc(&r.generation, 1)
    return True


cdef eroute_t *radij_match(radij_t *r, const flow_t *flow, bint narrow) noexcept nogil:
    cdef tuples_t *list = <tuples_t *>loadp(&r.list[0 if flow.version == 4 else 1])
    cdef tuple_t *t
    cdef node_t *n
    cdef eroute_t *e
    cdef uint64_t i, hash, s0, s1, d0, d1
    cdef uint8_t proto
    cdef uint16_t sport, dport
    for i in range(list.count):
        t = list.at[i]
        s0 = flow.src[0] & t.src_mask[0]
        s1 = flow.src[1] & t.src_mask[1]
        d0 = flow.dst[0] & t.dst_mask[0]
        d1 = flow.dst[1] & t.dst_mask[1]
        proto = flow.proto & t.proto_mask
        sport = flow.sport & t.sport_mask
        dport = flow.dport & t.dport_mask
        hash = hash_key(r, s0, s1, d0, d1, rest_of(proto, sport, dport))
        n = table_first(&t.table, hash)
        while n:
            if n.hash == hash:
                e = <eroute_t *>loadp(&n.item)
                if (e.src[0] == s0 and e.src[1] == s1 and e.dst[0] == d0 and e.dst[1] == d1 and e.proto == proto
                        and e.sport == sport and e.dport == dport and (narrow or e.trap_cookie == 0)):
                    return e
            n = table_next(n)
    return NULL


cdef eroute_t *radij_cached(radij_t *r, cached_t *cache, uint64_t mask, const flow_t *flow) noexcept nogil:
    # The generation is read before the table: a change in between only makes this entry stale at once.
    cdef uint64_t generation = load_sc(&r.generation)
    cdef uint64_t hash = hash_key(r, flow.src[0], flow.src[1], flow.dst[0], flow.dst[1],
                                  rest_of(flow.proto, flow.sport, flow.dport))
    cdef cached_t *c = &cache[hash & mask]
    if c.generation == generation and memcmp(&c.flow, flow, sizeof(flow_t)) == 0:
        return c.eroute
    c.eroute = radij_match(r, flow, True)
    memcpy(&c.flow, flow, sizeof(flow_t))
    c.generation = generation
    return c.eroute


cdef bint radij_covers(const eroute_t *outer, const eroute_t *inner) noexcept nogil:
    cdef uint64_t mask[2]
    if outer.version != inner.version or outer.srclen > inner.srclen or outer.dstlen > inner.dstlen:
        return False
    if (outer.proto and outer.proto != inner.proto) or (outer.sport and outer.sport != inner.sport) or (
            outer.dport and outer.dport != inner.dport):
        return False
    prefix_mask(mask, outer.srclen)
    if inner.src[0] & mask[0] != outer.src[0] or inner.src[1] & mask[1] != outer.src[1]:
        return False
    prefix_mask(mask, outer.dstlen)
    return inner.dst[0] & mask[0] == outer.dst[0] and inner.dst[1] & mask[1] == outer.dst[1]


cdef void fill_key(eroute_t *e, tuple key) except *:
    # (version, src octets, srclen, dst octets, dstlen, proto, sport, dport)
    cdef bytes src = key[1]
    cdef bytes dst = key[3]
    cdef uint64_t mask[2]
    cdef Py_ssize_t n = 4 if key[0] == 4 else 16
    if len(src) != n or len(dst) != n or not 0 <= key[2] <= n * 8 or not 0 <= key[4] <= n * 8:
        raise ValueError("eroute key")
    memset(e, 0, sizeof(eroute_t))
    e.version = key[0]
    memcpy(e.src, <const uint8_t *>src, n)
    memcpy(e.dst, <const uint8_t *>dst, n)
    e.srclen = key[2]
    e.dstlen = key[4]
    prefix_mask(mask, e.srclen)
    e.src[0] &= mask[0]
    e.src[1] &= mask[1]
    prefix_mask(mask, e.dstlen)
    e.dst[0] &= mask[0]
    e.dst[1] &= mask[1]
    e.proto = key[5]
    e.sport = key[6]
    e.dport = key[7]


cdef class Radij:
    """An eroute table by itself: keys to cookies; raced against klips.slow.radij and measured by the benchmark."""

    cdef radij_t r
    cdef epoch_t e
    cdef cached_t *cache

    def __cinit__(self):
        epoch_init(&self.e)
        self.cache = <cached_t *>alloc_zeroed(4096 * sizeof(cached_t))
        if self.cache == NULL or radij_init(&self.r, &self.e):
            raise MemoryError

    def set(self, tuple key, uint64_t cookie):
        """Add or replace; answers the cookie replaced, or None."""
        cdef eroute_t *e = <eroute_t *>alloc_zeroed(sizeof(eroute_t))
        cdef eroute_t *old = NULL
        if e == NULL:
            raise MemoryError
        fill_key(e, key)
        e.cookie = cookie
        if radij_set(&self.r, e, &old):
            raise MemoryError
        if old == NULL:
            return None
        was = old.cookie
        epoch_retire(&self.e, old, release_memory, <void *><uintptr_t>sizeof(eroute_t))
        return was

    def remove(self, tuple key):
        """Remove; False when there is none."""
        cdef eroute_t k
        cdef eroute_t *e
        fill_key(&k, key)
        e = radij_find(&self.r, &k)
        if e == NULL:
            return False
        radij_remove(&self.r, e)
        epoch_retire(&self.e, e, release_memory, <void *><uintptr_t>sizeof(eroute_t))
        return True

    def match(self, tuple flow, bint cached=False):
        """Cookie of the eroute for (version, src, dst, proto, sport, dport), or None."""
        cdef flow_t f
        cdef eroute_t *e
        flow_from(&f, flow)
        e = radij_cached(&self.r, self.cache, 4095, &f) if cached else radij_match(&self.r, &f, True)
        return e.cookie if e else None

    def repeat(self, list flows, int times, bint cached=False):
        """Match every flow `times` times without the interpreter lock, for the benchmark; answers the hits."""
        cdef flow_t *f = <flow_t *>alloc_zeroed(sizeof(flow_t) * (len(flows) + 1))
        cdef uint64_t n = len(flows), i, hits = 0
        cdef int round
        if f == NULL:
            raise MemoryError
        for i in range(n):
            flow_from(&f[i], flows[i])
        with nogil:
            for round in range(times):
                for i in range(n):
                    if cached:
                        hits += radij_cached(&self.r, self.cache, 4095, &f[i]) != NULL
                    else:
                        hits += radij_match(&self.r, &f[i], True) != NULL
        wipe_free(f, sizeof(flow_t) * (n + 1))
        return hits

    def __len__(self):
        return self.r.count

    def __dealloc__(self):
        cdef int family
        cdef uint64_t i, b
        cdef node_t *n
        epoch_drain(&self.e)
        for family in range(2):
            for i in range(self.r.list[family].count if self.r.list[family] else 0):
                for b in range(self.r.list[family].at[i].table.buckets.mask + 1):
                    n = self.r.list[family].at[i].table.buckets.head[b]
                    while n:
                        wipe_free(n.item, sizeof(eroute_t))
                        n = n.next
        radij_free(&self.r)
        wipe_free(self.cache, 4096 * sizeof(cached_t))


cdef void flow_from(flow_t *f, tuple flow) except *:
    cdef bytes src = flow[1]
    cdef bytes dst = flow[2]
    memset(f, 0, sizeof(flow_t))
    f.version = flow[0]
    if len(src) != (4 if f.version == 4 else 16) or len(dst) != len(src):
        raise ValueError("flow")
    memcpy(f.src, <const uint8_t *>src, len(src))
    memcpy(f.dst, <const uint8_t *>dst, len(dst))
    f.proto, f.sport, f.dport = flow[3], flow[4], flow[5]
