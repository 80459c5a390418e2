# SPDX-License-Identifier: GPL-2.0-or-later
"""An eroute table by itself, for tests and benchmarks."""
from libc.stdint cimport uint8_t, uint64_t, uintptr_t
from libc.string cimport memcpy

from _fast.atomic cimport alloc_zeroed, wipe_free
from _fast.epoch cimport (epoch_drain, epoch_enter, epoch_init, epoch_leave, epoch_reclaim, epoch_retire, epoch_t)
from _fast.fan cimport eroute_of, fan_of
from _fast.radij cimport (MATCH_BATCH, cached_t, fill_key, flow_from, radij_cached, radij_find, radij_free, radij_init,
                          radij_match, radij_match_batch, radij_new, radij_octets, radij_release, radij_remove, radij_rows,
                          radij_set, radij_t)
from _fast.source cimport pair_of, source_of, source_visit
from _fast.trie cimport trie_visit
from _fast.types cimport eroute_t, flow_t
from _fast.word cimport GROUP

cdef extern from * nogil:
    """
    #include <sched.h>
    #include <time.h>
    static inline uint64_t ow_fine_now(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    }
    static inline uint64_t ow_spent(void) {
        struct timespec t;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    }
    """
    uint64_t fine_now "ow_fine_now"()
    uint64_t spent_now "ow_spent"()
    int sched_yield()


cdef class Radij:
    """An eroute table by itself: keys to cookies; raced against klips.slow.radij and measured by the benchmark."""

    cdef radij_t r
    cdef epoch_t e
    cdef cached_t *cache
    cdef readonly uint64_t spent
    """Nanoseconds of processor time the matches of the last repeat() took."""

    def __cinit__(self):
        epoch_init(&self.e)
        self.cache = <cached_t *>alloc_zeroed(4096 * sizeof(cached_t))
        if self.cache == NULL or radij_init(&self.r, &self.e):
            raise MemoryError

    def set(self, tuple key, uint64_t cookie):
        """Add or replace; answers the cookie replaced, or None."""
        cdef eroute_t k
        cdef eroute_t *e
        fill_key(&k, key)
        k.cookie = cookie
        e = radij_find(&self.r, &k)
        was = e.cookie if e else None
        if not self.come(&k):
            raise MemoryError
        epoch_reclaim(&self.e)
        return was

    def remove(self, tuple key):
        """Remove; False when there is none."""
        cdef eroute_t k
        fill_key(&k, key)
        return self.go(&k)

    def match(self, tuple flow, bint cached=False):
        """Cookie of the eroute for (version, src, dst, proto, sport, dport), or None."""
        cdef flow_t f
        cdef eroute_t *e
        flow_from(&f, flow)
        e = radij_cached(&self.r, self.cache, 4095, &f) if cached else radij_match(&self.r, &f, True)
        return e.cookie if e else None

    cdef flow_t *flows_of(self, list flows) except NULL:
        cdef flow_t *f = <flow_t *>alloc_zeroed(sizeof(flow_t) * (len(flows) + 1))
        cdef Py_ssize_t i
        if f == NULL:
            raise MemoryError
        try:
            for i in range(len(flows)):
                flow_from(&f[i], flows[i])
        except BaseException:
            wipe_free(f, sizeof(flow_t))
            raise
        return f

    def repeat(self, list flows, int times, int how=0):
        """Match every flow `times` times without the interpreter lock; answers (hits, sum of the cookies).

        `how` 0: one by one, 1: through a flow cache, 2: MATCH_BATCH together. One thread may do this while another
        is in churn().
        """
        cdef flow_t *f = self.flows_of(flows)
        cdef const flow_t *p[64]
        cdef eroute_t *found[64]
        cdef uint64_t n = len(flows), i, hits = 0, total = 0
        cdef int round, k, size
        with nogil:
            self.spent = spent_now()
            for round in range(times):
                i = 0
                while i < n:
                    epoch_enter(&self.e, 1)
                    size = <int>min(n - i, <uint64_t>MATCH_BATCH)
                    if how == 2:
                        for k in range(size):
                            p[k] = &f[i + k]
                        radij_match_batch(&self.r, p, size, found)
                    else:
                        for k in range(size):
                            if how == 1:
                                found[k] = radij_cached(&self.r, self.cache, 4095, &f[i + k])
                            else:
                                found[k] = radij_match(&self.r, &f[i + k], True)
                            if found[k]:
                                hits += 1
                                total += found[k].cookie
                    if how == 2:
                        for k in range(size):
                            if found[k]:
                                hits += 1
                                total += found[k].cookie
                    i += size
            self.spent = spent_now() - self.spent
            epoch_leave(&self.e, 1)
        wipe_free(f, sizeof(flow_t) * (n + 1))
        return hits, total

    def each(self, list flows, bint cached=False):
        """The nanoseconds of every single match, what reading the clock takes included."""
        cdef flow_t *f = self.flows_of(flows)
        cdef uint64_t n = len(flows), i
        cdef uint64_t *took = <uint64_t *>alloc_zeroed(8 * (n + 1))
        cdef uint64_t start, hits = 0
        cdef eroute_t *e
        if took == NULL:
            wipe_free(f, sizeof(flow_t))
            raise MemoryError
        with nogil:
            epoch_enter(&self.e, 1)
            for i in range(n):
                start = fine_now()
                if cached:
                    e = radij_cached(&self.r, self.cache, 4095, &f[i])
                else:
                    e = radij_match(&self.r, &f[i], True)
                if e:
                    hits += e.cookie
                took[i] = fine_now() - start
            epoch_leave(&self.e, 1)
        times = [took[i] for i in range(n)]
        wipe_free(f, sizeof(flow_t) * (n + 1))
        wipe_free(took, 8 * (n + 1))
        return times

    def churn(self, list ones, list others, double seconds, uint64_t rate=0):
        """Swap eroutes for `seconds`: others[i] comes, ones[i] goes, ones[i] comes, others[i] goes. `ones` are there
        before and after, so one of each two always is. Answers the changes made; at most `rate` a second, 0: as many
        as go."""
        cdef uint64_t n = len(ones), i, made = 0, start, now, behind
        cdef eroute_t *keys = <eroute_t *>alloc_zeroed(2 * n * sizeof(eroute_t) + 1)
        cdef bint failed = False
        if keys == NULL:
            raise MemoryError
        for i in range(n):
            fill_key(&keys[2 * i], ones[i])
            fill_key(&keys[2 * i + 1], others[i])
            keys[2 * i].cookie = 2 * i + 1
            keys[2 * i + 1].cookie = 2 * i + 2
        with nogil:
            start = now = fine_now()
            i = 0
            while now - start < <uint64_t>(seconds * 1e9) and not failed:
                failed = not (self.come(&keys[2 * i + 1]) and self.go(&keys[2 * i]) and self.come(&keys[2 * i])
                              and self.go(&keys[2 * i + 1]))
                made += 4
                i = i + 1 if i + 1 < n else 0
                now = fine_now()
                if rate:
                    behind = made * 1000000000 // rate
                    while now - start < behind:
                        sched_yield()
                        now = fine_now()
        wipe_free(keys, 2 * n * sizeof(eroute_t) + 1)
        if failed:
            raise KeyError("ones")
        return made

    cdef bint come(self, const eroute_t *key) noexcept nogil:
        cdef eroute_t *e = radij_new(&self.r)
        cdef eroute_t *old = NULL
        if e == NULL:
            return False
        memcpy(e, key, sizeof(eroute_t))
        if radij_set(&self.r, e, &old):
            radij_release(e, &self.r)
            return False
        epoch_retire(&self.e, old, radij_release, &self.r)
        return True

    cdef bint go(self, const eroute_t *key) noexcept nogil:
        cdef eroute_t *e = radij_find(&self.r, key)
        if e == NULL:
            return False
        radij_remove(&self.r, e)
        epoch_retire(&self.e, e, radij_release, &self.r)
        epoch_reclaim(&self.e)
        return True

    def match_batch(self, list flows):
        """Cookies (None for no match) of up to MATCH_BATCH flows, asked for together."""
        cdef flow_t f[64]
        cdef const flow_t *p[64]
        cdef eroute_t *found[64]
        cdef int i
        if len(flows) > MATCH_BATCH:
            raise ValueError("flows")
        for i in range(len(flows)):
            flow_from(&f[i], flows[i])
            p[i] = &f[i]
        radij_match_batch(&self.r, p, <int>len(flows), found)
        return [found[i].cookie if found[i] else None for i in range(len(flows))]

    def cookies(self):
        """The cookie of every eroute."""
        cdef uint64_t n = self.r.count, i
        cdef eroute_t **rows = <eroute_t **>alloc_zeroed(n * sizeof(void *))
        if rows == NULL:
            raise MemoryError
        if radij_rows(&self.r, rows, n) != n:
            raise AssertionError("the table miscounts")
        found = [rows[i].cookie for i in range(n)]
        wipe_free(rows, n * sizeof(void *))
        return found

    @property
    def octets(self):
        """Memory in use: eroutes, tree and what else they need."""
        return radij_octets(&self.r)

    @property
    def host_pairs(self):
        """(before the trees, in them because their line was full)."""
        cdef uint64_t strays = 0
        cdef int family
        for family in range(2):
            trie_visit(&self.r.sources[family], source_strays, &strays)
        return (self.r.hosts.count, strays)

    def __len__(self):
        return self.r.count

    def __dealloc__(self):
        epoch_drain(&self.e)
        radij_free(&self.r)
        wipe_free(self.cache, 4096 * sizeof(cached_t))


cdef void pair_strays(uintptr_t word, void *context) noexcept nogil:
    # Of a pair whose source is a host.
    cdef uint8_t length = fan_of(pair_of(word)).length if word & GROUP else eroute_of(pair_of(word)).dstlen
    cdef uint8_t version = fan_of(pair_of(word)).version if word & GROUP else eroute_of(pair_of(word)).version
    (<uint64_t *>context)[0] += length == (32 if version == 4 else 128)


cdef void source_strays(uintptr_t word, void *context) noexcept nogil:
    cdef uint8_t length = source_of(word).length if word & GROUP else eroute_of(pair_of(word)).srclen
    cdef uint8_t version = source_of(word).version if word & GROUP else eroute_of(pair_of(word)).version
    if length == (32 if version == 4 else 128):
        source_visit(word, pair_strays, context)
