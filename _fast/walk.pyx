# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways through the eroute table, many side by side: each goes on until it would wait for memory, and the others meanwhile.

    LINES, PAIR     pairs of hosts, by hash: nothing beats what is found here (_fast.front)
    COMMON          pairs of the most common lengths, too (_fast.common): the trees may hold something more specific
    SOURCES         down the tree of sources; then its prefixes, the longest first, whose hints let the destination pass:
    SOURCE          one with several destinations: a few words to go through, or
    DESTINATIONS    down their tree, and its prefixes, the longest first
    VERIFY          a pair whose hint is right: its prefixes, protocol and ports decide, or the way goes on where it was
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy, memset

from _fast.atomic cimport load, loadp
from _fast.bits cimport apart, prefetch, swab, top_bit
from _fast.common cimport beats
from _fast.fan cimport eroute_of, fan_match, fan_t, pair_match, takes
from _fast.front cimport front_get, front_hash, front_is, front_line, front_tag, lines_t, lowest, tagged, untagged
from _fast.radij cimport common_t, family_of, sources_of
from _fast.source cimport destinations_of, source_t
from _fast.trie cimport stem_place, trail_next, trail_node, trail_slot, trail_start, trail_stem, trail_t
from _fast.word cimport GROUP, HINT, LEAF, TAGS, hinted, item_of, stretch_of

# What a way does next. The places on a walk down the sources, and down the destinations, in the order of _fast.trie.
cdef enum:
    SRC_STEM = 0
    SRC_NODE = 1
    SRC_SLOT = 2
    DST_STEM = 3
    DST_NODE = 4
    DST_SLOT = 5
    LINES = 6
    PAIR = 7
    COMMON = 8
    SOURCE = 9
    VERIFY = 10
    FOUND = 11
    DOING = 11                 # all but FOUND
    BEGIN = 12                 # of the trees, once the pairs are asked
    AHEAD = 4                  # sources

cdef struct walk_t:
    uint8_t state
    uint8_t after              # once the pairs are asked
    uint8_t back               # where to, when a pair does not take the flow: SRC_STEM, SOURCE, DST_STEM
    uint8_t at                 # words of `source` gone through
    uint8_t stretch
    bint narrow
    uint64_t a                 # source, and
    uint64_t b
    uint64_t c                 # destination in host order
    uint64_t d
    const flow_t *flow
    lines_t *hosts
    uint64_t hosts_hash
    common_t *common
    lines_t *lines             # of the common ones
    uint64_t hash
    uint64_t src[2]            # of the flow, as long as theirs
    uint64_t dst[2]
    uintptr_t pair             # to look at
    eroute_t *second           # what is right unless there is something more specific
    uintptr_t word             # what is looked at next
    source_t *source
    eroute_t *found
    trail_t sources
    trail_t destinations


cdef inline void down_sources(walk_t *w, bint going) noexcept nogil:
    if going:
        w.state = w.sources.at
    else:
        next_source(w)


cdef inline void down_destinations(walk_t *w, bint going) noexcept nogil:
    if going:
        w.state = <uint8_t>(DST_STEM + w.destinations.at)
    else:
        next_of_many(w)


cdef inline void begin_common(walk_t *w) noexcept nogil:
    w.lines = <lines_t *>loadp(&w.common.pairs.lines)
    w.src[0] = w.flow.src[0] & w.common.src[0]
    w.src[1] = w.flow.src[1] & w.common.src[1]
    w.dst[0] = w.flow.dst[0] & w.common.dst[0]
    w.dst[1] = w.flow.dst[1] & w.common.dst[1]
    w.hash = front_hash(&w.common.pairs, w.src, w.dst)
    if w.lines:
        prefetch(front_line(w.lines, w.hash))


cdef inline void begin(radij_t *r, walk_t *w, const flow_t *flow, bint narrow) noexcept nogil:
    w.flow = flow
    w.narrow = narrow
    w.a = swab(flow.src[0])
    w.b = swab(flow.src[1])
    w.c = swab(flow.dst[0])
    w.d = swab(flow.dst[1])
    w.stretch = <uint8_t>stretch_of(w.c, flow.version)
    w.second = NULL
    w.hosts = <lines_t *>loadp(&r.hosts.lines)
    w.common = <common_t *>loadp(&r.common[family_of(flow.version)])
    if w.hosts == NULL and w.common == NULL:
        w.after = BEGIN
        down_sources(w, trail_start(&w.sources, sources_of(r, flow.version), w.a))
        return
    w.state = LINES
    if w.hosts:
        w.hosts_hash = front_hash(&r.hosts, flow.src, flow.dst)
        prefetch(front_line(w.hosts, w.hosts_hash))
    if w.common:
        begin_common(w)
    # A stem is sent for as well; a small tree waits until it is asked.
    w.after = BEGIN
    if sources_of(r, flow.version).stem and trail_start(&w.sources, sources_of(r, flow.version), w.a):
        w.after = w.sources.at


cdef inline void settle(walk_t *w, eroute_t *e) noexcept nogil:
    w.found = w.second if w.second != NULL and (e == NULL or not beats(e, w.common)) else e
    w.state = FOUND


cdef inline void verify(walk_t *w, uintptr_t word, uint8_t back) noexcept nogil:
    prefetch(item_of(word))
    w.word = word
    w.back = back
    w.state = VERIFY


cdef inline void next_source(walk_t *w) noexcept nogil:
    cdef uintptr_t word
    cdef char *item
    while True:
        word = trail_next(&w.sources)
        if word == 0:
            settle(w, NULL)
            return
        if not word & GROUP:
            if hinted(word, w.c, w.d):
                verify(w, word, SRC_STEM)
                return
        elif (word >> HINT) >> w.stretch & 1:
            item = <char *>item_of(word)
            prefetch(item)
            prefetch(item + (word >> 63 << 6))
            w.word = word
            w.state = SOURCE
            return


cdef inline void next_of_few(walk_t *w) noexcept nogil:
    cdef source_t *s = w.source
    cdef uintptr_t word
    while w.at < s.places:
        word = <uintptr_t>loadp(&s.slot[w.at])
        w.at += 1
        if word and hinted(word, w.c, w.d):
            verify(w, word, SOURCE)
            return
    next_source(w)


cdef inline void next_of_many(walk_t *w) noexcept nogil:
    cdef uintptr_t word
    while True:
        word = trail_next(&w.destinations)
        if word == 0:
            next_source(w)
            return
        if hinted(word, w.c, w.d):
            verify(w, word, DST_STEM)
            return


cdef inline void enter_source(walk_t *w) noexcept nogil:
    cdef source_t *s = <source_t *>item_of(w.word)
    if w.word & LEAF and apart(w.a, w.b, swab(s.key[0]), swab(s.key[1]), s.length):
        next_source(w)
    elif s.many:
        down_destinations(w, trail_start(&w.destinations, destinations_of(s), w.c))
    else:
        w.source = s
        w.at = 0
        next_of_few(w)


cdef inline eroute_t *verified(radij_t *r, walk_t *w) noexcept nogil:
    cdef fan_t *f
    cdef eroute_t *e
    if w.word & GROUP:
        f = <fan_t *>item_of(w.word)
        if apart(w.c, w.d, swab(f.key[0]), swab(f.key[1]), f.length):
            return NULL
        return fan_match(r, f, w.flow, w.narrow)
    e = <eroute_t *>item_of(w.word)
    if apart(w.c, w.d, swab(e.dst[0]), swab(e.dst[1]), e.dstlen) or apart(
            w.a, w.b, swab(e.src[0]), swab(e.src[1]), e.srclen):
        return NULL
    return e if takes(e, w.flow, w.narrow) else NULL


cdef inline void go_on(radij_t *r, walk_t *w) noexcept nogil:
    # What the trees begin with may have come while the pairs were asked.
    w.state = w.after
    if w.state == SRC_STEM:
        down_sources(w, trail_stem(&w.sources))
    elif w.state == BEGIN:
        down_sources(w, trail_start(&w.sources, sources_of(r, w.flow.version), w.a))


cdef inline bint in_line(walk_t *w, lines_t *lines, uint64_t hash, uint8_t state) noexcept nogil:
    # One that looks like the flow's pair is sent for.
    cdef uintptr_t *line
    cdef unsigned same
    if lines == NULL:
        return False
    line = front_line(lines, hash)
    same = tagged(line, front_tag(hash))
    w.pair = untagged(<uintptr_t>loadp(&line[lowest(same)])) if same else 0
    if w.pair == 0:
        return False
    prefetch(<void *>(w.pair & ~<uintptr_t>TAGS))
    w.state = state
    return True


cdef inline void look_in_common(radij_t *r, walk_t *w) noexcept nogil:
    if w.common == NULL or not in_line(w, w.lines, w.hash, COMMON):
        go_on(r, w)


cdef inline void look_in_lines(radij_t *r, walk_t *w) noexcept nogil:
    if not in_line(w, w.hosts, w.hosts_hash, PAIR):
        look_in_common(r, w)


cdef inline void look_at_pair(radij_t *r, walk_t *w) noexcept nogil:
    cdef eroute_t *e = NULL
    if not front_is(w.pair, w.flow.src, w.flow.dst, w.flow.version):
        # Another of the same tag, or none.
        w.pair = front_get(&r.hosts, w.hosts_hash, w.flow.src, w.flow.dst, w.flow.version)
    if w.pair:
        e = pair_match(r, w.pair, w.flow, w.narrow)
    if e != NULL:
        settle(w, e)
    else:
        look_in_common(r, w)


cdef inline void look_at_common(radij_t *r, walk_t *w) noexcept nogil:
    cdef eroute_t *e = NULL
    if not front_is(w.pair, w.src, w.dst, w.flow.version):
        w.pair = front_get(&w.common.pairs, w.hash, w.src, w.dst, w.flow.version)
    if w.pair:
        e = pair_match(r, w.pair, w.flow, w.narrow)
    if e != NULL and load(&w.common.beaten) == 0:
        settle(w, e)
    else:
        w.second = e
        go_on(r, w)


cdef inline void try_pair(radij_t *r, walk_t *w) noexcept nogil:
    cdef eroute_t *e = verified(r, w)
    if e != NULL:
        settle(w, e)
    elif w.back == SRC_STEM:
        next_source(w)
    elif w.back == SOURCE:
        next_of_few(w)
    else:
        next_of_many(w)


cdef inline void step(radij_t *r, walk_t *w, int state) noexcept nogil:
    # Up to where memory is waited for again, or it is FOUND.
    if state == SRC_STEM:
        down_sources(w, trail_stem(&w.sources))
    elif state == SRC_NODE:
        down_sources(w, trail_node(&w.sources, w.a, w.b))
    elif state == SRC_SLOT:
        down_sources(w, trail_slot(&w.sources))
    elif state == DST_STEM:
        down_destinations(w, trail_stem(&w.destinations))
    elif state == DST_NODE:
        down_destinations(w, trail_node(&w.destinations, w.c, w.d))
    elif state == DST_SLOT:
        down_destinations(w, trail_slot(&w.destinations))
    elif state == LINES:
        look_in_lines(r, w)
    elif state == PAIR:
        look_at_pair(r, w)
    elif state == COMMON:
        look_at_common(r, w)
    elif state == SOURCE:
        enter_source(w)
    else:
        try_pair(r, w)


cdef struct queues_t:
    int count[12]
    uint8_t who[12][64]
    walk_t walks[64]


cdef inline void enqueue(queues_t *q, int i) noexcept nogil:
    cdef int state = q.walks[i].state
    q.who[state][q.count[state]] = <uint8_t>i
    q.count[state] += 1


cdef inline void all_step(radij_t *r, queues_t *q, int state) noexcept nogil:
    cdef uint8_t now[64]
    cdef int count = q.count[state], k
    memcpy(now, q.who[state], 64)
    q.count[state] = 0
    for k in range(count):
        step(r, &q.walks[now[k]], state)
        enqueue(q, now[k])


cdef inline void look_ahead(walk_t *w) noexcept nogil:
    # Nobody else fills the waits of a single way, so the shorter sources it may come to are sent for while it goes down.
    cdef uint32_t shorter = w.sources.shorter
    cdef uintptr_t word
    cdef char *item
    cdef int n, sent = 0
    while shorter and sent < AHEAD:
        n = top_bit(shorter)
        shorter &= ~(<uint32_t>1 << n)
        word = <uintptr_t>loadp(stem_place(w.sources.stem, w.sources.value, n))
        if word & GROUP and (word >> HINT) >> w.stretch & 1:
            item = <char *>item_of(word)
            prefetch(item)
            prefetch(item + (word >> 63 << 6))
            sent += 1


cdef void walk_one(radij_t *r, const flow_t *flow, eroute_t **found, bint narrow) noexcept nogil:
    cdef walk_t w
    cdef int state
    begin(r, &w, flow, narrow)
    while w.state != FOUND:
        state = w.state
        step(r, &w, state)
        if (state == SRC_STEM or (w.after == SRC_STEM and LINES <= state <= COMMON)) and w.sources.shorter:
            look_ahead(&w)
    found[0] = w.found


cdef void walk_all(radij_t *r, const flow_t **flows, int count, eroute_t **found, bint narrow) noexcept nogil:
    # Whoever does the same thing next does it in one go, the largest company first.
    cdef queues_t q
    cdef int i, best
    memset(q.count, 0, sizeof(q.count))
    for i in range(count):
        begin(r, &q.walks[i], flows[i], narrow)
        enqueue(&q, i)
    while q.count[FOUND] < count:
        best = 0
        for i in range(1, DOING):
            if q.count[i] > q.count[best]:
                best = i
        all_step(r, &q, best)
    for i in range(count):
        found[i] = q.walks[i].found
