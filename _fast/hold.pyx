# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets that wait for policy: kept per pair of hosts under their %hold eroute, bounded per pair and in total."""
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free
from libc.string cimport memcmp, memcpy, memset

from _fast.atomic cimport alloc_zeroed, mum, wipe_free
from _fast.iphdr cimport parse_packet
from _fast.plant cimport pair_t
from _fast.plant cimport PAIR_BUCKETS
from _fast.types cimport FRAME_SLACK, PASSED, VNET_LEN, flow_t


cdef extern from "<sys/random.h>" nogil:
    ssize_t getrandom(void *buf, size_t n, unsigned int flags)


cdef inline uint64_t bucket_of(const hold_t *h, const eroute_t *e, const uint64_t *src, const uint64_t *dst) noexcept nogil:
    return (mum(src[0] ^ h.seed[0], dst[0] ^ h.seed[1])
            ^ mum(src[1] ^ h.seed[1] ^ <uint64_t><uintptr_t>e, dst[1] ^ h.seed[0])) % PAIR_BUCKETS


cdef inline held_t **syn_bucket(hold_t *h, const flow_t *flow) noexcept nogil:
    cdef uint64_t ports = (<uint64_t>flow.sport << 16) | flow.dport
    return &h.syns[mum(bucket_of(h, NULL, flow.src, flow.dst) ^ h.seed[0], ports ^ h.seed[1]) % PAIR_BUCKETS]


cdef held_t *find_syn(hold_t *h, const pair_t *p, const flow_t *flow) noexcept nogil:
    cdef held_t *x = syn_bucket(h, flow)[0]
    while x != NULL and (x.pair != p or memcmp(&x.flow, flow, sizeof(flow_t))):
        x = x.chain
    return x


cdef pair_t *find_pair(hold_t *h, eroute_t *e, const flow_t *flow, bint make) noexcept nogil:
    cdef uint64_t b
    cdef pair_t *p
    if h.seed[0] == 0 and getrandom(h.seed, sizeof(h.seed), 0) != sizeof(h.seed):
        return NULL
    h.seed[0] |= 1             # made
    b = bucket_of(h, e, flow.src, flow.dst)
    p = h.buckets[b]
    while p:
        if p.eroute == e and memcmp(p.src, flow.src, 16) == 0 and memcmp(p.dst, flow.dst, 16) == 0:
            return p
        p = p.chain
    if not make:
        return NULL
    p = <pair_t *>alloc_zeroed(sizeof(pair_t))
    if p == NULL:
        return NULL
    p.eroute = e
    memcpy(p.src, flow.src, 16)
    memcpy(p.dst, flow.dst, 16)
    p.chain = h.buckets[b]
    h.buckets[b] = p
    p.next = <pair_t *>e.pairs
    if p.next:
        p.next.prev = p
    e.pairs = p
    return p


cdef void free_pair(hold_t *h, pair_t *p) noexcept nogil:
    cdef pair_t **link = &h.buckets[bucket_of(h, p.eroute, p.src, p.dst)]
    while link[0] != p:
        link = &link[0].chain
    link[0] = p.chain
    if p.prev:
        p.prev.next = p.next
    else:
        p.eroute.pairs = p.next
    if p.next:
        p.next.prev = p.prev
    free(p)


cdef void unlink(hold_t *h, held_t *x) noexcept nogil:
    cdef pair_t *p = x.pair
    cdef held_t **link
    if x.syn:
        link = syn_bucket(h, &x.flow)
        while link[0] != x:
            link = &link[0].chain
        link[0] = x.chain
    if x.prev:
        x.prev.next = x.next
    else:
        p.head = x.next
    if x.next:
        x.next.prev = x.prev
    else:
        p.tail = x.prev
    if x.older:
        x.older.younger = x.younger
    else:
        h.oldest = x.younger
    if x.younger:
        x.younger.older = x.older
    else:
        h.youngest = x.older
    h.count -= 1
    h.octets -= x.length
    p.count -= 1
    p.octets -= x.length
    p.eroute.held -= 1
    p.eroute.held_octets -= x.length


cdef void hold_drop(held_t *p) noexcept nogil:
    wipe_free(p, sizeof(held_t) + p.length)


cdef void evict(hold_t *h, held_t *x) noexcept nogil:
    cdef pair_t *p = x.pair
    unlink(h, x)
    hold_drop(x)
    if p.count == 0:
        free_pair(h, p)


cdef int hold_put(hold_t *h, eroute_t *e, const uint8_t *frame, uint32_t length, int32_t device,
                  const packet_info_t *info) noexcept nogil:
    cdef held_t *x = <held_t *>alloc_zeroed(sizeof(held_t) + length + FRAME_SLACK)
    cdef held_t *same
    cdef pair_t *p
    cdef int gone = 0
    if x == NULL:
        return -1
    x.length = length
    x.device = device
    memcpy(x.data, frame, length)
    memcpy(&x.flow, &info.flow, sizeof(flow_t))
    # Flags of a SYN that opens a connection: SYN without ACK.
    x.syn = (info.flow.proto == 6 and not info.flow.fragment and info.length >= info.l4 + 20
             and frame[VNET_LEN + info.l4 + 13] & 0x12 == 2)
    # Total bound first: what goes is the oldest of all, whoever sent it.
    while h.oldest and (h.count >= MOST_HELD or h.octets + length > MOST_HELD_OCTETS):
        evict(h, h.oldest)
        gone += 1
    p = find_pair(h, e, &info.flow, False)
    if p and x.syn:
        # A retransmitted SYN replaces the one before: the newest has the freshest timestamps.
        same = find_syn(h, p, &x.flow)
        if same:
            evict(h, same)
            gone += 1
        p = find_pair(h, e, &info.flow, False)
    while p and p.head and (p.count >= MOST_PAIR or p.octets + length > MOST_PAIR_OCTETS):
        evict(h, p.head)
        gone += 1
        p = find_pair(h, e, &info.flow, False)
    p = find_pair(h, e, &info.flow, True)
    if p == NULL:
        wipe_free(x, sizeof(held_t) + length)
        return -1
    x.pair = p
    if x.syn:
        x.chain = syn_bucket(h, &x.flow)[0]
        syn_bucket(h, &x.flow)[0] = x
    x.prev = p.tail
    if p.tail:
        p.tail.next = x
    else:
        p.head = x
    p.tail = x
    x.older = h.youngest
    if h.youngest:
        h.youngest.younger = x
    else:
        h.oldest = x
    h.youngest = x
    h.count += 1
    h.octets += length
    p.count += 1
    p.octets += length
    e.held += 1
    e.held_octets += length
    return gone


cdef held_t *hold_take(hold_t *h, eroute_t *e) noexcept nogil:
    cdef pair_t *p = <pair_t *>e.pairs
    cdef held_t *x
    if p == NULL:
        return NULL
    x = p.head
    unlink(h, x)
    if p.count == 0:
        free_pair(h, p)
    x.pair = NULL
    return x


cdef void hold_enlist(hold_t *h, eroute_t *e) noexcept nogil:
    e.prev_hold = NULL
    e.next_hold = h.eroutes
    if h.eroutes:
        h.eroutes.prev_hold = e
    h.eroutes = e
    if e.trap_cookie:
        h.narrow += 1


cdef void hold_delist(hold_t *h, eroute_t *e) noexcept nogil:
    if e.prev_hold:
        e.prev_hold.next_hold = e.next_hold
    else:
        h.eroutes = e.next_hold
    if e.next_hold:
        e.next_hold.prev_hold = e.prev_hold
    if e.trap_cookie:
        h.narrow -= 1


cdef class Store:
    """A hold store under one eroute, for tests."""

    cdef hold_t *h
    cdef eroute_t e

    def __cinit__(self):
        memset(&self.e, 0, sizeof(eroute_t))
        self.h = <hold_t *>alloc_zeroed(sizeof(hold_t))
        if self.h == NULL:
            raise MemoryError

    def put(self, bytes packet):
        """Hold one packet; answers how many made room for it."""
        cdef packet_info_t info
        cdef bytes frame = bytes(VNET_LEN) + packet
        if parse_packet(packet, <uint32_t>len(packet), &info) != PASSED:
            raise ValueError("not a packet")
        return hold_put(self.h, &self.e, frame, <uint32_t>len(frame), 0, &info)

    def take(self):
        """The next packet to go, or None."""
        cdef held_t *x = hold_take(self.h, &self.e)
        if x == NULL:
            return None
        packet = (<const uint8_t *>x.data)[VNET_LEN:x.length]
        hold_drop(x)
        return packet

    def __len__(self):
        return self.h.count

    @property
    def octets(self):
        """Octets held, vnet headers too."""
        return self.h.octets

    def __dealloc__(self):
        while self.h.oldest:
            evict(self.h, self.h.oldest)
        wipe_free(self.h, sizeof(hold_t))
