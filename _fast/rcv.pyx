# SPDX-License-Identifier: GPL-2.0-or-later
"""Inbound: datagrams -> SA by SPI -> replay -> decrypt in batches -> selectors -> super-packets into the TUN.

One recvmmsg brings several datagrams, and UDP_GRO makes each of those many equal segments end to end:

    | ESP ... | ESP ... | ESP ... | shorter, perhaps IKE |     every segment is classified by itself
"""
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from _fast.atomic cimport claim, fetch_add, load, load_slot, loadp, spin_lock, spin_unlock, store, unclaim
from _fast.cipher cimport BATCH, esp_job_t, key_open
from _fast.coalesce cimport merge_flush, merge_put
from _fast.esp cimport esp_plausible, esp_strip
from _fast.iphdr cimport clamp_mss, parse_packet, put_ip_sum, quoted_flow, selectors_allow
from _fast.mail cimport (MAIL_FIRST_USE, MAIL_IKE, MAIL_NEW_MAPPING, MAIL_UNKNOWN_SPI, mail_new, mail_post, mail_t)
from _fast.octets cimport get16, get32
from _fast.plant cimport RX_MESSAGES, engine_t, incoming_t, socket_t, worker_t
from _fast.replay cimport replay_check, replay_infer, replay_mark
from _fast.sadb cimport sadb_find
from _fast.sysio cimport *
from _fast.types cimport *

cdef enum:
    BATCHES = 16               # receive calls of one visit to a socket,
    RECEIVE_OCTETS = 262144    # and octets
    UNKNOWN_A_SECOND = 10
    LARGE = 8192               # a datagram this long was put together by UDP_GRO
    SPARE = 64                 # octets before each buffer, for the vnet header


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


cdef void take_segment(worker_t *w, int32_t slot, const uint8_t *remote, uint8_t *data, uint32_t length,
                       uint8_t tos) noexcept nogil:
    cdef socket_t *s = &w.engine.sockets[slot]
    cdef incoming_t *j
    cdef sa_t *sa
    cdef uint32_t low
    cdef uint64_t sequence
    cdef bint fresh
    if s.udp:
        if length == 1 and data[0] == 0xFF:
            w.drops[DROP_KEEPALIVE] += 1
            return
        if length >= 4 and get32(data) == 0:
            ike(w, slot, remote, data + 4, length - 4)
            return
    if length < 8:
        w.drops[DROP_MALFORMED] += 1
        return
    sa = sadb_find(&w.engine.sadb, get32(data))
    if sa == NULL:
        w.drops[DROP_NO_SA] += 1
        tell_unknown(w, slot, remote, get32(data))
        return
    if not esp_plausible(sa.key, length):
        w.drops[DROP_MALFORMED] += 1
        return
    low = get32(data + 4)
    sequence = low
    spin_lock(&sa.lock)
    fresh = (not sa.esn or replay_infer(&sa.replay, low, &sequence)) and replay_check(&sa.replay, sequence)
    spin_unlock(&sa.lock)
    if not fresh:
        w.drops[DROP_REPLAY] += 1
        fetch_add(&sa.replays, 1)
        return
    if w.came_count == BATCH:
        open_batch(w, slot)
    j = &w.came[w.came_count]
    w.came_count += 1
    j.data = data
    j.length = length
    j.sa = sa
    j.sequence = sequence
    j.remote = remote
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


cdef inline bint same_source(const path_t *path, const uint8_t *remote, bint ports) noexcept nogil:
    # Family, address, and the port where it counts; the flow label and scope of IPv6 do not.
    if memcmp(path.remote, remote, 2) or (ports and memcmp(path.remote + 2, remote + 2, 2)):
        return False
    if path.version == 4:
        return memcmp(path.remote + 4, remote + 4, 4) == 0
    return memcmp(path.remote + 8, remote + 8, 16) == 0


cdef bint source_allowed(worker_t *w, int32_t slot, sa_t *sa, const uint8_t *remote) noexcept nogil:
    cdef path_t *path = <path_t *>loadp(&sa.path)
    cdef bint natted = w.engine.sockets[slot].udp and path.encap
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


cdef bint fix_ecn(uint8_t *packet, packet_info_t *info, uint8_t outer) noexcept nogil:
    # RFC 6040 4.2, figure 4. False: the packet must be dropped.
    cdef uint8_t inner = info.tos & 3
    outer &= 3
    if outer == 3 and inner == 0:
        return False
    if inner == 0 or inner == 3 or outer == 0 or outer == inner or outer == 2:
        return True
    # Outer CE over ECT, or outer ECT(1) over inner ECT(0): the outer value wins.
    if info.flow.version == 4:
        packet[1] = (packet[1] & 0xFC) | outer
        put_ip_sum(packet)
    else:
        packet[1] = (packet[1] & 0xCF) | <uint8_t>(outer << 4)
    info.tos = (info.tos & 0xFC) | outer
    return True


cdef int deliver(worker_t *w, int32_t slot, incoming_t *j, uint32_t *octets) noexcept nogil:
    cdef sa_t *sa = j.sa
    cdef uint32_t inner = 0
    cdef uint8_t next_header = 0
    cdef uint8_t *packet = j.data + 8 + sa.key.iv_len
    cdef packet_info_t info
    cdef flow_t quoted
    cdef path_t *path
    cdef bint fresh
    cdef int32_t device
    cdef int why
    if not j.ok:
        fetch_add(&sa.auth_failures, 1)
        return DROP_AUTH_FAILED
    spin_lock(&sa.lock)
    fresh = replay_mark(&sa.replay, j.sequence)
    spin_unlock(&sa.lock)
    if not fresh:
        fetch_add(&sa.replays, 1)
        return DROP_REPLAY
    if not source_allowed(w, slot, sa, j.remote):
        return DROP_SOURCE_MISMATCH
    why = esp_strip(sa.key, j.data, j.length, &inner, &next_header)
    if why:
        return why
    if next_header == 59:
        return DROP_DUMMY
    if next_header != 4 and next_header != 41:
        return DROP_UNKNOWN_NEXT_HEADER
    if parse_packet(packet, inner, &info) != PASSED or (info.flow.version == 4) != (next_header == 4):
        return DROP_MALFORMED
    if not selectors_allow(sa.selectors, sa.nselectors, &info.flow):
        if not info.icmp_error:
            fetch_add(&sa.selector_failures, 1)
            return DROP_SELECTOR_MISMATCH
        # An error about a packet we sent: its quoted packet, turned round, is what this SA may carry (RFC 4301 6.2).
        if quoted_flow(packet, &info, &quoted) != PASSED or not selectors_allow(sa.selectors, sa.nselectors, &quoted):
            fetch_add(&sa.selector_failures, 1)
            return DROP_ICMP_ERROR_FOREIGN
    if not fix_ecn(packet, &info, j.tos):
        return DROP_MALFORMED
    if info.flow.proto == 6:
        path = <path_t *>loadp(&sa.path)
        if path.inner_mtu:
            clamp_mss(packet, &info, path.inner_mtu - (40 if info.flow.version == 4 else 60))
    if claim_first(sa) and not tell(w, MAIL_FIRST_USE, sa, NULL):
        unclaim(&sa.first_told)
    # Read once: the control thread may take the device away between a test and a use.
    device = load_slot(&sa.device)
    if device < 0:
        return DROP_TUN_FAILED
    octets[0] += info.length
    merge_put(w, device, packet, &info)
    return PASSED


cdef inline bint claim_first(sa_t *sa) noexcept nogil:
    # The plain read first: a locked instruction a packet would be wasted after the first.
    return sa.first_told == 0 and claim(&sa.first_told)


cdef void open_batch(worker_t *w, int32_t slot) noexcept nogil:
    cdef esp_job_t jobs[64]
    cdef uint32_t i = 0, n, k, octets, good
    cdef sa_t *sa
    cdef int why
    while i < w.came_count:
        sa = w.came[i].sa
        n = 0
        while i + n < w.came_count and w.came[i + n].sa == sa:
            jobs[n].data = w.came[i + n].data
            jobs[n].length = w.came[i + n].length
            jobs[n].sequence = w.came[i + n].sequence
            n += 1
        key_open(&w.crypt, sa.key, jobs, <int>n)
        octets = good = 0
        for k in range(n):
            w.came[i + k].ok = jobs[k].ok != 0
            why = deliver(w, slot, &w.came[i + k], &octets)
            if why:
                w.drops[why] += 1
            else:
                good += 1
        if good:
            fetch_add(&sa.packets, good)
            fetch_add(&sa.octets, octets)
            store(&sa.last_use, w.now)
        i += n
    w.came_count = 0


# --- the socket ---------------------------------------------------------------------------------------------------

cdef void take_message(worker_t *w, int32_t slot, int at) noexcept nogil:
    cdef socket_t *s = &w.engine.sockets[slot]
    cdef msghdr *m = &w.rxmsg[at].msg_hdr
    cdef uint8_t *data = <uint8_t *>m.msg_iov.iov_base
    cdef uint32_t length = w.rxmsg[at].msg_len, size = length, n, head
    cdef cmsghdr *c = CMSG_FIRSTHDR(m)
    cdef int value
    cdef uint8_t tos = 0
    if m.msg_flags & MSG_TRUNC:
        w.drops[DROP_MALFORMED] += 1
        return
    while c != NULL:
        if c.cmsg_level == SOL_UDP and c.cmsg_type == UDP_GRO:
            memcpy(&value, CMSG_DATA(c), sizeof(int))
            if value > 0:
                size = <uint32_t>value
        elif c.cmsg_level == IPPROTO_IP and c.cmsg_type == IP_TOS:
            tos = CMSG_DATA(c)[0]
        elif c.cmsg_level == IPPROTO_IPV6 and c.cmsg_type == IPV6_TCLASS:
            memcpy(&value, CMSG_DATA(c), sizeof(int))
            tos = <uint8_t>value
        c = CMSG_NXTHDR(m, c)
    if not s.udp and s.version == 4:
        # A raw IPv4 socket gives the IP header too.
        head = (data[0] & 15) * 4 if length >= 20 else 0
        if head < 20 or head > length:
            w.drops[DROP_MALFORMED] += 1
            return
        tos = data[1]
        data += head
        length -= head
        size = length
    if length == 0:
        w.drops[DROP_MALFORMED] += 1
        return
    while length:
        n = size if size < length else length
        take_segment(w, slot, w.rxname[at], data, n, tos)
        data += n
        length -= n


cdef void rcv_socket(worker_t *w, int32_t slot) noexcept nogil:
    cdef socket_t *s = &w.engine.sockets[slot]
    cdef int i, got, round
    cdef uint32_t want, octets = 0
    cdef bint large
    for round in range(BATCHES):
        if s.fd < 0:
            return
        # After a datagram of GRO the next one is likely as large: take it alone, while its buffer is in the cache.
        want = w.rxwant
        for i in range(<int>want):
            memset(&w.rxmsg[i], 0, sizeof(mmsghdr))
            w.rxiov[i].iov_base = w.rx + <size_t>i * (FRAME_ROOM + SPARE) + SPARE
            w.rxiov[i].iov_len = FRAME_ROOM
            w.rxmsg[i].msg_hdr.msg_name = w.rxname[i]
            w.rxmsg[i].msg_hdr.msg_namelen = 28
            w.rxmsg[i].msg_hdr.msg_iov = &w.rxiov[i]
            w.rxmsg[i].msg_hdr.msg_iovlen = 1
            w.rxmsg[i].msg_hdr.msg_control = w.rxctl[i]
            w.rxmsg[i].msg_hdr.msg_controllen = sizeof(w.rxctl[i])
            memset(w.rxname[i], 0, 28)
        got = recvmmsg(s.fd, w.rxmsg, want, MSG_DONTWAIT, NULL)
        if got <= 0:
            # Asynchronous errors (a peer's ICMP) are read off this way too; an empty socket ends the visit.
            if got < 0 and errno != EAGAIN and errno != EINTR and round == 0:
                continue
            return
        large = False
        for i in range(got):
            large = large or w.rxmsg[i].msg_len >= LARGE
            octets += w.rxmsg[i].msg_len
            take_message(w, slot, i)
        open_batch(w, slot)
        merge_flush(w)
        w.rxwant = 2 if large else RX_MESSAGES
        if <uint32_t>got < want or octets >= RECEIVE_OCTETS:
            return
