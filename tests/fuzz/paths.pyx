# SPDX-License-Identifier: GPL-2.0-or-later
"""Fuzz targets that see whole packets: each input is a list of pieces, and every piece must be accounted for.

    +---------+----------------+-----------+---------+----------------+---
    | control | length, 2 LE   |  octets   | control | length         |       the last piece takes what is left
    +---------+----------------+-----------+---------+----------------+---

A piece stands in memory of exactly its size, so that reading past it is seen. A target answers 0, or 1 after it has said
in `complaint` what went wrong.
"""
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from _fast.bits cimport prefix_mask
from _fast.cipher cimport esp_job_t, key_open, key_seal
from _fast.coalesce cimport merge_flush, merge_put
from _fast.epoch cimport epoch_enter, epoch_leave, epoch_reclaim
from _fast.esp cimport esp_plausible, esp_strip
from _fast.hold cimport hold_drop, hold_take
from _fast.intake cimport intake_take
from _fast.iphdr cimport parse_packet, pseudo_sum, put_ip_sum
from _fast.join cimport JOIN_PLACES
from _fast.mail cimport mail_t, mail_take
from _fast.octets cimport get32, le16, put16, put32, put_sum, sum_octets
from _fast.plant cimport *
from _fast.radij cimport flow_from, radij_match, radij_new, radij_release
from _fast.rcv cimport rcv_open, rcv_take
from _fast.recv cimport recv_socket
from _fast.sadb cimport sadb_find
from _fast.segment cimport segment_init, segment_next, segmenter_t
from _fast.send cimport send_outbox
from _fast.sysio cimport *
from _fast.tally cimport tally_settle
from _fast.types cimport *
from _fast.xmit cimport eroute_install, eroute_uninstall, xmit_frame, xmit_read

cdef extern from "<sys/socket.h>" nogil:
    ssize_t recv(int fd, void *buf, size_t n, int flags)
    ssize_t sendmsg(int fd, const msghdr *m, int flags)

cdef enum:
    MOST_SAS = 32
    MOST_PIECES = 48
    FIRST_SPI = 0x1000

cdef worker_t *w = NULL
cdef sa_t *sa_in[MOST_SAS]
cdef sa_t *sa_out[MOST_SAS]
cdef uint32_t sas = 0
cdef int host_fd[2]
cdef int peer_fd
cdef int raw_fd
cdef int peer6_fd
cdef uint8_t remote[28]        # where the peer's datagrams come from
cdef uint8_t to_udp[28]
cdef uint8_t to_raw[28]
cdef uint8_t to_udp6[28]
cdef const char *complaint = ""
cdef uint8_t scratch[70000]
cdef uint8_t again[70000]
cdef eroute_t installed[400]


cdef int fail(const char *why) noexcept nogil:
    global complaint
    complaint = why
    return 1


# --- accounting ---------------------------------------------------------------------------------------------------

cdef uint64_t dropped() noexcept nogil:
    cdef uint64_t total = 0
    cdef int i
    for i in range(DROP_KINDS):
        total += w.drops[i]
    return total


cdef uint64_t delivered() noexcept nogil:
    return w.to_host[0] + w.to_host[1]


cdef uint64_t kept() noexcept nogil:
    # Pieces of datagrams that came out of SAs and are not whole yet.
    cdef uint64_t total = 0
    cdef int i
    if w.joins[1] != NULL:
        for i in range(JOIN_PLACES + 1):
            if w.joins[1].places[i].began:
                total += w.joins[1].places[i].count
    return total


cdef uint64_t made() noexcept nogil:
    # Pieces of those that became whole: what came of them is one packet or more, delivered or dropped.
    return w.joins[1].made if w.joins[1] != NULL else 0


cdef void begin() noexcept nogil:
    # A second later each time, so that rate limits start anew.
    w.now += 1000000000


cdef void take_events() noexcept nogil:
    cdef mail_t *m = mail_take(&w.engine.mail)
    while m:
        free(m)
        m = mail_take(&w.engine.mail)


cdef void settle() noexcept nogil:
    # Undo what an input has left: events, and the holds that its packets made.
    cdef eroute_t *h
    cdef eroute_t *after
    cdef held_t *x
    take_events()
    h = w.engine.hold.eroutes
    while h:
        after = h.next_hold
        x = hold_take(&w.engine.hold, h)
        while x:
            hold_drop(x)
            x = hold_take(&w.engine.hold, h)
        if h.trap_cookie:
            eroute_uninstall(w, h)
        h = after
    tally_settle(w)
    epoch_leave(&w.engine.epoch, w.index)
    epoch_reclaim(&w.engine.epoch)


cdef int frame_right(const uint8_t *frame, uint32_t length) noexcept nogil:
    # What a kernel demands of a frame with a vnet header (linux/virtio_net.h, virtio_net_hdr_to_skb).
    cdef packet_info_t info
    cdef uint32_t start, offset, head, size, type
    if length < VNET_LEN + 20:
        return fail("a frame too short for a packet went into the TUN")
    if parse_packet(frame + VNET_LEN, length - VNET_LEN, &info) != PASSED:
        return fail("a packet that does not parse went into the TUN")
    if info.length != length - VNET_LEN:
        return fail("a frame into the TUN is longer than its packet")
    type = frame[1] & 0x7F
    head, size, start, offset = le16(frame + 2), le16(frame + 4), le16(frame + 6), le16(frame + 8)
    if frame[0] & 1 and (start < info.l4 or start + offset + 2 > info.length):
        return fail("a checksum is asked for outside the packet")
    if type == 0:
        return 0
    if not frame[0] & 1:
        return fail("a super-packet without a checksum request")
    if size == 0 or head < start or head >= info.length or info.fragmented:
        return fail("a super-packet with impossible sizes")
    if type == 5:
        if info.flow.proto != 17 or offset != 6 or head != start + 8 or (info.length - head + size - 1) // size > 128:
            return fail("a USO super-packet the kernel would refuse")
    elif type == 1 or type == 4:
        if info.flow.proto != 6 or offset != 16 or (type == 1) != (info.flow.version == 4):
            return fail("a TSO super-packet the kernel would refuse")
    else:
        return fail("an unknown kind of super-packet")
    return 0


cdef int drain_hosts() noexcept nogil:
    cdef ssize_t n
    cdef int i, bad = 0
    for i in range(2):
        while True:
            n = recv(host_fd[i], scratch, sizeof(scratch), MSG_DONTWAIT)
            if n < 0:
                break
            bad |= frame_right(scratch, <uint32_t>n)
    return bad


cdef void drain_hosts_silently() noexcept nogil:
    cdef int i
    for i in range(2):
        while recv(host_fd[i], scratch, sizeof(scratch), MSG_DONTWAIT) >= 0:
            pass


cdef int drain_wire() noexcept nogil:
    # Every ESP packet on the wire must open with the other end's key and hold a packet that parses.
    cdef ssize_t n
    cdef esp_job_t job
    cdef uint32_t which, inner = 0
    cdef uint8_t next_header = 0
    cdef packet_info_t info
    cdef int bad = 0
    cdef sa_t *sa
    while True:
        n = recv(peer_fd, scratch, sizeof(scratch), MSG_DONTWAIT)
        if n < 0:
            break
        which = get32(scratch) - FIRST_SPI
        if n < 8 or which >= sas:
            bad |= fail("something that is no packet of ours on the wire")
            continue
        sa = sa_in[which]
        job.data = scratch
        job.length = <uint32_t>n
        job.sequence = get32(scratch + 4)
        if sa.esn and <uint32_t>sa_out[which].sequence < <uint32_t>job.sequence:
            job.sequence |= ((sa_out[which].sequence >> 32) - 1) << 32
        elif sa.esn:
            job.sequence |= sa_out[which].sequence >> 32 << 32
        if not esp_plausible(sa.key, job.length):
            bad |= fail("an ESP packet of impossible length on the wire")
            continue
        key_open(&w.crypt, sa.key, &job, 1)
        if not job.ok:
            bad |= fail("an ESP packet on the wire does not authenticate")
            continue
        if esp_strip(sa.key, scratch, job.length, &inner, &next_header) != PASSED:
            bad |= fail("an ESP packet on the wire has wrong padding")
            continue
        if next_header == 59:
            continue
        if next_header == 4 or next_header == 41:
            if parse_packet(scratch + 8 + sa.key.iv_len, inner, &info) != PASSED:
                bad |= fail("an ESP packet on the wire holds no packet")
    return bad


# --- pieces -------------------------------------------------------------------------------------------------------

cdef struct piece_t:
    uint8_t control
    uint32_t length
    const uint8_t *data


cdef bint next_piece(const uint8_t **at, size_t *left, piece_t *p) noexcept nogil:
    cdef uint32_t n
    if left[0] < 3:
        return False
    p.control = at[0][0]
    n = le16(at[0] + 1)
    at[0] += 3
    left[0] -= 3
    p.length = n if n < left[0] else <uint32_t>left[0]
    p.data = at[0]
    at[0] += p.length
    left[0] -= p.length
    return True


# --- the way out --------------------------------------------------------------------------------------------------

cdef int tun(const uint8_t *data, size_t size) noexcept nogil:
    # Frames of a device, vnet header first. Control: bit 0 the device, bit 1 a flush before it.
    cdef piece_t p
    cdef uint8_t *copy
    cdef int count = 0
    begin()
    while count < MOST_PIECES and next_piece(&data, &size, &p):
        copy = <uint8_t *>malloc(p.length + FRAME_SLACK)
        memcpy(copy, p.data, p.length)
        if p.control & 2:
            send_outbox(w)
        xmit_read(w, p.control & 1, copy, p.length)
        free(copy)
        count += 1
    send_outbox(w)
    if w.out_count or w.out_used:
        return fail("the outbox is not empty after its flush")
    settle()
    return drain_hosts() | drain_wire()


# --- the way in ---------------------------------------------------------------------------------------------------


cdef int inside(const uint8_t *data, size_t size) noexcept nogil:
    # Packets a valid peer sealed, whatever is in them. Control: bits 0-2 and 7 the SA; bits 3-4 the outer ECN field; bit 5:
    # the octets are the whole text, trailer too; bit 6: the number of the packet before again.
    cdef piece_t p
    cdef uint8_t *held[MOST_PIECES]
    cdef uint32_t count = 0, i, text, pad, total
    cdef sa_t *sa
    cdef esp_job_t job
    cdef uint8_t *at
    cdef uint64_t before = dropped() + delivered() + kept(), joined = made(), seen
    cdef int bad = 0
    begin()
    while count < MOST_PIECES and next_piece(&data, &size, &p):
        sa = sa_out[(p.control & 7 | p.control >> 4 & 8) % sas]
        if p.control & 0x20:
            text = (p.length + sa.key.align - 1) // sa.key.align * sa.key.align
            text = text if text else sa.key.align
        else:
            text = (p.length + 2 + sa.key.align - 1) // sa.key.align * sa.key.align
        total = 8 + sa.key.iv_len + text + sa.key.icv_len
        if total > 65507:
            break
        at = <uint8_t *>malloc(VNET_LEN + total)
        held[count] = at
        count += 1
        at += VNET_LEN
        memset(at, 0, total)
        if not p.control & 0x40:
            sa.sequence += 1
        job.data = at
        job.length = total
        job.sequence = sa.sequence
        put32(at, sa.spi)
        put32(at + 4, <uint32_t>job.sequence)
        for i in range(sa.key.iv_len):
            at[8 + i] = <uint8_t>(job.sequence >> 8 * (i & 7))
        memcpy(at + 8 + sa.key.iv_len, p.data, p.length)
        if not p.control & 0x20:
            pad = text - p.length - 2
            for i in range(pad):
                at[8 + sa.key.iv_len + p.length + i] = <uint8_t>(i + 1)
            at[8 + sa.key.iv_len + text - 2] = <uint8_t>pad
            at[8 + sa.key.iv_len + text - 1] = 41 if p.length and p.data[0] >> 4 == 6 else 4
        key_seal(&w.crypt, sa.key, &job, 1)
        if not job.ok:
            bad = fail("sealing failed")
        rcv_take(w, 0, remote, NULL, 0, at, total, p.control >> 3 & 3)
    rcv_open(w, 0)
    merge_flush(w)
    for i in range(count):
        free(held[i])
    settle()
    bad |= drain_hosts()
    seen = dropped() + delivered() + kept() - before
    joined = made() - joined
    if seen != count if joined == 0 else seen + joined <= count or seen > count + joined:
        bad |= fail("packets were neither delivered nor dropped for a named reason")
    return bad


cdef int send_datagram(int fd, const uint8_t *to, uint32_t to_len, const uint8_t *data, uint32_t length,
                       uint16_t segment) noexcept nogil:
    cdef msghdr m
    cdef iovec iov
    cdef uint8_t control[64]
    cdef cmsghdr *c
    memset(&m, 0, sizeof(m))
    memset(control, 0, sizeof(control))
    iov.iov_base = <void *>data
    iov.iov_len = length
    m.msg_name = <void *>to
    m.msg_namelen = to_len
    m.msg_iov = &iov
    m.msg_iovlen = 1
    if segment and length > segment and length <= segment * 64:
        m.msg_control = control
        m.msg_controllen = CMSG_SPACE(2)
        c = CMSG_FIRSTHDR(&m)
        c.cmsg_level = SOL_UDP
        c.cmsg_type = UDP_SEGMENT
        c.cmsg_len = CMSG_LEN(2)
        memcpy(CMSG_DATA(c), &segment, 2)
    return <int>sendmsg(fd, &m, MSG_DONTWAIT)


cdef int wire(const uint8_t *data, size_t size) noexcept nogil:
    # Datagrams as strangers send them, through the kernel. Control: bits 0-1 UDP over IPv4, raw, UDP over IPv6, UDP
    # over IPv4 cut by UDP_GRO (its first two octets are the segment's size); bit 7: SPI and a fresh number are put in.
    cdef piece_t p
    cdef uint8_t *copy
    cdef uint32_t kind
    cdef int count = 0, bad = 0
    begin()
    while count < MOST_PIECES and next_piece(&data, &size, &p):
        kind = p.control & 3
        copy = <uint8_t *>malloc(p.length if p.length else 1)
        memcpy(copy, p.data, p.length)
        if p.control & 0x80 and kind != 1 and p.length >= 8:
            put32(copy, FIRST_SPI + (p.control >> 2 & 7) % sas)
            put32(copy + 4, 0x7F000000)
        if kind == 1:
            send_datagram(peer_fd, to_raw, 16, copy, p.length, 0)
        elif kind == 2:
            send_datagram(peer6_fd, to_udp6, 28, copy, p.length, 0)
        elif kind == 3 and p.length > 2:
            send_datagram(peer_fd, to_udp, 16, copy + 2, p.length - 2, le16(copy))
        else:
            send_datagram(peer_fd, to_udp, 16, copy, p.length, 0)
        free(copy)
        count += 1
    for kind in range(3):
        recv_socket(w, <int32_t>kind)
    if w.came_count or w.merges:
        bad = fail("packets are left behind after a visit to a socket")
    settle()
    return bad | drain_hosts()


cdef int intake(const uint8_t *data, size_t size) noexcept nogil:
    # Packets as a packet ring holds them, each from its IP header on. Control: bit 0: what the kernel's filter looks at
    # and the checksum are put right; bits 2-4 and 7: the SPI of an SA and a fresh number are put in.
    cdef piece_t p
    cdef uint8_t *held[MOST_PIECES]
    cdef uint8_t *at
    cdef uint32_t count = 0, i
    cdef int bad = 0
    begin()
    while count < MOST_PIECES and next_piece(&data, &size, &p):
        at = <uint8_t *>malloc(p.length if p.length else 1)
        held[count] = at
        count += 1
        memcpy(at, p.data, p.length)
        if p.control & 1 and p.length >= 28:
            at[0] = 0x45
            put16(at + 2, <uint16_t>p.length)
            put16(at + 6, 0x4000)
            at[9] = 50
            memcpy(at + 16, w.engine.sockets[1].local, 4)
            if p.control & 0x80:
                put32(at + 20, FIRST_SPI + (p.control >> 2 & 7) % sas)
                put32(at + 24, 0x7F000000)
            put_ip_sum(at)
        intake_take(w, at, p.length)
    rcv_open(w, w.endpoint)
    merge_flush(w)
    if w.came_count or w.merges:
        bad = fail("packets of a ring are left behind")
    for i in range(count):
        free(held[i])
    settle()
    return bad | drain_hosts()


# --- super-packets ------------------------------------------------------------------------------------------------

cdef bint equal(const uint8_t *a, const uint8_t *b, uint32_t n) noexcept nogil:
    # The identification of a packet that must not be fragmented means nothing (RFC 6864), so it may differ.
    cdef uint32_t i = 0
    if a[0] >> 4 == 4 and a[6] & 0x40:
        return memcmp(a, b, 4) == 0 and memcmp(a + 6, b + 6, 4) == 0 and memcmp(a + 12, b + 12, n - 12) == 0
    return memcmp(a, b, n) == 0


cdef int merge(const uint8_t *data, size_t size) noexcept nogil:
    # Packets through the coalescer; what comes out, cut again, is what went in, in order for each flow.
    # Control: bit 0 the device, bit 1 mend the checksums first.
    cdef piece_t p
    cdef uint8_t *held[MOST_PIECES]
    cdef uint8_t *was[MOST_PIECES]
    cdef packet_info_t info[MOST_PIECES]
    cdef packet_info_t whole, got
    cdef uint32_t device[MOST_PIECES]
    cdef uint32_t count = 0, i, n, l4
    cdef uint8_t *at
    cdef segmenter_t s
    cdef ssize_t read
    cdef int bad = 0, d
    cdef bint found
    begin()
    while count < MOST_PIECES and next_piece(&data, &size, &p):
        at = <uint8_t *>malloc(VNET_LEN + p.length)
        memcpy(at + VNET_LEN, p.data, p.length)
        if parse_packet(at + VNET_LEN, p.length, &info[count]) != PASSED:
            free(at)
            continue
        held[count] = at
        at += VNET_LEN
        n, l4 = info[count].length, info[count].l4
        if p.control & 2 and not info[count].fragmented:
            if info[count].flow.version == 4:
                put_ip_sum(at)
            if info[count].flow.proto == 17 and n >= l4 + 8:
                put16(at + l4 + 4, <uint16_t>(n - l4))
                at[l4 + 6] = at[l4 + 7] = 0
                put_sum(at + l4 + 6, sum_octets(pseudo_sum(at, 17, n - l4), at + l4, n - l4))
                if at[l4 + 6] | at[l4 + 7] == 0:
                    at[l4 + 6] = at[l4 + 7] = 0xFF
            elif info[count].flow.proto == 6 and n >= l4 + 20:
                at[l4 + 16] = at[l4 + 17] = 0
                put_sum(at + l4 + 16, sum_octets(pseudo_sum(at, 6, n - l4), at + l4, n - l4))
        device[count] = p.control & 1
        was[count] = <uint8_t *>malloc(n)
        memcpy(was[count], at, n)
        count += 1
        merge_put(w, p.control & 1, at, &info[count - 1])
    merge_flush(w)
    for d in range(2):
        while not bad:
            read = recv(host_fd[d], scratch, sizeof(scratch), MSG_DONTWAIT)
            if read < 0:
                break
            bad = frame_right(scratch, <uint32_t>read)
            if bad:
                break
            parse_packet(scratch + VNET_LEN, <uint32_t>read - VNET_LEN, &whole)
            if segment_init(&s, scratch, <uint32_t>read, &whole, 0) != PASSED:
                bad = fail("a frame into the TUN cannot be cut again")
                break
            while True:
                n = segment_next(&s, again)
                if n == 0:
                    break
                parse_packet(again, n, &got)
                found = False
                for i in range(count):
                    if was[i] == NULL or device[i] != <uint32_t>d or memcmp(
                            &info[i].flow, &got.flow, sizeof(flow_t)):
                        continue
                    # The first of this flow that has not come out yet must be the one.
                    found = info[i].length == n and equal(was[i], again, n)
                    free(was[i])
                    was[i] = NULL
                    break
                if not found:
                    bad = fail("what came out is not what went in, or overtook it")
                    break
    for i in range(count):
        if was[i]:
            if not bad:
                bad = fail("a packet went into the coalescer and never came out")
            free(was[i])
        free(held[i])
    if bad:
        drain_hosts_silently()
    return bad


# --- policy that changes under packets ----------------------------------------------------------------------------

cdef int policy(const uint8_t *data, size_t size) noexcept nogil:
    # Steps of 4 octets: what, source host and protocol, destination host, parameter. Packets wait, are sent, dropped
    # or refused; none is lost or counted twice, and in the end nothing is held.
    cdef eroute_t *e
    cdef eroute_t key
    cdef uint8_t frame[VNET_LEN + 40 + FRAME_SLACK]
    cdef uint8_t *ip = frame + VNET_LEN
    cdef uint64_t outcomes, packets = 0
    cdef uint32_t steps = 0, i, n
    cdef uint64_t mask[2]
    cdef int32_t actions[6]
    cdef uint32_t keys = 0
    cdef int bad = 0
    actions[0], actions[1], actions[2] = ACT_SA, ACT_DROP, ACT_REJECT
    actions[3], actions[4], actions[5] = ACT_HOLD, ACT_TRAP, ACT_PASS
    begin()
    outcomes = dropped() - w.drops[DROP_SEND_FAILED] + w.from_host[0]
    while size >= 4 and steps < 400:
        steps += 1
        if data[0] & 3 == 0:
            # An eroute inside 10.60.0.0/16 -> 10.61.0.0/16, of any length from the whole to one host.
            memset(&key, 0, sizeof(key))
            key.version = 4
            (<uint8_t *>key.src)[0], (<uint8_t *>key.src)[1], (<uint8_t *>key.src)[3] = 10, 60, data[1] & 15
            (<uint8_t *>key.dst)[0], (<uint8_t *>key.dst)[1], (<uint8_t *>key.dst)[3] = 10, 61, data[2] & 15
            key.srclen = 16 + data[1] % 17
            key.dstlen = 16 + data[2] % 17
            prefix_mask(mask, key.srclen)
            key.src[0] &= mask[0]
            key.src[1] &= mask[1]
            prefix_mask(mask, key.dstlen)
            key.dst[0] &= mask[0]
            key.dst[1] &= mask[1]
            key.proto = 6 if data[3] & 0x40 else 17 if data[3] & 0x80 else 0
            key.sport = 7 if key.proto and data[3] & 0x20 else 0
            key.action = actions[(data[3] & 15) % 6]
            if data[0] & 4:
                eroute_uninstall(w, &key)
            else:
                e = radij_new(&w.engine.radij)
                memcpy(e, &key, sizeof(key))
                e.cookie = w.engine.next_cookie
                w.engine.next_cookie += 1
                e.sa = sa_out[0]
                if eroute_install(w, e):
                    radij_release(e, &w.engine.radij)
                memcpy(&installed[keys], &key, sizeof(key))
                keys += 1
        else:
            memset(frame, 0, sizeof(frame))
            n = 40 if data[1] & 0x80 else 28
            ip[0], ip[3], ip[8], ip[9] = 0x45, <uint8_t>n, 64, 6 if n == 40 else 17
            ip[12], ip[13], ip[15] = 10, 60, data[1] & 15
            ip[16], ip[17], ip[19] = 10, 61, data[2] & 15
            ip[21], ip[23] = 7 if data[3] & 1 else 9, data[3] >> 4
            if n == 40:
                ip[32], ip[33] = 0x50, 2 if data[3] & 2 else 0x10
            put_ip_sum(ip)
            packets += 1
            xmit_frame(w, 0, frame, VNET_LEN + n)
        # A quiet point, as a worker has it.
        tally_settle(w)
        epoch_enter(&w.engine.epoch, w.index)
        epoch_reclaim(&w.engine.epoch)
        if data[0] & 0x40:
            take_events()
        data += 4
        size -= 4
    send_outbox(w)
    outcomes = dropped() - w.drops[DROP_SEND_FAILED] + w.from_host[0] - outcomes
    if outcomes + w.engine.hold.count != packets:
        bad = fail("a packet was lost, or counted twice, while policy changed")
    for i in range(keys):
        eroute_uninstall(w, &installed[i])
    settle()
    if w.engine.hold.count or w.engine.hold.octets or w.engine.hold.narrow:
        bad |= fail("something is held when no eroute holds")
    epoch_leave(&w.engine.epoch, w.index)
    epoch_reclaim(&w.engine.epoch)
    if w.engine.epoch.waiting:
        bad |= fail("something retired is never released")
    return bad | drain_hosts() | drain_wire()


# --- for Python ---------------------------------------------------------------------------------------------------

cdef void name_of(uint8_t *to, tuple address) except *:
    cdef bytes octets = address[0]
    memset(to, 0, 28)
    (<uint16_t *>to)[0] = <uint16_t>(AF_INET if len(octets) == 4 else AF_INET6)
    to[2], to[3] = address[1] >> 8, address[1] & 255
    memcpy(to + (4 if len(octets) == 4 else 8), <const uint8_t *>octets, len(octets))


def bind(object worker, int count, tuple hosts, int peer, int peer6, tuple addresses):
    """Use this worker, its `count` SAs, and the far ends of its descriptors; addresses of peer, UDP, raw, UDP on IPv6."""
    global w, sas, peer_fd, peer6_fd
    cdef flow_t f
    w = <worker_t *>PyCapsule_GetPointer(worker, "_fast.worker")
    sas = <uint32_t>count
    host_fd[0], host_fd[1] = hosts
    peer_fd, peer6_fd = peer, peer6
    name_of(remote, addresses[0])
    name_of(to_udp, addresses[1])
    name_of(to_raw, addresses[2])
    name_of(to_udp6, addresses[3])
    for n in range(count):
        sa_in[n] = sadb_find(&w.engine.sadb, 50, FIRST_SPI + n, NULL, 4)
        flow_from(&f, (4, bytes([10, 1, 0, 5]), bytes([10, 2 + n, 0, 7]), 17, 1, 2))
        sa_out[n] = <sa_t *>radij_match(&w.engine.radij, &f, True).sa
        if sa_in[n] == NULL or sa_out[n] == NULL:
            raise ValueError(f"SA {n} is not there")



TARGETS = {
    "tun": PyCapsule_New(<void *>tun, "fuzz", NULL),
    "inside": PyCapsule_New(<void *>inside, "fuzz", NULL),
    "wire": PyCapsule_New(<void *>wire, "fuzz", NULL),
    "intake": PyCapsule_New(<void *>intake, "fuzz", NULL),
    "merge": PyCapsule_New(<void *>merge, "fuzz", NULL),
    "policy": PyCapsule_New(<void *>policy, "fuzz", NULL),
}
COMPLAINT = PyCapsule_New(<void *>&complaint, "complaint", NULL)


def replay(object target, bytes data):
    """Run one input; answers what went wrong, empty for nothing."""
    cdef int (*run)(const uint8_t *, size_t) noexcept nogil
    cdef int bad
    run = <int (*)(const uint8_t *, size_t) noexcept nogil>PyCapsule_GetPointer(target, "fuzz")
    bad = run(data, len(data))
    return (<bytes>complaint).decode() if bad else ""
