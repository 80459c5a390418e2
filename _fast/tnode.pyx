# SPDX-License-Identifier: GPL-2.0-or-later
"""Nodes of a tree of prefixes: six bits a step, empty stretches skipped, changed by one writer under readers without locks.

A prefix lives in the node whose six bits it ends in, so one walk meets every prefix that covers an address.
"""
from libc.stdint cimport uint8_t, uint64_t, uintptr_t
from libc.string cimport memcpy

from _fast.atomic cimport loadp, storep
from _fast.bits cimport apart, chunk_of, common_bits, popcount, swab
from _fast.epoch cimport epoch_retire, epoch_t
from _fast.pool cimport pool_give, pool_t, pool_take
from _fast.types cimport eroute_t
from _fast.word cimport GROUP, LEAF, item_of, word_of


cdef inline tnode_t *node_of(uintptr_t word) noexcept nogil:
    return <tnode_t *>item_of(word)


cdef inline int words_in(const tnode_t *n) noexcept nogil:
    return n.skipped + popcount(n.outer) + popcount(n.inner)


cdef inline uint64_t node_size(const tnode_t *n) noexcept nogil:
    return sizeof(tnode_t) + 8 * <uint64_t>(words_in(n) - 1)


cdef void release_node(void *item, void *context) noexcept nogil:
    pool_give(<pool_t *>context, item, node_size(<tnode_t *>item))


cdef inline void plant(uintptr_t *place, const tnode_t *n) noexcept nogil:
    # The hint says where its second line is, or that there is none.
    storep(place, <void *>word_of(n, 0, 64 if node_size(n) > 64 else 0))


cdef tnode_t *node_make(pool_t *pool, uint64_t inner, uint64_t outer, uint8_t depth, uint8_t skipped) noexcept nogil:
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
        p = <prefix_t *>item_of(word)
        key = p.key
        length[0] = p.length
    else:
        e = <eroute_t *>item_of(word)
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
    cdef int at = n.skipped
    if outer:
        at += popcount(n.outer & (outer - 1))
    else:
        at += popcount(n.outer) + popcount(n.inner & (inner - 1))
    if m:
        memcpy(m.slot, n.slot, 8 * at)
        m.slot[at] = word
        memcpy(&m.slot[at + 1], &n.slot[at], 8 * (words_in(n) - at))
    return m


cdef tnode_t *node_without(pool_t *pool, const tnode_t *n, uint64_t inner, uint64_t outer) noexcept nogil:
    cdef tnode_t *m = node_make(pool, n.inner & ~inner, n.outer & ~outer, n.depth, n.skipped)
    cdef int at = n.skipped
    if outer:
        at += popcount(n.outer & (outer - 1))
    else:
        at += popcount(n.outer) + popcount(n.inner & (inner - 1))
    if m:
        memcpy(m.slot, n.slot, 8 * at)
        memcpy(&m.slot[at], &n.slot[at + 1], 8 * (words_in(n) - at - 1))
    return m


cdef tnode_t *node_keyed(pool_t *pool, const tnode_t *n, uint64_t a, uint64_t b) noexcept nogil:
    # A copy of `n`, which has no key, that may hang anywhere above.
    cdef tnode_t *m = node_make(pool, n.inner, n.outer, n.depth, 2)
    if m:
        m.slot[0] = a
        m.slot[1] = b
        memcpy(&m.slot[2], n.slot, 8 * words_in(n))
    return m


cdef tnode_t *node_join(pool_t *pool, uint8_t depth, bint keyed, uint64_t a, uint64_t b, uint8_t length,
                        uintptr_t word, uint64_t c, uint64_t d, uintptr_t other, uint8_t otherlen) noexcept nogil:
    # A node of two: prefix `word`, and `other`, which is a prefix or (otherlen 255) a node.
    cdef uint64_t inner = 0, outer = 0, first_inner = 0
    cdef tnode_t *n
    if length < depth + 6:
        inner = inner_bit(a, b, depth, length)
    else:
        outer = <uint64_t>1 << chunk_of(a, b, depth)
    first_inner = inner
    if otherlen < depth + 6:
        inner |= inner_bit(c, d, depth, otherlen)
    else:
        outer |= <uint64_t>1 << chunk_of(c, d, depth)
    n = node_make(pool, inner, outer, depth, 2 if keyed else 0)
    if n == NULL:
        return NULL
    if keyed:
        n.slot[0] = a
        n.slot[1] = b
    if first_inner:
        inner_slot(n, first_inner)[0] = word
    else:
        child_slot(n, <uint64_t>1 << chunk_of(a, b, depth))[0] = word | LEAF
    if otherlen < depth + 6:
        inner_slot(n, inner_bit(c, d, depth, otherlen))[0] = other
    else:
        child_slot(n, <uint64_t>1 << chunk_of(c, d, depth))[0] = other if otherlen == 255 else other | LEAF
    return n


cdef int nodes_put(const soil_t *s, uintptr_t *place, const uint64_t *key, uint8_t length, uintptr_t word,
                   uintptr_t *old) noexcept nogil:
    cdef uint64_t a = swab(key[0]), b = swab(key[1]), c, d, bit
    cdef uintptr_t at
    cdef uint8_t least = s.base, otherlen
    cdef unsigned same
    cdef tnode_t *n
    cdef tnode_t *m
    old[0] = 0
    while True:
        at = place[0]
        if at == 0:
            storep(place, <void *>(word | LEAF))
            return 0
        n = node_of(at)
        if at & LEAF:
            pick(at, s.side, &c, &d, &otherlen)
            same = min(common_bits(a, b, c, d), <unsigned>min(length, otherlen))
            if same == length and same == otherlen:
                old[0] = at & ~<uintptr_t>LEAF
                storep(place, <void *>(word | LEAF))
                return 0
        elif n.skipped:
            c = n.slot[0]
            d = n.slot[1]
            otherlen = 255
            same = min(common_bits(a, b, c, d), <unsigned>min(length, n.depth))
        if at & LEAF or (n.skipped and same < n.depth):
            same -= (same - s.base) % 6
            m = node_join(s.pool, <uint8_t>same, same > least, a, b, length, word, c, d, at & ~<uintptr_t>LEAF, otherlen)
            if m == NULL:
                return -1
            plant(place, m)
            return 0
        if length < n.depth + 6:
            bit = inner_bit(a, b, n.depth, length)
            if n.inner & bit:
                place = inner_slot(n, bit)
                old[0] = place[0]
                storep(place, <void *>word)
                return 0
            m = node_with(s.pool, n, bit, 0, word)
        else:
            bit = <uint64_t>1 << chunk_of(a, b, n.depth)
            if n.outer & bit:
                place = child_slot(n, bit)
                least = n.depth + 6
                continue
            m = node_with(s.pool, n, 0, bit, word | LEAF)
        if m == NULL:
            return -1
        plant(place, m)
        epoch_retire(s.epoch, n, release_node, s.pool)
        return 0


cdef uintptr_t nodes_get(uintptr_t at, uint8_t side, const uint64_t *key, uint8_t length) noexcept nogil:
    cdef uint64_t a = swab(key[0]), b = swab(key[1]), c, d, bit
    cdef uint8_t otherlen
    cdef tnode_t *n
    while at and not at & LEAF:
        n = node_of(at)
        if length < n.depth or (n.skipped and apart(a, b, n.slot[0], n.slot[1], n.depth)):
            return 0
        if length < n.depth + 6:
            bit = inner_bit(a, b, n.depth, length)
            return inner_slot(n, bit)[0] if n.inner & bit else 0
        bit = <uint64_t>1 << chunk_of(a, b, n.depth)
        at = child_slot(n, bit)[0] if n.outer & bit else 0
    if at:
        at &= ~<uintptr_t>LEAF
        pick(at, side, &c, &d, &otherlen)
        if otherlen != length or apart(a, b, c, d, length):
            return 0
    return at


cdef bint some_prefix(uintptr_t at, uint8_t side, uint64_t *a, uint64_t *b) noexcept nogil:
    # Of some prefix below a node: it has the node's own bits. False: there is none any more, for want of memory to say so.
    cdef uint8_t length
    cdef tnode_t *n
    cdef int i
    if at == 0:
        return False
    if at & LEAF:
        pick(at, side, a, b, &length)
        return True
    n = node_of(at)
    for i in range(n.skipped, words_in(n)):
        if i >= n.skipped + popcount(n.outer):
            if n.slot[i]:
                pick(n.slot[i], side, a, b, &length)
                return True
        elif some_prefix(n.slot[i], side, a, b):
            return True
    return False


cdef void shrink(const soil_t *s, uintptr_t *place, uint64_t inner, uint64_t outer) noexcept nogil:
    # Take one member from the node at `place`; a node of one member is none.
    cdef tnode_t *n = node_of(place[0])
    cdef tnode_t *m
    cdef tnode_t *only
    cdef uintptr_t rest
    cdef uint64_t a, b
    cdef bint inside
    if popcount(n.outer) + popcount(n.inner) > 2:
        m = node_without(s.pool, n, inner, outer)
        if m == NULL:
            # No memory for a smaller node: an empty slot says the same.
            storep(inner_slot(n, inner) if inner else child_slot(n, outer), NULL)
            return
        plant(place, m)
        epoch_retire(s.epoch, n, release_node, s.pool)
        return
    inside = (n.inner & ~inner) != 0
    rest = inner_slot(n, n.inner & ~inner)[0] if inside else child_slot(n, n.outer & ~outer)[0]
    if rest and inside:
        rest |= LEAF
    elif rest and not rest & LEAF and not node_of(rest).skipped:
        only = node_of(rest)
        m = node_keyed(s.pool, only, a, b) if some_prefix(rest, s.side, &a, &b) else NULL
        if m == NULL:
            storep(inner_slot(n, inner) if inner else child_slot(n, outer), NULL)
            return
        plant(place, m)
        epoch_retire(s.epoch, only, release_node, s.pool)
        epoch_retire(s.epoch, n, release_node, s.pool)
        return
    storep(place, <void *>rest)
    epoch_retire(s.epoch, n, release_node, s.pool)


cdef void nodes_cut(const soil_t *s, uintptr_t *place, const uint64_t *key, uint8_t length) noexcept nogil:
    cdef uint64_t a = swab(key[0]), b = swab(key[1]), bit, parent_bit = 0
    cdef uintptr_t *parent = NULL
    cdef tnode_t *n
    while not place[0] & LEAF:
        n = node_of(place[0])
        if length < n.depth + 6:
            shrink(s, place, inner_bit(a, b, n.depth, length), 0)
            return
        bit = <uint64_t>1 << chunk_of(a, b, n.depth)
        parent = place
        parent_bit = bit
        place = child_slot(n, bit)
    if parent:
        shrink(s, parent, 0, parent_bit)
    else:
        storep(place, NULL)


cdef void nodes_visit(uintptr_t at, visit_t visit, void *context) noexcept nogil:
    cdef tnode_t *n
    cdef uintptr_t word
    cdef int i, children
    if at == 0:
        return
    if at & LEAF:
        visit(at & ~<uintptr_t>LEAF, context)
        return
    n = node_of(at)
    children = popcount(n.outer)
    for i in range(n.skipped + children, words_in(n)):
        word = <uintptr_t>loadp(&n.slot[i])
        if word:
            visit(word, context)
    for i in range(n.skipped, n.skipped + children):
        nodes_visit(<uintptr_t>loadp(&n.slot[i]), visit, context)


cdef void nodes_retire(const soil_t *s, uintptr_t at) noexcept nogil:
    cdef tnode_t *n
    cdef int i
    if at == 0 or at & LEAF:
        return
    n = node_of(at)
    for i in range(n.skipped, n.skipped + popcount(n.outer)):
        nodes_retire(s, n.slot[i])
    epoch_retire(s.epoch, n, release_node, s.pool)
