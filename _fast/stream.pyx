# SPDX-License-Identifier: GPL-2.0-or-later
"""The framing of IKE and ESP in a TCP stream (RFC 9329 3, 4):

    | IKETCP | length | message | length | message | ...     the prefix once, and from who opened the connection alone

    length    2 octets, counts itself; 0 and 1 break the stream, 2 says nothing
    message   SPI ...             ESP
              0 0 0 0 | header... IKE, behind the non-ESP marker
              0xFF                a NAT keepalive, which nobody needs

Nothing is looked at before all of it is there, and what is not there yet is kept in no more octets than its length says.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove, memset

from _fast.octets cimport get16, put16
from _fast.sysio cimport EAGAIN, EINTR, MSG_DONTWAIT, MSG_NOSIGNAL, errno, send, ssize_t

cdef enum:
    LENGTH = 2
    PREFIX = 6

cdef const uint8_t *IKETCP = b"IKETCP"


# --- in -----------------------------------------------------------------------------------------------------------

cdef void reader_init(reader_t *r, bint prefix) noexcept nogil:
    memset(r, 0, sizeof(reader_t))
    r.prefix = prefix


cdef void reader_free(reader_t *r) noexcept nogil:
    free(r.part)
    r.part = NULL


cdef int reader_feed(reader_t *r, const uint8_t *data, size_t n, taken_t taken, void *context) noexcept nogil:
    cdef uint32_t size, some
    while n:
        if r.prefix:
            if data[0] != IKETCP[r.head_used]:
                return STREAM_NO_PREFIX
            data += 1
            n -= 1
            r.head_used += 1
            if r.head_used == PREFIX:
                r.prefix = r.head_used = 0
            continue
        if r.part == NULL:
            r.head[r.head_used] = data[0]
            data += 1
            n -= 1
            r.head_used += 1
            if r.head_used < LENGTH:
                continue
            size = get16(r.head)
            if size < LENGTH:
                return STREAM_BAD_LENGTH
            size -= LENGTH
            r.head_used = 0
            if n >= size:
                if size:
                    taken(context, data, size)
                data += size
                n -= size
                continue
            r.part = <uint8_t *>malloc(size)
            if r.part == NULL:
                return STREAM_NO_MEMORY
            r.part_size = size
            r.part_used = 0
            continue
        some = r.part_size - r.part_used
        if some > n:
            some = <uint32_t>n
        memcpy(r.part + r.part_used, data, some)
        r.part_used += some
        data += some
        n -= some
        if r.part_used == r.part_size:
            taken(context, r.part, r.part_size)
            reader_free(r)
    return STREAM_FINE


# --- out ----------------------------------------------------------------------------------------------------------

cdef void writer_free(writer_t *w) noexcept nogil:
    free(w.data)
    memset(w, 0, sizeof(writer_t))


cdef uint8_t *room_for(writer_t *w, uint32_t octets, uint32_t most) noexcept nogil:
    # Where so many octets go, or NULL.
    if w.used - w.sent + octets > most:
        return NULL
    if w.data == NULL:
        w.data = <uint8_t *>malloc(ESP_ROOM + IKE_ROOM)
        if w.data == NULL:
            return NULL
    if w.used + octets > ESP_ROOM + IKE_ROOM:
        memmove(w.data, w.data + w.sent, w.used - w.sent)
        w.used -= w.sent
        w.sent = 0
    w.used += octets
    return w.data + w.used - octets


cdef bint writer_prefix(writer_t *w) noexcept nogil:
    cdef uint8_t *at = room_for(w, PREFIX, ESP_ROOM)
    if at == NULL:
        return False
    memcpy(at, IKETCP, PREFIX)
    return True


cdef bint writer_put(writer_t *w, const uint8_t *first, uint32_t m, const uint8_t *rest, uint32_t n, bint urgent) noexcept nogil:
    cdef uint8_t *at = NULL
    if n <= MOST_MESSAGE and m + n <= MOST_MESSAGE:
        at = room_for(w, LENGTH + m + n, ESP_ROOM + IKE_ROOM if urgent else ESP_ROOM)
    if at == NULL:
        return False
    put16(at, <uint16_t>(LENGTH + m + n))
    if m:
        memcpy(at + LENGTH, first, m)
    memcpy(at + LENGTH + m, rest, n)
    return True


cdef int writer_flush(writer_t *w, int fd) noexcept nogil:
    cdef ssize_t sent
    while w.sent < w.used:
        sent = send(fd, w.data + w.sent, w.used - w.sent, MSG_DONTWAIT | MSG_NOSIGNAL)
        if sent < 0:
            if errno == EINTR:
                continue
            return 1 if errno == EAGAIN else -1
        w.sent += <uint32_t>sent
    writer_free(w)
    return 0


# --- for tests ----------------------------------------------------------------------------------------------------

cdef void collect(void *context, const uint8_t *message, uint32_t length) noexcept nogil:
    with gil:
        (<list>context).append(message[:length])


cdef class Reader:
    """The receiving side of a stream, for tests."""

    cdef reader_t reader

    def __cinit__(self, bint prefix):
        reader_init(&self.reader, prefix)

    def __dealloc__(self):
        reader_free(&self.reader)

    def feed(self, bytes data):
        """(why it must end or 0, the messages that are whole now, octets kept)."""
        found = []
        why = reader_feed(&self.reader, data, <size_t>len(data), collect, <void *>found)
        return why, found, self.reader.part_size if self.reader.part else 0


cdef class Writer:
    """The sending side, for tests."""

    cdef writer_t writer

    def __dealloc__(self):
        writer_free(&self.writer)

    def prefix(self):
        """Begin a stream."""
        return writer_prefix(&self.writer)

    def put(self, bytes first, bytes rest, bint urgent):
        """False: no room."""
        return writer_put(&self.writer, first, <uint32_t>len(first), rest, <uint32_t>len(rest), urgent)

    def flush(self, int fd):
        """As writer_flush."""
        return writer_flush(&self.writer, fd)

    def waiting(self):
        """Octets that wait."""
        return self.writer.used - self.writer.sent
