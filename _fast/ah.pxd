# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from _fast.crypt cimport crypt_key_t, crypt_t
from _fast.wrap cimport packed_t

cdef enum:
    AH_FIXED = 12              # octets before the ICV
    AH_SLACK = 8               # octets after a packet that the calculation needs for itself

# Octets of the AH that a key makes: a multiple of 4 with IPv4, of 8 with IPv6 (RFC 4302 2.6).
cdef uint32_t ah_length(const crypt_key_t *k, uint8_t version) noexcept nogil
# Could this be an AH for this key: `left` octets from it to the packet's end?
cdef bint ah_plausible(const crypt_key_t *k, const uint8_t *ah, uint32_t left, uint8_t version) noexcept nogil
# Put an AH into a packet that wrap_split has seen; ah_length octets before it are used. 0, DROP_MALFORMED for headers
# whose fate on the way cannot be foretold, DROP_NO_MEMORY. IPv4's ID must be one the kernel will not change.
cdef int ah_seal(crypt_t *c, crypt_key_t *k, packed_t *p, uint32_t spi, uint64_t sequence) noexcept nogil
# Check the AH that stands after the headers of a packet and is plausible. 0 or a drop reason; the packet is as it was.
cdef int ah_check(crypt_t *c, crypt_key_t *k, packed_t *p, uint64_t sequence) noexcept nogil
# Take it out.
cdef void ah_strip(packed_t *p) noexcept nogil
