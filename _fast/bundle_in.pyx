# SPDX-License-Identifier: GPL-2.0-or-later
"""Inbound bundles: what AH, IPComp, ESP and IPIP put round a packet is taken off, outermost first.

    | IP | AH | ESP | IPComp | ... |      each SA names the one that must be inside it (next); anything else is refused
    | IP | ESP | IPComp | ... |
    | IP | IPComp | ... |                 or, what would not shrink, without it (RFC 3173 2.2)
    | IP | TCP ... |                      transport mode: to the host with the header it came under
    | IP | IP | TCP ... |                 tunnel mode or IPIP: the inner packet alone
"""
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from _fast.ah cimport ah_check, ah_plausible, ah_strip
from _fast.atomic cimport fetch_add, load, loadp, spin_lock, spin_unlock, store
from _fast.bench cimport BENCH_FRONT, bench_of, bench_shelve, bench_t
from _fast.cipher cimport key_open
from _fast.crypt cimport esp_job_t
from _fast.esp cimport esp_plausible, esp_strip
from _fast.ipcomp cimport COMP_LEN, comp_unpack
from _fast.iphdr cimport parse_packet
from _fast.life cimport life_spend
from _fast.numbers cimport AH, ESP
from _fast.octets cimport get16, get32, put16
from _fast.plant cimport MOST_BARE, incoming_t, socket_t, worker_t
from _fast.rcv cimport enter_host, source_allowed
from _fast.replay cimport replay_check, replay_infer, replay_mark
from _fast.sadb cimport sadb_heard
from _fast.types cimport *
from _fast.wrap cimport packed_t, wrap_close, wrap_mend, wrap_next, wrap_shrink, wrap_split

cdef enum:
    COMP = 108
    IPIP = 4
    IPV6 = 41
    NONE = 59
    TTL = 64


# --- one SA -------------------------------------------------------------------------------------------------------

cdef int note_use(worker_t *w, sa_t *sa, uint32_t octets) noexcept nogil:
    cdef int why = life_spend(w, sa, load(&sa.packets) + 1, load(&sa.octets) + octets)
    if why:
        return why
    fetch_add(&sa.packets, 1)
    fetch_add(&sa.octets, octets)
    store(&sa.last_use, w.now)
    return PASSED


cdef bint fresh(sa_t *sa, uint32_t low, uint64_t *sequence) noexcept nogil:
    cdef bint good
    sequence[0] = low
    spin_lock(&sa.lock)
    good = (not sa.esn or replay_infer(&sa.replay, low, sequence)) and replay_check(&sa.replay, sequence[0])
    spin_unlock(&sa.lock)
    return good


cdef int settle(sa_t *sa, uint64_t sequence, int why) noexcept nogil:
    # After the ICV was looked at.
    cdef bint good
    if why == DROP_AUTH_FAILED:
        fetch_add(&sa.auth_failures, 1)
    if why:
        return why
    spin_lock(&sa.lock)
    good = replay_mark(&sa.replay, sequence)
    spin_unlock(&sa.lock)
    if not good:
        fetch_add(&sa.replays, 1)
        return DROP_REPLAY
    return PASSED


cdef int open_ah(worker_t *w, packed_t *p, sa_t *sa) noexcept nogil:
    cdef uint64_t sequence = 0
    cdef int why
    if not ah_plausible(sa.key, p.at + p.head, p.length - p.head, p.version):
        return DROP_MALFORMED
    if not fresh(sa, get32(p.at + p.head + 8), &sequence):
        fetch_add(&sa.replays, 1)
        return DROP_REPLAY
    why = settle(sa, sequence, ah_check(&w.crypt, sa.key, p, sequence))
    if why == PASSED:
        ah_strip(p)
    return why


cdef int open_esp(worker_t *w, packed_t *p, sa_t *sa) noexcept nogil:
    cdef esp_job_t job
    cdef uint32_t inner = 0
    cdef uint8_t inside = 0
    cdef int why
    job.data = p.at + p.head
    job.length = p.length - p.head
    job.sequence = 0
    if job.length < 8 or not esp_plausible(sa.key, job.length):
        return DROP_MALFORMED
    if not fresh(sa, get32(job.data + 4), &job.sequence):
        fetch_add(&sa.replays, 1)
        return DROP_REPLAY
    key_open(&w.crypt, sa.key, &job, 1)
    why = settle(sa, job.sequence, PASSED if job.ok else DROP_AUTH_FAILED)
    if why == PASSED:
        why = esp_strip(sa.key, job.data, job.length, &inner, &inside)
    if why:
        return why
    wrap_shrink(p, 8 + sa.key.iv_len)
    p.length = p.head + inner
    wrap_close(p, inside)
    return PASSED


cdef int open_comp(bench_t *b, packed_t *p) noexcept nogil:
    cdef uint8_t *data = p.at + p.head
    cdef uint32_t left = p.length - p.head, n
    cdef uint8_t inside
    # What is inflated goes where the packet is not.
    cdef uint8_t *to = b.room[1 if p.at < b.room[1] else 0] + BENCH_FRONT
    if left <= COMP_LEN:
        return DROP_MALFORMED
    inside = data[0]
    n = comp_unpack(b.squeeze, data + COMP_LEN, left - COMP_LEN, to + p.head, MAX_PACKET - p.head)
    if n == 0:
        return DROP_BAD_COMPRESSION
    memcpy(to, p.at, p.head)
    p.at = to
    p.length = p.head + n
    wrap_close(p, inside)
    return PASSED


cdef int open_one(worker_t *w, bench_t *b, packed_t *p, sa_t *sa) noexcept nogil:
    cdef int why
    if sa.proto == AH:
        why = open_ah(w, p, sa)
    elif sa.proto == ESP:
        why = open_esp(w, p, sa)
    else:
        why = open_comp(b, p)
    return why if why else note_use(w, sa, p.length)


# --- the rest of the bundle ---------------------------------------------------------------------------------------

cdef bint from_peer(const packed_t *p, const path_t *path) noexcept nogil:
    if p.version != path.version:
        return False
    if p.version == 4:
        return memcmp(p.at + 12, path.remote + 4, 4) == 0
    return memcmp(p.at + 8, path.remote + 8, 16) == 0


cdef sa_t *named(worker_t *w, const packed_t *p, uint8_t kind) noexcept nogil:
    # The SA that the header after the IP header names; NULL: none, or it is cut short.
    cdef const uint8_t *data = p.at + p.head
    cdef uint32_t left = p.length - p.head
    cdef uint8_t dst[16]
    if left < 8:
        return NULL
    memset(dst, 0, 16)
    if p.version == 4:
        memcpy(dst, p.at + 16, 4)
    else:
        memcpy(dst, p.at + 24, 16)
    return sadb_heard(&w.engine.sadb, kind, get16(data + 2) if kind == COMP else get32(data + (4 if kind == AH else 0)),
                     dst, p.version)


cdef sa_t *bare(worker_t *w, const packed_t *p) noexcept nogil:
    # IP in IP from the peer of an IPComp SA with nothing round it: what would not shrink (RFC 3173 2.2). Such an SA
    # proves nothing about its packets, compressed or not, so this opens no door; its selectors are asked as ever.
    cdef const uint8_t *dst = p.at + (16 if p.version == 4 else 24)
    cdef sa_t *sa
    cdef const path_t *path
    cdef int i
    for i in range(MOST_BARE):
        sa = <sa_t *>loadp(&w.engine.bare[i])
        if sa == NULL or sa.enclosed or sa.chained == CHAIN_BROKEN:
            continue
        path = <path_t *>loadp(&sa.path)
        if from_peer(p, path) and memcmp(dst, path.local, 4 if p.version == 4 else 16) == 0:
            return sa
    return NULL


cdef int to_host(worker_t *w, bench_t *b, sa_t *sa, const uint8_t *packet, uint32_t length, uint8_t tos) noexcept nogil:
    cdef uint32_t packets = 0, octets = 0
    return enter_host(w, sa, bench_shelve(w, b, packet, length), length, tos, False, &packets, &octets)


cdef inline uint8_t tos_of(const packed_t *p) noexcept nogil:
    return p.at[1] if p.version == 4 else <uint8_t>(get16(p.at) >> 4)


cdef int descend(packed_t *p) noexcept nogil:
    # What is inside the header becomes the packet.
    cdef packet_info_t info
    cdef uint8_t kind = wrap_next(p)
    p.at += p.head
    p.length -= p.head
    if parse_packet(p.at, p.length, &info) != PASSED or (info.flow.version == 4) != (kind == IPIP):
        return DROP_MALFORMED
    p.length = info.length
    p.version = info.flow.version
    return PASSED


cdef int unwrap(worker_t *w, bench_t *b, packed_t *p, sa_t *sa, bint natted) noexcept nogil:
    # `sa` is what was opened last. Ends because a chain has an end.
    cdef sa_t *want
    cdef uint8_t kind, tos
    cdef int why
    while True:
        kind = wrap_next(p)
        want = <sa_t *>loadp(&sa.next)
        if sa.chained == CHAIN_BROKEN:
            return DROP_UNEXPECTED_SA
        if want != NULL and want.proto == COMP and kind != COMP:
            why = note_use(w, want, p.length)
            if why:
                return why
            sa = want
            want = <sa_t *>loadp(&sa.next)
        if kind == NONE:
            return DROP_DUMMY
        if kind == ESP or kind == AH or kind == COMP:
            if want == NULL or named(w, p, kind) != want:
                return DROP_UNEXPECTED_SA
            if not natted and not from_peer(p, <path_t *>loadp(&want.path)):
                return DROP_SOURCE_MISMATCH
            why = open_one(w, b, p, want)
            if why:
                return why
            sa = want
            continue
        if kind == IPIP or kind == IPV6:
            if want != NULL and want.proto == IPIP:
                if not natted and not from_peer(p, <path_t *>loadp(&want.path)):
                    return DROP_SOURCE_MISMATCH
                sa = want
                want = <sa_t *>loadp(&sa.next)
                why = note_use(w, sa, p.length)
                if why:
                    return why
            elif sa.transport:
                if want != NULL:
                    return DROP_UNEXPECTED_SA
                return transport(w, b, p, sa)
            tos = tos_of(p)
            why = descend(p)
            if why:
                return why
            if want == NULL:
                return to_host(w, b, sa, p.at, p.length, tos)
            why = wrap_split(p)
            if why:
                return why
            natted = False
            continue
        if want != NULL:
            return DROP_UNEXPECTED_SA
        if not sa.transport:
            return DROP_MODE_MISMATCH
        return transport(w, b, p, sa)


cdef int transport(worker_t *w, bench_t *b, packed_t *p, sa_t *sa) noexcept nogil:
    if sa.repair:
        wrap_mend(p, sa.original, sa.original + 16)
    return to_host(w, b, sa, p.at, p.length, tos_of(p))


# --- the two ways in ----------------------------------------------------------------------------------------------

cdef void put_header(packed_t *p, const path_t *path, const uint8_t *remote, uint8_t tos) noexcept nogil:
    # The header a packet came under, as far as the socket tells it: who sent it to whom.
    memset(p.at, 0, 40)
    if path.version == 4:
        p.at[0] = 0x45
        p.at[1] = tos
        p.at[6] = 0x40
        p.at[8] = TTL
        memcpy(p.at + 12, remote + 4, 4)
        memcpy(p.at + 16, path.local, 4)
    else:
        put16(p.at, <uint16_t>(0x6000 | <uint16_t>tos << 4))
        p.at[7] = TTL
        memcpy(p.at + 8, remote + 8, 16)
        memcpy(p.at + 24, path.local, 16)


cdef int bundle_open(worker_t *w, int32_t slot, const incoming_t *j, uint8_t next_header, const uint8_t *payload,
                     uint32_t inner) noexcept nogil:
    cdef bench_t *b = bench_of(w)
    cdef path_t *path = <path_t *>loadp(&j.sa.path)
    cdef packed_t p
    cdef uint32_t front = j.front
    cdef int why
    if b == NULL:
        return DROP_NO_MEMORY
    if front and j.head[0] >> 4 != path.version:
        return DROP_SOURCE_MISMATCH     # the SA has moved to the other address family meanwhile
    p.at = b.room[0] + BENCH_FRONT
    p.version = path.version
    if front:
        memcpy(p.at, j.head, front)
    else:
        front = 20 if path.version == 4 else 40
        put_header(&p, path, j.remote, j.tos)
    if front + inner > MAX_PACKET:
        return DROP_MALFORMED
    memcpy(p.at + front, payload, inner)
    p.length = front + inner
    # Whole, whatever the header said before the kernel put it together.
    if p.version == 4:
        p.at[6] &= 0x40
        p.at[7] = 0
    else:
        p.at[6] = ESP
    why = wrap_split(&p)
    if why:
        return why
    wrap_close(&p, next_header)
    return unwrap(w, b, &p, j.sa, path.encap != 0)


cdef int bundle_take(worker_t *w, int32_t slot, const uint8_t *remote, const uint8_t *head, uint32_t front,
                     const uint8_t *data, uint32_t length) noexcept nogil:
    cdef bench_t *b = bench_of(w)
    cdef socket_t *s = &w.engine.sockets[slot]
    cdef sa_t *sa
    cdef packed_t p
    cdef int why
    if b == NULL:
        return DROP_NO_MEMORY
    if length < 8 or front < 20 or front + length > MAX_PACKET or front > BENCH_FRONT:
        return DROP_MALFORMED
    p.at = b.room[0] + BENCH_FRONT
    p.length = front + length
    p.version = s.version
    memcpy(p.at, head, front)
    memcpy(p.at + front, data, length)
    why = wrap_split(&p)
    if why:
        return why
    if p.head != front or wrap_next(&p) != s.proto:
        return DROP_MALFORMED
    wrap_close(&p, s.proto)
    if s.proto == IPIP or s.proto == IPV6:
        sa = bare(w, &p)
        if sa == NULL:
            return DROP_NO_SA
        why = note_use(w, sa, p.length)
        return why if why else unwrap(w, b, &p, sa, False)
    sa = named(w, &p, s.proto)
    if sa == NULL:
        return DROP_NO_SA
    if sa.enclosed:
        return DROP_UNEXPECTED_SA
    why = open_one(w, b, &p, sa)
    if why:
        return why
    if not source_allowed(w, slot, sa, remote):
        return DROP_SOURCE_MISMATCH
    return unwrap(w, b, &p, sa, False)
