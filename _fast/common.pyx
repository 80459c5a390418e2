# SPDX-License-Identifier: GPL-2.0-or-later
"""Pairs of the prefix lengths most eroutes have, found by a hash before the trees are asked, as pairs of hosts are.

A large table is seldom of many kinds: all sites of a company are /24s. Its flows then cost two waits for memory, not the
four or five of the trees, which need only be asked when they hold anything more specific.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memset

from _fast.atomic cimport alloc_zeroed, storep, wipe_free
from _fast.bits cimport prefix_mask
from _fast.epoch cimport epoch_reclaim, epoch_retire
from _fast.fan cimport eroute_of, pair_visit
from _fast.front cimport front_add, front_free, front_init
from _fast.radij cimport changed
from _fast.trees cimport trees_remove, trees_visit
from _fast.word cimport GROUP

cdef enum:
    LENGTHS = 129


cdef void release_common(void *item, void *context) noexcept nogil:
    common_free(<common_t *>item)


cdef void common_free(common_t *c) noexcept nogil:
    if c:
        front_free(&c.pairs)
        wipe_free(c, sizeof(common_t))


cdef struct census_t:
    common_t *common
    uint32_t *of               # eroutes by lengths, LENGTHS of destinations for each of a source
    uintptr_t *movers          # or, later, those that have the chosen ones
    uint64_t count


cdef void tally(eroute_t *e, void *context) noexcept nogil:
    cdef census_t *c = <census_t *>context
    c.of[e.srclen * LENGTHS + e.dstlen] += 1
    c.count += 1


cdef void tally_pair(uintptr_t pair, void *context) noexcept nogil:
    pair_visit(pair, tally, context)


cdef void gather_mover(uintptr_t pair, void *context) noexcept nogil:
    # A pair with protocols and ports stays where it is.
    cdef census_t *c = <census_t *>context
    if not pair & GROUP and among(c.common, eroute_of(pair)):
        c.movers[c.count] = pair
        c.count += 1


cdef common_t *chosen(radij_t *r, int family, census_t *c) noexcept nogil:
    # By the tally; NULL: no two lengths have more than half, or no memory.
    cdef common_t *common
    cdef uint32_t i, best = 0, hosts = (32 if family == 0 else 128) * (LENGTHS + 1)
    for i in range(LENGTHS * LENGTHS):
        if i != hosts and c.of[i] > c.of[best]:
            best = i
    if <uint64_t>c.of[best] * 2 <= c.count:
        return NULL
    common = <common_t *>alloc_zeroed(sizeof(common_t))
    if common == NULL:
        return NULL
    front_init(&common.pairs, r.epoch, r.seed)
    common.srclen = <uint8_t>(best // LENGTHS)
    common.dstlen = <uint8_t>(best % LENGTHS)
    prefix_mask(common.src, common.srclen)
    prefix_mask(common.dst, common.dstlen)
    for i in range(best + 1, LENGTHS * LENGTHS):
        common.beaten += c.of[i]
    return common


cdef void common_choose(radij_t *r, int family) noexcept nogil:
    cdef census_t c
    cdef eroute_t *e
    cdef uint64_t i, size = LENGTHS * LENGTHS * sizeof(uint32_t), room
    memset(&c, 0, sizeof(census_t))
    c.of = <uint32_t *>alloc_zeroed(size)
    if c.of == NULL:
        return
    trees_visit(r, family, tally_pair, &c)
    room = c.count * sizeof(uintptr_t)
    c.common = chosen(r, family, &c)
    c.movers = <uintptr_t *>alloc_zeroed(room) if c.common else NULL
    wipe_free(c.of, size)
    if c.movers == NULL:
        common_free(c.common)
        return
    c.count = 0
    trees_visit(r, family, gather_mover, &c)
    storep(&r.common[family], c.common)
    for i in range(c.count):
        e = eroute_of(c.movers[i])
        # One whose line is full stays in the trees, as later ones will.
        if front_add(&c.common.pairs, c.movers[i]):
            changed(r, e)
            trees_remove(r, e)
            changed(r, e)
        if i % 64 == 0:
            # Each one that leaves costs a new node or two, which would be memory for ever.
            epoch_reclaim(r.epoch)
    wipe_free(c.movers, room)


cdef void common_leave(radij_t *r, int family) noexcept nogil:
    cdef common_t *c = r.common[family]
    storep(&r.common[family], NULL)
    epoch_retire(r.epoch, c, release_common, NULL)
