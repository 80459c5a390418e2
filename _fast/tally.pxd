# SPDX-License-Identifier: GPL-2.0-or-later
# What a worker has sent and not yet counted where others see it: locked additions for a run of frames of one eroute and
# one SA, not for each. Settled before anything is sent and before a quiet point, so neither can be gone by then.
from libc.stdint cimport uint64_t

from _fast.atomic cimport fetch_add, load, store
from _fast.plant cimport worker_t
from _fast.types cimport eroute_t, sa_t


cdef inline void tally_settle(worker_t *w) noexcept nogil:
    cdef eroute_t *e = w.tally.eroute
    cdef sa_t *sa = w.tally.sa
    if e != NULL:
        fetch_add(&e.packets, w.tally.frames)
        store(&e.last_use, w.now)
        w.tally.eroute = NULL
    if sa != NULL:
        fetch_add(&sa.packets, w.tally.packets)
        fetch_add(&sa.octets, w.tally.octets)
        store(&sa.last_use, w.now)
        w.tally.sa = NULL


# One frame matched `e`.
cdef inline void tally_eroute(worker_t *w, eroute_t *e) noexcept nogil:
    if w.tally.eroute != e:
        tally_settle(w)
        w.tally.eroute = e
        w.tally.frames = 0
    w.tally.frames += 1


cdef inline void tally_sa(worker_t *w, sa_t *sa, uint64_t packets, uint64_t octets) noexcept nogil:
    if w.tally.sa != sa:
        if w.tally.sa != NULL:
            tally_settle(w)
        w.tally.sa = sa
        w.tally.packets = w.tally.octets = 0
    w.tally.packets += packets
    w.tally.octets += octets


# An SA's totals with what is not settled yet.
cdef inline uint64_t tallied_packets(worker_t *w, sa_t *sa) noexcept nogil:
    return load(&sa.packets) + (w.tally.packets if w.tally.sa == sa else 0)


cdef inline uint64_t tallied_octets(worker_t *w, sa_t *sa) noexcept nogil:
    return load(&sa.octets) + (w.tally.octets if w.tally.sa == sa else 0)
