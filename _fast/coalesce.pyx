# SPDX-License-Identifier: GPL-2.0-or-later
"""Decrypted packets become super-packets again: one write to the TUN instead of one a segment.

Only packets whose checksums are right are merged, because a super-packet gets its checksums written anew and a damaged
one would come out whole. Nothing is copied: the write gathers the pieces from where they were decrypted.
"""
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from _fast.mail cimport MAIL_OFFLOAD, mail_new, mail_post, mail_t
from _fast.iphdr cimport pseudo_sum, put_ip_sum
from _fast.numbers cimport GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, NEEDS_CSUM, TCP, UDP
from _fast.octets cimport fold_sum, get16, get32, put16, put_sum, putle16, sum_octets, sum_twenty
from _fast.plant cimport MERGE_PIECES, MERGE_SLOTS, device_t, merge_t, worker_t
from _fast.radij cimport same_flow
from _fast.sysio cimport EINVAL, EIO, EMSGSIZE, EOPNOTSUPP, errno, iovec, write, writev
from _fast.types cimport DROP_TUN_FAILED, VNET_LEN, packet_info_t

cdef enum:
    DATA_VALID = 2
    LARGEST = 65500            # with a link header still below what the kernel splits again
    OLD_USO = 64               # datagrams of a super-packet before Linux 6.9
    STRIKES = 8


cdef void put_frame(worker_t *w, int32_t device, uint8_t *packet, uint32_t length, uint8_t flags) noexcept nogil:
    cdef device_t *d = &w.engine.devices[device]
    memset(packet - VNET_LEN, 0, VNET_LEN)
    packet[-VNET_LEN] = flags
    if d.fd < 0 or write(d.queue[w.index], packet - VNET_LEN, length + VNET_LEN) < 0:
        w.drops[DROP_TUN_FAILED] += 1
    else:
        w.to_host[device] += 1


cdef void strike(worker_t *w, int32_t device, uint8_t kind, uint32_t pieces) noexcept nogil:
    # One refusal may be that packet's own fault. A kernel that refuses all of them is not asked for ever.
    cdef device_t *d = &w.engine.devices[device]
    cdef mail_t *m
    if kind == UDP and pieces > OLD_USO:
        d.uso = OLD_USO
        return
    d.strikes += 1
    if d.strikes < STRIKES:
        return
    d.strikes = 0
    if kind == UDP:
        d.uso = 0
    else:
        d.offload = d.uso = 0
    m = mail_new(&w.engine.mail, MAIL_OFFLOAD, NULL, 0)
    if m:
        m.sock = device
        m.number = kind
        mail_post(&w.engine.mail, m)


cdef void put_singly(worker_t *w, merge_t *m, uint8_t kind) noexcept nogil:
    # The pieces lie where they were decrypted, headers and all; only the first has been made a super-packet's.
    cdef uint8_t *ip = m.first
    cdef uint32_t length = m.head + m.segment, transport = length - m.l4, i
    if m.flow.version == 4:
        put16(ip + 2, <uint16_t>length)
        put_ip_sum(ip)
    else:
        put16(ip + 4, <uint16_t>(length - 40))
    if kind == TCP:
        ip[m.l4 + 13] &= 0xF7      # a first piece that had it would have gone alone
        memset(ip + m.l4 + 16, 0, 2)
        put_sum(ip + m.l4 + 16, sum_octets(pseudo_sum(ip, kind, transport), ip + m.l4, transport))
    else:
        put16(ip + m.l4 + 4, <uint16_t>transport)
        memset(ip + m.l4 + 6, 0, 2)
        put_sum(ip + m.l4 + 6, sum_octets(pseudo_sum(ip, kind, transport), ip + m.l4, transport))
        if ip[m.l4 + 6] == 0 and ip[m.l4 + 7] == 0:
            ip[m.l4 + 6] = ip[m.l4 + 7] = 0xFF
    put_frame(w, m.device, ip, length, DATA_VALID)
    for i in range(1, m.pieces):
        put_frame(w, m.device, <uint8_t *>m.iov[i].iov_base - m.head, m.head + <uint32_t>m.iov[i].iov_len, DATA_VALID)


cdef void emit(worker_t *w, merge_t *m) noexcept nogil:
    cdef uint8_t *ip = m.first
    cdef uint8_t *vnet = ip - VNET_LEN
    cdef device_t *d = &w.engine.devices[m.device]
    cdef uint32_t transport = m.total - m.l4
    cdef uint16_t partial
    m.kind, kind = 0, m.kind
    if m.pieces == 1:
        put_frame(w, m.device, ip, m.total, DATA_VALID)
        return
    memset(vnet, 0, VNET_LEN)
    vnet[0] = NEEDS_CSUM
    if m.flow.version == 4:
        put16(ip + 2, <uint16_t>m.total)
        put_ip_sum(ip)
    else:
        put16(ip + 4, <uint16_t>(m.total - 40))
    partial = fold_sum(pseudo_sum(ip, <uint8_t>kind, transport))
    if kind == TCP:
        vnet[1] = GSO_TCPV4 if m.flow.version == 4 else GSO_TCPV6
        ip[m.l4 + 13] |= m.push
        memcpy(ip + m.l4 + 16, &partial, 2)
        putle16(vnet + 8, 16)
    else:
        vnet[1] = GSO_UDP_L4
        put16(ip + m.l4 + 4, <uint16_t>transport)
        memcpy(ip + m.l4 + 6, &partial, 2)
        putle16(vnet + 8, 6)
    putle16(vnet + 2, <uint16_t>m.head)
    putle16(vnet + 4, <uint16_t>m.segment)
    putle16(vnet + 6, <uint16_t>m.l4)
    if d.fd >= 0 and writev(d.queue[w.index], m.iov, <int>m.pieces) >= 0:
        w.to_host[m.device] += m.pieces
        if d.strikes:
            d.strikes = 0
    elif d.fd >= 0 and (errno == EINVAL or errno == EMSGSIZE or errno == EOPNOTSUPP or errno == EIO):
        strike(w, m.device, <uint8_t>kind, m.pieces)
        put_singly(w, m, <uint8_t>kind)
    else:
        w.drops[DROP_TUN_FAILED] += m.pieces


cdef bint alike(const merge_t *m, const uint8_t *packet, uint32_t head) noexcept nogil:
    # Same addresses and ports already; the headers must be the same but for what a split makes different.
    cdef const uint8_t *a = m.first
    cdef const uint8_t *x = a + m.l4
    cdef const uint8_t *y = packet + m.l4
    if m.head != head:
        return False
    if m.flow.version == 4:
        # TOS, flags, TTL; and the identification where it still means something (RFC 6864).
        if a[1] != packet[1] or a[6] != packet[6] or a[8] != packet[8]:
            return False
        if not a[6] & 0x40 and get16(packet + 4) != m.next_id:
            return False
    elif memcmp(a, packet, 4) or a[7] != packet[7]:
        return False
    if m.kind == UDP:
        return True
    # Acknowledgement, data offset, flags but PSH, window, urgent pointer, options.
    return (get32(y + 4) == m.next_sequence and memcmp(x + 8, y + 8, 5) == 0 and (x[13] | 8) == (y[13] | 8)
            and memcmp(x + 14, y + 14, 2) == 0 and memcmp(x + 18, y + 18, head - m.l4 - 18) == 0)


cdef merge_t *free_slot(worker_t *w) noexcept nogil:
    cdef uint32_t i
    for i in range(w.merges):
        if w.merge[i].kind == 0:
            return &w.merge[i]
    if w.merges == MERGE_SLOTS:
        merge_flush(w)
    w.merges += 1
    return &w.merge[w.merges - 1]


cdef bint mergeable(worker_t *w, int32_t device, const uint8_t *packet, const packet_info_t *info,
                    uint32_t *head) noexcept nogil:
    cdef uint32_t l4 = info.l4
    cdef const uint8_t *t = packet + l4
    cdef device_t *d = &w.engine.devices[device]
    if not d.offload or info.fragmented or l4 != <uint32_t>(20 if info.flow.version == 4 else 40):
        return False
    if info.flow.proto == TCP:
        head[0] = l4 + (t[12] >> 4) * 4
        # ACK with or without PSH: anything else ends what came before and goes alone.
        if t[12] >> 4 < 5 or head[0] >= info.length or t[13] & 0xF7 != 0x10:
            return False
    elif info.flow.proto == UDP:
        head[0] = l4 + 8
        if not d.uso or head[0] >= info.length or get16(t + 4) != info.length - l4 or (t[6] | t[7]) == 0:
            return False
    else:
        return False
    if info.flow.version == 4 and fold_sum(sum_twenty(packet)) != 0xFFFF:
        return False
    return fold_sum(sum_octets(pseudo_sum(packet, info.flow.proto, info.length - l4), t, info.length - l4)) == 0xFFFF


cdef void merge_put(worker_t *w, int32_t device, uint8_t *packet, packet_info_t *info) noexcept nogil:
    cdef uint32_t head = 0, payload, i
    cdef merge_t *m
    cdef bint can = mergeable(w, device, packet, info, &head)
    payload = info.length - head
    for i in range(w.merges):
        m = &w.merge[i]
        if m.kind == 0 or m.device != device:
            continue
        if m.flow.src[0] != info.flow.src[0] or m.flow.src[1] != info.flow.src[1] or (
                m.flow.dst[0] != info.flow.dst[0] or m.flow.dst[1] != info.flow.dst[1]):
            continue
        if not same_flow(&m.flow, &info.flow):
            if not can:
                emit(w, m)     # a fragment or anything else of this pair must not overtake
            continue
        if (can and payload <= m.segment and m.total + payload <= LARGEST and alike(m, packet, head)
                and m.pieces < <uint32_t>(MERGE_PIECES if m.kind == TCP else w.engine.devices[device].uso)):
            m.iov[m.pieces].iov_base = packet + head
            m.iov[m.pieces].iov_len = payload
            m.pieces += 1
            m.total += payload
            m.next_sequence += payload
            m.next_id += 1
            if m.kind == TCP:
                m.push |= packet[m.l4 + 13] & 8
            if payload < m.segment or m.push:
                emit(w, m)
            return
        emit(w, m)
    if not can:
        put_frame(w, device, packet, info.length, 0)
        return
    m = free_slot(w)
    memcpy(&m.flow, &info.flow, sizeof(info.flow))
    m.first = packet
    m.head = head
    m.l4 = info.l4
    m.segment = payload
    m.total = info.length
    m.kind = info.flow.proto
    m.device = device
    m.pieces = 1
    m.iov[0].iov_base = packet - VNET_LEN
    m.iov[0].iov_len = info.length + VNET_LEN
    m.push = packet[info.l4 + 13] & 8 if m.kind == TCP else 0
    m.next_sequence = get32(packet + info.l4 + 4) + payload
    m.next_id = get16(packet + 4) + 1
    if m.push:
        emit(w, m)


cdef void merge_flush(worker_t *w) noexcept nogil:
    cdef uint32_t i
    for i in range(w.merges):
        if w.merge[i].kind:
            emit(w, &w.merge[i])
    w.merges = 0
