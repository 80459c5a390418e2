# SPDX-License-Identifier: GPL-2.0-or-later
"""Raw ESP put on the link directly, past the kernel's IP layer: a packet socket costs half of what a raw socket does.

    | IP header, written into the room before the packet | ESP |   the kernel adds the ethernet header

What would need the kernel's help goes by the socket: packets larger than the interface takes, paths whose next hop is
not known, and one packet a second, so that the kernel sees its neighbour entry used and keeps checking it (RFC 4861 7.3,
which it does for IPv4's ARP too).
"""
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memset

from _fast.iphdr cimport put_ip_sum
from _fast.mail cimport MAIL_NEXT_HOP, MAIL_OFFLOAD, mail_new, mail_post, mail_t
from _fast.numbers cimport ESP
from _fast.octets cimport put16, put32
from _fast.plant cimport outgoing_t, socket_t, worker_t
from _fast.sysio cimport AF_PACKET, ETH_P_IP, ETH_P_IPV6, msghdr, sockaddr_ll
from _fast.types cimport path_t, sa_t

cdef enum:
    HOPS = 64
    NUDGE = 1000000000         # ns from one packet by the socket to the next
    ASK = 5000000000           # ns until a next hop is asked for again
    REFUSED = 60000000000      # the same after a refusal
    BUSY = 8                   # packets of one flush from which on it is worth asking


cdef bint link_ready(worker_t *w, const outgoing_t *o, const socket_t *s) noexcept nogil:
    cdef path_t *path = o.path
    cdef mail_t *m
    # In UDP there is no room for a header before it.
    if s.proto != ESP or path.encap or w.engine.link_fd < 0:
        return False
    if path.link:
        return w.now < path.due and s.mtu and o.length + (20 if o.version == 4 else 40) <= s.mtu
    if w.out_count >= BUSY and w.now >= path.due:
        path.due = w.now + ASK
        m = mail_new(&w.engine.mail, MAIL_NEXT_HOP, NULL, 0)
        if m:
            m.cookie = o.sa.id
            mail_post(&w.engine.mail, m)
    return False


cdef uint32_t write_head(const outgoing_t *o, uint16_t id) noexcept nogil:
    # The outer header into the octets before the packet; its length. Without DF, as the socket sends it.
    cdef uint32_t head = 20 if o.version == 4 else 40
    cdef uint8_t *ip = o.data - head
    if o.version == 4:
        put16(ip, <uint16_t>(0x4500 | o.tos))
        put16(ip + 2, <uint16_t>(head + o.length))
        put16(ip + 4, id)
        put16(ip + 6, 0)
        ip[8] = HOPS
        ip[9] = ESP
        memcpy(ip + 12, o.path.local, 4)
        memcpy(ip + 16, o.path.remote + 4, 4)
        put_ip_sum(ip)
    else:
        put32(ip, <uint32_t>0x60000000 | <uint32_t>o.tos << 20)
        put16(ip + 4, <uint16_t>o.length)
        ip[6] = ESP
        ip[7] = HOPS
        memcpy(ip + 8, o.path.local, 16)
        memcpy(ip + 24, o.path.remote + 8, 16)
    return head


cdef void link_name(worker_t *w, uint32_t at, uint32_t i) noexcept nogil:
    cdef outgoing_t *o = &w.sent[i]
    cdef msghdr *m = &w.tx[at].msg_hdr
    cdef sockaddr_ll *to = <sockaddr_ll *>w.txctl[at]
    cdef uint32_t head
    # Routers may cut it, so its pieces must be told from those of the packets round it (RFC 6864 4.2).
    w.link_id += 1
    head = write_head(o, w.link_id)
    memset(to, 0, sizeof(sockaddr_ll))
    to.sll_family = AF_PACKET
    put16(&to.sll_protocol, ETH_P_IP if o.version == 4 else ETH_P_IPV6)
    to.sll_ifindex = o.path.link
    to.sll_halen = 6
    memcpy(to.sll_addr, o.path.hop, 6)
    memset(m, 0, sizeof(msghdr))
    w.txfirst[at] = i
    w.txcount[at] = 1
    w.txiov[at].iov_base = o.data - head
    w.txiov[at].iov_len = head + o.length
    m.msg_iov = &w.txiov[at]
    m.msg_iovlen = 1
    m.msg_name = to
    m.msg_namelen = sizeof(sockaddr_ll)


cdef void link_missed(worker_t *w, outgoing_t *o) noexcept nogil:
    if o.sa and o.path.link:
        o.path.due = w.now + NUDGE


cdef void link_refused(worker_t *w, outgoing_t *o) noexcept nogil:
    # Down, gone, or narrower than we know.
    cdef mail_t *m
    o.path.link = 0
    o.path.due = w.now + REFUSED
    m = mail_new(&w.engine.mail, MAIL_OFFLOAD, NULL, 0)
    if m:
        m.sock = o.path.sock
        m.number = ESP
        mail_post(&w.engine.mail, m)


def head(int version, bytes local, bytes remote, int tos, int length, int ident):
    """The outer header of an ESP packet of `length` octets, as it is put on a link; for tests."""
    cdef outgoing_t o
    cdef path_t path
    cdef bytearray room = bytearray(LINK_HEAD + 1)
    cdef uint8_t *start = room
    cdef uint32_t n
    memset(&o, 0, sizeof(o))
    memset(&path, 0, sizeof(path))
    memcpy(path.local, <const uint8_t *>local, len(local))
    memcpy(path.remote + (4 if version == 4 else 8), <const uint8_t *>remote, len(remote))
    o.path = &path
    o.version = <uint8_t>version
    o.tos = <uint8_t>tos
    o.length = <uint32_t>length
    o.data = start + LINK_HEAD
    n = write_head(&o, <uint16_t>ident)
    return bytes(room[LINK_HEAD - n:LINK_HEAD])
