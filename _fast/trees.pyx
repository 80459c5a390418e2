# SPDX-License-Identifier: GPL-2.0-or-later
"""The two levels of trees of the eroute table: sources, and below each the destinations."""
from libc.stdint cimport uintptr_t

from _fast.radij cimport sources_of
from _fast.source cimport pair_of, source_pair, source_retire, source_visit, source_with, source_without
from _fast.trie cimport trie_cut, trie_get, trie_put, trie_t, trie_visit
from _fast.word cimport GROUP, item_of


cdef uintptr_t trees_pair(radij_t *r, const eroute_t *key) noexcept nogil:
    cdef uintptr_t word = trie_get(sources_of(r, key.version), key.src, key.srclen)
    return source_pair(word, key.dst, key.dstlen) if word else 0


cdef int trees_set(radij_t *r, eroute_t *e, eroute_t **replaced) noexcept nogil:
    cdef trie_t *t = sources_of(r, e.version)
    cdef uintptr_t word = trie_get(t, e.src, e.srclen), was = word, old = 0
    # Where a source is there already, putting its new word cannot fail.
    if source_with(r, &word, e, replaced) or (
            word != was and trie_put(t, &r.pool, r.epoch, e.src, e.srclen, word, &old)):
        return -1
    if was & GROUP and item_of(was) != item_of(word):
        source_retire(r, was)
    return 0


cdef void trees_remove(radij_t *r, eroute_t *e) noexcept nogil:
    cdef trie_t *t = sources_of(r, e.version)
    cdef uintptr_t word = trie_get(t, e.src, e.srclen), was = word, old = 0
    source_without(r, &word, e)
    if word == 0:
        trie_cut(t, &r.pool, r.epoch, e.src, e.srclen)
    elif word != was:
        trie_put(t, &r.pool, r.epoch, e.src, e.srclen, word, &old)
    if was & GROUP and item_of(was) != item_of(word):
        source_retire(r, was)


cdef struct visitor_t:
    void (*visit)(uintptr_t pair, void *context) noexcept nogil
    void *context


cdef void visit_word(uintptr_t word, void *context) noexcept nogil:
    cdef visitor_t *v = <visitor_t *>context
    v.visit(pair_of(word), v.context)


cdef void visit_source(uintptr_t word, void *context) noexcept nogil:
    source_visit(word, visit_word, context)


cdef void trees_visit(radij_t *r, int family, void (*visit)(uintptr_t pair, void *context) noexcept nogil,
                      void *context) noexcept nogil:
    cdef visitor_t v
    v.visit = visit
    v.context = context
    trie_visit(&r.sources[family], visit_source, &v)
