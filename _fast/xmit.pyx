# SPDX-License-Identifier: GPL-2.0-or-later
"""Outbound: frame from the TUN -> eroute -> segments -> ESP -> as few system calls as the kernel allows.

    frame --parse--> flow --eroute--> SA ----> stage each segment in the outbox --flush--> seal in batches, send
                                      %pass -> stage in clear
                                      %trap -> narrow %hold + acquire --+
                                      %hold -> keep the frame  <--------+
                                      %reject -> ICMP back into the TUN
"""
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from _fast.alias cimport alias_out
from _fast.atomic cimport (fetch_add, load, load_sc, loadp, pthread_mutex_lock, pthread_mutex_unlock,
                           load_slot, settle_slot, store, wipe_free)
from _fast.bundle_out cimport bundle_out
from _fast.epoch cimport epoch_retire
from _fast.handoff cimport OUTBOUND, hand_over
from _fast.hold cimport MOST_NARROW, hold_delist, hold_drop, hold_enlist, hold_put, hold_take
from _fast.iphdr cimport parse_packet, quoted_flow
from _fast.join cimport GSO_JOINED, join_recall
from _fast.mail cimport MAIL_ACQUIRE, mail_new, mail_post, mail_t
from _fast.outbox cimport out_answer, out_pass, out_sa
from _fast.plant cimport CACHE_FLOWS, FRAME_OCTETS, FRAMES, OUT_FLUSH, device_t, engine_t, worker_t
from _fast.radij cimport (radij_cached, radij_covers, radij_find, radij_match, radij_new, radij_rank, radij_release,
                           radij_remove, radij_set, same_flow)
from _fast.send cimport send_outbox
from _fast.sysio cimport *
from _fast.tally cimport tally_eroute
from _fast.types cimport *
from _fast.whole cimport whole_out

cdef enum:
    SMALL = 2048               # octets of a frame that is no super-packet
    READS = 64                 # frames of one visit to a device,
    READ_OCTETS = 262144       # and octets: a worker's other sources must not wait for milliseconds


cdef void by_eroute(worker_t *w, int32_t device, uint8_t *frame, uint32_t length, packet_info_t *info,
                    eroute_t *e, bint held) noexcept nogil:
    # Every action but those that keep the packet.
    cdef sa_t *sa
    if e.action == ACT_SA:
        info.narrow = e.sport != 0 or e.dport != 0
        sa = <sa_t *>loadp(&e.sa)
        if sa != NULL and sa.aliased:
            alias_out(sa, frame, info)
        if sa != NULL and sa.chained:
            bundle_out(w, device, sa, frame, length, info, held)
        else:
            out_sa(w, device, sa, frame, length, info, held)
    elif e.action == ACT_PASS:
        out_pass(w, device, frame, length, info)
    elif e.action == ACT_REJECT:
        w.drops[DROP_SHUNT_REJECT] += 1
        out_answer(w, device, frame + VNET_LEN, info, 0)
    else:
        w.drops[DROP_HOLD_DISCARDED if held else DROP_SHUNT_DROP] += 1


cdef void acquire(worker_t *w, const eroute_t *hold, const eroute_t *trap) noexcept nogil:
    cdef mail_t *m = mail_new(&w.engine.mail, MAIL_ACQUIRE, NULL, 0)
    if m:
        tell_acquire(w, m, hold, trap, hold.device)


cdef void tell_acquire(worker_t *w, mail_t *m, const eroute_t *hold, const eroute_t *trap, int32_t device) noexcept nogil:
    memcpy(&m.flow, hold, sizeof(eroute_t))
    memcpy(&m.trap, trap, sizeof(eroute_t))
    m.cookie = trap.cookie
    m.number = <uint32_t>device
    mail_post(&w.engine.mail, m)


cdef eroute_t *narrow_hold(worker_t *w, int32_t device, eroute_t *trap, const flow_t *flow) noexcept nogil:
    # Host to host, with the protocol and ports the trap tells apart; the daemon hears of it once. Mutex held.
    cdef engine_t *en = w.engine
    cdef eroute_t *e
    cdef eroute_t *old = NULL
    cdef mail_t *m
    if en.hold.narrow >= MOST_NARROW:
        return NULL
    e = radij_new(&en.radij)
    m = mail_new(&en.mail, MAIL_ACQUIRE, NULL, 0)
    if e == NULL or m == NULL:
        # Nobody would ever answer a hold nobody heard of: the trap stays and the next packet tries again.
        radij_release(e, &en.radij)
        wipe_free(m, sizeof(mail_t))
        return NULL
    e.version = flow.version
    memcpy(e.src, flow.src, 16)
    memcpy(e.dst, flow.dst, 16)
    e.srclen = e.dstlen = 32 if flow.version == 4 else 128
    e.proto = flow.proto if trap.proto else 0
    e.sport = flow.sport if trap.sport else 0
    e.dport = flow.dport if trap.dport else 0
    e.action = ACT_HOLD
    e.device = trap.device
    e.trap_cookie = trap.cookie
    e.cookie = fetch_add(&en.next_cookie, 1)
    if radij_set(&en.radij, e, &old) or old:
        # A trap for just this pair of hosts has the key of its own hold: it becomes the hold.
        if old == NULL:
            radij_release(e, &en.radij)
            wipe_free(m, sizeof(mail_t))
            return NULL
        e.cookie = old.cookie
        epoch_retire(&en.epoch, old, radij_release, &en.radij)
    hold_enlist(&en.hold, e)
    tell_acquire(w, m, e, trap, device)
    return e


cdef void wait_for_policy(worker_t *w, int32_t device, uint8_t *frame, uint32_t length,
                          packet_info_t *info, const flow_t *flow) noexcept nogil:
    # %trap and %hold. Mutex held, so the eroute looked up here is the one that counts.
    cdef engine_t *en = w.engine
    cdef eroute_t *e = radij_match(&en.radij, flow, True)
    cdef int gone
    if e != NULL and e.action == ACT_TRAP:
        store(&e.last_use, w.now)
        fetch_add(&e.packets, 1)
        e = narrow_hold(w, device, e, flow)
        if e == NULL:
            w.drops[DROP_HOLD_OVERFLOW] += 1
            return
    if e == NULL:
        w.drops[DROP_NO_EROUTE] += 1
        return
    fetch_add(&e.packets, 1)
    store(&e.last_use, w.now)
    if e.action != ACT_HOLD:
        # Decided while this thread waited for the lock.
        by_eroute(w, device, frame, length, info, e, False)
        return
    gone = hold_put(&en.hold, e, frame, length, device, info)
    if gone < 0:
        w.drops[DROP_NO_MEMORY] += 1
    else:
        w.drops[DROP_HOLD_OVERFLOW] += <uint64_t>gone


cdef bint elsewhere(worker_t *w, int32_t device, const uint8_t *frame, uint32_t length, sa_t *sa) noexcept nogil:
    # An SA is sealed by one worker, else its packets would leave out of order: a peer's replay window may be 32 wide, and
    # a thread can lose the processor between two of them. True: the frame is the owner's now, or dropped.
    cdef int32_t owner
    if w.engine.workers == 1 or w.index == 0 or sa == NULL:
        return False
    owner = load_slot(&sa.owner)
    if owner == 0:
        owner = settle_slot(&sa.owner, w.index)
    if owner == w.index:
        return False
    if not hand_over(w, owner, OUTBOUND, device, NULL, 0, frame, length):
        w.drops[DROP_WORKER_BUSY] += 1
    return True


cdef eroute_t *known(worker_t *w, const flow_t *flow) noexcept nogil:
    # Frames of one flow come in runs: the one before is asked first, then the flow cache.
    cdef uint64_t generation = load_sc(&w.engine.radij.generation)
    if w.eroute != NULL and w.generation == generation and same_flow(&w.flow, flow):
        return w.eroute
    w.eroute = radij_cached(&w.engine.radij, w.cache, CACHE_FLOWS - 1, flow)
    memcpy(&w.flow, flow, sizeof(flow_t))
    w.generation = generation
    return w.eroute


cdef void xmit_frame(worker_t *w, int32_t device, uint8_t *frame, uint32_t length) noexcept nogil:
    cdef engine_t *en = w.engine
    cdef packet_info_t info
    cdef flow_t quoted
    cdef eroute_t *e = NULL
    if length < VNET_LEN or parse_packet(frame + VNET_LEN, length - VNET_LEN, &info) != PASSED:
        w.drops[DROP_MALFORMED] += 1
        return
    if info.fragmented and load(&en.narrow):
        # Only the first has ports, and all must go the same way (RFC 4301 7.3).
        frame = whole_out(w, frame, &length, &info)
        if frame == NULL:
            return
    elif frame[1] == GSO_JOINED:
        join_recall(frame, &info)
    if info.icmp_error and quoted_flow(frame + VNET_LEN, &info, &quoted) == PASSED:
        # An error about a packet that came out of an SA goes back through that connection (RFC 4301 6.2), whatever
        # the eroute of the address that sends it says.
        e = radij_match(&en.radij, &quoted, True)
        if e != NULL and e.action != ACT_SA:
            e = NULL
    if e == NULL:
        e = known(w, &info.flow)
    if e == NULL:
        w.drops[DROP_NO_EROUTE] += 1
        return
    if e.action == ACT_TRAP or e.action == ACT_HOLD:
        # Earlier packets must not be overtaken by what is released meanwhile.
        send_outbox(w)
        pthread_mutex_lock(&en.lock)
        wait_for_policy(w, device, frame, length, &info, &info.flow)
        pthread_mutex_unlock(&en.lock)
        return
    if e.action == ACT_SA and elsewhere(w, device, frame, length, <sa_t *>loadp(&e.sa)):
        return
    tally_eroute(w, e)
    by_eroute(w, device, frame, length, &info, e, False)


cdef void xmit_held(worker_t *w, held_t *p, eroute_t *e) noexcept nogil:
    cdef packet_info_t info
    cdef int gone
    if parse_packet(p.data + VNET_LEN, p.length - VNET_LEN, &info) != PASSED:
        w.drops[DROP_MALFORMED] += 1
        return
    if p.data[1] == GSO_JOINED:
        join_recall(p.data, &info)
    if e.action == ACT_HOLD:
        gone = hold_put(&w.engine.hold, e, p.data, p.length, p.device, &info)
        if gone:
            w.drops[DROP_HOLD_OVERFLOW if gone > 0 else DROP_NO_MEMORY] += <uint64_t>(gone if gone > 0 else 1)
        return
    fetch_add(&e.packets, 1)
    store(&e.last_use, w.now)
    by_eroute(w, p.device, p.data, p.length, &info, e, True)


cdef void empty_hold(worker_t *w, eroute_t *hold, eroute_t *to) noexcept nogil:
    # Everything held under `hold` goes by `to`; NULL: it is discarded.
    cdef held_t *p = hold_take(&w.engine.hold, hold)
    while p:
        if to == NULL or to.action == ACT_TRAP:
            w.drops[DROP_HOLD_DISCARDED] += 1
        else:
            xmit_held(w, p, to)
        hold_drop(p)
        p = hold_take(&w.engine.hold, hold)


cdef void remove_hold(worker_t *w, eroute_t *e) noexcept nogil:
    hold_delist(&w.engine.hold, e)
    radij_remove(&w.engine.radij, e)
    epoch_retire(&w.engine.epoch, e, radij_release, &w.engine.radij)


cdef void clear_narrow(worker_t *w, eroute_t *e, eroute_t *old) noexcept nogil:
    # Holds the engine made inside what `e` now decides. One that a more specific eroute than `e` rules stays, and
    # `old`, of the same key, is the caller's.
    cdef engine_t *en = w.engine
    cdef eroute_t *h = en.hold.eroutes
    cdef eroute_t *after
    cdef eroute_t *ruling
    cdef flow_t flow
    while h:
        after = h.next_hold
        if h != e and h != old and h.trap_cookie and radij_covers(e, h):
            memset(&flow, 0, sizeof(flow_t))
            memcpy(flow.src, h.src, 16)
            memcpy(flow.dst, h.dst, 16)
            flow.version = h.version
            flow.proto = h.proto
            flow.sport = h.sport
            flow.dport = h.dport
            ruling = radij_match(&en.radij, &flow, False)
            # `e` may not be in the table yet: both cover the hold, so the more specific of the two will rule it.
            if ruling == NULL or radij_rank(e) >= radij_rank(ruling):
                empty_hold(w, h, e)
                send_outbox(w)
                remove_hold(w, h)
            elif old != NULL and h.trap_cookie == old.cookie and ruling.action == ACT_TRAP:
                # Made before the trap that rules it now, which has to ask again: nobody else is left to answer.
                h.trap_cookie = ruling.cookie
                acquire(w, h, ruling)
        h = after


cdef void adopt_holds(engine_t *en, const eroute_t *old, const eroute_t *e) noexcept nogil:
    # A trap set anew answers for the holds of the one before, and takes them along when it goes.
    cdef eroute_t *h = en.hold.eroutes
    while h:
        if h.trap_cookie == old.cookie:
            h.trap_cookie = e.cookie
        h = h.next_hold


cdef int eroute_install(worker_t *w, eroute_t *e) noexcept nogil:
    cdef engine_t *en = w.engine
    cdef eroute_t *old = radij_find(&en.radij, e)
    cdef eroute_t *ignored = NULL
    cdef held_t *p
    if old != NULL and old.action == ACT_HOLD and old.trap_cookie and e.action == ACT_TRAP and old.held:
        # The acquire for what waits is still on its way. A hold made by command has had its answer: there the trap is
        # set and what waited is given up, because no acquire would ever come out of a hold.
        e.action = ACT_HOLD
        e.trap_cookie = 0
    if e.sport or e.dport or (e.proto and e.version == 6):
        # An IPv6 fragment may not even tell its protocol. Never taken back: that would only spare work.
        store(&en.narrow, 1)
    if e.action == ACT_HOLD:
        hold_enlist(&en.hold, e)
    if old != NULL and old.action == ACT_HOLD:
        # Sent before the new eroute is seen, so that nothing newer overtakes.
        empty_hold(w, old, e)
        send_outbox(w)
    if e.action != ACT_TRAP:
        clear_narrow(w, e, old)
    if radij_set(&en.radij, e, &ignored):
        if e.action == ACT_HOLD:
            empty_hold(w, e, NULL)
            hold_delist(&en.hold, e)
        return -1
    if old != NULL:
        if old.action == ACT_HOLD:
            hold_delist(&en.hold, old)
        if old.action == ACT_TRAP and e.action == ACT_TRAP:
            adopt_holds(en, old, e)
        epoch_retire(&en.epoch, old, radij_release, &en.radij)
    return 0


cdef bint eroute_uninstall(worker_t *w, eroute_t *key) noexcept nogil:
    cdef engine_t *en = w.engine
    cdef eroute_t *e = radij_find(&en.radij, key)
    cdef eroute_t *h
    cdef eroute_t *after
    if e == NULL:
        return False
    radij_remove(&en.radij, e)
    if e.action == ACT_HOLD:
        empty_hold(w, e, NULL)
        hold_delist(&en.hold, e)
    if e.action == ACT_TRAP:
        # The holds it made have nobody left to answer them.
        h = en.hold.eroutes
        while h:
            after = h.next_hold
            if h.trap_cookie == e.cookie:
                empty_hold(w, h, NULL)
                remove_hold(w, h)
            h = after
    epoch_retire(&en.epoch, e, radij_release, &en.radij)
    return True


cdef void xmit_read(worker_t *w, int32_t device, uint8_t *frame, uint32_t length) noexcept nogil:
    if length >= VNET_LEN and frame[1] == GSO_JOINED:
        w.drops[DROP_MALFORMED] += 1
        return
    xmit_frame(w, device, frame, length)


cdef void xmit_frames(worker_t *w, int32_t device, int count) noexcept nogil:
    # `count` frames of w.frames, in order.
    cdef int i
    for i in range(count):
        if w.out_used >= OUT_FLUSH:
            send_outbox(w)
        xmit_read(w, device, w.frames[i], w.lengths[i])


cdef bint xmit_device(worker_t *w, int32_t device) noexcept nogil:
    cdef device_t *d = &w.engine.devices[device]
    cdef ssize_t n = 1
    cdef size_t used, octets = 0
    cdef int count, reads = 0, most = 1 if w.lone else FRAMES
    cdef bint alive = True
    while n > 0 and reads < READS and octets < READ_OCTETS:
        count = 0
        used = 0
        # Small frames are collected, a large one is worked on at once, while it is in the cache.
        while count < most and used < FRAME_OCTETS:
            if d.fd < 0:
                n = 0
                break
            n = read(d.queue[w.index], w.frame + used, FRAME_ROOM)
            if n <= 0:
                alive = n < 0 and (errno == EAGAIN or errno == EINTR)
                break
            w.frames[count] = w.frame + used
            w.lengths[count] = <uint32_t>n
            count += 1
            used += (<size_t>n + FRAME_SLACK + 63) & ~<size_t>63
        xmit_frames(w, device, count)
        reads += count
        octets += used
        if w.out_used >= OUT_FLUSH or most == 1:
            # Where frames come one at a time none waits until it is known that there is no other.
            send_outbox(w)
            most = FRAMES
    send_outbox(w)
    w.lone = reads == 1 and octets <= SMALL
    return alive
