# SPDX-License-Identifier: GPL-2.0-or-later
"""The eroute table: most specific source first, then destination, protocol, ports (the order of radij trees).

    hosts    pairs of hosts, which nothing beats, by a hash (_fast.front), unless their line there is full
    common   pairs of the prefix lengths most eroutes have, so too (_fast.common)
    sources  a tree a family (_fast.trees, trie) of what each source holds: an eroute, or its destinations (_fast.source)

Behind each of them is what a source and a destination hold: an eroute, or several by protocol and ports (_fast.fan).

Readers take no lock (_fast.walk); a writer publishes each change in one store and numbers it, and who looked while a change
came that concerns the same flow looks again.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy, memset

from _fast.atomic cimport load_sc, loadp, mum, store
from _fast.bits cimport apart, prefix_mask, swab
from _fast.common cimport COMMON_FROM, COMMON_SOON, among, beats, common_choose, common_free, common_leave
from _fast.epoch cimport epoch_t
from _fast.fan cimport kind_of, pair_find, pair_retire, pair_set, pair_visit, pair_without, table_of_fan_free, fan_of
from _fast.front cimport (front_add, front_free, front_get, front_hash, front_init, front_octets, front_swap, front_visit)
from _fast.pool cimport SINGLY, pool_free, pool_give, pool_take
from _fast.source cimport destinations_of, source_free, source_of
from _fast.tnode cimport BY_SOURCE
from _fast.trees cimport trees_pair, trees_remove, trees_set, trees_visit
from _fast.trie cimport trie_free, trie_octets, trie_visit
from _fast.walk cimport walk_all, walk_one
from _fast.word cimport GROUP

cdef extern from "<sys/random.h>" nogil:
    ssize_t getrandom(void *buf, size_t n, unsigned int flags)

cdef enum:
    TRIES = 8                  # of a match while changes keep concerning its very flow


cdef int radij_init(radij_t *r, epoch_t *epoch) noexcept nogil:
    cdef int family
    memset(r, 0, sizeof(radij_t))
    r.epoch = epoch
    r.generation = 1
    for family in range(2):
        r.sources[family].side = BY_SOURCE
    # Keyed, so that whoever chooses addresses and ports cannot choose collisions.
    if getrandom(r.seed, sizeof(r.seed), 0) != sizeof(r.seed):
        return -1
    front_init(&r.hosts, epoch, r.seed)
    return 0


cdef void free_pair(uintptr_t pair, void *context) noexcept nogil:
    if pair & GROUP:
        table_of_fan_free(fan_of(pair))


cdef void free_source(uintptr_t word, void *context) noexcept nogil:
    source_free(word)


cdef void radij_free(radij_t *r) noexcept nogil:
    cdef int family
    for family in range(2):
        trie_visit(&r.sources[family], free_source, NULL)
        trie_free(&r.sources[family])
        if r.common[family]:
            front_visit(&r.common[family].pairs, free_pair, NULL)
            common_free(r.common[family])
    front_visit(&r.hosts, free_pair, NULL)
    front_free(&r.hosts)
    pool_free(&r.pool)


cdef eroute_t *radij_new(radij_t *r) noexcept nogil:
    return <eroute_t *>pool_take(&r.pool, sizeof(eroute_t))


cdef void radij_release(void *item, void *context) noexcept nogil:
    pool_give(&(<radij_t *>context).pool, item, sizeof(eroute_t))


cdef uint32_t radij_rank(const eroute_t *e) noexcept nogil:
    return (<uint32_t>e.srclen << 16) | (<uint32_t>e.dstlen << 8) | kind_of(e)


# --- changes -------------------------------------------------------------------------------------------------------

cdef inline bint of_hosts(const eroute_t *e) noexcept nogil:
    return e.srclen == e.dstlen and e.srclen == (32 if e.version == 4 else 128)


cdef inline front_t *front_for(radij_t *r, const eroute_t *e) noexcept nogil:
    # Where pairs of its lengths are before the trees, or NULL.
    cdef common_t *c = r.common[family_of(e.version)]
    if of_hosts(e):
        return &r.hosts
    return &c.pairs if among(c, e) else NULL


cdef inline uintptr_t front_pair(front_t *f, const eroute_t *e) noexcept nogil:
    return front_get(f, front_hash(f, e.src, e.dst), e.src, e.dst, e.version) if f else 0


cdef eroute_t *radij_find(radij_t *r, const eroute_t *key) noexcept nogil:
    cdef uintptr_t pair = front_pair(front_for(r, key), key)
    return pair_find(r, pair if pair else trees_pair(r, key), key)


cdef int front_set(radij_t *r, front_t *f, eroute_t *e, eroute_t **replaced) noexcept nogil:
    # 1: the pair is in the trees or must go there. All eroutes of a pair are in one place.
    cdef uintptr_t pair = front_pair(f, e), was = pair
    if pair == 0:
        return 0 if trees_pair(r, e) == 0 and front_add(f, <uintptr_t>e) else 1
    if pair_set(r, &pair, e, replaced):
        return -1
    if pair != was:
        front_swap(f, was, pair)
    return 0


cdef inline void beaten(radij_t *r, const eroute_t *e, int more) noexcept nogil:
    # Before it comes into the trees, and after it has left them.
    cdef common_t *c = r.common[family_of(e.version)]
    if c != NULL and beats(e, c):
        store(&c.beaten, c.beaten + more)


cdef int below_set(radij_t *r, eroute_t *e, eroute_t **replaced) noexcept nogil:
    cdef int bad
    beaten(r, e, 1)
    bad = trees_set(r, e, replaced)
    if bad or replaced[0] != NULL:
        beaten(r, e, -1)
    return bad


cdef int radij_set(radij_t *r, eroute_t *e, eroute_t **replaced) noexcept nogil:
    cdef front_t *f = front_for(r, e)
    cdef int how = 1, family = family_of(e.version)
    replaced[0] = NULL
    if f:
        how = front_set(r, f, e, replaced)
    if how > 0:
        how = below_set(r, e, replaced)
    if how:
        return -1
    changed(r, e)
    if replaced[0] == NULL:
        r.count += 1
        if r.common[family] == NULL and r.count % (COMMON_SOON if SINGLY else COMMON_FROM) == 0:
            common_choose(r, family)
    return 0


cdef bint radij_remove(radij_t *r, eroute_t *e) noexcept nogil:
    cdef front_t *f = front_for(r, e)
    cdef uintptr_t pair = front_pair(f, e), rest
    cdef int family = family_of(e.version)
    if pair_find(r, pair if pair else trees_pair(r, e), e) != e:
        return False
    if pair == 0:
        trees_remove(r, e)
        beaten(r, e, -1)
    else:
        rest = pair_without(r, pair, e)
        if rest != pair:
            front_swap(f, pair, rest)
            pair_retire(r, pair)
        if f.count == 0 and f != &r.hosts:
            common_leave(r, family)
    r.count -= 1
    changed(r, e)
    return True


# --- matching ------------------------------------------------------------------------------------------------------

cdef inline bint concerns(const change_t *c, const flow_t *f) noexcept nogil:
    return (c.version == f.version
            and not apart(swab(c.src[0]), swab(c.src[1]), swab(f.src[0]), swab(f.src[1]), c.srclen)
            and not apart(swab(c.dst[0]), swab(c.dst[1]), swab(f.dst[0]), swab(f.dst[1]), c.dstlen))


cdef bint disturbed(radij_t *r, const flow_t *flow, uint64_t before, uint64_t after) noexcept nogil:
    # Did a change between these two generations concern the flow?
    if after - before > LOOK_BACK:
        return True
    while before != after:
        before += 1
        if concerns(&r.changes[before & (CHANGES - 1)], flow):
            return True
    # The oldest of them may have been written over meanwhile.
    return load_sc(&r.generation) - before >= CHANGES - LOOK_BACK - 1


cdef eroute_t *radij_match(radij_t *r, const flow_t *flow, bint narrow) noexcept nogil:
    cdef eroute_t *e
    cdef uint64_t before, after = load_sc(&r.generation)
    cdef int times
    for times in range(TRIES):
        before = after
        walk_one(r, flow, &e, narrow)
        # A narrow eroute that came and a broad one that went, both while this looked, might leave the flow with neither.
        after = load_sc(&r.generation)
        if before == after or not disturbed(r, flow, before, after):
            break
    return e


cdef void radij_match_batch(radij_t *r, const flow_t **flows, int count, eroute_t **found) noexcept nogil:
    cdef uint64_t before = load_sc(&r.generation), after
    cdef int i
    walk_all(r, flows, count, found, True)
    after = load_sc(&r.generation)
    if before != after:
        for i in range(count):
            if disturbed(r, flows[i], before, after):
                found[i] = radij_match(r, flows[i], True)


cdef eroute_t *radij_cached(radij_t *r, cached_t *cache, uint64_t mask, const flow_t *flow) noexcept nogil:
    # The generation is read before the table: a change in between only makes this entry stale at once.
    cdef uint64_t generation = load_sc(&r.generation)
    cdef uint64_t hash = mum(flow.src[0] ^ flow.src[1] ^ r.seed[0], flow.dst[0] ^ flow.dst[1] ^ r.seed[1])
    cdef cached_t *c
    hash ^= mum(((<uint64_t>flow.proto << 32) | (<uint64_t>flow.sport << 16) | flow.dport) ^ r.seed[1], r.seed[0] | 1)
    c = &cache[hash & mask]
    if same_flow(&c.flow, flow) and (
            c.generation == generation or (c.generation and not disturbed(r, flow, c.generation, generation))):
        c.generation = generation
        return c.eroute
    c.eroute = radij_match(r, flow, True)
    memcpy(&c.flow, flow, sizeof(flow_t))
    c.generation = generation
    return c.eroute


# --- listing -------------------------------------------------------------------------------------------------------

cdef struct rows_t:
    eroute_t **rows
    uint64_t room
    uint64_t count


cdef void row(eroute_t *e, void *context) noexcept nogil:
    cdef rows_t *into = <rows_t *>context
    if into.count < into.room:
        into.rows[into.count] = e
    into.count += 1


cdef void pair_rows(uintptr_t pair, void *context) noexcept nogil:
    pair_visit(pair, row, context)


cdef uint64_t radij_rows(radij_t *r, eroute_t **rows, uint64_t room) noexcept nogil:
    cdef rows_t into
    cdef common_t *common
    cdef int family
    into.rows = rows
    into.room = room
    into.count = 0
    front_visit(&r.hosts, pair_rows, &into)
    for family in range(2):
        common = <common_t *>loadp(&r.common[family])
        if common:
            front_visit(&common.pairs, pair_rows, &into)
        trees_visit(r, family, pair_rows, &into)
    return into.count


cdef void stem_octets(uintptr_t word, void *context) noexcept nogil:
    if word & GROUP and source_of(word).many:
        (<uint64_t *>context)[0] += trie_octets(destinations_of(source_of(word)))


cdef uint64_t radij_octets(radij_t *r) noexcept nogil:
    cdef uint64_t octets = r.pool.used + (front_octets(&r.hosts) if r.hosts.count else 0)
    cdef int family
    for family in range(2):
        trie_visit(&r.sources[family], stem_octets, &octets)
        octets += trie_octets(&r.sources[family])
        if r.common[family]:
            octets += front_octets(&r.common[family].pairs)
    return octets


# --- keys --------------------------------------------------------------------------------------------------------

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
