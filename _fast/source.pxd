# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t, uint16_t, uint64_t, uintptr_t

from _fast.radij cimport radij_t
from _fast.trie cimport trie_t
from _fast.tnode cimport visit_t
from _fast.types cimport eroute_t
from _fast.word cimport GROUP, item_of, word_of

# All eroutes of one source, when there are several. Up to FEW destinations are words side by side, the longest prefix
# first, looked through by their hints; an empty place among them is one that went. More are a tree, where the words were.
cdef enum:
    FEW = 13                   # in two lines of the cache
    FEW_AGAIN = 8              # destinations left at which a tree is given up

cdef struct source_t:
    uint64_t key[2]            # first, with its length: a prefix_t of _fast.tnode
    uint8_t length
    uint8_t version
    uint8_t many               # a trie_t
    uint8_t places             # or so many words
    uint16_t stretches         # of destinations there is something in, by _fast.word; one that went may still be named
    uint16_t pairs             # words that are not empty
    uintptr_t slot[13]

cdef inline trie_t *destinations_of(source_t *s) noexcept nogil:
    return <trie_t *>s.slot

cdef inline source_t *source_of(uintptr_t word) noexcept nogil:
    return <source_t *>item_of(word)

# A word of these trees for a pair (_fast.fan), and back.
cdef uintptr_t pair_word(uintptr_t pair, const uint64_t *dst, uint8_t length) noexcept nogil

cdef inline uintptr_t pair_of(uintptr_t word) noexcept nogil:
    return <uintptr_t>item_of(word) | (word & GROUP)

# What the tree of sources holds for a source, its word: an eroute, or with GROUP a source_t; 0: nothing.

# Makes `word` what it is with `e`; an eroute of the same key is replaced and answered. -1: no memory. A source_t that is
# no longer in `word` is to retire once the new word is in its place.
cdef int source_with(radij_t *r, uintptr_t *word, eroute_t *e, eroute_t **replaced) noexcept nogil
# Makes `word` what is left of it without `e`.
cdef void source_without(radij_t *r, uintptr_t *word, eroute_t *e) noexcept nogil
cdef void source_retire(radij_t *r, uintptr_t word) noexcept nogil
# The pair of exactly this destination, or 0.
cdef uintptr_t source_pair(uintptr_t word, const uint64_t *dst, uint8_t length) noexcept nogil
# Every pair's word, for a reader inside the epoch.
cdef void source_visit(uintptr_t word, visit_t visit, void *context) noexcept nogil
# Gives back what is not the pool's.
cdef void source_free(uintptr_t word) noexcept nogil
