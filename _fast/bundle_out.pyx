# SPDX-License-Identifier: GPL-2.0-or-later
"""Outbound bundles: AH, IPComp, transport mode and IPIP, one packet at a time.

    eroute -> innermost SA -> next -> ... -> outermost          each makes the packet into another whole packet
    | IP | TCP ... |
    | IP | IPComp | ... |                                       IPComp, transport
    | IP | ESP | IPComp | ... |                                 ESP round it
    | IP | AH | ESP | IPComp | ... |                            AH round that

What leaves goes one of two ways. ESP outermost, under a header that only says from where to where: the kernel makes the
header, or UDP stands in its place, and sealing waits for the batch. Else the header is part of what is protected or
the packet's own: it leaves whole, by the raw sockets that take a header, in fragments where it is too long.
"""
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from _fast.ah cimport AH_SLACK, ah_length, ah_seal
from _fast.atomic cimport fetch_add, load, loadp, store
from _fast.bench cimport BENCH_FRONT, bench_id, bench_of, bench_t
from _fast.cipher cimport crypt_random, key_seal
from _fast.crypt cimport esp_job_t
from _fast.ecn cimport tos_outside
from _fast.esp cimport esp_frame, esp_payload
from _fast.fragment cimport fragment_init, fragment_next, fragmenter_t
from _fast.ipcomp cimport COMP_LEAST, COMP_LEN, comp_pack
from _fast.iphdr cimport clamp_mss
from _fast.numbers cimport AH, ESP
from _fast.octets cimport get16, put16
from _fast.life cimport life_sequence, life_spend
from _fast.outbox cimport out_lead, out_reserve, out_too_big
from _fast.path cimport over_head
from _fast.plant cimport outgoing_t, worker_t
from _fast.segment cimport segment_init, segment_largest, segment_next, segmenter_t
from _fast.types cimport *
from _fast.whole cimport whole_out
from _fast.wrap cimport packed_t, wrap_close, wrap_grow, wrap_next, wrap_outer, wrap_split

cdef enum:
    MOST_SAS = 4
    COMP = 108
    IPIP = 4
    TTL = 64
    OUT_LEAD = 64              # octets before a packet, for link and IP headers,
    STAGE_SLACK = 64           # and after it
    TRIES = 4                  # packets in a row that would not shrink, after which
    REST = 64                  # so many are not even tried (RFC 3173 2.2)

cdef struct chain_t:
    sa_t *sas[4]
    path_t *paths[4]
    uint32_t count


cdef int chain_load(chain_t *c, sa_t *sa) noexcept nogil:
    # Read once: the control thread may change the links meanwhile.
    c.count = 0
    while sa != NULL:
        if c.count == MOST_SAS or sa.chained == CHAIN_BROKEN:
            return DROP_NO_SA
        c.sas[c.count] = sa
        c.paths[c.count] = <path_t *>loadp(&sa.path)
        c.count += 1
        sa = <sa_t *>loadp(&sa.next)
    return PASSED


cdef inline bint makes_header(const sa_t *sa) noexcept nogil:
    return sa.proto == IPIP or not sa.transport


cdef uint32_t chain_room(const chain_t *c) noexcept nogil:
    # Largest packet that needs no outer fragment; 0: not known.
    cdef const path_t *path = c.paths[c.count - 1]
    cdef uint32_t room = path.outer_mtu, head, taken
    cdef uint32_t i = c.count
    cdef const sa_t *sa
    if room == 0:
        return 0
    room -= over_head(path.encap)
    while i:
        i -= 1
        sa = c.sas[i]
        head = 20 if c.paths[i].version == 4 else 40
        if room < head + 64:
            return 0
        if sa.proto == ESP:
            taken = esp_payload(sa.key, room - head)
            room = head + taken
        elif sa.proto == AH:
            room -= ah_length(sa.key, c.paths[i].version)
        if makes_header(sa):
            room -= head
    return room if room >= 68 else 0


cdef inline const uint8_t *remote_of(const path_t *path) noexcept nogil:
    return path.remote + (4 if path.version == 4 else 8)


cdef bint between_ends(const packed_t *p, const path_t *path) noexcept nogil:
    cdef size_t n = 4 if p.version == 4 else 16
    cdef const uint8_t *src = p.at + (12 if p.version == 4 else 8)
    return p.version == path.version and memcmp(src, path.local, n) == 0 and memcmp(src + n, remote_of(path), n) == 0


cdef void compress(bench_t *b, sa_t *sa, packed_t *p) noexcept nogil:
    cdef uint8_t *data = p.at + p.head
    cdef uint32_t n = p.length - p.head, got
    cdef uint8_t inside = wrap_next(p)
    if n < COMP_LEAST:
        return
    if sa.comp_rest:
        sa.comp_rest -= 1
        return
    got = comp_pack(b.squeeze, data, n, b.room[1])
    if got == 0:
        sa.comp_misses += 1
        if sa.comp_misses >= TRIES:
            sa.comp_misses = 0
            sa.comp_rest = REST
        return
    sa.comp_misses = 0
    data[0] = inside
    data[1] = 0
    put16(data + 2, <uint16_t>sa.spi)
    memcpy(data + COMP_LEN, b.room[1], got)
    p.length = p.head + COMP_LEN + got
    wrap_close(p, COMP)


cdef int encrypt(worker_t *w, sa_t *sa, packed_t *p, uint64_t sequence, bint later) noexcept nogil:
    # `later`: framed only, the batch will seal it.
    cdef esp_job_t job
    cdef uint32_t inner = p.length - p.head
    cdef uint8_t inside = wrap_next(p)
    wrap_grow(p, 8 + sa.key.iv_len)
    job.data = p.at + p.head
    job.sequence = sequence
    job.length = esp_frame(&w.crypt, sa.key, job.data, inner, inside, sa.spi, sequence)
    if job.length == 0 or p.head + job.length > MAX_PACKET:
        return DROP_NO_MEMORY if job.length == 0 else DROP_TOO_BIG
    p.length = p.head + job.length
    wrap_close(p, ESP)
    if later:
        return PASSED
    key_seal(&w.crypt, sa.key, &job, 1)
    return PASSED if job.ok else DROP_NO_MEMORY


cdef int apply(worker_t *w, bench_t *b, const chain_t *c, packed_t *p, uint8_t tos, uint64_t packets, uint64_t octets,
               bint *bare, uint64_t *sequence) noexcept nogil:
    # The whole chain over one packet. `bare`: what is left to do is to seal and send the ESP packet at p.at + p.head.
    cdef uint32_t i
    cdef sa_t *sa
    cdef const path_t *path
    cdef bint plain = False    # the header in front is one of ours and nothing covers it
    cdef bint first = True
    cdef int why
    for i in range(c.count):
        sa = c.sas[i]
        path = c.paths[i]
        why = life_spend(w, sa, load(&sa.packets) + packets + 1, load(&sa.octets) + octets + p.length)
        if why:
            return why
        if makes_header(sa):
            wrap_outer(p, path.version, path.local, remote_of(path), tos_outside(sa, tos), TTL, bench_id(b))
            if p.length > MAX_PACKET:
                return DROP_TOO_BIG
            plain = True
            first = False
        elif first:
            if not between_ends(p, path):
                return DROP_MODE_MISMATCH
            first = False
        why = wrap_split(p)
        if why:
            return why
        if sa.proto == COMP:
            compress(b, sa, p)
        elif sa.proto != IPIP:
            why = life_sequence(w, sa, sequence)
            if why:
                return why
            if sa.proto == AH:
                plain = False
                if p.version == 4 and get16(p.at + 4) == 0:
                    put16(p.at + 4, bench_id(b))
                why = ah_seal(&w.crypt, sa.key, p, sa.spi, sequence[0])
            else:
                bare[0] = i + 1 == c.count and (plain or path.encap)
                why = encrypt(w, sa, p, sequence[0], bare[0])
            if why:
                return why
        if p.length > MAX_PACKET:
            return DROP_TOO_BIG
    return PASSED


cdef outgoing_t *stage(worker_t *w, uint32_t length, uint8_t version, uint32_t lead) noexcept nogil:
    # `lead` octets before it stay free.
    cdef uint8_t *at = out_reserve(w, length + STAGE_SLACK + lead) + lead
    cdef outgoing_t *o = &w.sent[w.out_count]
    o.data = at
    o.length = length
    o.sa = NULL
    o.path = NULL
    o.sequence = 0
    o.tos = 0
    o.version = version
    o.ok = 1
    w.out_used += length + lead
    w.out_count += 1
    return o


cdef int leave_whole(worker_t *w, packed_t *p, uint32_t mtu) noexcept nogil:
    cdef fragmenter_t f
    cdef outgoing_t *o
    cdef uint8_t *at
    cdef uint32_t id = 0, n
    cdef int why
    if mtu == 0 or p.length <= mtu:
        o = stage(w, p.length, p.version, OUT_LEAD)
        memcpy(o.data, p.at, p.length)
        return PASSED
    if p.version == 4:
        p.at[6] &= 0xBF        # it goes in fragments all the same: its sender was told, or could not have known
    elif not crypt_random(&w.crypt, <uint8_t *>&id, 4):
        return DROP_NO_MEMORY
    why = fragment_init(&f, p.at, p.length, mtu, id)
    if why:
        return why
    while True:
        # Where it leaves from: w.pieces may be in use by what is sent to make room.
        at = out_reserve(w, mtu + STAGE_SLACK + OUT_LEAD) + OUT_LEAD
        n = fragment_next(&f, at)
        if n == 0:
            return PASSED
        stage(w, n, p.version, OUT_LEAD)


cdef void leave_bare(worker_t *w, const chain_t *c, packed_t *p, uint8_t tos, uint64_t sequence) noexcept nogil:
    # UDP_SEGMENT wants them end to end; a raw packet gets headers.
    cdef const path_t *path = c.paths[c.count - 1]
    cdef outgoing_t *o = stage(w, p.length - p.head, path.version, out_lead(path))
    memcpy(o.data, p.at + p.head, p.length - p.head)
    o.sa = c.sas[c.count - 1]
    o.path = c.paths[c.count - 1]
    o.sequence = sequence
    o.tos = tos
    o.ok = 0


cdef inline uint8_t tos_of(const packed_t *p) noexcept nogil:
    return p.at[1] if p.version == 4 else <uint8_t>(get16(p.at) >> 4)


cdef void bundle_out(worker_t *w, int32_t device, sa_t *sa, uint8_t *frame, uint32_t length, packet_info_t *info,
                     bint held) noexcept nogil:
    cdef bench_t *b = bench_of(w)
    cdef chain_t c
    cdef segmenter_t s
    cdef packet_info_t piece
    cdef fragmenter_t f
    cdef packet_info_t joined
    cdef packed_t p
    cdef bint bare, cut = False
    cdef uint32_t limit, most, inner, i
    cdef uint64_t sequence = 0, packets = 0, octets = 0
    cdef int why = DROP_NO_MEMORY if b == NULL else chain_load(&c, sa)
    if why:
        w.drops[why] += 1
        return
    if info.fragmented and not makes_header(sa):
        # Transport mode is for whole datagrams (RFC 4303 3.3.4), and the kernel has cut this one to fit ipsecN.
        memcpy(&joined, info, sizeof(packet_info_t))
        info = &joined
        frame = whole_out(w, frame, &length, info)
        if frame == NULL:
            return
    limit = chain_room(&c)
    why = segment_init(&s, frame, length, info, limit)
    if why:
        w.drops[why] += 1
        return
    most = segment_largest(&s)
    if limit and most > limit and info.dont_fragment and not (info.flow.version == 6 and most <= 1280):
        out_too_big(w, device, sa, frame, info, limit)
        if not held:
            w.drops[DROP_TOO_BIG] += 1
            return
    if info.piece and info.flow.version == 6 and makes_header(sa):
        # What goes into a tunnel comes out of it in fragments as it came in: routers beyond may not cut it.
        limit = info.piece if limit == 0 or info.piece < limit else limit
        cut = most > limit
        why = fragment_init(&f, w.whole, segment_next(&s, w.whole), limit, info.ident) if cut else PASSED
        if why:
            w.drops[why] += 1
            return
    while True:
        p.at = b.room[0] + BENCH_FRONT
        inner = fragment_next(&f, p.at) if cut else segment_next(&s, p.at)
        if inner == 0:
            break
        p.length = inner
        p.version = info.flow.version
        if info.flow.proto == 6 and limit:
            memcpy(&piece, info, sizeof(packet_info_t))
            piece.length = inner
            clamp_mss(p.at, &piece, limit - (40 if info.flow.version == 4 else 60))
        bare = False
        why = apply(w, b, &c, &p, info.tos, packets, octets, &bare, &sequence)
        if why == PASSED:
            if bare:
                leave_bare(w, &c, &p, tos_of(&p), sequence)
            else:
                why = leave_whole(w, &p, c.paths[c.count - 1].outer_mtu)
        if why:
            w.drops[why] += 1
            continue
        packets += 1
        octets += inner
    if packets:
        for i in range(c.count):
            fetch_add(&c.sas[i].packets, packets)
            fetch_add(&c.sas[i].octets, octets)
            store(&c.sas[i].last_use, w.now)
        w.from_host[device] += packets
