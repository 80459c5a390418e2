# SPDX-License-Identifier: GPL-2.0-or-later
"""A worker: one thread that carries packets from end to end, with queues and sockets of its own.

    own queue of ipsecN --> eroute --> own SA ------------------------------> seal, send by own socket
                                 \\--> another worker's SA --> its inbox -->      "
    own socket --> own SA ----------------------------------> open, check --> write to own queue of ipsecN
             \\---> another worker's SA --> its inbox -------->     "

It never takes the interpreter lock and waits in epoll, so an idle engine uses no CPU.
"""
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from _fast.atomic cimport (alloc_zeroed, load, load_sc, pthread_mutex_trylock, pthread_mutex_unlock, store,
                           store_sc, wipe_free)
from _fast.bench cimport bench_free
from _fast.cipher cimport crypt_close, crypt_open
from _fast.coalesce cimport merge_flush
from _fast.epoch cimport epoch_enter, epoch_leave, epoch_reclaim
from _fast.handoff cimport OUTBOUND, hand_empty, hand_next, hand_release, hand_wake, parcel_t
from _fast.intake cimport intake_read
from _fast.join cimport join_free
from _fast.plant cimport *
from _fast.radij cimport cached_t
from _fast.rcv cimport rcv_open, rcv_take
from _fast.recv cimport recv_socket
from _fast.send cimport send_outbox
from _fast.sysio cimport *
from _fast.tally cimport tally_settle
from _fast.types cimport FRAME_ROOM
from _fast.xmit cimport xmit_device, xmit_frame

cdef enum:
    RX_OCTETS = 32 * (66048 + 64) + 64
    FRAME_MEMORY = 32768 + 66048 + 64
    EVENTS = 64
    RECLAIM_MS = 20
    PARCELS = 64               # taken from one inbox before the others have their turn


cdef void *lazy(size_t octets) noexcept nogil:
    # Pages that come into being when something is put there.
    cdef void *at = mmap(NULL, octets, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    return NULL if at == <void *>-1 else at


cdef worker_t *worker_new(engine_t *en, int index) noexcept nogil:
    cdef worker_t *w = <worker_t *>alloc_zeroed(sizeof(worker_t))
    cdef int i
    cdef bint failed = False
    if w == NULL:
        return NULL
    w.engine = en
    w.index = index
    w.now = coarse_now()
    w.rxwant = RX_MESSAGES
    w.epoll = epoll_create1(EPOLL_CLOEXEC)
    w.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
    w.cache = <cached_t *>alloc_zeroed(CACHE_FLOWS * sizeof(cached_t))
    w.room = <uint8_t *>alloc_zeroed(2048)
    w.out = <uint8_t *>lazy(OUT_ROOM + 4096)
    w.frame = <uint8_t *>lazy(FRAME_MEMORY)
    w.whole = <uint8_t *>lazy(FRAME_ROOM)
    w.pieces = <uint8_t *>lazy(PIECES_ROOM)
    w.rx = <uint8_t *>lazy(RX_OCTETS)
    # Number 0 is the control thread, which hands over what was kept for an SA.
    for i in range(en.workers + 1):
        if index and i != index:
            w.inbox[i] = <ring_t *>lazy(sizeof(ring_t))
            failed = failed or w.inbox[i] == NULL
    if (failed or w.epoll < 0 or w.wake < 0 or not w.cache or not w.frame or not w.out or not w.room or not w.rx
            or not w.whole or not w.pieces or crypt_open(&w.crypt, index, en.provider) or worker_watch(w, KIND_WAKE, 0, w.wake)):
        worker_free(w)
        return NULL
    return w


cdef void worker_free(worker_t *w) noexcept nogil:
    cdef int i
    if w == NULL:
        return
    if w.epoll >= 0:
        close(w.epoll)
    if w.wake >= 0:
        close(w.wake)
    # A mapping goes back to the kernel, which clears it before anybody else sees it.
    if w.rx:
        munmap(w.rx, RX_OCTETS)
    if w.frame:
        munmap(w.frame, FRAME_MEMORY)
    if w.whole:
        munmap(w.whole, FRAME_ROOM)
    if w.pieces:
        munmap(w.pieces, PIECES_ROOM)
    if w.out:
        munmap(w.out, OUT_ROOM + 4096)
    for i in range(9):
        if w.inbox[i]:
            munmap(w.inbox[i], sizeof(ring_t))
    wipe_free(w.cache, CACHE_FLOWS * sizeof(cached_t))
    wipe_free(w.room, 2048)
    bench_free(w)
    join_free(w.joins[0])
    join_free(w.joins[1])
    crypt_close(&w.crypt)
    wipe_free(w, sizeof(worker_t))


cdef int worker_watch(worker_t *w, int kind, int32_t slot, int fd) noexcept nogil:
    cdef epoll_event event
    epoll_fill(&event, EPOLLIN, (<uint64_t>kind << 32) | <uint32_t>slot)
    return epoll_ctl(w.epoll, EPOLL_CTL_ADD, fd, &event)


cdef void worker_ignore(worker_t *w, int fd) noexcept nogil:
    epoll_ctl(w.epoll, EPOLL_CTL_DEL, fd, NULL)


cdef bint inboxes_empty(worker_t *w) noexcept nogil:
    cdef int i
    for i in range(w.engine.workers + 1):
        if i != w.index and not hand_empty(w.inbox[i]):
            return False
    return True


cdef int wait(worker_t *w, epoll_event *events) noexcept nogil:
    # A hand-over to a worker that is awake rings no bell: it looks once more before it sleeps. Looking oftener, after
    # a yield, was measured to cost throughput and latency where other threads share the cores.
    cdef int n, most = -1
    store_sc(&w.asleep, 1)
    if load(&w.engine.epoch.waiting):
        # What this worker could not release because somebody held the mutex, keys perhaps, must not stay for long.
        most = RECLAIM_MS
    n = epoll_wait(w.epoll, events, EVENTS, most if inboxes_empty(w) else 0)
    store_sc(&w.asleep, 0)
    return n


cdef void take_parcels(worker_t *w, ring_t *r) noexcept nogil:
    cdef uint64_t at = load(&r.tail)
    cdef uint64_t end = load_sc(&r.head)
    cdef parcel_t *p
    cdef int32_t slot = -1
    cdef int i
    if at == end:
        return
    for i in range(PARCELS):
        p = hand_next(r, &at, end)
        if p == NULL:
            break
        if p.kind == OUTBOUND:
            if w.out_used >= OUT_FLUSH:
                send_outbox(w)
            xmit_frame(w, p.slot, <uint8_t *>p + sizeof(parcel_t), p.length)
            continue
        if slot >= 0 and slot != p.slot:
            rcv_open(w, slot)
        slot = p.slot
        rcv_take(w, slot, p.remote, NULL, 0, <uint8_t *>p + sizeof(parcel_t), p.length, p.tos)
    send_outbox(w)
    if slot >= 0:
        rcv_open(w, slot)
        merge_flush(w)
    hand_release(r, at)


cdef void work(worker_t *w) noexcept nogil:
    cdef epoll_event events[64]
    cdef engine_t *en = w.engine
    cdef uint64_t data, count
    cdef int n, i
    cdef int32_t slot
    while not load_sc(&en.stop):
        tally_settle(w)
        epoch_leave(&en.epoch, w.index)
        n = wait(w, events)
        store(&w.turns, w.turns + 1)
        epoch_enter(&en.epoch, w.index)
        w.now = coarse_now()
        for i in range(n):
            data = epoll_data(&events[i])
            slot = <int32_t><uint32_t>data
            if data >> 32 == KIND_DEVICE:
                if not xmit_device(w, slot) and events[i].events & (EPOLLERR | EPOLLHUP):
                    # The interface is gone: waiting for it again would never sleep.
                    worker_ignore(w, en.devices[slot].queue[w.index])
            elif data >> 32 == KIND_SOCKET:
                recv_socket(w, slot)
            elif data >> 32 == KIND_INTAKE:
                intake_read(w, slot, (events[i].events & (EPOLLERR | EPOLLHUP)) != 0)
            else:
                read(w.wake, &count, 8)
        for i in range(en.workers + 1):
            if i != w.index:
                take_parcels(w, w.inbox[i])
        if en.workers > 1:
            hand_wake(w)
        if load(&en.epoch.waiting) and pthread_mutex_trylock(&en.lock) == 0:
            tally_settle(w)    # a quiet point too
            epoch_enter(&en.epoch, w.index)
            epoch_reclaim(&en.epoch)
            pthread_mutex_unlock(&en.lock)
    epoch_leave(&en.epoch, w.index)
