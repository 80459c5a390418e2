# SPDX-License-Identifier: GPL-2.0-or-later
"""Fragments that policy wants to see whole.

    out  | first | later | ... --> one packet --> eroute with ports, or transport mode
    in   | first | later | ... --> one packet --> selectors with ports --> IPv4: whole, the kernel cuts it where it must
                                                                          IPv6: cut again as it was
"""
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from _fast.alias cimport alias_in
from _fast.atomic cimport fetch_add
from _fast.bench cimport bench_of, bench_shelve, bench_t
from _fast.coalesce cimport merge_put
from _fast.fragment cimport fragment_init, fragment_next, fragmenter_t
from _fast.iphdr cimport parse_packet, selectors_allow
from _fast.join cimport JOIN_KEPT, join_new, join_put, join_recall, join_t
from _fast.plant cimport worker_t
from _fast.segment cimport segment_init, segment_next, segmenter_t
from _fast.types cimport *

cdef enum:
    OUT = 0
    IN = 1


cdef int put(worker_t *w, int way, uint64_t owner, const uint8_t *packet, packet_info_t *info, uint8_t **frame,
             uint32_t *length, uint32_t *pieces) noexcept nogil:
    cdef join_t *j = w.joins[way]
    cdef uint64_t lost = 0
    cdef int why
    if j == NULL:
        j = w.joins[way] = join_new()
    if j == NULL:
        return DROP_NO_MEMORY
    why = join_put(j, w.now, owner, packet, info, frame, length, pieces, &lost)
    w.drops[DROP_FRAGMENT_LOST] += lost
    if why == PASSED:
        parse_packet(frame[0] + VNET_LEN, length[0] - VNET_LEN, info)
        join_recall(frame[0], info)
    return why


cdef uint8_t *whole_out(worker_t *w, const uint8_t *frame, uint32_t *length, packet_info_t *info) noexcept nogil:
    cdef segmenter_t s
    cdef uint8_t *joined = NULL
    cdef const uint8_t *packet = frame + VNET_LEN
    cdef uint32_t pieces = 1
    cdef int why = PASSED
    if frame[0] or frame[1]:
        # A checksum still to be made; there are no super-packets of fragments.
        why = segment_init(&s, frame, length[0], info, 0)
        if why == PASSED:
            segment_next(&s, w.whole)
            packet = w.whole
    if why == PASSED:
        why = put(w, OUT, 0, packet, info, &joined, length, &pieces)
    if why > 0:
        w.drops[why] += pieces
    return joined if why == PASSED else NULL


cdef bint whole_wanted(const selectors_t *allowed, const packet_info_t *info) noexcept nogil:
    # Not if a later fragment of it is allowed as it is; nor if none can be, whatever its ports are.
    cdef flow_t later
    cdef const selector_t *s
    cdef uint32_t i
    cdef size_t n = 4 if info.flow.version == 4 else 16
    memcpy(&later, &info.flow, sizeof(flow_t))
    later.fragment = 1
    later.sport = later.dport = 0
    if selectors_allow(allowed, &later):
        return False
    for i in range(allowed.count):
        s = &allowed.items[i]
        # An IPv6 fragment may not even tell its protocol.
        if s.version == later.version and (s.proto == 0 or s.proto == later.proto or s.version == 6) and (
                memcmp(later.src, s.src_first, n) >= 0 and memcmp(later.src, s.src_last, n) <= 0
                and memcmp(later.dst, s.dst_first, n) >= 0 and memcmp(later.dst, s.dst_last, n) <= 0):
            return True
    return False


cdef int deliver(worker_t *w, int32_t device, const uint8_t *packet, packet_info_t *info) noexcept nogil:
    cdef bench_t *b = bench_of(w)
    cdef packet_info_t piece
    cdef fragmenter_t f
    cdef uint32_t n
    cdef int why
    if b == NULL:
        return DROP_NO_MEMORY
    if info.flow.version == 4 or info.length <= info.piece:
        merge_put(w, device, bench_shelve(w, b, packet, info.length), info)
        return PASSED
    why = fragment_init(&f, packet, info.length, info.piece, info.ident)
    while why == PASSED:
        n = fragment_next(&f, w.whole)
        if n == 0:
            break
        parse_packet(w.whole, n, &piece)
        merge_put(w, device, bench_shelve(w, b, w.whole, n), &piece)
    return why


cdef int whole_in(worker_t *w, sa_t *sa, int32_t device, const selectors_t *allowed, const uint8_t *packet,
                  const packet_info_t *info) noexcept nogil:
    cdef packet_info_t joined
    cdef uint8_t *frame = NULL
    cdef uint32_t length = 0, pieces = 1
    cdef int why
    memcpy(&joined, info, sizeof(packet_info_t))
    why = put(w, IN, sa.id, packet, &joined, &frame, &length, &pieces)
    if why == JOIN_KEPT:
        return PASSED
    if why == PASSED and not selectors_allow(allowed, &joined.flow):
        fetch_add(&sa.selector_failures, 1)
        why = DROP_SELECTOR_MISMATCH
    if why == PASSED and sa.aliased:
        alias_in(sa, frame + VNET_LEN, &joined)
    if why == PASSED:
        return deliver(w, device, frame + VNET_LEN, &joined)
    # The caller counts one.
    w.drops[why] += pieces - 1
    return why
