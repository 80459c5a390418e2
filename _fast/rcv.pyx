# SPDX-License-Identifier: GPL-2.0-or-later
"""Inbound: datagrams -> SA by SPI -> replay -> decrypt in batches -> selectors -> super-packets into the TUN."""
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from _fast.alias cimport alias_in
from _fast.atomic cimport claim, fetch_add, load, load_acquire, load_sc, load_slot, loadp, spin_lock, spin_unlock, store, unclaim
from _fast.bundle_in cimport bundle_open, bundle_take
from _fast.cipher cimport BATCH, esp_job_t, key_open
from _fast.coalesce cimport merge_put
from _fast.ecn cimport dscp_inside, ecn_inside
from _fast.esp cimport esp_plausible, esp_strip
from _fast.expect cimport expect_keep
from _fast.handoff cimport INBOUND, hand_over, lane_of
from _fast.iphdr cimport clamp_mss, parse_packet, quoted_flow, selectors_allow
from _fast.life cimport life_spend
from _fast.mail cimport (MAIL_FIRST_USE, MAIL_IKE, MAIL_NEW_MAPPING, MAIL_UNKNOWN_SPI, mail_new, mail_post, mail_t)
from _fast.numbers cimport ESP
from _fast.octets cimport get16, get32
from _fast.plant cimport engine_t, incoming_t, socket_t, worker_t
from _fast.radij cimport same_flow
from _fast.replay cimport replay_check, replay_infer, replay_mark
from _fast.sadb cimport sadb_heard
from _fast.types cimport *
from _fast.whole cimport whole_in, whole_wanted

cdef enum:
    UNKNOWN_A_SECOND = 10
    AT_ONCE = 8                # packets opened together where that saves nothing but locks
    FORGED = 0                 # incoming_t.ok
    GENUINE = 1
    REPLAYED = 2


# --- before decryption --------------------------------------------------------------------------------------------

cdef void tell_unknown(worker_t *w, int32_t slot, const uint8_t *remote, uint32_t spi) noexcept nogil:
    cdef engine_t *e = w.engine
    cdef uint64_t second = w.now // 1000000000
    cdef mail_t *m
    if load(&e.spi_second) != second:
        store(&e.spi_second, second)
        store(&e.spi_count, 0)
    if fetch_add(&e.spi_count, 1) >= UNKNOWN_A_SECOND:
        return
    m = mail_new(&e.mail, MAIL_UNKNOWN_SPI, NULL, 0)
    if m:
        m.sock = slot
        m.number = spi
        memcpy(m.remote, remote, 28)
        mail_post(&e.mail, m)


cdef void ike(worker_t *w, int32_t slot, const uint8_t *remote, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef mail_t *m = mail_new(&w.engine.mail, MAIL_IKE, data, length)
    if m == NULL:
        w.drops[DROP_IKE_OVERFLOW] += 1
        return
    m.sock = slot
    memcpy(m.remote, remote, 28)
    mail_post(&w.engine.mail, m)


cdef void rcv_take(worker_t *w, int32_t slot, const uint8_t *remote, const uint8_t *head, uint32_t front,
                   uint8_t *data, uint32_t length, uint8_t tos) noexcept nogil:
    cdef socket_t *s = &w.engine.sockets[slot]
    cdef incoming_t *j
    cdef sa_t *sa
    cdef uint32_t low
    cdef uint64_t sequence
    cdef bint fresh
    cdef int to, why
    if s.udp:
        if length == 1 and data[0] == 0xFF:
            w.drops[DROP_KEEPALIVE] += 1
            return
        if length >= 4 and get32(data) == 0:
            ike(w, slot, remote, data + 4, length - 4)
            return
    elif s.proto != ESP:
        # What waits came before it.
        rcv_open(w, slot)
        why = bundle_take(w, slot, remote, head, front, data, length)
        if why:
            w.drops[why] += 1
        return
    if length < 8:
        w.drops[DROP_MALFORMED] += 1
        return
    if s.spread > 1:
        # UDP_GRO joins what two SAs of one peer sent, and the kernel looks at the first only.
        to = lane_of(get32(data), s.spread)
        if to != w.index:
            if not hand_over(w, to, INBOUND, slot, remote, tos, data, length):
                w.drops[DROP_WORKER_BUSY] += 1
            return
    if w.came_count and w.came[w.came_count - 1].sa.spi == get32(data):
        # They come in runs, and what waits came to this socket too.
        sa = w.came[w.came_count - 1].sa
    else:
        sa = sadb_heard(&w.engine.sadb, ESP, get32(data), NULL if s.wildcard else s.local, s.version)
    if sa == NULL:
        if load_sc(&w.engine.expect.live) and expect_keep(w, 50, get32(data), slot, remote, tos, data, length):
            return
        # It may have been added, and the waiting ended, between the look and the attempt to keep.
        sa = sadb_heard(&w.engine.sadb, 50, get32(data), NULL if s.wildcard else s.local, s.version)
    if sa == NULL:
        w.drops[DROP_NO_SA] += 1
        tell_unknown(w, slot, remote, get32(data))
        return
    if sa.enclosed:
        w.drops[DROP_UNEXPECTED_SA] += 1
        return
    if not esp_plausible(sa.key, length):
        w.drops[DROP_MALFORMED] += 1
        return
    low = get32(data + 4)
    sequence = low
    if sa.esn:
        fresh = replay_infer(&sa.replay, low, &sequence) and replay_check(&sa.replay, sequence)
    else:
        # Most are newer than any before.
        fresh = sequence > load_acquire(&sa.replay.top) or replay_check(&sa.replay, sequence)
    if not fresh:
        w.drops[DROP_REPLAY] += 1
        fetch_add(&sa.replays, 1)
        return
    if w.came_count == BATCH:
        rcv_open(w, slot)
    j = &w.came[w.came_count]
    w.came_count += 1
    j.data = data
    j.length = length
    j.sa = sa
    j.sequence = sequence
    j.remote = remote
    j.head = head
    j.front = front
    j.tos = tos


# --- after decryption ---------------------------------------------------------------------------------------------

cdef bint tell(worker_t *w, int kind, sa_t *sa, const uint8_t *remote) noexcept nogil:
    # False: there was no room, the next packet should try again.
    cdef mail_t *m = mail_new(&w.engine.mail, kind, NULL, 0)
    if m == NULL:
        return False
    m.cookie = sa.id
    if remote:
        memcpy(m.remote, remote, 28)
    mail_post(&w.engine.mail, m)
    return True


cdef inline void used(worker_t *w, sa_t *sa) noexcept nogil:
    # The plain read first: a locked instruction a packet would be wasted after the first.
    if sa.first_told == 0 and claim(&sa.first_told) and not tell(w, MAIL_FIRST_USE, sa, NULL):
        unclaim(&sa.first_told)


cdef inline bint same_source(const path_t *path, const uint8_t *remote, bint ports) noexcept nogil:
    # Family, address, and the port where it counts; the flow label and scope of IPv6 do not.
    if memcmp(path.remote, remote, 2) or (ports and memcmp(path.remote + 2, remote + 2, 2)):
        return False
    if path.version == 4:
        return memcmp(path.remote + 4, remote + 4, 4) == 0
    return memcmp(path.remote + 8, remote + 8, 16) == 0


cdef bint source_allowed(worker_t *w, int32_t slot, sa_t *sa, const uint8_t *remote) noexcept nogil:
    cdef path_t *path = <path_t *>loadp(&sa.path)
    cdef const socket_t *s = &w.engine.sockets[slot]
    # A stream is left for another stream only, UDP for UDP.
    cdef bint natted = s.udp and path.encap == (ENCAP_STREAM if s.stream else ENCAP_UDP)
    if same_source(path, remote, natted):
        return True
    if not natted:
        return False
    # RFC 3948 and RFC 7296 2.23: an authenticated packet from elsewhere means the NAT changed its mind.
    spin_lock(&sa.lock)
    if memcmp(sa.mapping, remote, 24):
        memcpy(sa.mapping, remote, 24)
        spin_unlock(&sa.lock)
        if not tell(w, MAIL_NEW_MAPPING, sa, remote):
            spin_lock(&sa.lock)
            memset(sa.mapping, 0, sizeof(sa.mapping))
            spin_unlock(&sa.lock)
    else:
        spin_unlock(&sa.lock)
    return True


cdef int deliver(worker_t *w, int32_t slot, incoming_t *j, uint32_t *packets, uint32_t *octets) noexcept nogil:
    cdef sa_t *sa = j.sa
    cdef uint32_t inner = 0
    cdef uint8_t next_header = 0
    cdef uint8_t *packet = j.data + 8 + sa.key.iv_len
    cdef int why
    if j.ok == FORGED:
        fetch_add(&sa.auth_failures, 1)
        return DROP_AUTH_FAILED
    if j.ok == REPLAYED:
        fetch_add(&sa.replays, 1)
        return DROP_REPLAY
    if w.known.sa != sa or w.known.remote != j.remote:
        if not source_allowed(w, slot, sa, j.remote):
            return DROP_SOURCE_MISMATCH
        w.known.sa, w.known.remote, w.known.selectors = sa, j.remote, NULL
    why = esp_strip(sa.key, j.data, j.length, &inner, &next_header)
    if why:
        return why
    if next_header == 59:
        # It carries nothing, but proves that the peer's packets arrive and that it uses this SA.
        store(&sa.last_use, w.now)
        used(w, sa)
        return DROP_DUMMY
    if sa.chained:
        why = life_spend(w, sa, load(&sa.packets) + packets[0] + 1, load(&sa.octets) + octets[0] + inner)
        if why:
            return why
        # It counts as this SA's, whatever becomes of what is in it.
        packets[0] += 1
        octets[0] += inner
        return bundle_open(w, slot, j, next_header, packet, inner)
    if next_header != 4 and next_header != 41:
        return DROP_UNKNOWN_NEXT_HEADER
    if inner == 0 or (packet[0] >> 4 == 4) != (next_header == 4):
        return DROP_MALFORMED
    return enter_host(w, sa, packet, inner, j.tos, True, packets, octets)


cdef int enter_host(worker_t *w, sa_t *sa, uint8_t *packet, uint32_t room, uint8_t tos, bint spend, uint32_t *packets,
                    uint32_t *octets) noexcept nogil:
    cdef packet_info_t info
    cdef flow_t quoted
    cdef path_t *path
    cdef const selectors_t *allowed = <selectors_t *>loadp(&sa.selectors)
    cdef int32_t device
    cdef bint apart
    cdef int why
    if parse_packet(packet, room, &info) != PASSED:
        return DROP_MALFORMED
    # RFC 4301 7.3: selectors with ports are asked when the datagram is whole.
    apart = info.fragmented and whole_wanted(allowed, &info)
    if apart or (w.known.selectors == allowed and same_flow(&w.known.flow, &info.flow)):
        pass                   # asked later, or answered for the one before
    elif selectors_allow(allowed, &info.flow):
        w.known.selectors = allowed
        memcpy(&w.known.flow, &info.flow, sizeof(flow_t))
    else:
        if not info.icmp_error:
            fetch_add(&sa.selector_failures, 1)
            return DROP_SELECTOR_MISMATCH
        # An error about a packet we sent: its quoted packet, turned round, is what this SA may carry (RFC 4301 6.2).
        if quoted_flow(packet, &info, &quoted) != PASSED or not selectors_allow(allowed, &quoted):
            fetch_add(&sa.selector_failures, 1)
            return DROP_ICMP_ERROR_FOREIGN
    if spend:
        why = life_spend(w, sa, load(&sa.packets) + packets[0] + 1, load(&sa.octets) + octets[0] + info.length)
        if why:
            return why
    if tos & 3:
        # Without a mark outside the inner packet stays as it is, whatever it says.
        why = ecn_inside(packet, &info, tos, &sa.ecn_alarms)
        if why:
            return why
    # A stream has no DSCP that would belong to one of its packets.
    if sa.copy_dscp and (<path_t *>loadp(&sa.path)).encap != ENCAP_STREAM:
        dscp_inside(packet, &info, tos)
    if info.flow.proto == 6 and not apart and not info.flow.fragment and packet[info.l4 + 13] & 2:
        path = <path_t *>loadp(&sa.path)
        if path.inner_mtu:
            clamp_mss(packet, &info, path.inner_mtu - (40 if info.flow.version == 4 else 60))
    used(w, sa)
    # Read once: the control thread may take the device away between a test and a use.
    device = load_slot(&sa.device)
    if device < 0:
        return DROP_TUN_FAILED
    packets[0] += 1
    octets[0] += info.length
    if apart:
        return whole_in(w, sa, device, allowed, packet, &info)
    if sa.aliased:
        alias_in(sa, packet, &info)
    merge_put(w, device, packet, &info)
    return PASSED


cdef void rcv_open(worker_t *w, int32_t slot) noexcept nogil:
    cdef esp_job_t jobs[64]
    cdef uint32_t i = 0, n, k, most, octets = 0, good = 0
    cdef sa_t *sa
    cdef incoming_t *j
    cdef int why
    w.known.sa = NULL
    w.known.selectors = NULL
    while i < w.came_count:
        sa = w.came[i].sa
        # Packet by packet a cipher gains nothing by more, and what it opened is still in the nearest cache.
        most = AT_ONCE if sa.key.alone else BATCH
        n = 0
        while i + n < w.came_count and n < most and w.came[i + n].sa == sa:
            jobs[n].data = w.came[i + n].data
            jobs[n].length = w.came[i + n].length
            jobs[n].sequence = w.came[i + n].sequence
            n += 1
        key_open(&w.crypt, sa.key, jobs, <int>n)
        spin_lock(&sa.lock)
        for k in range(n):
            j = &w.came[i + k]
            j.ok = FORGED
            if jobs[k].ok:
                j.ok = GENUINE if replay_mark(&sa.replay, j.sequence) else REPLAYED
        spin_unlock(&sa.lock)
        for k in range(n):
            why = deliver(w, slot, &w.came[i + k], &good, &octets)
            if why:
                w.drops[why] += 1
        i += n
        if good and (i == w.came_count or w.came[i].sa != sa):
            fetch_add(&sa.packets, good)
            fetch_add(&sa.octets, octets)
            store(&sa.last_use, w.now)
            octets = good = 0
    w.came_count = 0
