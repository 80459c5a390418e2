# SPDX-License-Identifier: GPL-2.0-or-later
"""The flush of the outbox: sealing in batches, then as few system calls as the kernel allows."""
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memset

from _fast.cipher cimport BATCH, esp_job_t, key_seal
from _fast.link cimport link_missed, link_name, link_ready, link_refused
from _fast.mail cimport MAIL_OFFLOAD, mail_new, mail_post, mail_t
from _fast.outer cimport outer_send_cut, outer_too_big
from _fast.plant cimport outgoing_t, socket_t, worker_t
from _fast.streams cimport KEY_OCTETS, path_key
from _fast.sysio cimport *
from _fast.tally cimport tally_settle
from _fast.types cimport *

cdef enum:
    OLD_GSO = 64               # packets of a message before Linux 6.9
    GSO_OCTETS = 65000


cdef void seal_outbox(worker_t *w) noexcept nogil:
    # Runs of one SA go to the cipher together: libipsec-mb works on many packets at once.
    cdef esp_job_t jobs[64]
    cdef uint32_t i = 0
    cdef int n, j
    cdef sa_t *sa
    while i < w.out_count:
        sa = w.sent[i].sa
        if sa == NULL or w.sent[i].ok:
            i += 1
            continue
        n = 0
        while i + n < w.out_count and n < BATCH and w.sent[i + n].sa == sa and not w.sent[i + n].ok:
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
    if s == NULL:
        return -1
    return w.engine.link_fd if link_ready(w, o, s) else s.lane[w.index]


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
    if o.sa and o.path.encap == ENCAP_STREAM:
        path_key(o.path, o.data - KEY_OCTETS)
        w.txiov[at].iov_base = o.data - KEY_OCTETS
        w.txiov[at].iov_len = o.length + KEY_OCTETS
        m.msg_iov = &w.txiov[at]
        m.msg_iovlen = 1
        return
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


cdef void refused(worker_t *w, socket_t *s, outgoing_t *o, uint32_t packets) noexcept nogil:
    # Asking every time would only cost. EIO: the device cannot. Anything else: too many, or too long for the way there.
    cdef mail_t *m
    if errno != EIO:
        if packets > OLD_GSO:
            s.gso = OLD_GSO
        else:
            o.path.no_gso = 1
        return
    s.gso = 0
    m = mail_new(&w.engine.mail, MAIL_OFFLOAD, NULL, 0)
    if m:
        m.sock = o.path.sock
        mail_post(&w.engine.mail, m)


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
            refused(w, s, &w.sent[first], packets)
            send_singly(w, first, packets, fd)
            return first + packets
        if fd == w.engine.link_fd and errno != EAGAIN and errno != ENOBUFS:
            link_refused(w, &w.sent[first])
            send_singly(w, first, 1, s.lane[w.index])
            return first + 1
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
        if outer_too_big(o):
            if count:
                # What came before it leaves before it.
                again = send_messages(w, count, current_fd, current)
                count = 0
                if again:
                    i = again
                continue
            if outer_send_cut(w, o):
                i += 1
                continue
        s = socket_of(w, o) if o.sa else NULL
        current_fd = fd
        current = s
        n = 1
        most = s.gso if s != NULL and s.gso and not o.path.no_gso else 1
        if s != NULL and s.mtu and o.length + (28 if o.version == 4 else 48) > s.mtu:
            most = 1           # needs outer fragments: the kernel refuses such segments, which says nothing of GSO
        octets = o.length
        after = o.data + o.length
        while (n < most and i + n < end and w.sent[i + n].ok and w.sent[i + n].path == o.path
               and not outer_too_big(&w.sent[i + n]) and w.sent[i + n].tos == o.tos and w.sent[i + n].length <= o.length and w.sent[i + n].data == after
               and octets + w.sent[i + n].length <= GSO_OCTETS):
            octets += w.sent[i + n].length
            after += w.sent[i + n].length
            n += 1
            if w.sent[i + n - 1].length < o.length:
                break          # only the last may be shorter
        if fd == w.engine.link_fd:
            link_name(w, count, i)
        else:
            name_message(w, count, i, n)
            link_missed(w, o)
        count += 1
        i += n


cdef void send_outbox(worker_t *w) noexcept nogil:
    # Whoever sees a packet finds it counted.
    tally_settle(w)
    if w.out_count:
        seal_outbox(w)
        send_range(w, 0, w.out_count)
    w.out_count = 0
    w.out_used = 0
