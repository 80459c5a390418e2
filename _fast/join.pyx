# SPDX-License-Identifier: GPL-2.0-or-later
"""Fragments put together, for policy that can only judge whole packets.

    RFC 4301 7: a fragment other than the first has no ports, so selectors with ports cannot be asked about it.
    RFC 4303 3.3.4, RFC 4302 3.3.4: transport mode is applied to whole datagrams only.

    place:  | head room | what was cut, at its offset ...                 |      | frees after JOIN_NS
            |   header goes here once all is there                        |

Bounded in every direction: places, places of two addresses, ranges of a place, time. Pieces that overlap spoil the
datagram, and what comes later of it (RFC 5722 4); a copy of what is there already is no overlap (RFC 8200 4.5).
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memmove, memset

from _fast.atomic cimport alloc_zeroed, wipe_free
from _fast.iphdr cimport parse_packet, put_ip_sum
from _fast.numbers cimport FRAGMENT
from _fast.octets cimport get16, get32, le16, put16
from _fast.sysio cimport MAP_ANONYMOUS, MAP_NORESERVE, MAP_PRIVATE, PROT_READ, PROT_WRITE, mmap, munmap
from _fast.types cimport (DROP_CONGESTED, DROP_FRAGMENT_LOST, DROP_FRAGMENT_OVERLAP, DROP_MALFORMED, MAX_PACKET, PASSED,
                          VNET_LEN, packet_info_t)

cdef enum:
    FRAGMENT_LEN = 8
    MORE = 0x2000
    CE = 3
    MEMORY = (JOIN_PLACES + 1) * JOIN_ROOM

# Where one fragment belongs.
cdef struct piece_t:
    uint32_t head              # octets of headers that go into every fragment, Fragment header not counted
    uint32_t next_at
    uint32_t body              # where what was cut starts in the packet
    uint32_t start             # and in the datagram
    uint32_t end
    uint32_t ident
    uint8_t more
    uint8_t next_header


cdef join_t *join_new() noexcept nogil:
    cdef join_t *j = <join_t *>alloc_zeroed(sizeof(join_t))
    if j == NULL:
        return NULL
    # Pages that come into being when a fragment is put there.
    j.memory = <uint8_t *>mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    if <void *>j.memory == <void *>-1:
        wipe_free(j, sizeof(join_t))
        return NULL
    return j


cdef void join_free(join_t *j) noexcept nogil:
    if j == NULL:
        return
    munmap(j.memory, MEMORY)
    wipe_free(j, sizeof(join_t))


# --- one piece ----------------------------------------------------------------------------------------------------

cdef int place6(piece_t *p, const uint8_t *packet, const packet_info_t *info) noexcept nogil:
    # parse_packet has walked these headers: they lie within the packet.
    cdef uint32_t at = 40, next_at = 6
    cdef uint8_t kind = packet[6]
    while kind != FRAGMENT:
        if at + 8 > info.length or (kind != 0 and kind != 43 and kind != 60 and kind != 135):
            return DROP_MALFORMED
        next_at = at
        kind = packet[at]
        at += (<uint32_t>packet[at + 1] + 1) * 8
    if at + FRAGMENT_LEN > info.length:
        return DROP_MALFORMED
    p.head = at
    p.next_at = next_at
    p.body = at + FRAGMENT_LEN
    p.start = get16(packet + at + 2) & 0xFFF8
    p.more = packet[at + 3] & 1
    p.next_header = packet[at]
    p.ident = get32(packet + at + 4)
    return PASSED


cdef int place(piece_t *p, const uint8_t *packet, const packet_info_t *info) noexcept nogil:
    cdef uint16_t word
    cdef int why
    if info.flow.version == 4:
        word = get16(packet + 6)
        p.head = p.body = (packet[0] & 15) * 4
        p.next_at = 9
        p.start = <uint32_t>(word & 0x1FFF) * 8
        p.more = (word & MORE) != 0
        p.next_header = packet[9]
        p.ident = get16(packet + 4)
    else:
        why = place6(p, packet, info)
        if why:
            return why
    p.end = p.start + info.length - p.body
    # RFC 8200 4.5: whole words in all but the last, and nothing past the largest packet. The headers of IPv6 count only
    # beyond the first forty octets, but packets here have no more than 65,535 with them.
    if p.end == p.start or (p.more and p.end & 7) or p.end + p.head > MAX_PACKET or p.head > JOIN_HEAD:
        return DROP_MALFORMED
    return PASSED


# --- places -------------------------------------------------------------------------------------------------------

cdef bint same(const joining_t *d, uint64_t owner, uint32_t ident, const packet_info_t *info) noexcept nogil:
    # IPv6's Fragment header may name another next header in each piece: only the first one's counts (RFC 8200 4.5).
    return (d.began != 0 and d.ident == ident and d.owner == owner and d.version == info.flow.version
            and d.src[0] == info.flow.src[0] and d.src[1] == info.flow.src[1] and d.dst[0] == info.flow.dst[0]
            and d.dst[1] == info.flow.dst[1] and (d.version == 6 or d.proto == info.flow.proto))


cdef void give_up(joining_t *d, uint64_t *lost) noexcept nogil:
    lost[0] += d.count
    d.began = 0


cdef void begin(joining_t *d, uint64_t now, uint64_t owner, uint32_t ident, const packet_info_t *info) noexcept nogil:
    memset(d, 0, sizeof(joining_t))
    d.began = now if now else 1
    d.owner = owner
    d.ident = ident
    d.version = info.flow.version
    d.proto = info.flow.proto
    memcpy(d.src, info.flow.src, 16)
    memcpy(d.dst, info.flow.dst, 16)


cdef joining_t *find(join_t *j, uint64_t now, uint64_t owner, uint32_t ident, const packet_info_t *info,
                     uint64_t *lost) noexcept nogil:
    # Its place, or a new one.
    cdef joining_t *d
    cdef joining_t *free = NULL
    cdef joining_t *found = NULL
    cdef joining_t *oldest = NULL
    cdef joining_t *oldest_of_pair = NULL
    cdef int i, of_pair = 0
    for i in range(JOIN_PLACES):
        d = &j.places[i]
        if d.began and now - d.began > JOIN_NS:
            give_up(d, lost)
        if d.began == 0:
            free = d
            continue
        if same(d, owner, ident, info):
            found = d
        if oldest == NULL or d.began < oldest.began:
            oldest = d
        if d.src[0] == info.flow.src[0] and d.src[1] == info.flow.src[1] and (
                d.dst[0] == info.flow.dst[0] and d.dst[1] == info.flow.dst[1]):
            of_pair += 1
            if oldest_of_pair == NULL or d.began < oldest_of_pair.began:
                oldest_of_pair = d
    if found != NULL:
        return found
    if of_pair >= JOIN_OF_PAIR:
        # Whoever sends so many that are never whole displaces his own.
        free = oldest_of_pair
        give_up(free, lost)
    elif free == NULL:
        free = oldest
        give_up(free, lost)
    begin(free, now, owner, ident, info)
    return free


cdef bint has_room_for(joining_t *d, const piece_t *p, uint32_t *at) noexcept nogil:
    # `at`: the range it goes before. False: it overlaps one.
    cdef uint32_t i = 0
    while i < d.used and d.ranges[i].end <= p.start:
        i += 1
    at[0] = i
    return i == d.used or d.ranges[i].start >= p.end


cdef bint insert(joining_t *d, const piece_t *p, uint32_t at) noexcept nogil:
    # False: too many holes.
    if at and d.ranges[at - 1].end == p.start:
        d.ranges[at - 1].end = p.end
        if at < d.used and d.ranges[at].start == p.end:
            d.ranges[at - 1].end = d.ranges[at].end
            d.used -= 1
            memmove(&d.ranges[at], &d.ranges[at + 1], (d.used - at) * sizeof(range_t))
        return True
    if at < d.used and d.ranges[at].start == p.end:
        d.ranges[at].start = p.start
        return True
    if d.used == JOIN_RANGES:
        return False
    memmove(&d.ranges[at + 1], &d.ranges[at], (d.used - at) * sizeof(range_t))
    d.ranges[at].start = p.start
    d.ranges[at].end = p.end
    d.used += 1
    return True


cdef int spoil(joining_t *d, int why, uint32_t *pieces) noexcept nogil:
    # The place stays taken, so that what still comes of it begins nothing new.
    pieces[0] = 1 if d.spoilt else d.count
    d.spoilt = 1
    d.count = 0
    return why


# --- the whole ----------------------------------------------------------------------------------------------------

cdef int finish(joining_t *d, uint8_t *room, uint8_t **frame, uint32_t *length, uint32_t *pieces) noexcept nogil:
    cdef uint8_t *packet = room + JOIN_HEAD + VNET_LEN - d.head
    cdef uint8_t *vnet = packet - VNET_LEN
    cdef packet_info_t info
    cdef uint32_t n = d.head + d.end
    pieces[0] = d.count
    d.began = 0
    # RFC 3168 5.3: a mark on any piece is one on the whole, which a transport that knows none must not see.
    if d.ce and d.deaf:
        return DROP_CONGESTED
    if d.version == 4:
        put16(packet + 2, <uint16_t>n)
        put16(packet + 6, 0)
        if d.ce:
            packet[1] |= CE
        put_ip_sum(packet)
    else:
        packet[d.next_at] = d.next_header
        put16(packet + 4, <uint16_t>(n - 40))
        if d.ce:
            packet[1] |= CE << 4
    if parse_packet(packet, n, &info) != PASSED or info.fragmented:
        return DROP_MALFORMED
    memset(vnet, 0, VNET_LEN)
    vnet[1] = GSO_JOINED
    memcpy(vnet + 4, &d.largest, 2)
    memcpy(vnet + 6, &d.ident, 4)
    frame[0] = vnet
    length[0] = VNET_LEN + n
    return PASSED


cdef void join_recall(const uint8_t *frame, packet_info_t *info) noexcept nogil:
    info.dont_fragment = 0
    memcpy(&info.piece, frame + 4, 2)
    memcpy(&info.ident, frame + 6, 4)


cdef int join_put(join_t *j, uint64_t now, uint64_t owner, const uint8_t *packet, const packet_info_t *info,
                  uint8_t **frame, uint32_t *length, uint32_t *pieces, uint64_t *lost) noexcept nogil:
    cdef piece_t p
    cdef joining_t *d
    cdef uint8_t *room
    cdef uint8_t *body
    cdef uint32_t at = 0
    cdef int why
    pieces[0] = 1
    why = place(&p, packet, info)
    if why:
        return why
    if p.start == 0 and not p.more:
        d = &j.places[JOIN_PLACES]
        begin(d, now, owner, p.ident, info)
    else:
        d = find(j, now, owner, p.ident, info, lost)
    room = j.memory + <size_t>(d - j.places) * JOIN_ROOM
    body = room + JOIN_HEAD + VNET_LEN
    if d.spoilt:
        return DROP_FRAGMENT_OVERLAP
    if not has_room_for(d, &p, &at):
        if p.start >= d.ranges[at].start and p.end <= d.ranges[at].end and (p.more or p.end == d.end) and (
                memcmp(body + p.start, packet + p.body, p.end - p.start) == 0):
            return DROP_FRAGMENT_LOST      # a copy
        d.count += 1
        return spoil(d, DROP_FRAGMENT_OVERLAP, pieces)
    d.count += 1
    if d.end and (p.end > d.end or not p.more):
        return spoil(d, DROP_FRAGMENT_OVERLAP, pieces)
    if not p.more:
        if d.used and d.ranges[d.used - 1].end > p.end:
            return spoil(d, DROP_FRAGMENT_OVERLAP, pieces)
        d.end = p.end
    if not insert(d, &p, at):
        return spoil(d, DROP_FRAGMENT_LOST, pieces)
    memcpy(body + p.start, packet + p.body, p.end - p.start)
    if info.length > d.largest:
        d.largest = <uint16_t>info.length
    if info.tos & 3 == CE:
        d.ce = 1
    elif info.tos & 3 == 0:
        d.deaf = 1
    if p.start == 0:
        d.head = p.head
        d.next_at = p.next_at
        d.next_header = p.next_header
        memcpy(body - p.head, packet, p.head)
    if d.end and d.used == 1 and d.ranges[0].start == 0 and d.ranges[0].end == d.end:
        if d.head + d.end > MAX_PACKET:
            return spoil(d, DROP_MALFORMED, pieces)
        why = finish(d, room, frame, length, pieces)
        if why == PASSED:
            j.made += pieces[0]
        return why
    return JOIN_KEPT


# --- for tests ----------------------------------------------------------------------------------------------------

PLACES = JOIN_PLACES
OF_PAIR = JOIN_OF_PAIR
SECONDS = JOIN_NS / 1e9


cdef class Joiner:
    """One store, for tests; raced against klips.slow.join."""

    cdef join_t *j
    cdef uint64_t lost_

    def __cinit__(self):
        self.j = join_new()
        if self.j == NULL:
            raise MemoryError

    def put(self, bytes packet, double now=1.0, uint64_t owner=0):
        """(-1, b"") kept, (0, whole packet), or (drop reason, b"") of one IP packet; `now` in seconds."""
        cdef packet_info_t info
        cdef uint8_t *frame = NULL
        cdef uint32_t length = 0, pieces = 0
        cdef int why
        if parse_packet(packet, <uint32_t>len(packet), &info) != PASSED or not info.fragmented:
            return (DROP_MALFORMED, b"")
        why = join_put(self.j, <uint64_t>(now * 1e9), owner, packet, &info, &frame, &length, &pieces, &self.lost_)
        if why > 0:
            self.lost_ += pieces
        return (why, (<const uint8_t *>frame)[VNET_LEN:length] if why == PASSED else b"")

    @property
    def lost(self):
        """Pieces that came to nothing."""
        return self.lost_

    @property
    def under_way(self):
        """Datagrams that wait for more."""
        cdef int i, n = 0
        for i in range(JOIN_PLACES):
            n += self.j.places[i].began != 0
        return n

    def __dealloc__(self):
        join_free(self.j)
