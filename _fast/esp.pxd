# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from _fast.cipher cimport crypt_key_t, crypt_t
from _fast.types cimport DROP_BAD_PADDING, PASSED

# Alignments are powers of two. Octets an ESP packet needs for `inner` octets of payload.
cdef inline uint32_t esp_length(const crypt_key_t *k, uint32_t inner) noexcept nogil:
    return 8 + k.iv_len + ((inner + 2 + k.align - 1) & ~<uint32_t>(k.align - 1)) + k.icv_len

# Largest payload whose ESP packet has at most `room` octets; 0 when none fits.
cdef uint32_t esp_payload(const crypt_key_t *k, uint32_t room) noexcept nogil

# Write header, IV and trailer round the payload that stands at data + 8 + iv_len. Answers the packet's length, or 0
# when there are no unpredictable octets for a CBC IV.
cdef uint32_t esp_frame(crypt_t *c, const crypt_key_t *k, uint8_t *data, uint32_t inner, uint8_t next_header,
                        uint32_t spi, uint64_t sequence) noexcept nogil

# Could this be an ESP packet for this key: long enough and a whole number of blocks (RFC 4303 2)?
cdef inline bint esp_plausible(const crypt_key_t *k, uint32_t length) noexcept nogil:
    cdef uint32_t fixed = 8 + k.iv_len + k.icv_len
    return length >= fixed + k.align and length <= 65535 and (length - fixed) & (k.align - 1) == 0

# After decryption: check padding and pad length, give payload length and next header. 0 or a drop reason.
cdef inline int esp_strip(const crypt_key_t *k, const uint8_t *data, uint32_t length, uint32_t *inner,
                          uint8_t *next_header) noexcept nogil:
    cdef uint32_t text = length - 8 - k.iv_len - k.icv_len
    cdef const uint8_t *at = data + 8 + k.iv_len
    cdef uint32_t pad = at[text - 2]
    cdef uint32_t i
    if pad + 2 > text:
        return DROP_BAD_PADDING
    for i in range(pad):
        if at[text - 2 - pad + i] != i + 1:
            return DROP_BAD_PADDING
    inner[0] = text - 2 - pad
    next_header[0] = at[text - 1]
    return PASSED
