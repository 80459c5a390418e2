# SPDX-License-Identifier: GPL-2.0-or-later
"""The eroute table: most specific source first, then destination, protocol, ports (the order of radij trees).

    sources (a trie a family) --+-- eroute                   the only one of its source
                                +-- source_t: destinations --+-- eroute      the only one of its pair
                                              (a trie)       +-- fan_t       by protocol and ports, a keyed hash

Pairs of hosts, which nothing beats, are found by a hash before the trees (_fast.front), unless their line there is full.
Otherwise a match walks the tree of sources once, then asks the prefixes that cover the source from the longest on for their
destinations, until one covers everything. Readers take no lock; a writer publishes each change in one store.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcmp, memcpy, memset

from _fast.atomic cimport (alloc_zeroed, load_sc, loadp, mum, store_sc, storep, wipe_free)
from _fast.epoch cimport (epoch_drain, epoch_enter, epoch_init, epoch_leave, epoch_reclaim, epoch_retire,
                          epoch_t)
from _fast.front cimport *
from _fast.pool cimport pool_free, pool_give, pool_take
from _fast.table cimport buckets_t, node_t, table_add, table_first, table_free, table_init, table_next, table_remove, table_swap
from _fast.trie cimport *

cdef extern from "<sys/random.h>" nogil:
    ssize_t getrandom(void *buf, size_t n, unsigned int flags)

cdef extern from * nogil:
    """
    #include <sched.h>
    #include <time.h>
    static inline uint64_t ow_fine_now(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    }
    static inline uint64_t ow_spent(void) {
        struct timespec t;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    }
    """
    uint64_t fine_now "ow_fine_now"()
    uint64_t spent_now "ow_spent"()
    int sched_yield()


cdef enum:
    TRIES = 8                  # of a match while changes keep concerning its very flow


cdef void prefix_mask(uint64_t *mask, int length) noexcept nogil:
    cdef uint8_t *octet = <uint8_t *>mask
    cdef int i
    for i in range(16):
        octet[i] = 0xFF if length >= 8 else 0 if length <= 0 else <uint8_t>(0xFF << (8 - length))
        length -= 8


cdef int radij_init(radij_t *r, epoch_t *epoch) noexcept nogil:
    memset(r, 0, sizeof(radij_t))
    r.epoch = epoch
    r.generation = 1
    # Keyed, so that whoever chooses ports cannot choose collisions.
    if getrandom(r.seed, sizeof(r.seed), 0) != sizeof(r.seed):
        return -1
    front_init(&r.hosts, epoch, r.seed)
    return 0


cdef void free_fan(uintptr_t word, void *context) noexcept nogil:
    if word & GROUP:
        table_free(&(<fan_t *>(word & ~<uintptr_t>TAGS)).table)


cdef void free_source(uintptr_t word, void *context) noexcept nogil:
    if word & GROUP:
        trie_visit((<source_t *>(word & ~<uintptr_t>TAGS)).destinations.root, free_fan, context)


cdef void radij_free(radij_t *r) noexcept nogil:
    cdef int family
    for family in range(2):
        trie_visit(r.sources[family].root, free_source, NULL)
        r.sources[family].root = 0
    front_visit(&r.hosts, free_fan, NULL)
    front_free(&r.hosts)
    pool_free(&r.pool)


cdef eroute_t *radij_new(radij_t *r) noexcept nogil:
    return <eroute_t *>pool_take(&r.pool, sizeof(eroute_t))


cdef void radij_release(void *item, void *context) noexcept nogil:
    pool_give(&(<radij_t *>context).pool, item, sizeof(eroute_t))


cdef void release_source(void *item, void *context) noexcept nogil:
    pool_give(&(<radij_t *>context).pool, item, sizeof(source_t))


cdef void release_fan(void *item, void *context) noexcept nogil:
    table_free(&(<fan_t *>item).table)
    pool_give(&(<radij_t *>context).pool, item, sizeof(fan_t))


cdef inline bint same_key(const eroute_t *a, const eroute_t *b) noexcept nogil:
    return (a.src[0] == b.src[0] and a.src[1] == b.src[1] and a.dst[0] == b.dst[0] and a.dst[1] == b.dst[1]
            and a.sport == b.sport and a.dport == b.dport and a.proto == b.proto and a.version == b.version
            and a.srclen == b.srclen and a.dstlen == b.dstlen)


cdef inline bint same_pair(const eroute_t *a, const eroute_t *b) noexcept nogil:
    return a.dst[0] == b.dst[0] and a.dst[1] == b.dst[1] and a.dstlen == b.dstlen


cdef inline uint32_t kind_of(const eroute_t *e) noexcept nogil:
    return (4 if e.proto else 0) | (2 if e.sport else 0) | (1 if e.dport else 0)


cdef uint32_t radij_rank(const eroute_t *e) noexcept nogil:
    return (<uint32_t>e.srclen << 16) | (<uint32_t>e.dstlen << 8) | kind_of(e)


cdef inline uint64_t hash_ports(const radij_t *r, uint8_t proto, uint16_t sport, uint16_t dport) noexcept nogil:
    # Wildcards are zeros, so eroutes of all kinds share the table.
    return mum(((<uint64_t>proto << 32) | (<uint64_t>sport << 16) | dport) ^ r.seed[0], r.seed[1] | 1)


cdef inline eroute_t *eroute_of(uintptr_t word) noexcept nogil:
    return <eroute_t *>(word & ~<uintptr_t>TAGS)


cdef inline source_t *source_of(uintptr_t word) noexcept nogil:
    return <source_t *>(word & ~<uintptr_t>TAGS)


cdef inline fan_t *fan_of(uintptr_t word) noexcept nogil:
    return <fan_t *>(word & ~<uintptr_t>TAGS)


# --- one source and destination: protocol and ports -----------------------------------------------------------------

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


# --- one source: destinations --------------------------------------------------------------------------------------

cdef inline int put(radij_t *r, trie_t *t, const uint64_t *key, uint8_t length, uintptr_t word) noexcept nogil:
    cdef uintptr_t old = 0
    return trie_put(t, &r.pool, r.epoch, key, length, word, &old)


cdef int pair_set(radij_t *r, uintptr_t *word, eroute_t *e, eroute_t **replaced) noexcept nogil:
    # `word` is a pair's, or 0, and becomes what it is with `e`.
    cdef fan_t *f
    replaced[0] = NULL
    if word[0] and word[0] & GROUP:
        return fan_set(r, fan_of(word[0]), e, replaced)
    if word[0] and not same_key(eroute_of(word[0]), e):
        f = fan_new(r, eroute_of(word[0]), e)
        if f == NULL:
            return -1
        word[0] = <uintptr_t>f | GROUP
    else:
        replaced[0] = eroute_of(word[0])
        word[0] = <uintptr_t>e
    return 0


cdef uintptr_t pair_without(radij_t *r, uintptr_t word, eroute_t *e) noexcept nogil:
    # What is left of a pair's word without `e`: 0, the word itself, or the last eroute, and then the fan is to retire.
    cdef fan_t *f
    if not word & GROUP:
        return 0
    f = fan_of(word)
    fan_remove(r, f, e)
    return word if f.count > 1 else <uintptr_t>fan_first(f)


cdef int source_set(radij_t *r, source_t *s, eroute_t *e, eroute_t **replaced) noexcept nogil:
    cdef uintptr_t word = trie_get(&s.destinations, e.dst, e.dstlen)
    cdef uintptr_t was = word
    # Where a pair is there already, putting its new word cannot fail.
    if pair_set(r, &word, e, replaced) or (word != was and put(r, &s.destinations, e.dst, e.dstlen, word)):
        return -1
    if replaced[0] == NULL:
        s.count += 1
    return 0


cdef source_t *source_new(radij_t *r, eroute_t *a, eroute_t *b) noexcept nogil:
    cdef source_t *s = <source_t *>pool_take(&r.pool, sizeof(source_t))
    cdef eroute_t *none = NULL
    if s == NULL:
        return NULL
    s.key[0] = a.src[0]
    s.key[1] = a.src[1]
    s.length = a.srclen
    s.destinations.side = BY_DESTINATION
    if source_set(r, s, a, &none) or source_set(r, s, b, &none):
        # The eroutes are the caller's; of two destinations there is at most one node, which the pool keeps.
        release_source(s, r)
        return NULL
    return s


cdef eroute_t *source_first(source_t *s) noexcept nogil:
    # Of a source with one eroute left, which hangs right under the root.
    return eroute_of(s.destinations.root)


# --- the table -----------------------------------------------------------------------------------------------------

cdef inline trie_t *sources_of(radij_t *r, uint8_t version) noexcept nogil:
    return &r.sources[0 if version == 4 else 1]


cdef void changed(radij_t *r, const eroute_t *e) noexcept nogil:
    # The words of the change first, then its number: who reads a number may read the words.
    cdef uint64_t number = r.generation + 1
    cdef change_t *c = &r.changes[number & (CHANGES - 1)]
    memcpy(c.src, e.src, 16)
    memcpy(c.dst, e.dst, 16)
    c.srclen = e.srclen
    c.dstlen = e.dstlen
    c.version = e.version
    store_sc(&r.generation, number)


cdef inline bint of_hosts(const eroute_t *e) noexcept nogil:
    return e.srclen == e.dstlen and e.srclen == (32 if e.version == 4 else 128)


cdef inline uintptr_t hosts_word(radij_t *r, const eroute_t *e) noexcept nogil:
    # The word before the trees of an eroute's pair, or 0.
    if not of_hosts(e):
        return 0
    return front_get(&r.hosts, front_hash(&r.hosts, e.src, e.dst), e.src, e.dst, e.version)


cdef eroute_t *of_pair(radij_t *r, uintptr_t word, const eroute_t *key) noexcept nogil:
    if word and word & GROUP:
        return fan_find(r, fan_of(word), key.proto, key.sport, key.dport)
    return eroute_of(word) if word and same_key(eroute_of(word), key) else NULL


cdef uintptr_t tree_word(radij_t *r, const eroute_t *key) noexcept nogil:
    # The word in the trees of an eroute's pair, or 0.
    cdef uintptr_t word = trie_get(sources_of(r, key.version), key.src, key.srclen)
    if word and word & GROUP:
        return trie_get(&source_of(word).destinations, key.dst, key.dstlen)
    return word if word and same_pair(eroute_of(word), key) else 0


cdef eroute_t *radij_find(radij_t *r, const eroute_t *key) noexcept nogil:
    cdef uintptr_t word = hosts_word(r, key)
    return of_pair(r, word if word else tree_word(r, key), key)


cdef int tree_set(radij_t *r, eroute_t *e, eroute_t **replaced) noexcept nogil:
    cdef trie_t *t = sources_of(r, e.version)
    cdef uintptr_t word = trie_get(t, e.src, e.srclen)
    cdef source_t *s
    replaced[0] = NULL
    if word and word & GROUP:
        return source_set(r, source_of(word), e, replaced)
    if word and not same_key(eroute_of(word), e):
        s = source_new(r, eroute_of(word), e)
        if s == NULL:
            return -1
        return put(r, t, e.src, e.srclen, <uintptr_t>s | GROUP)
    replaced[0] = eroute_of(word)
    return put(r, t, e.src, e.srclen, <uintptr_t>e)


cdef int hosts_set(radij_t *r, eroute_t *e, eroute_t **replaced) noexcept nogil:
    # 1: the pair is in the trees or must go there. All eroutes of a pair are in one place.
    cdef uintptr_t word = hosts_word(r, e)
    cdef uintptr_t was = word
    if word == 0:
        return 0 if tree_word(r, e) == 0 and front_add(&r.hosts, <uintptr_t>e) else 1
    if pair_set(r, &word, e, replaced):
        return -1
    if word != was:
        front_swap(&r.hosts, was, word)
    return 0


cdef int radij_set(radij_t *r, eroute_t *e, eroute_t **replaced) noexcept nogil:
    cdef int how = 1
    replaced[0] = NULL
    if of_hosts(e):
        how = hosts_set(r, e, replaced)
    if how > 0:
        how = tree_set(r, e, replaced)
    if how:
        return -1
    if replaced[0] == NULL:
        r.count += 1
    changed(r, e)
    return 0


cdef void tree_remove(radij_t *r, eroute_t *e) noexcept nogil:
    cdef trie_t *t = sources_of(r, e.version)
    cdef uintptr_t word = trie_get(t, e.src, e.srclen), below, rest
    cdef source_t *s
    if not word & GROUP:
        trie_cut(t, &r.pool, r.epoch, e.src, e.srclen)
        return
    s = source_of(word)
    below = trie_get(&s.destinations, e.dst, e.dstlen)
    rest = pair_without(r, below, e)
    if rest == 0:
        trie_cut(&s.destinations, &r.pool, r.epoch, e.dst, e.dstlen)
    elif rest != below:
        put(r, &s.destinations, e.dst, e.dstlen, rest)
        epoch_retire(r.epoch, fan_of(below), release_fan, r)
    s.count -= 1
    if s.count == 1 and s.destinations.root & LEAF and not s.destinations.root & GROUP:
        put(r, t, e.src, e.srclen, <uintptr_t>source_first(s))
        epoch_retire(r.epoch, s, release_source, r)


cdef bint radij_remove(radij_t *r, eroute_t *e) noexcept nogil:
    cdef uintptr_t word = hosts_word(r, e), rest
    if radij_find(r, e) != e:
        return False
    if word == 0:
        tree_remove(r, e)
    else:
        rest = pair_without(r, word, e)
        if rest != word:
            front_swap(&r.hosts, word, rest)
            if word & GROUP:
                epoch_retire(r.epoch, fan_of(word), release_fan, r)
    r.count -= 1
    changed(r, e)
    return True


# --- matching ------------------------------------------------------------------------------------------------------

cdef inline bint takes(const eroute_t *e, const flow_t *flow, bint narrow) noexcept nogil:
    return ((e.proto == 0 or e.proto == flow.proto) and (e.sport == 0 or e.sport == flow.sport)
            and (e.dport == 0 or e.dport == flow.dport) and (narrow or e.trap_cookie == 0))


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


cdef eroute_t *destinations_match(radij_t *r, source_t *s, uint64_t a, uint64_t b, const flow_t *flow,
                                  bint narrow) noexcept nogil:
    cdef trail_t trail
    cdef uintptr_t word
    cdef eroute_t *e
    cdef fan_t *f
    trie_walk(<uintptr_t>loadp(&s.destinations.root), a, b, &trail)
    while True:
        word = trail_next(&trail)
        if word == 0:
            return NULL
        if word & GROUP:
            f = fan_of(word)
            if word & LEAF and apart(a, b, swab(f.key[0]), swab(f.key[1]), f.length):
                continue
            e = fan_match(r, f, flow, narrow)
            if e != NULL:
                return e
        else:
            e = eroute_of(word)
            if word & LEAF and apart(a, b, swab(e.dst[0]), swab(e.dst[1]), e.dstlen):
                continue
            if takes(e, flow, narrow):
                return e


cdef eroute_t *sources_match(radij_t *r, trail_t *trail, const flow_t *flow, bint narrow) noexcept nogil:
    cdef uint64_t a = swab(flow.src[0]), b = swab(flow.src[1]), c = swab(flow.dst[0]), d = swab(flow.dst[1])
    cdef uintptr_t word
    cdef source_t *s
    cdef eroute_t *e
    while True:
        word = trail_next(trail)
        if word == 0:
            return NULL
        if word & GROUP:
            s = source_of(word)
            if word & LEAF and apart(a, b, swab(s.key[0]), swab(s.key[1]), s.length):
                continue
            e = destinations_match(r, s, c, d, flow, narrow)
            if e != NULL:
                return e
        else:
            e = eroute_of(word)
            if word & LEAF and apart(a, b, swab(e.src[0]), swab(e.src[1]), e.srclen):
                continue
            if not apart(c, d, swab(e.dst[0]), swab(e.dst[1]), e.dstlen) and takes(e, flow, narrow):
                return e


cdef inline eroute_t *of_word(radij_t *r, uintptr_t word, const flow_t *flow, bint narrow) noexcept nogil:
    # Of a pair that covers the flow.
    if word & GROUP:
        return fan_match(r, fan_of(word), flow, narrow)
    return eroute_of(word) if takes(eroute_of(word), flow, narrow) else NULL


cdef inline eroute_t *hosts_match(radij_t *r, const flow_t *flow, bint narrow) noexcept nogil:
    cdef uintptr_t word = front_get(&r.hosts, front_hash(&r.hosts, flow.src, flow.dst), flow.src, flow.dst,
                                    flow.version)
    return of_word(r, word, flow, narrow) if word else NULL


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
    cdef trail_t trail
    cdef eroute_t *e
    cdef uint64_t before, after = load_sc(&r.generation)
    cdef int times
    for times in range(TRIES):
        before = after
        e = hosts_match(r, flow, narrow)
        if e == NULL:
            trie_walk(<uintptr_t>loadp(&sources_of(r, flow.version).root), swab(flow.src[0]), swab(flow.src[1]), &trail)
            e = sources_match(r, &trail, flow, narrow)
        # A narrow eroute that came and a broad one that went, both while this looked, might leave the flow with neither.
        after = load_sc(&r.generation)
        if before == after or not disturbed(r, flow, before, after):
            break
    return e


cdef int hosts_batch(radij_t *r, const flow_t **flows, int count, eroute_t **found, uint8_t *going) noexcept nogil:
    # First every line is on its way, then every pair. Answers how many flows have to ask the trees, in `going`.
    cdef uint64_t hashes[32]
    cdef uintptr_t words[32]
    cdef uintptr_t *line
    cdef lines_t *lines = <lines_t *>loadp(&r.hosts.lines)
    cdef unsigned same
    cdef int i, left = 0
    for i in range(count):
        hashes[i] = front_hash(&r.hosts, flows[i].src, flows[i].dst)
        prefetch(front_line(lines, hashes[i]))
    for i in range(count):
        line = front_line(lines, hashes[i])
        same = tagged(line, front_tag(hashes[i]))
        words[i] = untagged(<uintptr_t>loadp(&line[lowest(same)])) if same else 0
        prefetch(<void *>(words[i] & ~<uintptr_t>TAGS))
    for i in range(count):
        found[i] = NULL
        if words[i]:
            if front_is(words[i], flows[i].src, flows[i].dst, flows[i].version):
                found[i] = of_word(r, words[i], flows[i], True)
            else:
                found[i] = hosts_match(r, flows[i], True)      # one of the same tag
        going[left] = <uint8_t>i
        left += found[i] == NULL
    return left


cdef void trees_batch(radij_t *r, const flow_t **flows, int count, eroute_t **found, uint8_t *going) noexcept nogil:
    # All go one step down, and what each needs for its next step is on its way while the others go theirs: first the
    # slot of a node, then what the slot points to.
    cdef trail_t trails[32]
    cdef uintptr_t words[32]
    cdef uintptr_t *slots[32]
    cdef uint8_t asking[32]
    cdef int left = count, still, i, k
    cdef uintptr_t word
    memcpy(asking, going, count)
    for k in range(count):
        i = going[k]
        trails[i].count = 0
        trails[i].leaf = 0
        words[i] = <uintptr_t>loadp(&sources_of(r, flows[i].version).root)
    while left:
        still = 0
        for k in range(left):
            i = going[k]
            word = words[i]
            if word == 0 or word & LEAF:
                trails[i].leaf = word
                continue
            slots[i] = trie_step(<tnode_t *>word, swab(flows[i].src[0]), swab(flows[i].src[1]), &trails[i])
            if slots[i]:
                prefetch(slots[i])
                going[still] = <uint8_t>i
                still += 1
        left = still
        for k in range(left):
            i = going[k]
            words[i] = <uintptr_t>loadp(slots[i])
            prefetch(<void *>(words[i] & ~<uintptr_t>TAGS))
    for k in range(count):
        i = asking[k]
        found[i] = sources_match(r, &trails[i], flows[i], True)


cdef void radij_match_batch(radij_t *r, const flow_t **flows, int count, eroute_t **found) noexcept nogil:
    cdef uint8_t going[32]
    cdef int left = count, i
    cdef uint64_t before = load_sc(&r.generation), after
    if loadp(&r.hosts.lines) != NULL:
        left = hosts_batch(r, flows, count, found, going)
    else:
        for i in range(count):
            going[i] = <uint8_t>i
    if left:
        trees_batch(r, flows, left, found, going)
    after = load_sc(&r.generation)
    if before != after:
        for i in range(count):
            if disturbed(r, flows[i], before, after):
                found[i] = radij_match(r, flows[i], True)


cdef inline bint same_flow(const flow_t *a, const flow_t *b) noexcept nogil:
    # Field by field: the last ones have just been written one by one, and a read across writes waits for all of them.
    return (a.src[0] == b.src[0] and a.dst[0] == b.dst[0] and a.sport == b.sport and a.dport == b.dport
            and a.proto == b.proto and a.version == b.version and a.fragment == b.fragment
            and a.src[1] == b.src[1] and a.dst[1] == b.dst[1])


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


cdef void row(rows_t *into, eroute_t *e) noexcept nogil:
    if into.count < into.room:
        into.rows[into.count] = e
    into.count += 1


cdef void fan_rows(uintptr_t word, void *context) noexcept nogil:
    cdef fan_t *f
    cdef eroute_t *e
    cdef buckets_t *buckets
    cdef node_t *n
    cdef uint64_t b
    if not word & GROUP:
        row(<rows_t *>context, eroute_of(word))
        return
    f = fan_of(word)
    e = <eroute_t *>loadp(&f.any)
    if e != NULL:
        row(<rows_t *>context, e)
    buckets = <buckets_t *>loadp(&f.table.buckets)
    for b in range(buckets.mask + 1):
        n = <node_t *>loadp(&buckets.head[b])
        while n:
            row(<rows_t *>context, <eroute_t *>loadp(&n.item))
            n = table_next(n)


cdef void source_rows(uintptr_t word, void *context) noexcept nogil:
    if word & GROUP:
        trie_visit(<uintptr_t>loadp(&source_of(word).destinations.root), fan_rows, context)
    else:
        row(<rows_t *>context, eroute_of(word))


cdef uint64_t radij_rows(radij_t *r, eroute_t **rows, uint64_t room) noexcept nogil:
    cdef rows_t into
    cdef int family
    into.rows = rows
    into.room = room
    into.count = 0
    front_visit(&r.hosts, fan_rows, &into)
    for family in range(2):
        trie_visit(<uintptr_t>loadp(&r.sources[family].root), source_rows, &into)
    return into.count


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
    cdef readonly uint64_t spent
    """Nanoseconds of processor time the matches of the last repeat() took."""

    def __cinit__(self):
        epoch_init(&self.e)
        self.cache = <cached_t *>alloc_zeroed(4096 * sizeof(cached_t))
        if self.cache == NULL or radij_init(&self.r, &self.e):
            raise MemoryError

    def set(self, tuple key, uint64_t cookie):
        """Add or replace; answers the cookie replaced, or None."""
        cdef eroute_t k
        cdef eroute_t *e
        fill_key(&k, key)
        k.cookie = cookie
        e = radij_find(&self.r, &k)
        was = e.cookie if e else None
        if not self.come(&k):
            raise MemoryError
        epoch_reclaim(&self.e)
        return was

    def remove(self, tuple key):
        """Remove; False when there is none."""
        cdef eroute_t k
        fill_key(&k, key)
        return self.go(&k)

    def match(self, tuple flow, bint cached=False):
        """Cookie of the eroute for (version, src, dst, proto, sport, dport), or None."""
        cdef flow_t f
        cdef eroute_t *e
        flow_from(&f, flow)
        e = radij_cached(&self.r, self.cache, 4095, &f) if cached else radij_match(&self.r, &f, True)
        return e.cookie if e else None

    cdef flow_t *flows_of(self, list flows) except NULL:
        cdef flow_t *f = <flow_t *>alloc_zeroed(sizeof(flow_t) * (len(flows) + 1))
        cdef Py_ssize_t i
        if f == NULL:
            raise MemoryError
        try:
            for i in range(len(flows)):
                flow_from(&f[i], flows[i])
        except BaseException:
            wipe_free(f, sizeof(flow_t))
            raise
        return f

    def repeat(self, list flows, int times, int how=0):
        """Match every flow `times` times without the interpreter lock; answers (hits, sum of the cookies).

        `how` 0: one by one, 1: through a flow cache, 2: MATCH_BATCH together. One thread may do this while another
        is in churn().
        """
        cdef flow_t *f = self.flows_of(flows)
        cdef const flow_t *p[32]
        cdef eroute_t *found[32]
        cdef uint64_t n = len(flows), i, hits = 0, total = 0
        cdef int round, k, size
        with nogil:
            self.spent = spent_now()
            for round in range(times):
                i = 0
                while i < n:
                    epoch_enter(&self.e, 1)
                    size = <int>min(n - i, <uint64_t>MATCH_BATCH)
                    if how == 2:
                        for k in range(size):
                            p[k] = &f[i + k]
                        radij_match_batch(&self.r, p, size, found)
                    else:
                        for k in range(size):
                            if how == 1:
                                found[k] = radij_cached(&self.r, self.cache, 4095, &f[i + k])
                            else:
                                found[k] = radij_match(&self.r, &f[i + k], True)
                            if found[k]:
                                hits += 1
                                total += found[k].cookie
                    if how == 2:
                        for k in range(size):
                            if found[k]:
                                hits += 1
                                total += found[k].cookie
                    i += size
            self.spent = spent_now() - self.spent
            epoch_leave(&self.e, 1)
        wipe_free(f, sizeof(flow_t) * (n + 1))
        return hits, total

    def each(self, list flows, bint cached=False):
        """The nanoseconds of every single match, what reading the clock takes included."""
        cdef flow_t *f = self.flows_of(flows)
        cdef uint64_t n = len(flows), i
        cdef uint64_t *took = <uint64_t *>alloc_zeroed(8 * (n + 1))
        cdef uint64_t start, hits = 0
        cdef eroute_t *e
        if took == NULL:
            wipe_free(f, sizeof(flow_t))
            raise MemoryError
        with nogil:
            epoch_enter(&self.e, 1)
            for i in range(n):
                start = fine_now()
                if cached:
                    e = radij_cached(&self.r, self.cache, 4095, &f[i])
                else:
                    e = radij_match(&self.r, &f[i], True)
                if e:
                    hits += e.cookie
                took[i] = fine_now() - start
            epoch_leave(&self.e, 1)
        times = [took[i] for i in range(n)]
        wipe_free(f, sizeof(flow_t) * (n + 1))
        wipe_free(took, 8 * (n + 1))
        return times

    def churn(self, list ones, list others, double seconds, uint64_t rate=0):
        """Swap eroutes for `seconds`: others[i] comes, ones[i] goes, ones[i] comes, others[i] goes. `ones` are there
        before and after, so one of each two always is. Answers the changes made; at most `rate` a second, 0: as many
        as go."""
        cdef uint64_t n = len(ones), i, made = 0, start, now, behind
        cdef eroute_t *keys = <eroute_t *>alloc_zeroed(2 * n * sizeof(eroute_t) + 1)
        cdef bint failed = False
        if keys == NULL:
            raise MemoryError
        for i in range(n):
            fill_key(&keys[2 * i], ones[i])
            fill_key(&keys[2 * i + 1], others[i])
            keys[2 * i].cookie = 2 * i + 1
            keys[2 * i + 1].cookie = 2 * i + 2
        with nogil:
            start = now = fine_now()
            i = 0
            while now - start < <uint64_t>(seconds * 1e9) and not failed:
                failed = not (self.come(&keys[2 * i + 1]) and self.go(&keys[2 * i]) and self.come(&keys[2 * i])
                              and self.go(&keys[2 * i + 1]))
                made += 4
                i = i + 1 if i + 1 < n else 0
                now = fine_now()
                if rate:
                    behind = made * 1000000000 // rate
                    while now - start < behind:
                        sched_yield()
                        now = fine_now()
        wipe_free(keys, 2 * n * sizeof(eroute_t) + 1)
        if failed:
            raise KeyError("ones")
        return made

    cdef bint come(self, const eroute_t *key) noexcept nogil:
        cdef eroute_t *e = radij_new(&self.r)
        cdef eroute_t *old = NULL
        if e == NULL:
            return False
        memcpy(e, key, sizeof(eroute_t))
        if radij_set(&self.r, e, &old):
            radij_release(e, &self.r)
            return False
        epoch_retire(&self.e, old, radij_release, &self.r)
        return True

    cdef bint go(self, const eroute_t *key) noexcept nogil:
        cdef eroute_t *e = radij_find(&self.r, key)
        if e == NULL:
            return False
        radij_remove(&self.r, e)
        epoch_retire(&self.e, e, radij_release, &self.r)
        epoch_reclaim(&self.e)
        return True

    def match_batch(self, list flows):
        """Cookies (None for no match) of up to MATCH_BATCH flows, asked for together."""
        cdef flow_t f[32]
        cdef const flow_t *p[32]
        cdef eroute_t *found[32]
        cdef int i
        if len(flows) > MATCH_BATCH:
            raise ValueError("flows")
        for i in range(len(flows)):
            flow_from(&f[i], flows[i])
            p[i] = &f[i]
        radij_match_batch(&self.r, p, <int>len(flows), found)
        return [found[i].cookie if found[i] else None for i in range(len(flows))]

    def cookies(self):
        """The cookie of every eroute."""
        cdef uint64_t n = self.r.count, i
        cdef eroute_t **rows = <eroute_t **>alloc_zeroed(n * sizeof(void *))
        if rows == NULL:
            raise MemoryError
        if radij_rows(&self.r, rows, n) != n:
            raise AssertionError("the table miscounts")
        found = [rows[i].cookie for i in range(n)]
        wipe_free(rows, n * sizeof(void *))
        return found

    @property
    def octets(self):
        """Memory in use: eroutes, tree and what else they need."""
        return self.r.pool.used + (front_octets(&self.r.hosts) if self.r.hosts.count else 0)

    @property
    def host_pairs(self):
        """(before the trees, in them because their line was full)."""
        cdef uint64_t strays = 0
        cdef int family
        for family in range(2):
            trie_visit(self.r.sources[family].root, source_strays, &strays)
        return (self.r.hosts.count, strays)

    def __len__(self):
        return self.r.count

    def __dealloc__(self):
        epoch_drain(&self.e)
        radij_free(&self.r)
        wipe_free(self.cache, 4096 * sizeof(cached_t))


cdef void fan_strays(uintptr_t word, void *context) noexcept nogil:
    # Of a pair whose source has only hosts' length.
    cdef uint8_t length = fan_of(word).length if word & GROUP else eroute_of(word).dstlen
    cdef uint8_t version = fan_of(word).version if word & GROUP else eroute_of(word).version
    (<uint64_t *>context)[0] += length == (32 if version == 4 else 128)


cdef void source_strays(uintptr_t word, void *context) noexcept nogil:
    cdef source_t *s = source_of(word)
    if not word & GROUP:
        (<uint64_t *>context)[0] += of_hosts(eroute_of(word))
    elif s.length == 32 or s.length == 128:
        trie_visit(s.destinations.root, fan_strays, context)


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
