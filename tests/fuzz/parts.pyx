# SPDX-License-Identifier: GPL-2.0-or-later
"""Fuzz targets for single functions that meet a packet: headers, segments, answers; each in memory of exactly its size."""
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy

from _fast.fragment cimport fragment_init, fragment_largest, fragment_next, fragmenter_t
from _fast.icmp cimport ICMP_ROOM, icmp_may_answer, icmp_prohibited, icmp_too_big
from _fast.iphdr cimport clamp_mss, parse_packet, pseudo_sum, quoted_flow
from _fast.join cimport (JOIN_KEPT, JOIN_PLACES, JOIN_RANGES, join_free, join_new, join_put, join_t, joining_t)
from _fast.octets cimport fold_sum, get16, get32, le16, sum_octets
from _fast.segment cimport (segment_count, segment_init, segment_largest, segment_next, segment_place,
                            segment_placeable, segmenter_t)
from _fast.types cimport PASSED, VNET_LEN, flow_t, packet_info_t

cdef const char *complaint = ""


cdef int fail(const char *why) noexcept nogil:
    global complaint
    complaint = why
    return 1


cdef bint sums_right(const uint8_t *packet, const packet_info_t *info) noexcept nogil:
    cdef uint32_t n = info.length - info.l4
    if info.flow.version == 4 and fold_sum(sum_octets(0, packet, info.l4)) != 0xFFFF:
        return False
    return fold_sum(sum_octets(pseudo_sum(packet, info.flow.proto, n), packet + info.l4, n)) == 0xFFFF


cdef int headers(const uint8_t *data, size_t size) noexcept nogil:
    # One packet: parsed, its quotation read, its MSS lowered (to the first two octets), answered.
    cdef packet_info_t info, again
    cdef flow_t quoted
    cdef uint8_t *packet
    cdef uint8_t *answer
    cdef uint32_t mss, n, length, i
    cdef uint16_t before, after
    cdef int bad = 0
    if size < 2:
        return 0
    mss = le16(data)
    length = <uint32_t>size - 2
    packet = <uint8_t *>malloc(length if length else 1)
    memcpy(packet, data + 2, length)
    if parse_packet(packet, length, &info) == PASSED:
        if info.length > length or info.l4 > info.length:
            bad = fail("a header reaches past its packet")
        if quoted_flow(packet, &info, &quoted) == PASSED and quoted.version != info.flow.version:
            bad = fail("an error of one family quotes the other")
        n = info.length - info.l4
        before = fold_sum(sum_octets(0, packet + info.l4, n))
        clamp_mss(packet, &info, mss)
        after = fold_sum(sum_octets(0, packet + info.l4, n))
        if before % 0xFFFF != after % 0xFFFF:
            bad = fail("lowering the MSS broke the checksum")
        for i in range(info.l4):
            if packet[i] != data[2 + i]:
                bad = fail("lowering the MSS changed the IP header")
        if icmp_may_answer(packet, &info):
            answer = <uint8_t *>malloc(ICMP_ROOM)
            for i in range(2):
                n = icmp_too_big(answer, packet, &info, mss) if i else icmp_prohibited(answer, packet, &info)
                if n > ICMP_ROOM or parse_packet(answer, n, &again) != PASSED or again.length != n or not again.icmp_error:
                    bad = fail("an answer that is no ICMP error")
                elif info.flow.version == 6 and not sums_right(answer, &again):
                    bad = fail("an ICMPv6 answer with a wrong checksum")
                elif info.flow.version == 4 and fold_sum(sum_octets(0, answer + 20, n - 20)) != 0xFFFF:
                    bad = fail("an ICMP answer with a wrong checksum")
            free(answer)
    free(packet)
    return bad


cdef int segment(const uint8_t *data, size_t size) noexcept nogil:
    # A frame with its vnet header, cut to the limit of the first two octets: no octet of payload lost or changed.
    cdef packet_info_t info, cut
    cdef segmenter_t s, t
    cdef uint8_t *frame
    cdef uint8_t *out
    cdef uint8_t *twin
    cdef uint8_t *place
    cdef uint32_t limit, length, most, n, count, payload = 0, pieces = 0
    cdef uint64_t octets, together = 0
    cdef int bad = 0
    if size < 2 + VNET_LEN:
        return 0
    limit = le16(data)
    length = <uint32_t>size - 2
    frame = <uint8_t *>malloc(length)
    memcpy(frame, data + 2, length)
    if parse_packet(frame + VNET_LEN, length - VNET_LEN, &info) == PASSED and segment_init(
            &s, frame, length, &info, limit) == PASSED:
        most = segment_largest(&s)
        count = segment_count(&s, &octets)
        out = <uint8_t *>malloc(most)
        # The same once more where it stands: exactly the same packets, nothing beyond the frame touched.
        twin = <uint8_t *>malloc(length)
        memcpy(twin, data + 2, length)
        segment_init(&t, twin, length, &info, limit)
        while True:
            n = segment_next(&s, out)
            if segment_placeable(&t) and (segment_place(&t, &place) != n or (n and memcmp(place, out, n))):
                bad = fail("a segment is another where it stands")
                break
            if n == 0:
                if pieces != count or together != octets:
                    bad = fail("another number of segments, or of octets, than was said")
                break
            pieces += 1
            together += n
            if n > most:
                bad = fail("a segment is longer than the largest")
                break
            if s.kind == 0:
                continue
            if parse_packet(out, n, &cut) != PASSED or cut.length != n or cut.l4 != info.l4:
                bad = fail("a segment that does not parse")
            elif not sums_right(out, &cut):
                bad = fail("a segment with a wrong checksum")
            elif n <= s.head or memcmp(out + s.head, frame + VNET_LEN + s.head + payload, n - s.head):
                bad = fail("a segment carries other octets")
            elif s.kind == 6 and get32(out + s.l4 + 4) != <uint32_t>(s.sequence + payload):
                bad = fail("a segment has the wrong sequence number")
            payload += n - s.head
        free(out)
        free(twin)
        if s.kind and payload != info.length - s.head:
            bad = fail("segments do not add up")
        if s.kind == 0 and pieces != 1:
            bad = fail("one packet became many")
    free(frame)
    return bad



cdef int fragment(const uint8_t *data, size_t size) noexcept nogil:
    # A packet cut to the MTU of the first two octets: fragments parse, fit, and put together are the packet.
    cdef packet_info_t info, cut
    cdef fragmenter_t f
    cdef uint8_t *packet
    cdef uint8_t *out
    cdef uint32_t mtu, length, most, n, at, head, pieces = 0, payload = 0, from_head
    cdef bint more = True
    cdef int bad = 0
    if size < 2:
        return 0
    mtu = le16(data)
    length = <uint32_t>size - 2
    packet = <uint8_t *>malloc(length if length else 1)
    memcpy(packet, data + 2, length)
    if parse_packet(packet, length, &info) == PASSED and fragment_init(&f, packet, info.length, mtu, 77) == PASSED:
        most = fragment_largest(&f)
        out = <uint8_t *>malloc(most)
        from_head = f.head
        while not bad:
            n = fragment_next(&f, out)
            if n == 0:
                break
            pieces += 1
            if n > most or n > mtu:
                bad = fail("a fragment is too long")
                break
            if parse_packet(out, n, &cut) != PASSED or cut.length != n:
                # A first fragment may be too short for its ports or TCP's flags, which stand behind all extension
                # headers; nothing else is excused.
                if pieces > 1 or n >= info.l4 + (0 if info.flow.version == 4 else 8) + 20:
                    bad = fail("a fragment that does not parse")
            if info.flow.version == 4:
                head = (out[0] & 15) * 4
                at = (get16(out + 6) & 0x1FFF) * 8
                if at != (get16(packet + 6) & 0x1FFF) * 8 + payload:
                    bad = fail("a fragment is not where it belongs")
                if fold_sum(sum_octets(0, out, head)) != 0xFFFF:
                    bad = fail("a fragment's header checksum is wrong")
                more = (out[6] & 0x20) != 0
                if out[1] != packet[1] or out[8] != packet[8] or out[9] != packet[9] or memcmp(out + 4, packet + 4, 2):
                    bad = fail("a fragment's header is not its packet's")
            else:
                head = from_head + 8
                at = get16(out + from_head + 2) & 0xFFF8
                if at != payload:
                    bad = fail("a fragment is not where it belongs")
                more = (out[from_head + 3] & 1) != 0
            if n < head or from_head + payload + n - head > info.length or memcmp(
                    out + head, packet + from_head + payload, n - head):
                bad = fail("a fragment carries other octets")
                break
            payload += n - head
        free(out)
        if not bad and from_head + payload != info.length:
            bad = fail("fragments do not add up")
        if not bad and info.flow.version == 4 and payload and more != ((packet[6] & 0x20) != 0):
            bad = fail("the last fragment does not say so")
    free(packet)
    return bad


cdef bint in_order(const joining_t *d) noexcept nogil:
    cdef uint32_t i
    for i in range(d.used):
        if d.ranges[i].start >= d.ranges[i].end or (i and d.ranges[i].start <= d.ranges[i - 1].end):
            return False
    return d.used <= JOIN_RANGES and (d.end == 0 or d.used == 0 or d.spoilt or d.ranges[d.used - 1].end <= d.end)


cdef int join(const uint8_t *data, size_t size) noexcept nogil:
    # (control, length, packet) one after the other: control's lower half are tenths of seconds gone by, bit 4 the owner.
    # Ranges stay in order, every piece is accounted for once, and what comes out is one whole packet.
    cdef join_t *j = join_new()
    cdef packet_info_t info, again
    cdef uint8_t *packet
    cdef uint8_t *frame = NULL
    cdef uint32_t length, whole = 0, pieces = 0, i
    cdef uint64_t now = 1, put = 0, counted = 0, lost = 0
    cdef size_t at = 0
    cdef int why, bad = 0
    if j == NULL:
        return 0
    while at + 3 <= size and not bad:
        length = le16(data + at + 1)
        if length > size - at - 3:
            length = <uint32_t>(size - at - 3)
        now += <uint64_t>(data[at] & 15) * 100000000
        packet = <uint8_t *>malloc(length if length else 1)
        memcpy(packet, data + at + 3, length)
        if parse_packet(packet, length, &info) == PASSED and info.fragmented:
            why = join_put(j, now, data[at] >> 4 & 1, packet, &info, &frame, &whole, &pieces, &lost)
            put += 1
            if why != JOIN_KEPT:
                counted += pieces
            if why == PASSED:
                if parse_packet(frame + VNET_LEN, whole - VNET_LEN, &again) != PASSED or again.fragmented:
                    bad = fail("what was put together does not parse")
                elif again.length != whole - VNET_LEN or again.flow.version != info.flow.version:
                    bad = fail("what was put together has another length")
                elif info.flow.version == 4 and fold_sum(sum_octets(0, frame + VNET_LEN, again.l4)) != 0xFFFF:
                    bad = fail("what was put together has a wrong checksum")
        free(packet)
        at += 3 + length
    for i in range(JOIN_PLACES):
        if j.places[i].began:
            counted += j.places[i].count
            if not in_order(&j.places[i]):
                bad = fail("ranges out of order")
    if not bad and put != counted + lost:
        bad = fail("a piece counted twice or never")
    join_free(j)
    return bad


TARGETS = {
    "join": PyCapsule_New(<void *>join, "fuzz", NULL),
    "headers": PyCapsule_New(<void *>headers, "fuzz", NULL),
    "segment": PyCapsule_New(<void *>segment, "fuzz", NULL),
    "fragment": PyCapsule_New(<void *>fragment, "fuzz", NULL),
}
COMPLAINT = PyCapsule_New(<void *>&complaint, "complaint", NULL)


def replay(object target, bytes data):
    """Run one input; answers what went wrong, empty for nothing."""
    cdef int (*run)(const uint8_t *, size_t) noexcept nogil
    run = <int (*)(const uint8_t *, size_t) noexcept nogil>PyCapsule_GetPointer(target, "fuzz")
    return (<bytes>complaint).decode() if run(data, len(data)) else ""
