# SPDX-License-Identifier: GPL-2.0-or-later
"""IPv6 outer packets in fragments of our own making.

The kernel cuts at the interface's MTU and nobody cuts IPv6 on the way (RFC 8200 5), so what is larger than the path and
must not be smaller (an inner packet of 1280 octets; anything until the path is known) is cut here:

    | IPv6 header | Fragment | UDP header, ESP ... |    | IPv6 header | Fragment | ... ESP |
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memset

from _fast.cipher cimport crypt_random
from _fast.fragment cimport fragment_init, fragment_largest, fragment_next, fragmenter_t
from _fast.iphdr cimport pseudo_sum
from _fast.numbers cimport ESP, UDP
from _fast.octets cimport put16, put32, put_sum, sum_octets
from _fast.plant cimport PIECES_OF_ONE, outgoing_t, worker_t
from _fast.sysio cimport AF_INET6, MSG_DONTWAIT, iovec, mmsghdr, sendmmsg
from _fast.types cimport *

cdef enum:
    HOPS = 64
    AT_ONCE = 32               # fragments of one system call


cdef uint32_t build(const outgoing_t *o, uint8_t *out) noexcept nogil:
    # The whole outer packet: what the kernel would have built.
    cdef uint32_t head = 48 if o.path.encap else 40
    cdef uint32_t length = head - 40 + o.length
    memset(out, 0, head)
    put32(out, <uint32_t>0x60000000 | <uint32_t>o.tos << 20)
    put16(out + 4, <uint16_t>length)
    out[6] = UDP if o.path.encap else ESP
    out[7] = HOPS
    memcpy(out + 8, o.path.local, 16)
    memcpy(out + 24, o.path.remote + 8, 16)
    memcpy(out + head, o.data, o.length)
    if o.path.encap:
        put16(out + 40, o.path.local_port)
        memcpy(out + 42, o.path.remote + 2, 2)
        put16(out + 44, <uint16_t>length)
        put_sum(out + 46, sum_octets(pseudo_sum(out, UDP, length), out + 40, length))
        if out[46] == 0 and out[47] == 0:
            out[46] = out[47] = 0xFF               # zero would mean none, which IPv6 does not know (RFC 8200 8.1)
    return 40 + length


cdef bint flush(worker_t *w, int fd, mmsghdr *messages, int count) noexcept nogil:
    cdef int done = 0, got
    while done < count:
        got = sendmmsg(fd, messages + done, <unsigned int>(count - done), MSG_DONTWAIT)
        if got <= 0:
            return False
        done += got
    return True


cdef bint outer_send_cut(worker_t *w, const outgoing_t *o) noexcept nogil:
    cdef fragmenter_t f
    cdef mmsghdr messages[32]
    cdef iovec iov[32]
    cdef uint8_t to[28]
    cdef uint8_t id[4]
    cdef uint8_t *at = w.pieces
    cdef uint8_t *whole = w.pieces + PIECES_OF_ONE
    cdef uint32_t length, n
    cdef int fd = w.engine.pass_fd[1]
    cdef int count = 0
    cdef bint sent = True
    if fd < 0 or o.length + 48 > MAX_PACKET:
        return False
    length = build(o, whole)
    # Not to be guessed, or a stranger could push pieces of his own between ours (RFC 7739).
    if not crypt_random(&w.crypt, id, 4):
        return False
    if fragment_init(&f, whole, length, o.path.cut, (<uint32_t *>id)[0]) != PASSED:
        return False
    memset(to, 0, 28)
    (<uint16_t *>to)[0] = AF_INET6
    memcpy(to + 8, o.path.remote + 8, 16)
    memset(messages, 0, sizeof(messages))
    while True:
        if count == AT_ONCE:
            sent = flush(w, fd, messages, count) and sent
            count = 0
            at = w.pieces
        n = fragment_next(&f, at)
        if n == 0:
            break
        iov[count].iov_base = at
        iov[count].iov_len = n
        messages[count].msg_hdr.msg_name = to
        messages[count].msg_hdr.msg_namelen = 28
        messages[count].msg_hdr.msg_iov = &iov[count]
        messages[count].msg_hdr.msg_iovlen = 1
        at += n
        count += 1
    sent = flush(w, fd, messages, count) and sent
    if not sent:
        # Its other pieces are of no use: one packet is lost, as on any full queue.
        w.drops[DROP_SEND_FAILED] += 1
    return True


def fragments(bytes sealed, bytes local, int port, bytes remote, int remote_port, bint encap, int tos, uint32_t cut,
              uint32_t ident):
    """The fragments of an ESP packet, as they would leave for an IPv6 address; None when it need not be cut."""
    cdef outgoing_t o
    cdef path_t path
    cdef sa_t sa
    cdef fragmenter_t f
    cdef bytearray whole = bytearray(len(sealed) + 48)
    cdef bytearray out
    cdef uint32_t n
    memset(&o, 0, sizeof(o))
    memset(&path, 0, sizeof(path))
    memcpy(path.local, <const uint8_t *>local, 16)
    memcpy(path.remote + 8, <const uint8_t *>remote, 16)
    put16(path.remote + 2, <uint16_t>remote_port)
    path.local_port = <uint16_t>port
    path.encap = encap
    path.cut = cut
    o.sa = &sa
    o.path = &path
    o.data = sealed
    o.length = <uint32_t>len(sealed)
    o.tos = <uint8_t>tos
    if not outer_too_big(&o):
        return None
    n = build(&o, whole)
    if fragment_init(&f, whole, n, cut, ident) != PASSED:
        raise ValueError("cut")
    pieces = []
    while True:
        out = bytearray(fragment_largest(&f))
        n = fragment_next(&f, out)
        if n == 0:
            return pieces
        pieces.append(bytes(out[:n]))
