# SPDX-License-Identifier: GPL-2.0-or-later
"""Fuzz targets for single functions that meet a packet: headers, segments, answers; each in memory of exactly its size."""
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from _fast.fragment cimport fragment_init, fragment_largest, fragment_next, fragmenter_t
from _fast.icmp cimport ICMP_ROOM, icmp_may_answer, icmp_prohibited, icmp_too_big
from _fast.iphdr cimport clamp_mss, parse_packet, pseudo_sum, quoted_flow
from _fast.join cimport (JOIN_KEPT, JOIN_PLACES, JOIN_RANGES, join_free, join_new, join_put, join_t, joining_t)
from _fast.octets cimport fold_sum, get16, get32, le16, sum_octets
from _fast.segment cimport (segment_count, segment_init, segment_largest, segment_next, segment_place,
                            segment_placeable, segmenter_t)
from _fast.stream cimport *
from _fast.sysio cimport *
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


cdef struct heard_t:
    const uint8_t *octets      # of the stream behind its prefix,
    size_t size
    size_t at                  # of which so many were heard as whole messages
    writer_t *writer           # where they are said again, so many times
    uint32_t times
    uint64_t said              # octets it took
    uint64_t sum
    uint64_t again             # the same of what came out of it
    int bad


cdef uint64_t FNV = 0x100000001B3


cdef uint64_t summed(uint64_t sum, const uint8_t *message, uint32_t length) noexcept nogil:
    cdef uint32_t i
    sum = (sum ^ length) * FNV
    for i from 0 <= i < length by 7:
        sum = (sum ^ message[i]) * FNV
    return sum


cdef void skip_silent(heard_t *h) noexcept nogil:
    # Messages without an octet, of which nobody is told.
    while h.at + 2 <= h.size and get16(h.octets + h.at) == 2:
        h.at += 2


cdef void heard(void *context, const uint8_t *message, uint32_t length) noexcept nogil:
    cdef heard_t *h = <heard_t *>context
    cdef uint32_t first = 4 if length > 4 else length
    cdef uint32_t i, waiting
    skip_silent(h)
    if h.at + 2 + length > h.size or get16(h.octets + h.at) != 2 + length:
        h.bad = fail("a message of another length than the stream says")
        return
    if memcmp(message, h.octets + h.at + 2, length):
        h.bad = fail("a message of other octets than the stream has")
    h.at += 2 + length
    for i in range(h.times):
        waiting = h.writer.used - h.writer.sent
        if writer_put(h.writer, message, first, message + first, length - first, i & 1):
            h.said += 2 + length
            h.sum = summed(h.sum, message, length)
            if h.writer.used - h.writer.sent != waiting + 2 + length:
                h.bad = fail("a message that is not all in line")
        elif waiting + 2 + length <= ESP_ROOM:
            h.bad = fail("a message refused though there is room")
        if h.writer.used - h.writer.sent > (ESP_ROOM + IKE_ROOM if i & 1 or waiting > ESP_ROOM else ESP_ROOM):
            h.bad = fail("more waits than may")


cdef void heard_again(void *context, const uint8_t *message, uint32_t length) noexcept nogil:
    cdef heard_t *h = <heard_t *>context
    h.again = summed(h.again, message, length)


cdef int said_again(heard_t *h, int from_fd, int to_fd) noexcept nogil:
    # What waits goes through a pair of sockets, and comes out whole and in order.
    cdef uint8_t[5000] some
    cdef reader_t reader
    cdef uint64_t came = 0
    cdef int left = 1
    cdef int bad = 0
    cdef ssize_t n
    reader_init(&reader, False)
    while left > 0:
        left = writer_flush(h.writer, from_fd)
        while True:
            n = read(to_fd, some, sizeof(some))
            if n <= 0:
                break
            came += <uint64_t>n
            if reader_feed(&reader, some, <size_t>n, heard_again, h) != STREAM_FINE:
                bad = fail("a stream of ours breaks")
    if left < 0 or came != h.said or h.again != h.sum or reader.part or reader.head_used:
        bad = fail("a stream of ours carries something else than was put into it")
    reader_free(&reader)
    return bad


cdef int stream(const uint8_t *data, size_t size) noexcept nogil:
    # (whether a prefix comes, how it is cut, how often each message is said again, octets): messages come whole, unchanged
    # and in order whatever the cuts, and the stream ends where it breaks the rules and nowhere else.
    cdef reader_t reader
    cdef writer_t writer
    cdef heard_t h
    cdef uint8_t *chunk
    cdef size_t at = 3, some, missing
    cdef uint32_t turn = 0
    cdef int why = STREAM_FINE
    cdef int bad = 0
    cdef int pair[2]
    if size < 3:
        return 0
    memset(&h, 0, sizeof(h))
    memset(&writer, 0, sizeof(writer))
    some = 6 if data[0] & 1 else 0
    h.octets = data + 3 + some
    h.size = size - 3 - some if size >= 3 + some else 0
    h.writer = &writer
    h.times = data[2] & 127
    reader_init(&reader, data[0] & 1)
    while at < size and why == STREAM_FINE:
        some = size - at
        if data[1] and some > 1 + (data[1] * (turn + 1) & 63):
            some = 1 + (data[1] * (turn + 1) & 63)
        turn += 1
        chunk = <uint8_t *>malloc(some)
        memcpy(chunk, data + at, some)
        why = reader_feed(&reader, chunk, some, heard, &h)
        free(chunk)
        at += some
    if why != STREAM_NO_PREFIX:
        skip_silent(&h)
    missing = h.size - h.at
    if why == STREAM_NO_PREFIX:
        if not data[0] & 1 or (size >= 9 and memcmp(data + 3, <const char *>b"IKETCP", 6) == 0) or h.at:
            bad = fail("a prefix that is right is not taken")
    elif why == STREAM_BAD_LENGTH:
        if missing < 2 or get16(h.octets + h.at) >= 2:
            bad = fail("a length that is right is not taken")
    elif why != STREAM_FINE:
        bad = fail("a stream ends for no reason")
    elif data[0] & 1 and size >= 9 and memcmp(data + 3, <const char *>b"IKETCP", 6):
        bad = fail("a stream without its prefix goes on")
    elif missing >= 2:
        if get16(h.octets + h.at) < 2 or get16(h.octets + h.at) <= missing:
            bad = fail("a message that is whole was not told, or one of no length passed")
        elif reader.part == NULL or reader.part_size + 2 != get16(h.octets + h.at) or reader.part_used + 2 != missing:
            bad = fail("more or less is kept than the length says")
    elif reader.part != NULL:
        bad = fail("something is kept of a message that has not begun")
    reader_free(&reader)
    if h.said and socketpair(AF_UNIX, 1 | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0:
        bad |= said_again(&h, pair[0], pair[1])
        close(pair[0])
        close(pair[1])
    writer_free(&writer)
    return bad | h.bad


TARGETS = {
    "stream": PyCapsule_New(<void *>stream, "fuzz", NULL),
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
