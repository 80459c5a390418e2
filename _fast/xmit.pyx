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

from _fast.atomic cimport (alloc_zeroed, claim, fetch_add, load, loadp, pthread_mutex_lock, pthread_mutex_unlock,
                           store, unclaim, wipe_free)
from _fast.cipher cimport BATCH, esp_job_t, key_seal
from _fast.epoch cimport epoch_retire
from _fast.esp cimport esp_frame, esp_length
from _fast.hold cimport MOST_NARROW, hold_delist, hold_drop, hold_enlist, hold_put, hold_take
from _fast.icmp cimport icmp_may_answer, icmp_prohibited, icmp_too_big
from _fast.iphdr cimport clamp_mss, parse_packet, quoted_flow
from _fast.mail cimport MAIL_ACQUIRE, MAIL_EXPIRED, mail_new, mail_post, mail_t
from _fast.octets cimport get16, put32
from _fast.plant cimport (CACHE_FLOWS, OUT_FLUSH, OUT_PACKETS, OUT_ROOM, device_t, engine_t, outgoing_t, socket_t,
                          worker_t)
from _fast.radij cimport radij_cached, radij_covers, radij_find, radij_match, radij_rank, radij_remove, radij_set
from _fast.segment cimport segment_init, segment_largest, segment_next, segmenter_t
from _fast.sysio cimport *
from _fast.types cimport *

cdef enum:
    READS = 64                 # frames of one visit to a device,
    READ_OCTETS = 262144       # and octets: a worker's other sources must not wait for milliseconds
    ICMP_A_SECOND = 1000
    GSO_SEGMENTS = 64          # what every kernel with UDP_SEGMENT takes
    GSO_OCTETS = 65000


# --- answers into the TUN -----------------------------------------------------------------------------------------

cdef bint icmp_allowed(worker_t *w) noexcept nogil:
    # Errors are a courtesy: never more than so many a second, whoever provokes them.
    cdef engine_t *e = w.engine
    cdef uint64_t second = w.now // 1000000000
    if load(&e.icmp_second) != second:
        store(&e.icmp_second, second)
        store(&e.icmp_count, 0)
    return fetch_add(&e.icmp_count, 1) < ICMP_A_SECOND


cdef void answer(worker_t *w, int32_t device, const uint8_t *packet, const packet_info_t *info, uint32_t mtu) noexcept nogil:
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
    if write(d.fd, w.room, n + VNET_LEN) >= 0:
        fetch_add(&d.rx_packets, 1)


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
        xmit_flush(w)
    return w.out + w.out_used


cdef void xmit_sa(worker_t *w, int32_t device, sa_t *sa, const uint8_t *frame, uint32_t length, packet_info_t *info,
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
        answer(w, device, frame + VNET_LEN, info, limit)
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
        fetch_add(&w.engine.devices[device].tx_packets, packets)


cdef void xmit_pass(worker_t *w, int32_t device, const uint8_t *frame, uint32_t length, packet_info_t *info) noexcept nogil:
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
        fetch_add(&w.engine.devices[device].tx_packets, 1)


cdef void seal_all(worker_t *w) noexcept nogil:
    # Runs of one SA go to the cipher together: libipsec-mb works on many packets at once.
    cdef esp_job_t jobs[64]
    cdef uint32_t i = 0
    cdef int n, j
    cdef sa_t *sa
    while i < w.out_count:
        sa = w.sent[i].sa
        if sa == NULL:
            i += 1
            continue
        n = 0
        while i + n < w.out_count and n < BATCH and w.sent[i + n].sa == sa:
            jobs[n].data = w.sent[i + n].data
            jobs[n].length = w.sent[i + n].length
            jobs[n].sequence = w.sent[i + n].sequence
            n += 1
        key_seal(&w.crypt, sa.key, jobs, n)
        for j in range(n):
            w.sent[i + j].ok = jobs[j].ok != 0
            if not jobs[j].ok:
                w.drops[DROP_NO_MEMORY] += 1
        i += n


cdef socket_t *socket_of(worker_t *w, const outgoing_t *o) noexcept nogil:
    if o.path == NULL or o.path.sock < 0 or w.engine.sockets[o.path.sock].fd < 0:
        return NULL
    return &w.engine.sockets[o.path.sock]


cdef int fd_of(worker_t *w, const outgoing_t *o) noexcept nogil:
    cdef socket_t *s
    if o.sa == NULL:
        return w.engine.pass_fd[0 if o.version == 4 else 1]
    s = socket_of(w, o)
    return -1 if s == NULL else s.fd


cdef void name_message(worker_t *w, uint32_t at, uint32_t first, uint32_t count) noexcept nogil:
    # Message `at`: packets first to first + count - 1, which lie end to end.
    cdef outgoing_t *o = &w.sent[first]
    cdef outgoing_t *z = &w.sent[first + count - 1]
    cdef msghdr *m = &w.tx[at].msg_hdr
    cdef cmsghdr *c
    cdef int value
    cdef uint16_t size
    cdef size_t used = 0
    cdef uint8_t *to
    memset(m, 0, sizeof(msghdr))
    w.txfirst[at] = first
    w.txcount[at] = count
    w.txiov[at].iov_base = o.data
    w.txiov[at].iov_len = <size_t>(z.data + z.length - o.data)
    m.msg_iov = &w.txiov[at]
    m.msg_iovlen = 1
    m.msg_control = w.txctl[at]
    m.msg_controllen = sizeof(w.txctl[at])
    memset(w.txctl[at], 0, sizeof(w.txctl[at]))
    c = CMSG_FIRSTHDR(m)
    if count > 1:
        size = <uint16_t>o.length
        c.cmsg_level = SOL_UDP
        c.cmsg_type = UDP_SEGMENT
        c.cmsg_len = CMSG_LEN(2)
        memcpy(CMSG_DATA(c), &size, 2)
        used = CMSG_SPACE(2)
        c = CMSG_NXTHDR(m, c)
    if o.tos:
        value = o.tos
        c.cmsg_level = IPPROTO_IP if o.version == 4 else IPPROTO_IPV6
        c.cmsg_type = IP_TOS if o.version == 4 else IPV6_TCLASS
        c.cmsg_len = CMSG_LEN(sizeof(int))
        memcpy(CMSG_DATA(c), &value, sizeof(int))
        used += CMSG_SPACE(sizeof(int))
    m.msg_controllen = used
    if used == 0:
        m.msg_control = NULL
    if o.sa:
        m.msg_name = o.path.remote
        m.msg_namelen = o.path.remote_len
    else:
        # In clear: the address family and the packet's own destination; the room is past the control messages.
        to = w.txctl[at] + 32
        (<uint16_t *>to)[0] = <uint16_t>(AF_INET if o.version == 4 else AF_INET6)
        memcpy(to + (4 if o.version == 4 else 8), o.data + (16 if o.version == 4 else 24), 4 if o.version == 4 else 16)
        m.msg_name = to
        m.msg_namelen = 16 if o.version == 4 else 28


cdef void send_singly(worker_t *w, uint32_t first, uint32_t count, int fd) noexcept nogil:
    # What the kernel would not take as one goes packet by packet; it makes outer fragments where they are needed.
    cdef uint32_t i
    for i in range(first, first + count):
        name_message(w, 0, i, 1)
        if sendmmsg(fd, w.tx, 1, MSG_DONTWAIT) != 1:
            w.drops[DROP_SEND_FAILED] += 1


cdef uint32_t send_messages(worker_t *w, uint32_t count, int fd, socket_t *s) noexcept nogil:
    # Answers 0 when the messages are gone, else the packet after which the rest must be named anew.
    cdef uint32_t done = 0
    cdef uint32_t first, packets
    cdef int got
    while done < count:
        got = sendmmsg(fd, w.tx + done, count - done, MSG_DONTWAIT)
        if got > 0:
            done += <uint32_t>got
            continue
        if errno == EINTR:
            continue
        # EAGAIN: the send buffer (8 MB) is full; the packet is lost as on any full queue.
        first = w.txfirst[done]
        packets = w.txcount[done]
        if packets > 1 and errno != EAGAIN and errno != ENOBUFS:
            if errno == EIO or errno == EINVAL:
                s.gso = 0          # the device cannot; asking every time would only cost
            send_singly(w, first, packets, fd)
            return first + packets
        w.drops[DROP_SEND_FAILED] += packets
        done += 1
    return 0


cdef void send_range(worker_t *w, uint32_t i, uint32_t end) noexcept nogil:
    # Group what may go in one system call: same descriptor; and in one message: same path, TOS and size, end to end.
    cdef uint32_t count = 0, n, octets, most, again
    cdef outgoing_t *o
    cdef socket_t *s
    cdef socket_t *current = NULL
    cdef int fd, current_fd = -1
    cdef uint8_t *after
    while i < end or count:
        fd = -1 if i == end else fd_of(w, &w.sent[i])
        if count and (i == end or fd != current_fd):
            again = send_messages(w, count, current_fd, current)
            count = 0
            if again:
                i = again
            continue
        o = &w.sent[i]
        if not o.ok or fd < 0:
            if o.ok:
                w.drops[DROP_SEND_FAILED] += 1
            i += 1
            continue
        s = socket_of(w, o) if o.sa else NULL
        current_fd = fd
        current = s
        n = 1
        most = GSO_SEGMENTS if s != NULL and s.gso else 1
        if s != NULL and s.mtu and o.length + (28 if o.version == 4 else 48) > s.mtu:
            most = 1           # needs outer fragments: the kernel refuses such segments, which says nothing of GSO
        octets = o.length
        after = o.data + o.length
        while (n < most and i + n < end and w.sent[i + n].ok and w.sent[i + n].path == o.path
               and w.sent[i + n].tos == o.tos and w.sent[i + n].length <= o.length and w.sent[i + n].data == after
               and octets + w.sent[i + n].length <= GSO_OCTETS):
            octets += w.sent[i + n].length
            after += w.sent[i + n].length
            n += 1
            if w.sent[i + n - 1].length < o.length:
                break          # only the last may be shorter
        name_message(w, count, i, n)
        count += 1
        i += n


cdef void xmit_flush(worker_t *w) noexcept nogil:
    if w.out_count:
        seal_all(w)
        send_range(w, 0, w.out_count)
    w.out_count = 0
    w.out_used = 0


# --- policy -------------------------------------------------------------------------------------------------------

cdef void by_eroute(worker_t *w, int32_t device, const uint8_t *frame, uint32_t length, packet_info_t *info,
                    eroute_t *e, bint held) noexcept nogil:
    # Every action but those that keep the packet.
    if e.action == ACT_SA:
        xmit_sa(w, device, <sa_t *>loadp(&e.sa), frame, length, info, held)
    elif e.action == ACT_PASS:
        xmit_pass(w, device, frame, length, info)
    elif e.action == ACT_REJECT:
        w.drops[DROP_SHUNT_REJECT] += 1
        answer(w, device, frame + VNET_LEN, info, 0)
    else:
        w.drops[DROP_HOLD_DISCARDED if held else DROP_SHUNT_DROP] += 1


cdef eroute_t *narrow_hold(worker_t *w, int32_t device, eroute_t *trap, const flow_t *flow) noexcept nogil:
    # Host to host, with the protocol and ports the trap tells apart; the daemon hears of it once. Mutex held.
    cdef engine_t *en = w.engine
    cdef eroute_t *e
    cdef eroute_t *old = NULL
    cdef mail_t *m
    if en.hold.narrow >= MOST_NARROW:
        return NULL
    e = <eroute_t *>alloc_zeroed(sizeof(eroute_t))
    m = mail_new(&en.mail, MAIL_ACQUIRE, NULL, 0)
    if e == NULL or m == NULL:
        # Nobody would ever answer a hold nobody heard of: the trap stays and the next packet tries again.
        wipe_free(e, sizeof(eroute_t))
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
            wipe_free(e, sizeof(eroute_t))
            wipe_free(m, sizeof(mail_t))
            return NULL
        e.cookie = old.cookie
        epoch_retire(&en.epoch, old, eroute_release, NULL)
    hold_enlist(&en.hold, e)
    memcpy(&m.flow, e, sizeof(eroute_t))
    memcpy(&m.trap, trap, sizeof(eroute_t))
    m.cookie = trap.cookie
    m.number = <uint32_t>device
    mail_post(&en.mail, m)
    return e


cdef void wait_for_policy(worker_t *w, int32_t device, const uint8_t *frame, uint32_t length,
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


cdef void xmit_frame(worker_t *w, int32_t device, const uint8_t *frame, uint32_t length) noexcept nogil:
    cdef engine_t *en = w.engine
    cdef packet_info_t info
    cdef flow_t quoted
    cdef eroute_t *e = NULL
    if length < VNET_LEN or parse_packet(frame + VNET_LEN, length - VNET_LEN, &info) != PASSED:
        w.drops[DROP_MALFORMED] += 1
        return
    if info.icmp_error and quoted_flow(frame + VNET_LEN, &info, &quoted) == PASSED:
        # An error about a packet that came out of an SA goes back through that connection (RFC 4301 6.2), whatever
        # the eroute of the address that sends it says.
        e = radij_match(&en.radij, &quoted, True)
        if e != NULL and e.action != ACT_SA:
            e = NULL
    if e == NULL:
        e = radij_cached(&en.radij, w.cache, CACHE_FLOWS - 1, &info.flow)
    if e == NULL:
        w.drops[DROP_NO_EROUTE] += 1
        return
    if e.action == ACT_TRAP or e.action == ACT_HOLD:
        # Earlier packets must not be overtaken by what is released meanwhile.
        xmit_flush(w)
        pthread_mutex_lock(&en.lock)
        wait_for_policy(w, device, frame, length, &info, &info.flow)
        pthread_mutex_unlock(&en.lock)
        return
    fetch_add(&e.packets, 1)
    store(&e.last_use, w.now)
    by_eroute(w, device, frame, length, &info, e, False)


cdef void xmit_held(worker_t *w, held_t *p, eroute_t *e) noexcept nogil:
    cdef packet_info_t info
    cdef int gone
    if parse_packet(p.data + VNET_LEN, p.length - VNET_LEN, &info) != PASSED:
        w.drops[DROP_MALFORMED] += 1
        return
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


cdef void eroute_release(void *item, void *context) noexcept nogil:
    wipe_free(item, sizeof(eroute_t))


cdef void remove_hold(worker_t *w, eroute_t *e) noexcept nogil:
    hold_delist(&w.engine.hold, e)
    radij_remove(&w.engine.radij, e)
    epoch_retire(&w.engine.epoch, e, eroute_release, NULL)


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
                xmit_flush(w)
                remove_hold(w, h)
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
    if e.action == ACT_HOLD:
        hold_enlist(&en.hold, e)
    if old != NULL and old.action == ACT_HOLD:
        # Sent before the new eroute is seen, so that nothing newer overtakes.
        empty_hold(w, old, e)
        xmit_flush(w)
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
        epoch_retire(&en.epoch, old, eroute_release, NULL)
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
    epoch_retire(&en.epoch, e, eroute_release, NULL)
    return True


cdef bint xmit_device(worker_t *w, int32_t device) noexcept nogil:
    cdef device_t *d = &w.engine.devices[device]
    cdef ssize_t n
    cdef int i
    cdef bint alive = True
    cdef ssize_t octets = 0
    for i in range(READS):
        if d.fd < 0:
            break
        n = read(d.fd, w.frame, FRAME_ROOM)
        if n <= 0:
            alive = n < 0 and (errno == EAGAIN or errno == EINTR)
            break
        xmit_frame(w, device, w.frame, <uint32_t>n)
        octets += n
        if octets >= READ_OCTETS:
            break
        if w.out_used >= OUT_FLUSH:
            xmit_flush(w)
    xmit_flush(w)
    return alive
