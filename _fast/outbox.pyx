# SPDX-License-Identifier: GPL-2.0-or-later
"""The outbox: one packet of an SA (or in clear) cut into segments, framed, and staged until the flush; the ICMP that goes
back to a sender whose packet will not fit."""
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from _fast.atomic cimport claim, fetch_add, load, loadp, store, unclaim
from _fast.esp cimport esp_frame, esp_length
from _fast.icmp cimport icmp_may_answer, icmp_prohibited, icmp_too_big
from _fast.iphdr cimport clamp_mss
from _fast.mail cimport MAIL_EXPIRED, mail_new, mail_post, mail_t
from _fast.plant cimport OUT_PACKETS, OUT_ROOM, device_t, engine_t, outgoing_t, worker_t
from _fast.segment cimport segment_init, segment_largest, segment_next, segmenter_t
from _fast.send cimport send_outbox
from _fast.sysio cimport write
from _fast.types cimport *

cdef enum:
    ICMP_A_SECOND = 1000


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


# --- the outbox ---------------------------------------------------------------------------------------------------

cdef void tell_expired(worker_t *w, sa_t *sa, bint hard) noexcept nogil:
    cdef mail_t *m
    if not claim(&sa.hard_told if hard else &sa.soft_told):
        return
    m = mail_new(&w.engine.mail, MAIL_EXPIRED, NULL, 0)
    if m == NULL:
        # No room now: the next packet tells it.
        unclaim(&sa.hard_told if hard else &sa.soft_told)
        return
    m.cookie = sa.id
    m.number = hard
    mail_post(&w.engine.mail, m)


cdef uint8_t *reserve(worker_t *w, uint32_t octets) noexcept nogil:
    # Room for one more packet; the outbox is larger than any packet.
    if w.out_count == OUT_PACKETS or w.out_used + octets > OUT_ROOM:
        send_outbox(w)
    return w.out + w.out_used


cdef void out_sa(worker_t *w, int32_t device, sa_t *sa, const uint8_t *frame, uint32_t length, packet_info_t *info,
                  bint held) noexcept nogil:
    cdef path_t *path
    cdef segmenter_t s
    cdef packet_info_t piece
    cdef outgoing_t *o
    cdef uint8_t *at
    cdef uint32_t limit, inner, most
    cdef uint64_t sequence, octets = 0, packets = 0
    cdef int why
    cdef uint8_t next_header = 4 if info.flow.version == 4 else 41
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
    if limit and most > limit and info.dont_fragment and not (info.flow.version == 6 and most <= 1280):
        # RFC 4301 8.1: the sender must learn. A packet that was held is sent all the same, in outer fragments: its
        # sender could not have known.
        out_answer(w, device, frame + VNET_LEN, info, limit)
        if not held:
            w.drops[DROP_TOO_BIG] += 1
            return
    if most + 512 > MAX_PACKET:
        w.drops[DROP_TOO_BIG] += 1
        return
    while True:
        at = reserve(w, esp_length(sa.key, most) + 64)
        inner = segment_next(&s, at + 8 + sa.key.iv_len)
        if inner == 0:
            break
        if info.flow.proto == 6 and limit:
            memcpy(&piece, info, sizeof(packet_info_t))
            piece.length = inner
            clamp_mss(at + 8 + sa.key.iv_len, &piece, limit - (40 if info.flow.version == 4 else 60))
        sequence = fetch_add(&sa.sequence, 1) + 1
        if sequence >= sa.soft:
            if sequence > sa.limit:
                w.drops[DROP_SEQUENCE_EXHAUSTED] += 1
                tell_expired(w, sa, True)
                continue
            tell_expired(w, sa, False)
        o = &w.sent[w.out_count]
        o.data = at
        o.length = esp_frame(&w.crypt, sa.key, at, inner, next_header, sa.spi, sequence)
        if o.length == 0:
            w.drops[DROP_NO_MEMORY] += 1
            continue
        o.sa = sa
        o.path = path
        o.sequence = sequence
        # RFC 6040 4.1, normal mode: the ECN field goes outside, the DSCP does not (it would tell classes apart).
        o.tos = info.tos & 3
        o.version = path.version
        # Segments lie end to end: UDP_SEGMENT wants them so.
        w.out_used += o.length
        w.out_count += 1
        octets += inner
        packets += 1
    if packets:
        fetch_add(&sa.packets, packets)
        fetch_add(&sa.octets, octets)
        store(&sa.last_use, w.now)
        w.from_host[device] += packets


cdef void out_pass(worker_t *w, int32_t device, const uint8_t *frame, uint32_t length, packet_info_t *info) noexcept nogil:
    cdef segmenter_t s
    cdef outgoing_t *o
    cdef uint8_t *at
    cdef uint32_t inner
    cdef int why = segment_init(&s, frame, length, info, 0)
    if why:
        w.drops[why] += 1
        return
    while True:
        at = reserve(w, segment_largest(&s))
        inner = segment_next(&s, at)
        if inner == 0:
            return
        o = &w.sent[w.out_count]
        o.data = at
        o.length = inner
        o.sa = NULL
        o.path = NULL
        o.tos = 0
        o.version = info.flow.version
        o.ok = 1
        w.out_used += inner
        w.out_count += 1
        w.from_host[device] += 1
