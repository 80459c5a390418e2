# SPDX-License-Identifier: GPL-2.0-or-later
"""Eroutes of one source: its destinations, a few in a row or many in a tree."""
from libc.stdint cimport uint8_t, uint64_t, uintptr_t

from _fast.atomic cimport loadp, storep
from _fast.bits cimport swab
from _fast.epoch cimport epoch_retire
from _fast.fan cimport eroute_of, fan_of, pair_release, pair_retire, pair_set, pair_without, table_of_fan_free
from _fast.pool cimport pool_give, pool_take
from _fast.radij cimport same_key, same_pair
from _fast.tnode cimport BY_DESTINATION, visit_t
from _fast.trie cimport trie_cut, trie_free, trie_get, trie_octets, trie_put, trie_retire, trie_visit
from _fast.word cimport SECOND_LINE, hint_of, stretches_of


cdef uintptr_t pair_word(uintptr_t pair, const uint64_t *dst, uint8_t length) noexcept nogil:
    return word_of(<void *>(pair & ~<uintptr_t>GROUP), <unsigned>(pair & GROUP), hint_of(dst, length))


cdef inline uint64_t source_size(const source_t *s) noexcept nogil:
    return sizeof(source_t) - 13 * 8 + (sizeof(trie_t) if s.many else <uint64_t>s.places * 8)


cdef inline uintptr_t source_word(const source_t *s) noexcept nogil:
    return word_of(s, GROUP, s.stretches | (SECOND_LINE if source_size(s) > 64 else 0))


cdef void release_source(void *item, void *context) noexcept nogil:
    pool_give(&(<radij_t *>context).pool, item, source_size(<source_t *>item))


cdef inline const uint64_t *dst_of(uintptr_t word) noexcept nogil:
    if word & GROUP:
        return fan_of(pair_of(word)).key
    return eroute_of(pair_of(word)).dst


cdef inline uint8_t dstlen_of(uintptr_t word) noexcept nogil:
    return <uint8_t>(word >> 56)


cdef inline bint leads_to(uintptr_t word, const uint64_t *dst, uint8_t length) noexcept nogil:
    return (word != 0 and dstlen_of(word) == length and dst_of(word)[0] == dst[0] and dst_of(word)[1] == dst[1])


cdef void cover(source_t *s, const uint64_t *dst, uint8_t length) noexcept nogil:
    s.stretches |= <uint16_t>stretches_of(swab(dst[0]), length, s.version)


cdef source_t *source_new(radij_t *r, const eroute_t *e, const uintptr_t *words, int count) noexcept nogil:
    # Of these words, in this order; `e` is some eroute of the source.
    cdef source_t shape
    cdef source_t *s
    cdef uintptr_t old = 0
    cdef int i
    shape.many = count > FEW
    shape.places = <uint8_t>(0 if shape.many else count)
    s = <source_t *>pool_take(&r.pool, source_size(&shape))
    if s == NULL:
        return NULL
    s.key[0] = e.src[0]
    s.key[1] = e.src[1]
    s.length = e.srclen
    s.version = e.version
    s.many = shape.many
    s.places = shape.places
    if s.many:
        destinations_of(s).side = BY_DESTINATION
    else:
        s.pairs = <uint16_t>count
    for i in range(count):
        cover(s, dst_of(words[i]), dstlen_of(words[i]))
        if not s.many:
            s.slot[i] = words[i]
        elif trie_put(destinations_of(s), &r.pool, r.epoch, dst_of(words[i]), dstlen_of(words[i]), words[i], &old):
            trie_retire(destinations_of(s), &r.pool, r.epoch)
            release_source(s, r)
            return NULL
    return s


cdef int sorted_in(uintptr_t *words, int count, uintptr_t word) noexcept nogil:
    # The longest destination first.
    cdef int i = count
    while i > 0 and dstlen_of(words[i - 1]) < dstlen_of(word):
        words[i] = words[i - 1]
        i -= 1
    words[i] = word
    return count + 1


cdef int of_two(radij_t *r, uintptr_t *word, eroute_t *e) noexcept nogil:
    # The only eroute of a source gets company.
    cdef eroute_t *first = eroute_of(pair_of(word[0]))
    cdef eroute_t *none = NULL
    cdef uintptr_t pair = <uintptr_t>first
    cdef uintptr_t words[2]
    cdef source_t *s
    if same_pair(first, e):
        if pair_set(r, &pair, e, &none):
            return -1
        words[0] = pair_word(pair, e.dst, e.dstlen)
        s = source_new(r, e, words, 1)
        if s == NULL:
            pair_release(r, pair)
    else:
        sorted_in(words, sorted_in(words, 0, word[0]), pair_word(<uintptr_t>e, e.dst, e.dstlen))
        s = source_new(r, e, words, 2)
    if s == NULL:
        return -1
    word[0] = source_word(s)
    return 0


cdef int of_few(radij_t *r, uintptr_t *word, eroute_t *e, eroute_t **replaced) noexcept nogil:
    cdef source_t *s = source_of(word[0])
    cdef uintptr_t words[14]
    cdef uintptr_t pair
    cdef int i, count = 0
    for i in range(s.places):
        if leads_to(s.slot[i], e.dst, e.dstlen):
            pair = pair_of(s.slot[i])
            if pair_set(r, &pair, e, replaced):
                return -1
            storep(&s.slot[i], <void *>pair_word(pair, e.dst, e.dstlen))
            return 0
        if s.slot[i]:
            count = sorted_in(words, count, s.slot[i])
    s = source_new(r, e, words, sorted_in(words, count, pair_word(<uintptr_t>e, e.dst, e.dstlen)))
    if s == NULL:
        return -1
    word[0] = source_word(s)
    return 0


cdef int of_many(radij_t *r, uintptr_t *word, eroute_t *e, eroute_t **replaced) noexcept nogil:
    cdef source_t *s = source_of(word[0])
    cdef trie_t *t = destinations_of(s)
    cdef uintptr_t pair = source_pair(word[0], e.dst, e.dstlen), was = pair, old = 0
    # Where a pair is there already, putting its new word cannot fail.
    if pair_set(r, &pair, e, replaced):
        return -1
    if pair != was and trie_put(t, &r.pool, r.epoch, e.dst, e.dstlen, pair_word(pair, e.dst, e.dstlen), &old):
        return -1
    cover(s, e.dst, e.dstlen)
    word[0] = source_word(s)
    return 0


cdef int source_with(radij_t *r, uintptr_t *word, eroute_t *e, eroute_t **replaced) noexcept nogil:
    replaced[0] = NULL
    if word[0] & GROUP:
        return of_many(r, word, e, replaced) if source_of(word[0]).many else of_few(r, word, e, replaced)
    if word[0] and not same_key(eroute_of(pair_of(word[0])), e):
        return of_two(r, word, e)
    replaced[0] = eroute_of(pair_of(word[0]))
    word[0] = pair_word(<uintptr_t>e, e.dst, e.dstlen)
    return 0


cdef struct gathered_t:
    uintptr_t words[8]
    int count


cdef void gather(uintptr_t word, void *context) noexcept nogil:
    cdef gathered_t *g = <gathered_t *>context
    if g.count < FEW_AGAIN:
        g.count = sorted_in(g.words, g.count, word)


cdef void source_without(radij_t *r, uintptr_t *word, eroute_t *e) noexcept nogil:
    cdef source_t *s
    cdef source_t *smaller
    cdef gathered_t g
    cdef uintptr_t pair, rest, old = 0
    cdef uint64_t left
    cdef int i
    if not word[0] & GROUP:
        word[0] = 0
        return
    s = source_of(word[0])
    pair = source_pair(word[0], e.dst, e.dstlen)
    rest = pair_without(r, pair, e)
    if s.many:
        if rest == 0:
            trie_cut(destinations_of(s), &r.pool, r.epoch, e.dst, e.dstlen)
        elif rest != pair:
            trie_put(destinations_of(s), &r.pool, r.epoch, e.dst, e.dstlen, pair_word(rest, e.dst, e.dstlen), &old)
        left = destinations_of(s).count
    else:
        for i in range(s.places):
            if leads_to(s.slot[i], e.dst, e.dstlen):
                storep(&s.slot[i], <void *>(pair_word(rest, e.dst, e.dstlen) if rest else 0))
                break
        s.pairs -= rest == 0
        left = s.pairs
    if rest != pair:
        pair_retire(r, pair)
    if left == 0:
        word[0] = 0
    elif left == 1 or (s.many and left <= FEW_AGAIN):
        g.count = 0
        source_visit(word[0], gather, &g)
        if left == 1 and not g.words[0] & GROUP:
            word[0] = g.words[0]
        elif s.many:
            smaller = source_new(r, e, g.words, g.count)
            if smaller != NULL:
                word[0] = source_word(smaller)


cdef void source_retire(radij_t *r, uintptr_t word) noexcept nogil:
    cdef source_t *s = source_of(word)
    if s.many:
        trie_retire(destinations_of(s), &r.pool, r.epoch)
    epoch_retire(r.epoch, s, release_source, r)


cdef uintptr_t source_pair(uintptr_t word, const uint64_t *dst, uint8_t length) noexcept nogil:
    cdef source_t *s
    cdef uintptr_t found
    cdef int i
    if not word & GROUP:
        return pair_of(word) if leads_to(word, dst, length) else 0
    s = source_of(word)
    if s.many:
        found = trie_get(destinations_of(s), dst, length)
        return pair_of(found) if found else 0
    for i in range(s.places):
        if leads_to(s.slot[i], dst, length):
            return pair_of(s.slot[i])
    return 0


cdef void source_visit(uintptr_t word, visit_t visit, void *context) noexcept nogil:
    cdef source_t *s
    cdef uintptr_t each
    cdef int i
    if not word & GROUP:
        visit(word, context)
        return
    s = source_of(word)
    if s.many:
        trie_visit(destinations_of(s), visit, context)
        return
    for i in range(s.places):
        each = <uintptr_t>loadp(&s.slot[i])
        if each:
            visit(each, context)


cdef void free_pair(uintptr_t word, void *context) noexcept nogil:
    if word & GROUP:
        table_of_fan_free(fan_of(pair_of(word)))


cdef void source_free(uintptr_t word) noexcept nogil:
    source_visit(word, free_pair, NULL)
    if word & GROUP and source_of(word).many:
        trie_free(destinations_of(source_of(word)))
