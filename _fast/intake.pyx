# SPDX-License-Identifier: GPL-2.0-or-later
"""Raw ESP received in blocks of shared memory (TPACKET_V3): no system call, no copy, no look at each packet by the kernel.

    block:  | status, packets, where the first is | header | IP, ESP ... | header | IP, ESP ... | ...
              ^ the kernel hands it over when it is full or a millisecond old, and gets it back when its packets are opened

The host opens it when raw ESP comes fast, as the wait for a full block would delay single packets, and lets the kernel
drop what it holds before its IP layer. Fragments, IP options and whatever else it has no filter for stay with the raw
socket. What the IP layer checks is therefore checked here.
"""
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from _fast.atomic cimport loadp
from _fast.coalesce cimport merge_flush
from _fast.mail cimport MAIL_LOAD, mail_new, mail_post, mail_t
from _fast.numbers cimport ESP
from _fast.octets cimport fold_sum, get16, sum_octets
from _fast.plant cimport intake_t, socket_t, worker_t
from _fast.rcv cimport rcv_open, rcv_take
from _fast.sysio cimport *
from _fast.types cimport DROP_MALFORMED, MAX_SOCKETS

cdef extern from * nogil:
    """
    #define ow_block_status(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
    #define ow_block_return(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
    """
    uint32_t block_status "ow_block_status"(uint32_t *p)
    void block_return "ow_block_return"(uint32_t *p, uint32_t v)

cdef enum:
    VISIT = 262144             # octets of blocks worked on before they go back
    SOURCES = 80
    SPAN = 125000000           # ns over which the load is measured,
    HEAVY = 2500               # packets in it that make an intake worth while,
    TELL = 1000000000          # and ns until that is told again

cdef int32_t endpoint_of(worker_t *w, uint8_t version, const uint8_t *to) noexcept nogil:
    # The raw ESP socket of that address of ours; -1: none.
    cdef int32_t i = w.endpoint, tried
    cdef socket_t *s
    for tried in range(-1, MAX_SOCKETS):
        if tried >= 0:
            i = tried
        s = &w.engine.sockets[i]
        if s.fd >= 0 and s.proto == ESP and s.version == version and (
                s.wildcard or memcmp(s.local, to, 4 if version == 4 else 16) == 0):
            return i
    return -1


cdef const uint8_t *source_of(worker_t *w, uint8_t version, const uint8_t *from_) noexcept nogil:
    # As a socket would name it; most packets come from where the last one came from. The place after w.source is free
    # until a packet waits under it: however many are dropped, none takes the name of one that waits.
    cdef uint32_t next = (w.source + 1) % SOURCES
    cdef uint8_t made[28]
    memset(made, 0, 28)
    (<uint16_t *>made)[0] = <uint16_t>(AF_INET if version == 4 else AF_INET6)
    memcpy(made + (4 if version == 4 else 8), from_, 4 if version == 4 else 16)
    if w.came_count and w.came[w.came_count - 1].remote == w.sources[next]:
        w.source = next
        next = (next + 1) % SOURCES
    if memcmp(w.sources[w.source], made, 28) == 0:
        return w.sources[w.source]
    memcpy(w.sources[next], made, 28)
    return w.sources[next]


cdef void intake_take(worker_t *w, uint8_t *packet, uint32_t room) noexcept nogil:
    cdef uint8_t version = packet[0] >> 4 if room else 0
    cdef uint32_t head = 20, total = 0
    cdef uint8_t tos = 0
    cdef int32_t slot = -1
    if version == 4 and room >= 20:
        total = get16(packet + 2)
        tos = packet[1]
        if packet[0] == 0x45 and packet[9] == ESP and get16(packet + 6) & 0x3FFF == 0 and fold_sum(
                sum_octets(0, packet, 20)) == 0xFFFF:
            slot = endpoint_of(w, 4, packet + 16)
    elif version == 6 and room >= 40:
        head = 40
        total = 40 + get16(packet + 4)
        tos = <uint8_t>(get16(packet) >> 4)
        if packet[6] == ESP:
            slot = endpoint_of(w, 6, packet + 24)
    if slot < 0 or total <= head or total > room:
        w.drops[DROP_MALFORMED] += 1
        return
    if slot != w.endpoint:
        # What waits came to another address.
        rcv_open(w, w.endpoint)
        w.endpoint = slot
    # As with the sockets, IPv4 shows the header a packet came under and IPv6 does not.
    rcv_take(w, slot, source_of(w, version, packet + (12 if version == 4 else 8)), packet if version == 4 else NULL,
             20 if version == 4 else 0, packet + head, total - head, tos)


cdef uint32_t take_block(worker_t *w, uint8_t *block, uint32_t size) noexcept nogil:
    # All packets of a block; how many they were.
    cdef tpacket_hdr_v1 *d = &(<tpacket_block_desc *>block).hdr.bh1
    cdef tpacket3_hdr *p
    cdef uint32_t i, at = d.offset_to_first_pkt
    for i in range(d.num_pkts):
        if at & 7 or at + sizeof(tpacket3_hdr) > size:
            return i
        p = <tpacket3_hdr *>(block + at)
        if <uint64_t>at + p.tp_net + p.tp_snaplen > size or p.tp_snaplen < p.tp_len:
            w.drops[DROP_MALFORMED] += 1
        else:
            intake_take(w, <uint8_t *>p + p.tp_net, p.tp_snaplen)
        at += p.tp_next_offset
    return d.num_pkts


cdef void intake_read(worker_t *w, int32_t slot, bint trouble) noexcept nogil:
    cdef intake_t *k = <intake_t *>loadp(&w.engine.intakes[slot])
    cdef uint8_t *block
    cdef uint32_t first, taken = 0, i, n
    cdef int error
    if k == NULL or k.reader != w.index:
        return
    if trouble:
        # The interface went down, or away: reading the error is all there is to do, else it would be told for ever.
        n = sizeof(int)
        getsockopt(k.fd, SOL_SOCKET, SO_ERROR, &error, &n)
    first = k.at
    while taken < k.blocks and taken * k.block < VISIT:
        block = k.memory + <size_t>k.at * k.block
        if not block_status(&(<tpacket_block_desc *>block).hdr.bh1.block_status) & TP_STATUS_USER:
            break
        k.packets += take_block(w, block, k.block)
        k.at = (k.at + 1) % k.blocks
        taken += 1
    rcv_open(w, w.endpoint)
    merge_flush(w)
    for i in range(taken):
        block = k.memory + <size_t>((first + i) % k.blocks) * k.block
        block_return(&(<tpacket_block_desc *>block).hdr.bh1.block_status, TP_STATUS_KERNEL)


cdef void intake_load(worker_t *w, int32_t slot, uint32_t packets) noexcept nogil:
    cdef socket_t *s = &w.engine.sockets[slot]
    cdef mail_t *m
    s.load += packets
    if w.now - s.load_since < SPAN:
        return
    if s.load >= HEAVY and w.now - s.load_since < 2 * SPAN and w.now - s.load_told >= TELL:
        s.load_told = w.now
        m = mail_new(&w.engine.mail, MAIL_LOAD, NULL, 0)
        if m:
            m.sock = slot
            mail_post(&w.engine.mail, m)
    s.load = 0
    s.load_since = w.now


def feed(worker, bytes block):
    """Let worker (a capsule of Engine.worker, run by no thread) take a block as the kernel would lay it down; how many
    packets it said it held. For tests and fuzzers."""
    cdef worker_t *w = <worker_t *>PyCapsule_GetPointer(worker, "_fast.worker")
    cdef bytearray own = bytearray(block)
    cdef uint8_t *at = own
    cdef uint32_t n
    if len(own) < <int>sizeof(tpacket_block_desc):
        raise ValueError("block")
    w.now = coarse_now()
    n = take_block(w, at, <uint32_t>len(own))
    rcv_open(w, w.endpoint)
    merge_flush(w)
    return n


def block(list packets):
    """A block with these packets, each from its IP header on, as the kernel lays it down; for tests and fuzzers."""
    cdef bytes packet
    cdef bytearray made = bytearray(sizeof(tpacket_block_desc))
    cdef tpacket3_hdr head
    cdef tpacket_block_desc *d
    for packet in packets:
        memset(&head, 0, sizeof(head))
        head.tp_net = <uint16_t>(sizeof(head) + 20 + 7) & ~<uint16_t>7
        head.tp_len = head.tp_snaplen = <uint32_t>len(packet)
        head.tp_next_offset = (head.tp_net + head.tp_snaplen + 7) & ~<uint32_t>7
        made += (<char *>&head)[:sizeof(head)] + bytes(head.tp_net - sizeof(head)) + packet
        made += bytes(head.tp_next_offset - head.tp_net - head.tp_snaplen)
    d = <tpacket_block_desc *><uint8_t *>made
    d.hdr.bh1.block_status = TP_STATUS_USER
    d.hdr.bh1.num_pkts = <uint32_t>len(packets)
    d.hdr.bh1.offset_to_first_pkt = sizeof(tpacket_block_desc)
    return bytes(made)
