# SPDX-License-Identifier: GPL-2.0-or-later
"""Receiving: one recvmmsg brings several datagrams, and UDP_GRO makes each of those many equal segments end to end:

    | ESP ... | ESP ... | ESP ... | shorter, perhaps IKE |     every segment is classified by itself
"""
from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.string cimport memcpy, memset

from _fast.coalesce cimport merge_flush
from _fast.intake cimport intake_load
from _fast.numbers cimport ESP
from _fast.octets cimport put16
from _fast.plant cimport RX_MESSAGES, socket_t, worker_t
from _fast.rcv cimport rcv_open, rcv_take
from _fast.streams cimport KEY_OCTETS
from _fast.sysio cimport *
from _fast.types cimport *

cdef enum:
    BATCHES = 16               # receive calls of one visit to a socket,
    RECEIVE_OCTETS = 262144    # and octets
    LARGE = 8192               # a datagram this long was put together by UDP_GRO
    HEAD_ROOM = 512            # octets of IPv6 header and extension headers
    SPARE = 64                 # octets before each buffer, for the vnet header


cdef uint32_t head_from_control(const socket_t *s, msghdr *m, uint32_t length, uint8_t *out) noexcept nogil:
    # An IPv6 raw socket gives no header, but says in control messages what was in it; what it does not say may change on
    # the way and is covered by nothing. Its octets, or 0 when it would not fit.
    cdef cmsghdr *c = CMSG_FIRSTHDR(m)
    cdef uint32_t used = 40, next_at = 6, n
    cdef int value
    cdef uint8_t kind
    memset(out, 0, 40)
    out[0] = 0x60
    out[7] = 64
    memcpy(out + 8, <uint8_t *>m.msg_name + 8, 16)
    memcpy(out + 24, s.local, 16)
    while c != NULL:
        if c.cmsg_level == IPPROTO_IPV6:
            if c.cmsg_type == IPV6_PKTINFO:
                memcpy(out + 24, CMSG_DATA(c), 16)
            elif c.cmsg_type == IPV6_TCLASS or c.cmsg_type == IPV6_HOPLIMIT:
                memcpy(&value, CMSG_DATA(c), sizeof(int))
                if c.cmsg_type == IPV6_TCLASS:
                    put16(out, <uint16_t>(0x6000 | (value & 0xFF) << 4))
                else:
                    out[7] = <uint8_t>value
            elif c.cmsg_type == IPV6_HOPOPTS or c.cmsg_type == IPV6_DSTOPTS or c.cmsg_type == IPV6_RTHDR:
                # In the order in which they stood.
                n = <uint32_t>(c.cmsg_len - CMSG_LEN(0))
                if n < 8 or used + n > HEAD_ROOM:
                    return 0
                kind = 0 if c.cmsg_type == IPV6_HOPOPTS else 43 if c.cmsg_type == IPV6_RTHDR else 60
                memcpy(out + used, CMSG_DATA(c), n)
                out[next_at] = kind
                next_at = used
                used += n
        c = CMSG_NXTHDR(m, c)
    out[next_at] = s.proto
    put16(out + 4, <uint16_t>(used - 40 + length))
    return used


cdef void take_message(worker_t *w, int32_t slot, int at) noexcept nogil:
    cdef socket_t *s = &w.engine.sockets[slot]
    cdef msghdr *m = &w.rxmsg[at].msg_hdr
    cdef uint8_t *data = <uint8_t *>m.msg_iov.iov_base
    cdef uint32_t length = w.rxmsg[at].msg_len, size = length, n, head
    cdef cmsghdr *c = CMSG_FIRSTHDR(m)
    cdef int value
    cdef uint8_t tos = 0
    cdef const uint8_t *front = NULL
    cdef uint8_t made[512]
    cdef uint32_t fronted = 0
    if m.msg_flags & (MSG_TRUNC | MSG_CTRUNC):
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
    if s.stream:
        if length < KEY_OCTETS:
            w.drops[DROP_MALFORMED] += 1
            return
        memcpy(w.rxname[at], data, 28)
        data += KEY_OCTETS
        length -= KEY_OCTETS
        size = length
    elif not s.udp and s.version == 4:
        # A raw IPv4 socket gives the IP header too.
        head = (data[0] & 15) * 4 if length >= 20 else 0
        if head < 20 or head > length:
            w.drops[DROP_MALFORMED] += 1
            return
        tos = data[1]
        front = data
        fronted = head
        data += head
        length -= head
        size = length
    elif not s.udp and s.proto != ESP:
        fronted = head_from_control(s, m, length, made)
        front = made
        if fronted == 0:
            w.drops[DROP_MALFORMED] += 1
            return
    if length == 0:
        w.drops[DROP_MALFORMED] += 1
        return
    while length:
        n = size if size < length else length
        rcv_take(w, slot, w.rxname[at], front, fronted, data, n, tos)
        data += n
        length -= n


cdef void recv_socket(worker_t *w, int32_t slot) noexcept nogil:
    cdef socket_t *s = &w.engine.sockets[slot]
    cdef int i, got, round
    cdef uint32_t want, octets = 0, base = 0
    cdef bint large
    for round in range(BATCHES):
        if s.fd < 0:
            break
        # After a datagram of GRO the next one is likely as large: take it alone, while its buffer is in the cache.
        want = w.rxwant
        if base + want > RX_MESSAGES:
            # What was opened lies in these buffers until it is written.
            merge_flush(w)
            base = 0
        for i in range(<int>base, <int>(base + want)):
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
        got = recvmmsg(s.lane[w.index], &w.rxmsg[base], want, MSG_DONTWAIT, NULL)
        if got <= 0:
            # Asynchronous errors (a peer's ICMP) are read off this way too; an empty socket ends the visit.
            if got < 0 and errno != EAGAIN and errno != EINTR and round == 0:
                continue
            break
        large = False
        for i in range(<int>base, <int>base + got):
            large = large or w.rxmsg[i].msg_len >= LARGE
            octets += w.rxmsg[i].msg_len
            take_message(w, slot, i)
        if s.proto == ESP:
            intake_load(w, slot, <uint32_t>got)
        # Not written yet: a super-packet of the host's goes on where one message of the peer's ends.
        rcv_open(w, slot)
        base += <uint32_t>got
        w.rxwant = 2 if large else RX_MESSAGES
        if <uint32_t>got < want or octets >= RECEIVE_OCTETS:
            break
    merge_flush(w)
