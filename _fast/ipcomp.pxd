# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    COMP_LEN = 4               # octets of the IPComp header
    COMP_LEAST = 90            # shorter payloads are not worth a try (RFC 2394 3.1)

# A worker's two streams; made once, reset for each packet.
cdef struct squeeze_t

# NULL without memory.
cdef squeeze_t *squeeze_new() noexcept nogil
cdef void squeeze_free(squeeze_t *z) noexcept nogil
# Compress data[0:n] into `out`. Its length, or 0 when with an IPComp header it would not be shorter than it was.
cdef uint32_t comp_pack(squeeze_t *z, const uint8_t *data, uint32_t n, uint8_t *out) noexcept nogil
# Inflate data[0:n] into at most `room` octets of `out`. Its length, or 0 when it is not one whole deflate stream or
# would be longer: no more than `room` octets are ever produced, whatever comes in.
cdef uint32_t comp_unpack(squeeze_t *z, const uint8_t *data, uint32_t n, uint8_t *out, uint32_t room) noexcept nogil
