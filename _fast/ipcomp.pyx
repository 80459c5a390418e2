# SPDX-License-Identifier: GPL-2.0-or-later
"""IPComp (RFC 3173) with DEFLATE (RFC 2394): a packet's payload as one raw deflate stream of its own.

    +---------------+---------------+-------------------------------+
    |  Next Header  |   Flags (0)   |  Compression Parameter Index  |
    +---------------+---------------+-------------------------------+
    |            the payload, compressed, no zlib framing           |
    +---------------------------------------------------------------+
"""
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memset

from _fast.atomic cimport alloc_zeroed, wipe_free

cdef extern from "<zlib.h>" nogil:
    ctypedef struct z_stream:
        const uint8_t *next_in
        unsigned int avail_in
        uint8_t *next_out
        unsigned int avail_out
        unsigned long total_out
    enum:
        Z_OK, Z_STREAM_END, Z_FINISH, Z_DEFLATED, Z_BEST_SPEED, Z_DEFAULT_STRATEGY
    int deflateInit2(z_stream *z, int level, int method, int bits, int memory, int strategy)
    int deflateReset(z_stream *z)
    int deflate(z_stream *z, int flush)
    int deflateEnd(z_stream *z)
    int inflateInit2(z_stream *z, int bits)
    int inflateReset(z_stream *z)
    int inflate(z_stream *z, int flush)
    int inflateEnd(z_stream *z)

cdef enum:
    # Negative: no zlib header and trailer. Peers may have set aside no more than 2 KB of window, so ours looks back
    # no further; theirs may use all that deflate has.
    WINDOW_OUT = -11
    WINDOW_IN = -15
    MEMORY = 8

cdef struct squeeze_t:
    z_stream pack
    z_stream unpack


cdef squeeze_t *squeeze_new() noexcept nogil:
    cdef squeeze_t *z = <squeeze_t *>alloc_zeroed(sizeof(squeeze_t))
    if z == NULL:
        return NULL
    if deflateInit2(&z.pack, Z_BEST_SPEED, Z_DEFLATED, WINDOW_OUT, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK:
        wipe_free(z, sizeof(squeeze_t))
        return NULL
    if inflateInit2(&z.unpack, WINDOW_IN) != Z_OK:
        deflateEnd(&z.pack)
        wipe_free(z, sizeof(squeeze_t))
        return NULL
    return z


cdef void squeeze_free(squeeze_t *z) noexcept nogil:
    if z == NULL:
        return
    deflateEnd(&z.pack)
    inflateEnd(&z.unpack)
    wipe_free(z, sizeof(squeeze_t))


cdef uint32_t comp_pack(squeeze_t *z, const uint8_t *data, uint32_t n, uint8_t *out) noexcept nogil:
    if n <= COMP_LEN + 1 or deflateReset(&z.pack) != Z_OK:
        return 0
    z.pack.next_in = data
    z.pack.avail_in = n
    z.pack.next_out = out
    # It must win something, header included (RFC 3173 2.2); running out of room ends the work early. A stream that just
    # fills the room does not know that it has ended, hence the octet more.
    z.pack.avail_out = n - COMP_LEN
    if deflate(&z.pack, Z_FINISH) != Z_STREAM_END or z.pack.total_out + COMP_LEN >= n:
        return 0
    return <uint32_t>z.pack.total_out


cdef uint32_t comp_unpack(squeeze_t *z, const uint8_t *data, uint32_t n, uint8_t *out, uint32_t room) noexcept nogil:
    if inflateReset(&z.unpack) != Z_OK:
        return 0
    z.unpack.next_in = data
    z.unpack.avail_in = n
    z.unpack.next_out = out
    z.unpack.avail_out = room
    if inflate(&z.unpack, Z_FINISH) != Z_STREAM_END:
        return 0
    return <uint32_t>z.unpack.total_out


cdef class Squeeze:
    """The two streams, for tests; raced against klips.slow.ipcomp."""

    cdef squeeze_t *z

    def __cinit__(self):
        self.z = squeeze_new()
        if self.z == NULL:
            raise MemoryError

    def pack(self, bytes payload):
        """Compressed, or None when that does not make it shorter."""
        cdef bytearray out = bytearray(len(payload) + 16)
        cdef uint32_t n = comp_pack(self.z, payload, <uint32_t>len(payload), out)
        return bytes(out[:n]) if n else None

    def unpack(self, bytes payload, uint32_t room=65535):
        """Inflated, or None when it is not a deflate stream of at most `room` octets."""
        cdef bytearray out = bytearray(room + 1)
        cdef uint32_t n = comp_unpack(self.z, payload, <uint32_t>len(payload), out, room)
        return bytes(out[:n]) if n else None

    def __dealloc__(self):
        squeeze_free(self.z)
