# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams that come before their SA: kept while a key exchange that offered their SPI is unanswered (RFC 7296 2.8).

    place of an SPI: a hash of it --> | protocol, SPI | --> datagram --> datagram --> datagram     at most 64 each

The peer has our SPI as soon as it has our request, and may send before its answer has reached us and been worked
through. A place holds one SPI; a newer one that falls on it takes it over, which costs the older one only what comes
too early.
"""
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from _fast.atomic cimport load_sc, spin_lock, spin_unlock, store_sc
from _fast.handoff cimport INBOUND, hand_over, hand_wake, lane_of
from _fast.octets cimport get32
from _fast.plant cimport EXPECTED, expected_t, socket_t
from _fast.types cimport DROP_NO_SA, DROP_WORKER_BUSY

KEEP = 6000000000


cdef inline expected_t *place_of(expect_t *x, uint32_t spi) noexcept nogil:
    return &x.places[<uint32_t>(spi * <uint32_t>0x9E3779B1) >> 22]


cdef kept_t *empty(expect_t *x, expected_t *p) noexcept nogil:
    cdef kept_t *first = p.head
    x.octets -= p.octets
    p.head = p.tail = NULL
    p.count = p.octets = 0
    p.proto = 0
    store_sc(&x.live, load_sc(&x.live) - 1)
    return first


cdef uint32_t expect_open(expect_t *x, uint8_t proto, uint32_t spi) noexcept nogil:
    cdef expected_t *p = place_of(x, spi)
    cdef kept_t *old = NULL
    spin_lock(&x.lock)
    if p.proto:
        old = empty(x, p)
    p.spi = spi
    p.proto = proto
    store_sc(&x.live, load_sc(&x.live) + 1)
    spin_unlock(&x.lock)
    return expect_drop(old)


cdef bint expect_keep(worker_t *w, uint8_t proto, uint32_t spi, int32_t slot, const uint8_t *remote, uint8_t tos,
                      const uint8_t *data, uint32_t length) noexcept nogil:
    cdef expect_t *x = &w.engine.expect
    cdef expected_t *p = place_of(x, spi)
    cdef kept_t *k
    cdef kept_t *gone = NULL
    cdef kept_t *next
    # A look without the lock keeps a flood of unknown SPIs away from it.
    if p.proto != proto or p.spi != spi or length > MOST_KEPT_OCTETS:
        return False
    k = <kept_t *>malloc(sizeof(kept_t) + length)
    if k == NULL:
        return False
    k.next = NULL
    k.stamp = w.now
    k.slot = slot
    k.tos = tos
    k.length = length
    memcpy(k.remote, remote, sizeof(k.remote))
    memcpy(k.data, data, length)
    spin_lock(&x.lock)
    if p.proto != proto or p.spi != spi or x.octets + length > MOST_ALL_OCTETS:
        spin_unlock(&x.lock)
        free(k)
        return False
    while p.head and (p.count >= MOST_KEPT or p.octets + length > MOST_KEPT_OCTETS):
        next = p.head.next
        p.count -= 1
        p.octets -= p.head.length
        x.octets -= p.head.length
        p.head.next = gone
        gone = p.head
        p.head = next
    if p.head == NULL:
        p.head = k
    else:
        p.tail.next = k
    p.tail = k
    p.count += 1
    p.octets += length
    x.octets += length
    spin_unlock(&x.lock)
    w.drops[DROP_NO_SA] += expect_drop(gone)
    return True


cdef kept_t *expect_close(expect_t *x, uint8_t proto, uint32_t spi) noexcept nogil:
    cdef expected_t *p = place_of(x, spi)
    cdef kept_t *first = NULL
    spin_lock(&x.lock)
    if p.proto == proto and p.spi == spi:
        first = empty(x, p)
    spin_unlock(&x.lock)
    return first


cdef void expect_deliver(worker_t *control, kept_t *first) noexcept nogil:
    cdef kept_t *next
    cdef socket_t *s
    cdef int to
    while first:
        next = first.next
        s = &control.engine.sockets[first.slot]
        if s.fd < 0 or control.now - first.stamp > KEEP:
            control.drops[DROP_NO_SA] += 1
        else:
            to = lane_of(get32(first.data), s.spread) if s.spread else s.reader
            if not hand_over(control, to, INBOUND, first.slot, first.remote, first.tos, first.data, first.length):
                control.drops[DROP_WORKER_BUSY] += 1
        free(first)
        first = next
    hand_wake(control)


cdef uint32_t expect_drop(kept_t *first) noexcept nogil:
    cdef kept_t *next
    cdef uint32_t count = 0
    while first:
        next = first.next
        free(first)
        first = next
        count += 1
    return count


cdef void expect_free(expect_t *x) noexcept nogil:
    cdef int i
    for i in range(EXPECTED):
        if x.places[i].proto:
            expect_drop(empty(x, &x.places[i]))
