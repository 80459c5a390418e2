# SPDX-License-Identifier: GPL-2.0-or-later
"""Trees of prefixes under the eroute table, read without locks; a large one reads the first 16 bits in one step.

A million random IPv4 hosts lie three steps deep with a stem, of which the caches hold the first; an IPv6 address has 22
steps at the most.
"""
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy

from _fast.atomic cimport store_32, storep
from _fast.bits cimport swab
from _fast.epoch cimport epoch_drain, epoch_init, epoch_retire
from _fast.pool cimport SINGLY, map_block, munmap, pool_free, pool_give, pool_take
from _fast.tnode cimport (BY_DESTINATION, nodes_cut, nodes_get, nodes_put, nodes_retire, nodes_visit, pick, soil_t, visit_t)
from _fast.types cimport eroute_t
from _fast.word cimport GROUP, LEAF, hint_of, item_of, word_of


cdef inline uint32_t value_of(const uint64_t *key) noexcept nogil:
    return <uint32_t>(swab(key[0]) >> 48)


cdef inline uintptr_t *place_of(stem_t *stem, const uint64_t *key, uint8_t length) noexcept nogil:
    # Where the prefix itself is, when it is not longer than the stem, or the tree below which it is.
    cdef uint32_t value = value_of(key)
    return &stem.below[value] if length > STEM_BITS else stem_place(stem, value, length)


cdef void mark(stem_t *stem, const uint64_t *key, uint8_t length, bint there) noexcept nogil:
    # Tell the cell, or all cells, of a prefix of 16 bits or less that it is there, or no more.
    cdef uint32_t value = value_of(key), first = value >> 3, count = 1, i
    cdef unsigned bit
    if length < CELL_BITS:
        bit = ABOVE + length
        count <<= CELL_BITS - length
        first &= ~(count - 1)
    elif length < STEM_BITS:
        bit = LONGER + longer_at(value, length)
    else:
        bit = OWN + (value & 7)
    for i in range(first, first + count):
        store_32(&stem.short[i], stem.short[i] & ~(<uint32_t>1 << bit) | <uint32_t>there << bit)


cdef void release_stem(void *item, void *context) noexcept nogil:
    munmap(item, STEM_SIZE)


cdef int stem_put(stem_t *stem, soil_t *s, const uint64_t *key, uint8_t length, uintptr_t word,
                  uintptr_t *old) noexcept nogil:
    cdef uintptr_t *place = place_of(stem, key, length)
    if length > STEM_BITS:
        return nodes_put(s, place, key, length, word, old)
    old[0] = place[0]
    storep(place, <void *>word)
    if old[0] == 0:
        mark(stem, key, length, True)
    return 0


cdef struct growth_t:
    stem_t *stem
    soil_t soil
    bint failed


cdef void regrow(uintptr_t word, void *context) noexcept nogil:
    cdef growth_t *g = <growth_t *>context
    cdef uint64_t key[2]
    cdef uintptr_t old = 0
    cdef uint8_t length
    pick(word, g.soil.side, &key[0], &key[1], &length)
    key[0] = swab(key[0])
    key[1] = swab(key[1])
    if not g.failed and stem_put(g.stem, &g.soil, key, length, word, &old):
        g.failed = True


cdef void grow_stem(trie_t *t, soil_t *s) noexcept nogil:
    # Everything again below a stem, then it is shown. Without the memory the tree stays as it is and tries again later.
    # The root stays in its place: a reader that has just seen no stem goes there.
    cdef growth_t g
    cdef uint32_t i
    g.stem = <stem_t *>map_block(STEM_SIZE)
    if g.stem == NULL:
        return
    g.soil = s[0]
    g.soil.base = STEM_BITS
    g.failed = False
    nodes_visit(t.root, regrow, &g)
    if g.failed:
        for i in range(1 << STEM_BITS):
            nodes_retire(&g.soil, g.stem.below[i])
        munmap(g.stem, STEM_SIZE)
        return
    storep(&t.stem, g.stem)
    nodes_retire(s, t.root)


cdef inline soil_t soil_of(const trie_t *t, pool_t *pool, epoch_t *epoch) noexcept nogil:
    cdef soil_t s
    s.pool = pool
    s.epoch = epoch
    s.side = t.side
    s.base = STEM_BITS if t.stem else 0
    return s


cdef int trie_put(trie_t *t, pool_t *pool, epoch_t *epoch, const uint64_t *key, uint8_t length, uintptr_t word,
                  uintptr_t *old) noexcept nogil:
    cdef soil_t s = soil_of(t, pool, epoch)
    cdef int bad
    if t.stem:
        bad = stem_put(t.stem, &s, key, length, word, old)
    else:
        bad = nodes_put(&s, &t.root, key, length, word, old)
    if bad == 0 and old[0] == 0:
        t.count += 1
        if t.stem == NULL and t.count % (STEM_SOON if SINGLY else STEM_FROM) == 0:
            grow_stem(t, &s)
    return bad


cdef uintptr_t trie_get(trie_t *t, const uint64_t *key, uint8_t length) noexcept nogil:
    if t.stem == NULL:
        return nodes_get(t.root, t.side, key, length)
    if length <= STEM_BITS:
        return place_of(t.stem, key, length)[0]
    return nodes_get(place_of(t.stem, key, length)[0], t.side, key, length)


cdef uintptr_t trie_cut(trie_t *t, pool_t *pool, epoch_t *epoch, const uint64_t *key, uint8_t length) noexcept nogil:
    cdef soil_t s = soil_of(t, pool, epoch)
    cdef uintptr_t found = trie_get(t, key, length)
    cdef stem_t *stem = t.stem
    if found == 0:
        return 0
    t.count -= 1
    if t.stem == NULL:
        nodes_cut(&s, &t.root, key, length)
    elif length > STEM_BITS:
        nodes_cut(&s, place_of(t.stem, key, length), key, length)
    else:
        mark(t.stem, key, length, False)
        storep(place_of(t.stem, key, length), NULL)
    if t.count == 0 and t.stem:
        # Nothing hangs below the stem any more.
        storep(&t.root, NULL)
        storep(&t.stem, NULL)
        epoch_retire(epoch, stem, release_stem, NULL)
    return found


cdef inline void visit_place(uintptr_t *place, visit_t visit, void *context) noexcept nogil:
    cdef uintptr_t word = <uintptr_t>loadp(place)
    if word:
        visit(word, context)


cdef void trie_visit(trie_t *t, visit_t visit, void *context) noexcept nogil:
    cdef stem_t *stem = <stem_t *>loadp(&t.stem)
    cdef uint32_t i, k
    if stem == NULL:
        nodes_visit(<uintptr_t>loadp(&t.root), visit, context)
        return
    for i in range(1, 1 << CELL_BITS):
        visit_place(&stem.shorter[i], visit, context)
    for i in range(1 << CELL_BITS):
        for k in range(7):
            visit_place(&stem.cell[i].longer[k], visit, context)
    for i in range(1 << STEM_BITS):
        visit_place(&stem.own[i], visit, context)
        nodes_visit(<uintptr_t>loadp(&stem.below[i]), visit, context)


cdef void trie_retire(trie_t *t, pool_t *pool, epoch_t *epoch) noexcept nogil:
    cdef soil_t s = soil_of(t, pool, epoch)
    cdef uint32_t i
    if t.stem == NULL:
        nodes_retire(&s, t.root)
        return
    for i in range(1 << STEM_BITS):
        nodes_retire(&s, t.stem.below[i])
    epoch_retire(epoch, t.stem, release_stem, NULL)


cdef void trie_free(trie_t *t) noexcept nogil:
    if t.stem:
        munmap(t.stem, STEM_SIZE)
    t.stem = NULL
    t.root = 0
    t.count = 0


cdef uint64_t trie_octets(const trie_t *t) noexcept nogil:
    return STEM_SIZE if t.stem else 0


cdef void count_word(uintptr_t word, void *context) noexcept nogil:
    (<uint64_t *>context)[0] += 1


cdef class Trie:
    """A tree of prefixes by itself, for tests: (octets, length) to a number above 0."""

    cdef trie_t t
    cdef pool_t pool
    cdef epoch_t e

    def __cinit__(self):
        epoch_init(&self.e)
        self.t.side = BY_DESTINATION

    def put(self, bytes net, uint8_t length, uint64_t number):
        """Add or replace; answers the number replaced, or None."""
        cdef eroute_t *e = <eroute_t *>pool_take(&self.pool, sizeof(eroute_t))
        cdef uintptr_t old = 0
        if e == NULL:
            raise MemoryError
        memcpy(e.dst, <const uint8_t *>net, min(16, len(net)))
        e.dstlen = length
        e.cookie = number
        if trie_put(&self.t, &self.pool, &self.e, e.dst, length, word_of(e, 0, hint_of(e.dst, length)), &old):
            raise MemoryError
        return self.gone(old)

    def cut(self, bytes net, uint8_t length):
        """Remove; answers its number, or None."""
        cdef uint64_t key[2]
        key[0] = key[1] = 0
        memcpy(key, <const uint8_t *>net, min(16, len(net)))
        return self.gone(trie_cut(&self.t, &self.pool, &self.e, key, length))

    cdef gone(self, uintptr_t old):
        cdef eroute_t *e = <eroute_t *>item_of(old)
        if not old:
            return None
        epoch_retire(&self.e, e, release_eroute, &self.pool)
        return e.cookie

    def covering(self, bytes address):
        """The numbers of all prefixes that cover an address, longest first."""
        cdef uint64_t key[2]
        cdef trail_t trail
        cdef uintptr_t word
        cdef eroute_t *e
        cdef bint going
        key[0] = key[1] = 0
        memcpy(key, <const uint8_t *>address, min(16, len(address)))
        going = trail_start(&trail, &self.t, swab(key[0]))
        while going:
            if trail.at == AT_STEM:
                going = trail_stem(&trail)
            elif trail.at == AT_NODE:
                going = trail_node(&trail, swab(key[0]), swab(key[1]))
            else:
                going = trail_slot(&trail)
        found = []
        while True:
            word = trail_next(&trail)
            if word == 0:
                return found
            e = <eroute_t *>item_of(word)
            if not apart(swab(key[0]), swab(key[1]), swab(e.dst[0]), swab(e.dst[1]), e.dstlen):
                found.append(e.cookie)

    def __len__(self):
        cdef uint64_t count = 0
        trie_visit(&self.t, count_word, &count)
        if count != self.t.count:
            raise AssertionError("the prefixes are miscounted")
        return count

    @property
    def octets(self):
        """In use, prefixes and nodes; what is retired counts until the next call."""
        epoch_drain(&self.e)
        return self.pool.used

    @property
    def stem(self):
        """Octets of the stem, 0 when there is none."""
        return trie_octets(&self.t)

    def __dealloc__(self):
        epoch_drain(&self.e)
        trie_free(&self.t)
        pool_free(&self.pool)


cdef void release_eroute(void *item, void *context) noexcept nogil:
    pool_give(<pool_t *>context, item, sizeof(eroute_t))
