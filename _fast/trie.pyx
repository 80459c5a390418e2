# SPDX-License-Identifier: GPL-2.0-or-later
"""A tree of prefixes under the eroute table: six bits a step, empty stretches skipped, read without locks.

A million random IPv4 hosts lie four steps deep, of which the caches hold three; an IPv6 address has 22 steps at the
most. A prefix lives in the node whose six bits it ends in, so one walk meets every prefix that covers an address.
"""
from libc.stdint cimport uint8_t, uint64_t, uintptr_t
from libc.string cimport memcpy

from _fast.atomic cimport storep
from _fast.epoch cimport epoch_drain, epoch_init, epoch_retire
from _fast.pool cimport pool_free, pool_give, pool_take
from _fast.types cimport eroute_t


cdef inline uint64_t node_size(const tnode_t *n) noexcept nogil:
    return sizeof(tnode_t) + 8 * <uint64_t>(popcount(n.outer) + popcount(n.inner) + (2 if n.skipped else 0) - 1)


cdef void release_node(void *item, void *context) noexcept nogil:
    pool_give(<pool_t *>context, item, node_size(<tnode_t *>item))


cdef tnode_t *node_make(pool_t *pool, uint64_t inner, uint64_t outer, uint8_t depth, bint skipped) noexcept nogil:
    cdef tnode_t shape
    cdef tnode_t *n
    shape.inner = inner
    shape.outer = outer
    shape.skipped = skipped
    n = <tnode_t *>pool_take(pool, node_size(&shape))
    if n:
        n.inner = inner
        n.outer = outer
        n.depth = depth
        n.skipped = skipped
    return n


cdef void pick(uintptr_t word, uint8_t side, uint64_t *a, uint64_t *b, uint8_t *length) noexcept nogil:
    # The prefix a word stands for, in host order.
    cdef eroute_t *e
    cdef prefix_t *p
    cdef uint64_t *key
    if word & GROUP:
        p = <prefix_t *>(word & ~<uintptr_t>TAGS)
        key = p.key
        length[0] = p.length
    else:
        e = <eroute_t *>(word & ~<uintptr_t>TAGS)
        if side == BY_DESTINATION:
            key = e.dst
            length[0] = e.dstlen
        else:
            key = e.src
            length[0] = e.srclen
    a[0] = swab(key[0])
    b[0] = swab(key[1])


cdef uint64_t inner_bit(uint64_t a, uint64_t b, uint8_t depth, uint8_t length) noexcept nogil:
    cdef unsigned n = length - depth
    return <uint64_t>1 << ((1 << n) - 1 + (chunk_of(a, b, depth) >> (6 - n)))


cdef tnode_t *node_with(pool_t *pool, const tnode_t *n, uint64_t inner, uint64_t outer, uintptr_t word) noexcept nogil:
    # A copy of `n` that has one prefix or one child more.
    cdef tnode_t *m = node_make(pool, n.inner | inner, n.outer | outer, n.depth, n.skipped)
    cdef int children = popcount(n.outer), prefixes = popcount(n.inner)
    cdef int at = popcount(n.outer & (outer - 1)) if outer else children + popcount(n.inner & (inner - 1))
    cdef int total = children + prefixes + (2 if n.skipped else 0)
    if m:
        memcpy(m.slot, n.slot, 8 * at)
        m.slot[at] = word
        memcpy(&m.slot[at + 1], &n.slot[at], 8 * (total - at))
    return m


cdef tnode_t *node_without(pool_t *pool, const tnode_t *n, uint64_t inner, uint64_t outer) noexcept nogil:
    cdef tnode_t *m = node_make(pool, n.inner & ~inner, n.outer & ~outer, n.depth, n.skipped)
    cdef int children = popcount(n.outer)
    cdef int at = popcount(n.outer & (outer - 1)) if outer else children + popcount(n.inner & (inner - 1))
    cdef int total = children + popcount(n.inner) + (2 if n.skipped else 0)
    if m:
        memcpy(m.slot, n.slot, 8 * at)
        memcpy(&m.slot[at], &n.slot[at + 1], 8 * (total - at - 1))
    return m


cdef tnode_t *node_keyed(pool_t *pool, const tnode_t *n, uint64_t a, uint64_t b) noexcept nogil:
    # A copy of `n` that may hang anywhere above.
    cdef tnode_t *m = node_make(pool, n.inner, n.outer, n.depth, True)
    cdef uintptr_t *key
    if m:
        memcpy(m.slot, n.slot, 8 * (popcount(n.outer) + popcount(n.inner)))
        key = node_key(m)
        key[0] = a
        key[1] = b
    return m


cdef tnode_t *node_join(pool_t *pool, uint8_t depth, bint skipped, uint64_t a, uint64_t b, uint8_t length,
                        uintptr_t word, uint64_t c, uint64_t d, uintptr_t other, uint8_t otherlen) noexcept nogil:
    # A node of two: prefix `word`, and `other`, which is a prefix or (otherlen 255) a node.
    cdef uint64_t inner = 0, outer = 0, first_inner = 0
    cdef tnode_t *n
    cdef uintptr_t *key
    if length < depth + 6:
        inner = inner_bit(a, b, depth, length)
    else:
        outer = <uint64_t>1 << chunk_of(a, b, depth)
    first_inner = inner
    if otherlen < depth + 6:
        inner |= inner_bit(c, d, depth, otherlen)
    else:
        outer |= <uint64_t>1 << chunk_of(c, d, depth)
    n = node_make(pool, inner, outer, depth, skipped)
    if n == NULL:
        return NULL
    if first_inner:
        inner_slot(n, first_inner)[0] = word
    else:
        child_slot(n, <uint64_t>1 << chunk_of(a, b, depth))[0] = word | LEAF
    if otherlen < depth + 6:
        inner_slot(n, inner_bit(c, d, depth, otherlen))[0] = other
    else:
        child_slot(n, <uint64_t>1 << chunk_of(c, d, depth))[0] = other if otherlen == 255 else other | LEAF
    if skipped:
        key = node_key(n)
        key[0] = a
        key[1] = b
    return n


cdef int trie_put(trie_t *t, pool_t *pool, epoch_t *epoch, const uint64_t *key, uint8_t length, uintptr_t word,
                  uintptr_t *old) noexcept nogil:
    cdef uint64_t a = swab(key[0]), b = swab(key[1]), c, d, bit
    cdef uintptr_t *slot = &t.root
    cdef uintptr_t at
    cdef uintptr_t *own
    cdef uint8_t least = 0, otherlen
    cdef unsigned same
    cdef tnode_t *n
    cdef tnode_t *m
    old[0] = 0
    while True:
        at = slot[0]
        if at == 0:
            storep(slot, <void *>(word | LEAF))
            return 0
        if at & LEAF:
            pick(at, t.side, &c, &d, &otherlen)
            same = min(common_bits(a, b, c, d), <unsigned>min(length, otherlen))
            if same == length and same == otherlen:
                old[0] = at & ~<uintptr_t>LEAF
                storep(slot, <void *>(word | LEAF))
                return 0
            same -= same % 6
            m = node_join(pool, <uint8_t>same, same > least, a, b, length, word, c, d, at & ~<uintptr_t>LEAF, otherlen)
            if m == NULL:
                return -1
            storep(slot, m)
            return 0
        n = <tnode_t *>at
        if n.skipped:
            own = node_key(n)
            same = min(common_bits(a, b, own[0], own[1]), <unsigned>min(length, n.depth))
            if same < n.depth:
                same -= same % 6
                m = node_join(pool, <uint8_t>same, same > least, a, b, length, word, own[0], own[1], at, 255)
                if m == NULL:
                    return -1
                storep(slot, m)
                return 0
        if length < n.depth + 6:
            bit = inner_bit(a, b, n.depth, length)
            if n.inner & bit:
                slot = inner_slot(n, bit)
                old[0] = slot[0]
                storep(slot, <void *>word)
                return 0
            m = node_with(pool, n, bit, 0, word)
        else:
            bit = <uint64_t>1 << chunk_of(a, b, n.depth)
            if n.outer & bit:
                slot = child_slot(n, bit)
                least = n.depth + 6
                continue
            m = node_with(pool, n, 0, bit, word | LEAF)
        if m == NULL:
            return -1
        storep(slot, m)
        epoch_retire(epoch, n, release_node, pool)
        return 0


cdef uintptr_t trie_get(trie_t *t, const uint64_t *key, uint8_t length) noexcept nogil:
    cdef uint64_t a = swab(key[0]), b = swab(key[1]), c, d, bit
    cdef uintptr_t at = t.root
    cdef uintptr_t *own
    cdef uint8_t otherlen
    cdef tnode_t *n
    while at and not at & LEAF:
        n = <tnode_t *>at
        if length < n.depth:
            return 0
        if n.skipped:
            own = node_key(n)
            if apart(a, b, own[0], own[1], n.depth):
                return 0
        if length < n.depth + 6:
            bit = inner_bit(a, b, n.depth, length)
            return inner_slot(n, bit)[0] if n.inner & bit else 0
        bit = <uint64_t>1 << chunk_of(a, b, n.depth)
        at = child_slot(n, bit)[0] if n.outer & bit else 0
    if at:
        at &= ~<uintptr_t>LEAF
        pick(at, t.side, &c, &d, &otherlen)
        if otherlen != length or apart(a, b, c, d, length):
            return 0
    return at


cdef void first_prefix(uintptr_t word, uint8_t side, uint64_t *a, uint64_t *b) noexcept nogil:
    # Some prefix below a node: it has the node's own bits.
    cdef uint8_t length
    while word and not word & LEAF and (<tnode_t *>word).outer:
        word = (<tnode_t *>word).slot[0]
    if not word & LEAF:
        word = (<tnode_t *>word).slot[0]
    pick(word, side, a, b, &length)


cdef void shrink(trie_t *t, pool_t *pool, epoch_t *epoch, uintptr_t *slot, uint64_t inner, uint64_t outer) noexcept nogil:
    # Take one member from the node in `slot`; a node of one member is none.
    cdef tnode_t *n = <tnode_t *>slot[0]
    cdef tnode_t *m
    cdef tnode_t *only
    cdef uintptr_t rest
    cdef uint64_t a, b
    cdef bint inside
    if popcount(n.outer) + popcount(n.inner) > 2:
        m = node_without(pool, n, inner, outer)
        if m == NULL:
            # No memory for a smaller node: an empty slot says the same.
            storep(inner_slot(n, inner) if inner else child_slot(n, outer), NULL)
            return
        storep(slot, m)
        epoch_retire(epoch, n, release_node, pool)
        return
    inside = (n.inner & ~inner) != 0
    rest = inner_slot(n, n.inner & ~inner)[0] if inside else child_slot(n, n.outer & ~outer)[0]
    if rest and inside:
        rest |= LEAF
    elif rest and not rest & LEAF and not (<tnode_t *>rest).skipped:
        only = <tnode_t *>rest
        first_prefix(rest, t.side, &a, &b)
        m = node_keyed(pool, only, a, b)
        if m == NULL:
            storep(inner_slot(n, inner) if inner else child_slot(n, outer), NULL)
            return
        storep(slot, m)
        epoch_retire(epoch, only, release_node, pool)
        epoch_retire(epoch, n, release_node, pool)
        return
    storep(slot, <void *>rest)
    epoch_retire(epoch, n, release_node, pool)


cdef uintptr_t trie_cut(trie_t *t, pool_t *pool, epoch_t *epoch, const uint64_t *key, uint8_t length) noexcept nogil:
    cdef uint64_t a = swab(key[0]), b = swab(key[1]), bit, parent_bit = 0
    cdef uintptr_t *slot = &t.root
    cdef uintptr_t *parent = NULL
    cdef uintptr_t found = trie_get(t, key, length)
    cdef tnode_t *n
    if found == 0:
        return 0
    while not slot[0] & LEAF:
        n = <tnode_t *>slot[0]
        if length < n.depth + 6:
            shrink(t, pool, epoch, slot, inner_bit(a, b, n.depth, length), 0)
            return found
        bit = <uint64_t>1 << chunk_of(a, b, n.depth)
        parent = slot
        parent_bit = bit
        slot = child_slot(n, bit)
    if parent:
        shrink(t, pool, epoch, parent, 0, parent_bit)
    else:
        storep(slot, NULL)
    return found


cdef void trie_visit(uintptr_t root, visit_t visit, void *context) noexcept nogil:
    cdef tnode_t *n
    cdef uintptr_t word
    cdef int i, children
    if root == 0:
        return
    if root & LEAF:
        visit(root & ~<uintptr_t>LEAF, context)
        return
    n = <tnode_t *>root
    children = popcount(n.outer)
    for i in range(popcount(n.inner)):
        word = <uintptr_t>loadp(&n.slot[children + i])
        if word:
            visit(word, context)
    for i in range(children):
        trie_visit(<uintptr_t>loadp(&n.slot[i]), visit, context)


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
        if trie_put(&self.t, &self.pool, &self.e, e.dst, length, <uintptr_t>e, &old):
            raise MemoryError
        if not old:
            return None
        was = (<eroute_t *>old).cookie
        epoch_retire(&self.e, <void *>old, release_eroute, &self.pool)
        return was

    def cut(self, bytes net, uint8_t length):
        """Remove; answers its number, or None."""
        cdef uint64_t key[2]
        cdef uintptr_t old
        key[0] = key[1] = 0
        memcpy(key, <const uint8_t *>net, min(16, len(net)))
        old = trie_cut(&self.t, &self.pool, &self.e, key, length)
        if not old:
            return None
        was = (<eroute_t *>old).cookie
        epoch_retire(&self.e, <void *>old, release_eroute, &self.pool)
        return was

    def covering(self, bytes address):
        """The numbers of all prefixes that cover an address, longest first."""
        cdef uint64_t key[2]
        cdef trail_t trail
        cdef uintptr_t word
        cdef eroute_t *e
        key[0] = key[1] = 0
        memcpy(key, <const uint8_t *>address, min(16, len(address)))
        trie_walk(self.t.root, swab(key[0]), swab(key[1]), &trail)
        found = []
        while True:
            word = trail_next(&trail)
            if word == 0:
                return found
            e = <eroute_t *>(word & ~<uintptr_t>TAGS)
            if not apart(swab(key[0]), swab(key[1]), swab(e.dst[0]), swab(e.dst[1]), e.dstlen):
                found.append(e.cookie)

    def __len__(self):
        cdef uint64_t count = 0
        trie_visit(self.t.root, count_word, &count)
        return count

    @property
    def octets(self):
        """In use, prefixes and nodes; what is retired counts until the next call."""
        epoch_drain(&self.e)
        return self.pool.used

    def __dealloc__(self):
        epoch_drain(&self.e)
        pool_free(&self.pool)


cdef void release_eroute(void *item, void *context) noexcept nogil:
    pool_give(<pool_t *>context, item, sizeof(eroute_t))
