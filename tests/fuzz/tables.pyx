# SPDX-License-Identifier: GPL-2.0-or-later
"""Fuzz targets for the structures packets are looked up in: random operations raced against the simplest model there is."""
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from _fast.bits cimport prefix_mask
from _fast.epoch cimport epoch_drain, epoch_init, epoch_retire, epoch_t
from _fast.octets cimport get16, get32, get64, le16
from _fast.radij cimport (cached_t, radij_cached, radij_find, radij_free, radij_init, radij_match, radij_new,
                          radij_rank, radij_release, radij_remove, radij_set, radij_t)
from _fast.replay cimport replay_check, replay_free, replay_infer, replay_init, replay_mark
from _fast.types cimport MAX_WINDOW, eroute_t, flow_t, replay_t

cdef enum:
    STEPS = 512
    ROUTES = 96
    FLOWS = 64

cdef const char *complaint = ""


cdef int fail(const char *why) noexcept nogil:
    global complaint
    complaint = why
    return 1


# --- replay windows -----------------------------------------------------------------------------------------------

cdef int replay_model(const uint8_t *data, size_t size) noexcept nogil:
    # Window (2 octets), then numbers: 0 absolute (8 octets), 1 ahead of the top (2), 2 behind it (2), 3 by its lower
    # half through ESN's guess (4), 4 far ahead (4).
    cdef replay_t r
    cdef uint64_t seen[STEPS]
    cdef uint64_t top = 0, number, guessed
    cdef int64_t base
    cdef uint32_t window, kept = 0, steps = 0, i
    cdef uint8_t op
    cdef bint fresh, possible
    cdef int bad = 0
    if size < 2:
        return 0
    window = le16(data) % (MAX_WINDOW + 1)
    data += 2
    size -= 2
    if replay_init(&r, window, True):
        return 0
    while size >= 9 and steps < STEPS and not bad:
        op = data[0] % 5
        steps += 1
        if op == 0:
            number = get64(data + 1)
        elif op == 1:
            number = top + get16(data + 1)
        elif op == 2:
            number = top - get16(data + 1)
        elif op == 4:
            number = top + get32(data + 1)
        else:
            # The one number congruent to the lower half in a span of 2^32 that begins with the window's lower edge.
            base = <int64_t>(top - (window if window else 64) + 1)
            number = <uint64_t>base + <uint32_t>(get32(data + 1) - <uint32_t>base)
            if top < <uint64_t>1 << 62:
                possible = replay_infer(&r, get32(data + 1), &guessed)
                if possible != (<int64_t>number >= 0):
                    bad = fail("a number before the beginning, or none where there is one")
                elif possible and guessed != number:
                    bad = fail("the upper half of a sequence number was guessed wrong")
        data += 9
        size -= 9
        if number == 0:
            fresh = False
        elif window == 0 or number > top:
            fresh = True
        else:
            fresh = top - number < window
            for i in range(kept):
                if seen[i] == number:
                    fresh = False
        if replay_check(&r, number) != fresh:
            bad = fail("the window's answer is not the model's")
        if op != 4 or number < <uint64_t>1 << 62:
            if replay_mark(&r, number) != fresh:
                bad = fail("marking disagrees with the model")
            if fresh:
                seen[kept] = number
                kept += 1
                top = number if number > top else top
        if r.top != top:
            bad = fail("the top is not the highest number accepted")
    replay_free(&r)
    return bad


# --- eroutes ------------------------------------------------------------------------------------------------------

cdef void spread(uint64_t *address, uint8_t version, uint8_t seed) noexcept nogil:
    # Few addresses, so that keys meet; they differ in high and low octets.
    cdef uint8_t *octet = <uint8_t *>address
    address[0] = address[1] = 0
    octet[0] = 10 + (seed >> 7)
    octet[1] = seed >> 4 & 7
    octet[3 if version == 4 else 15] = seed & 15


cdef void key_of(eroute_t *e, const uint8_t *d) noexcept nogil:
    # version and protocol and ports (1), source, destination, their prefix lengths (4): 5 octets
    cdef uint64_t mask[2]
    cdef uint8_t bits
    memset(e, 0, sizeof(eroute_t))
    e.version = 6 if d[0] & 1 else 4
    bits = 32 if e.version == 4 else 128
    spread(e.src, e.version, d[1])
    spread(e.dst, e.version, d[2])
    e.srclen = d[3] % (bits + 1)
    e.dstlen = d[4] % (bits + 1)
    prefix_mask(mask, e.srclen)
    e.src[0] &= mask[0]
    e.src[1] &= mask[1]
    prefix_mask(mask, e.dstlen)
    e.dst[0] &= mask[0]
    e.dst[1] &= mask[1]
    e.proto = 6 if d[0] & 2 else 17 if d[0] & 4 else 0
    if e.proto:
        e.sport = 80 if d[0] & 8 else 0
        e.dport = 443 if d[0] & 16 else 0


cdef bint same(const eroute_t *a, const eroute_t *b) noexcept nogil:
    return (a.version == b.version and a.src[0] == b.src[0] and a.src[1] == b.src[1] and a.dst[0] == b.dst[0]
            and a.dst[1] == b.dst[1] and a.srclen == b.srclen and a.dstlen == b.dstlen and a.proto == b.proto
            and a.sport == b.sport and a.dport == b.dport)


cdef bint covers(const eroute_t *e, const flow_t *f) noexcept nogil:
    cdef uint64_t mask[2]
    if e.version != f.version or (e.proto and e.proto != f.proto):
        return False
    if (e.sport and e.sport != f.sport) or (e.dport and e.dport != f.dport):
        return False
    prefix_mask(mask, e.srclen)
    if f.src[0] & mask[0] != e.src[0] or f.src[1] & mask[1] != e.src[1]:
        return False
    prefix_mask(mask, e.dstlen)
    return f.dst[0] & mask[0] == e.dst[0] and f.dst[1] & mask[1] == e.dst[1]


cdef int eroutes(const uint8_t *data, size_t size) noexcept nogil:
    # Steps of 6 octets: 0-2 set, 3 remove, 4-7 match (half of them through the flow cache).
    cdef radij_t r
    cdef epoch_t epoch
    cdef cached_t cache[FLOWS]
    cdef eroute_t *table[ROUTES]
    cdef eroute_t key
    cdef eroute_t *e
    cdef eroute_t *old
    cdef eroute_t *best
    cdef flow_t f
    cdef uint32_t count = 0, steps = 0, i
    cdef uint64_t cookie = 0
    cdef int bad = 0
    epoch_init(&epoch)
    if radij_init(&r, &epoch):
        return 0
    memset(cache, 0, sizeof(cache))
    while size >= 6 and steps < STEPS and not bad:
        steps += 1
        key_of(&key, data + 1)
        if data[0] & 7 < 3:
            if count < ROUTES:
                e = radij_new(&r)
                memcpy(e, &key, sizeof(eroute_t))
                cookie += 1
                e.cookie = cookie
                old = NULL
                if radij_set(&r, e, &old):
                    radij_release(e, &r)
                    break
                for i in range(count):
                    if same(table[i], &key):
                        if old != table[i]:
                            bad = fail("setting a key again did not replace what had it")
                        table[i] = e
                        break
                else:
                    if old:
                        bad = fail("a new key replaced another")
                    table[count] = e
                    count += 1
                if old:
                    epoch_retire(&epoch, old, radij_release, &r)
        elif data[0] & 7 == 3:
            e = radij_find(&r, &key)
            old = NULL
            for i in range(count):
                if same(table[i], &key):
                    old = table[i]
                    count -= 1
                    table[i] = table[count]
                    break
            if e != old:
                bad = fail("a look-up by key disagrees with the model")
            if e:
                radij_remove(&r, e)
                epoch_retire(&epoch, e, radij_release, &r)
        else:
            memset(&f, 0, sizeof(f))
            f.version = key.version
            spread(f.src, f.version, data[2])
            spread(f.dst, f.version, data[3])
            f.proto = data[4] & 31
            f.sport = 80 if data[5] & 1 else data[5]
            f.dport = 443 if data[5] & 2 else data[5]
            best = NULL
            for i in range(count):
                if covers(table[i], &f) and (best == NULL or radij_rank(table[i]) > radij_rank(best)):
                    best = table[i]
            e = radij_cached(&r, cache, FLOWS - 1, &f) if data[0] & 1 else radij_match(&r, &f, True)
            if e != best:
                bad = fail("the match is not the most specific eroute")
        data += 6
        size -= 6
    for i in range(count):
        radij_remove(&r, table[i])
        radij_release(table[i], &r)
    if r.count:
        bad |= fail("an empty table counts eroutes")
    epoch_drain(&epoch)
    radij_free(&r)
    return bad


TARGETS = {
    "replay": PyCapsule_New(<void *>replay_model, "fuzz", NULL),
    "eroutes": PyCapsule_New(<void *>eroutes, "fuzz", NULL),
}
COMPLAINT = PyCapsule_New(<void *>&complaint, "complaint", NULL)


def replay(object target, bytes data):
    """Run one input; answers what went wrong, empty for nothing."""
    cdef int (*run)(const uint8_t *, size_t) noexcept nogil
    run = <int (*)(const uint8_t *, size_t) noexcept nogil>PyCapsule_GetPointer(target, "fuzz")
    return (<bytes>complaint).decode() if run(data, len(data)) else ""
