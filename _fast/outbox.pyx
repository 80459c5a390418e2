# SPDX-License-Identifier: GPL-2.0-or-later
"""The outbox: one packet of an SA (or in clear) cut into segments, framed, and staged until the flush; the ICMP that goes
back to a sender whose packet will not fit."""
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from _fast.alias cimport alias_back, alias_out
from _fast.atomic cimport fetch_add, load, loadp, store
from _fast.ecn cimport tos_outside
from _fast.cipher cimport esp_job_t, key_seal
from _fast.esp cimport esp_frame, esp_length
from _fast.fragment cimport fragment_init, fragment_largest, fragment_next, fragmenter_t
from _fast.icmp cimport icmp_may_answer, icmp_prohibited, icmp_too_big
from _fast.iphdr cimport clamp_mss
from _fast.life cimport life_sequence, life_spend
from _fast.onepass cimport onepass
from _fast.plant cimport OUT_PACKETS, OUT_ROOM, device_t, engine_t, outgoing_t, worker_t
from _fast.segment cimport segment_init, segment_largest, segment_next, segmenter_t
from _fast.send cimport send_outbox
from _fast.sysio cimport write
from _fast.tally cimport tallied_octets, tallied_packets, tally_sa
from _fast.types cimport *

cdef enum:
    ICMP_A_SECOND = 1000
    DUMMY_OCTETS = 64


# --- answers into the TUN -----------------------------------------------------------------------------------------

cdef bint icmp_allowed(worker_t *w) noexcept nogil:
    # Errors are a courtesy: never more than so many a second, whoever provokes them.
    cdef engine_t *e = w.engine
    cdef uint64_t second = w.now // 1000000000
    if load(&e.icmp_second) != second:
        store(&e.icmp_second, second)
        store(&e.icmp_count, 0)
    return fetch_add(&e.icmp_count, 1) < ICMP_A_SECOND


cdef void out_answer(worker_t *w, int32_t device, const uint8_t *packet, const packet_info_t *info, uint32_t mtu) noexcept nogil:
    # mtu 0: administratively prohibited.
    cdef device_t *d = &w.engine.devices[device]
    cdef uint32_t n
    if d.fd < 0 or not icmp_may_answer(packet, info) or not icmp_allowed(w):
        return
    memset(w.room, 0, VNET_LEN)
    if mtu:
        n = icmp_too_big(w.room + VNET_LEN, packet, info, mtu)
    else:
        n = icmp_prohibited(w.room + VNET_LEN, packet, info)
    if write(d.queue[w.index], w.room, n + VNET_LEN) >= 0:
        w.to_host[device] += 1


cdef void out_too_big(worker_t *w, int32_t device, const sa_t *sa, uint8_t *frame, packet_info_t *info,
                      uint32_t mtu) noexcept nogil:
    # To whoever sent it by its own address, about what it sent.
    if sa.aliased:
        alias_back(sa, frame, info)
    out_answer(w, device, frame + VNET_LEN, info, mtu)
    if sa.aliased:
        alias_out(sa, frame, info)


# --- the outbox ---------------------------------------------------------------------------------------------------

cdef uint8_t *out_reserve(worker_t *w, uint32_t octets) noexcept nogil:
    # Room for one more packet; the outbox is larger than any packet.
    if w.out_count == OUT_PACKETS or w.out_used + octets > OUT_ROOM:
        send_outbox(w)
    return w.out + w.out_used


cdef int put(worker_t *w, sa_t *sa, path_t *path, uint8_t *at, uint32_t text, uint8_t next_header, uint8_t tos,
             uint64_t sequence) noexcept nogil:
    # So many octets of payload, where they belong, become an outgoing packet. 0 or a drop reason.
    cdef outgoing_t *o = &w.sent[w.out_count]
    cdef esp_job_t job
    o.data = at
    o.length = esp_frame(&w.crypt, sa.key, at, text, next_header, sa.spi, sequence)
    if o.length == 0:
        return DROP_NO_MEMORY
    o.sa = sa
    o.path = path
    o.sequence = sequence
    o.tos = tos_outside(sa, tos)
    o.version = path.version
    o.ok = 0
    if sa.key.alone:
        # At once, while it is in the nearest cache; other algorithms fill their lanes with what the outbox collects.
        job.data, job.length, job.sequence = at, o.length, sequence
        key_seal(&w.crypt, sa.key, &job, 1)
        if not job.ok:
            return DROP_NO_MEMORY
        o.ok = 1
    w.out_used = <uint32_t>(at - w.out) + o.length
    w.out_count += 1
    return PASSED


cdef int stage(worker_t *w, sa_t *sa, path_t *path, uint8_t *at, uint32_t inner, uint8_t tos, uint8_t version,
               uint64_t packets, uint64_t octets) noexcept nogil:
    # One inner packet, which stands where its payload belongs, becomes an outgoing one. `packets` and `octets` went
    # before it in this batch and are not in the SA's totals yet. 0 or a drop reason.
    cdef uint64_t sequence
    cdef uint32_t text = sa.tfc if path.inner_mtu == 0 or sa.tfc < path.inner_mtu else path.inner_mtu
    cdef int why = life_spend(w, sa, tallied_packets(w, sa) + packets + 1, tallied_octets(w, sa) + octets + inner)
    if why == PASSED:
        why = life_sequence(w, sa, &sequence)
    if why:
        return why
    if text > inner:
        # The receiver tells padding from packet by the packet's own length (RFC 4303 2.7).
        memset(at + 8 + sa.key.iv_len + inner, 0, text - inner)
    else:
        text = inner
    return put(w, sa, path, at, text, 4 if version == 4 else 41, tos, sequence)


cdef int out_dummy(worker_t *w, sa_t *sa) noexcept nogil:
    cdef path_t *path = <path_t *>loadp(&sa.path)
    cdef uint32_t lead = out_lead(path)
    cdef uint8_t *at = out_reserve(w, esp_length(sa.key, DUMMY_OCTETS) + 64 + lead) + lead
    cdef uint64_t sequence
    cdef int why = life_sequence(w, sa, &sequence)
    if why:
        return why
    memset(at + 8 + sa.key.iv_len, 0, DUMMY_OCTETS)
    return put(w, sa, path, at, DUMMY_OCTETS, 59, 0, sequence)


cdef void out_sa(worker_t *w, int32_t device, sa_t *sa, uint8_t *frame, uint32_t length, packet_info_t *info,
                 bint held) noexcept nogil:
    cdef path_t *path
    cdef segmenter_t s
    cdef fragmenter_t f
    cdef packet_info_t piece
    cdef uint8_t *at
    cdef uint8_t *packet
    cdef uint32_t limit, inner, most, room, lead
    cdef uint64_t octets = 0, packets = 0
    cdef bint cut = False
    cdef int why
    if sa == NULL:
        w.drops[DROP_NO_SA] += 1
        return
    path = <path_t *>loadp(&sa.path)
    limit = path.inner_mtu
    why = segment_init(&s, frame, length, info, limit)
    if why:
        w.drops[why] += 1
        return
    most = segment_largest(&s)
    if limit and most > limit:
        if not info.dont_fragment:
            # RFC 4301 8: before encryption, so that its receiver puts it together and no gateway has to. But where an
            # eroute names ports the other end's selectors do, and few can judge fragments by them: outer ones, then.
            cut = info.flow.version == 6 or not info.narrow
        elif info.flow.version == 4 or most > 1280:
            # RFC 4301 8.1: the sender must learn. A packet that was held is sent all the same, in outer fragments: its
            # sender could not have known. IPv6 up to 1280 octets has a right to pass (RFC 8200 5), likewise.
            out_too_big(w, device, sa, frame, info, limit)
            if not held:
                w.drops[DROP_TOO_BIG] += 1
                return
    if info.piece and info.flow.version == 6:
        # No router may have cut it, so it goes on in fragments no larger than those it came in.
        limit = info.piece if limit == 0 or info.piece < limit else limit
        cut = most > limit
    if most + 512 > MAX_PACKET and not cut:
        w.drops[DROP_TOO_BIG] += 1
        return
    room = limit if cut else most
    if sa.key.apart and not cut and onepass(w, sa, path, &s, info, limit, most, &packets, &octets):
        tally_sa(w, sa, packets, octets)
        w.from_host[device] += packets
        return
    lead = out_lead(path)
    room = esp_length(sa.key, room if room > sa.tfc else sa.tfc) + 64 + lead
    while True:
        at = out_reserve(w, room) + lead
        packet = at + 8 + sa.key.iv_len
        inner = segment_next(&s, w.whole if cut else packet)
        if inner == 0:
            break
        if cut and inner > limit:
            why = fragment_init(&f, w.whole, inner, limit, info.ident)
            while why == PASSED:
                at = out_reserve(w, room) + lead
                inner = fragment_next(&f, at + 8 + sa.key.iv_len)
                if inner == 0:
                    break
                why = stage(w, sa, path, at, inner, info.tos, info.flow.version, packets, octets)
                if why == PASSED:
                    packets += 1
                    octets += inner
        else:
            if cut:
                memcpy(packet, w.whole, inner)
            if info.flow.proto == 6 and limit:
                memcpy(&piece, info, sizeof(packet_info_t))
                piece.length = inner
                clamp_mss(packet, &piece, limit - (40 if info.flow.version == 4 else 60))
            why = stage(w, sa, path, at, inner, info.tos, info.flow.version, packets, octets)
            if why == PASSED:
                packets += 1
                octets += inner
        if why:
            w.drops[why] += 1
    if packets:
        tally_sa(w, sa, packets, octets)
        w.from_host[device] += packets


cdef void stage_clear(worker_t *w, int32_t device, uint8_t *at, uint32_t length, uint8_t version) noexcept nogil:
    cdef outgoing_t *o = &w.sent[w.out_count]
    o.data = at
    o.length = length
    o.sa = NULL
    o.path = NULL
    o.tos = 0
    o.version = version
    o.ok = 1
    w.out_used += length
    w.out_count += 1
    w.from_host[device] += 1


cdef void out_pass(worker_t *w, int32_t device, const uint8_t *frame, uint32_t length, packet_info_t *info) noexcept nogil:
    cdef segmenter_t s
    cdef uint8_t *at
    cdef uint32_t inner, most
    cdef uint32_t limit = w.engine.devices[device].pass_mtu
    cdef fragmenter_t f
    cdef int why = segment_init(&s, frame, length, info, limit)
    if why:
        w.drops[why] += 1
        return
    most = segment_largest(&s)
    if info.piece and info.flow.version == 6:
        limit = info.piece if limit == 0 or info.piece < limit else limit
    if limit and most > limit and info.dont_fragment:
        out_answer(w, device, frame + VNET_LEN, info, limit)
        w.drops[DROP_TOO_BIG] += 1
        return
    if limit == 0 or most <= limit:
        while True:
            at = out_reserve(w, most)
            inner = segment_next(&s, at)
            if inner == 0:
                return
            stage_clear(w, device, at, inner, info.flow.version)
    while True:
        inner = segment_next(&s, w.whole)
        if inner == 0:
            return
        why = fragment_init(&f, w.whole, inner, limit, info.ident)
        while why == PASSED:
            at = out_reserve(w, limit)
            inner = fragment_next(&f, at)
            if inner == 0:
                break
            stage_clear(w, device, at, inner, info.flow.version)
        if why:
            w.drops[why] += 1
