# SPDX-License-Identifier: GPL-2.0-or-later
"""Pairs of hosts before the trees of the eroute table: nothing is more specific, so what is found here decides.

A tree is asked step by step, a wait for memory at most of them; this is asked once. Read without locks.
"""
from libc.stdint cimport uint8_t, uint64_t, uintptr_t
from libc.string cimport memcpy, memset

from _fast.atomic cimport alloc_zeroed, storep, wipe_free
from _fast.epoch cimport epoch_drain, epoch_init, epoch_reclaim, epoch_retire, epoch_t
from _fast.pool cimport map_block, munmap
from _fast.bits cimport prefetch

cdef enum:
    FIRST_LINES = 64


cdef inline uint64_t lines_size(const lines_t *l) noexcept nogil:
    return (l.mask + 1) * FRONT_WAYS * 8


cdef void release_lines(void *item, void *context) noexcept nogil:
    cdef lines_t *l = <lines_t *>item
    munmap(l.words, lines_size(l))
    wipe_free(l, sizeof(lines_t))


cdef lines_t *lines_new(uint64_t count) noexcept nogil:
    cdef lines_t *l = <lines_t *>alloc_zeroed(sizeof(lines_t))
    if l == NULL:
        return NULL
    l.mask = count - 1
    l.words = <uintptr_t *>map_block(lines_size(l))
    if l.words == NULL:
        wipe_free(l, sizeof(lines_t))
        return NULL
    return l


cdef void front_init(front_t *f, epoch_t *epoch, const uint64_t *seed) noexcept nogil:
    memset(f, 0, sizeof(front_t))
    f.epoch = epoch
    f.seed[0] = seed[0]
    f.seed[1] = seed[1]


cdef void front_free(front_t *f) noexcept nogil:
    if f.lines:
        release_lines(f.lines, NULL)
    f.lines = NULL
    f.count = 0


cdef uint64_t front_octets(const front_t *f) noexcept nogil:
    return lines_size(f.lines) if f.lines else 0


cdef uint64_t hash_of(const front_t *f, uintptr_t word) noexcept nogil:
    cdef host_pair_t *p
    cdef eroute_t *e
    if word & GROUP:
        p = <host_pair_t *>(word & ~<uintptr_t>TAGS)
        return front_hash(f, p.src, p.dst)
    e = <eroute_t *>word
    return front_hash(f, e.src, e.dst)


cdef bint line_add(const lines_t *l, uint64_t hash, uintptr_t word) noexcept nogil:
    cdef uintptr_t *line = front_line(l, hash)
    cdef int i
    for i in range(FRONT_WAYS):
        if line[i] == 0:
            storep(&line[i], <void *>(word | front_tag(hash) << 48))
            return True
    return False


cdef void grow(front_t *f) noexcept nogil:
    # Twice the lines: each becomes two, so none takes more than it had. A refusal only makes lines fuller.
    cdef lines_t *old = f.lines
    cdef lines_t *l = lines_new((old.mask + 1) * 2)
    cdef uint64_t i, total = (old.mask + 1) * FRONT_WAYS
    if l == NULL:
        return
    for i in range(total):
        if i + 4 * FRONT_WAYS < total:
            prefetch(<void *>(untagged(old.words[i + 4 * FRONT_WAYS]) & ~<uintptr_t>TAGS))
        if old.words[i]:
            line_add(l, hash_of(f, untagged(old.words[i])), untagged(old.words[i]))
    storep(&f.lines, l)
    epoch_retire(f.epoch, old, release_lines, NULL)


cdef bint front_add(front_t *f, uintptr_t word) noexcept nogil:
    cdef lines_t *l
    if f.lines == NULL:
        l = lines_new(FIRST_LINES)
        if l == NULL:
            return False
        storep(&f.lines, l)
    elif f.count >= (f.lines.mask + 1) * FRONT_FILL:
        grow(f)
    if not line_add(f.lines, hash_of(f, word), word):
        return False
    f.count += 1
    return True


cdef void front_swap(front_t *f, uintptr_t old, uintptr_t word) noexcept nogil:
    cdef uint64_t hash = hash_of(f, old)
    cdef uintptr_t *line = front_line(f.lines, hash)
    cdef int i
    for i in range(FRONT_WAYS):
        if untagged(line[i]) == old:
            storep(&line[i], <void *>(word | front_tag(hash) << 48 if word else 0))
            break
    if word == 0:
        f.count -= 1


cdef void front_visit(front_t *f, void (*visit)(uintptr_t word, void *context) noexcept nogil, void *context) noexcept nogil:
    cdef lines_t *l = <lines_t *>loadp(&f.lines)
    cdef uintptr_t word
    cdef uint64_t i
    if l == NULL:
        return
    for i in range((l.mask + 1) * FRONT_WAYS):
        word = untagged(<uintptr_t>loadp(&l.words[i]))
        if word:
            visit(word, context)


cdef void count_word(uintptr_t word, void *context) noexcept nogil:
    (<uint64_t *>context)[0] += 1


cdef class Front:
    """Pairs of hosts by themselves, for tests: (src, dst, version), 16 octets each, to a number above 0.

    `seed` of zeros lets a test choose lines.
    """

    cdef front_t f
    cdef epoch_t e

    def __cinit__(self, uint64_t seed=0x9E3779B97F4A7C15):
        cdef uint64_t seeds[2]
        seeds[0] = seed
        seeds[1] = seed * 3
        epoch_init(&self.e)
        front_init(&self.f, &self.e, seeds)

    cdef uintptr_t find(self, bytes src, bytes dst, uint8_t version) except? 1:
        cdef uint64_t a[2]
        cdef uint64_t b[2]
        if len(src) != 16 or len(dst) != 16:
            raise ValueError("address")
        memcpy(a, <const uint8_t *>src, 16)
        memcpy(b, <const uint8_t *>dst, 16)
        return front_get(&self.f, front_hash(&self.f, a, b), a, b, version)

    def get(self, bytes src, bytes dst, uint8_t version=4):
        """The number of a pair, or None."""
        cdef uintptr_t word = self.find(src, dst, version)
        return (<eroute_t *>word).cookie if word else None

    def put(self, bytes src, bytes dst, uint64_t number, uint8_t version=4):
        """Add or replace; False when the pair's line is full."""
        cdef uintptr_t old = self.find(src, dst, version)
        cdef eroute_t *e = <eroute_t *>alloc_zeroed(sizeof(eroute_t))
        if e == NULL:
            raise MemoryError
        memcpy(e.src, <const uint8_t *>src, 16)
        memcpy(e.dst, <const uint8_t *>dst, 16)
        e.version = version
        e.cookie = number
        if old:
            front_swap(&self.f, old, <uintptr_t>e)
            epoch_retire(&self.e, <void *>old, release_eroute, NULL)
        elif not front_add(&self.f, <uintptr_t>e):
            release_eroute(e, NULL)
            return False
        epoch_reclaim(&self.e)
        return True

    def cut(self, bytes src, bytes dst, uint8_t version=4):
        """Take one out; False when it is not there."""
        cdef uintptr_t old = self.find(src, dst, version)
        if not old:
            return False
        front_swap(&self.f, old, 0)
        epoch_retire(&self.e, <void *>old, release_eroute, NULL)
        return True

    @property
    def octets(self):
        """Of the lines."""
        return front_octets(&self.f)

    def __len__(self):
        cdef uint64_t count = 0
        front_visit(&self.f, count_word, &count)
        if count != self.f.count:
            raise AssertionError("the pairs are miscounted")
        return count

    def __dealloc__(self):
        front_visit(&self.f, free_eroute, NULL)
        front_free(&self.f)
        epoch_drain(&self.e)


cdef void release_eroute(void *item, void *context) noexcept nogil:
    wipe_free(item, sizeof(eroute_t))


cdef void free_eroute(uintptr_t word, void *context) noexcept nogil:
    wipe_free(<void *>word, sizeof(eroute_t))
