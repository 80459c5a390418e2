# SPDX-License-Identifier: GPL-2.0-or-later
# The framing of one TCP stream (RFC 9329): octets in, messages out, and back.
from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    MOST_MESSAGE = 65533       # octets of one message without its length
    ESP_ROOM = 196608          # octets that wait to be sent, beyond which ESP is dropped; IKE has this much more:
    IKE_ROOM = 131072

# Why a stream has to end.
cdef enum:
    STREAM_FINE = 0
    STREAM_CLOSED = 1          # by the peer, or by the network
    STREAM_NO_PREFIX = 2       # it does not begin with IKETCP
    STREAM_BAD_LENGTH = 3      # a length of 0 or 1
    STREAM_NO_MEMORY = 4
    STREAM_SLOW = 5            # no whole message in time
    STREAM_UNUSED = 6          # no IKE SA has come of it

cdef struct reader_t:
    uint8_t prefix             # is still to come
    uint8_t head[6]            # what has come of the prefix, or of a length
    uint32_t head_used
    uint8_t *part              # a message that has not come whole; NULL: none
    uint32_t part_size
    uint32_t part_used

cdef struct writer_t:
    uint8_t *data              # ESP_ROOM + IKE_ROOM octets, while something waits
    uint32_t used
    uint32_t sent

ctypedef void (*taken_t)(void *context, const uint8_t *message, uint32_t length) noexcept nogil

cdef void reader_init(reader_t *r, bint prefix) noexcept nogil
cdef void reader_free(reader_t *r) noexcept nogil
# Take octets as they come; each message, once it is whole, is given to `taken`. STREAM_FINE, or why the stream must end.
cdef int reader_feed(reader_t *r, const uint8_t *data, size_t n, taken_t taken, void *context) noexcept nogil

cdef void writer_free(writer_t *w) noexcept nogil
# Add the prefix that the originator of a stream sends first.
cdef bint writer_prefix(writer_t *w) noexcept nogil
# Add a message of two parts, marker and content perhaps; False: there is no room. `urgent`: it is IKE.
cdef bint writer_put(writer_t *w, const uint8_t *first, uint32_t m, const uint8_t *rest, uint32_t n, bint urgent) noexcept nogil
# Send what waits: 1: the socket takes no more for now; 0: all gone; -1 with errno.
cdef int writer_flush(writer_t *w, int fd) noexcept nogil
