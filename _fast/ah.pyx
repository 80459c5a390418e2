# SPDX-License-Identifier: GPL-2.0-or-later
"""The Authentication Header (RFC 4302), in place in a whole IP packet, no system call.

     0                   1                   2                   3
    +---------------+---------------+-------------------------------+
    |  Next Header  |  Payload Len  |          RESERVED             |
    +---------------------------------------------------------------+
    |               Security Parameters Index (SPI)                 |
    +---------------------------------------------------------------+
    |                    Sequence Number Field                      |
    +---------------------------------------------------------------+
    |  Integrity Check Value, with AES-GMAC its IV before it; zeros |
    +---------------------------------------------------------------+

Covered: the IP header with what may change on the way as zeros, the AH with its ICV as zeros, the rest of the packet,
and with ESN the upper half of the sequence number.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from _fast.atomic cimport differ
from _fast.cipher cimport crypt_close, crypt_open, key_free, key_iv, key_mac, key_new
from _fast.crypt cimport crypt_key_t, crypt_t
from _fast.cipher import INTEGS, PROVIDERS
from _fast.iphdr cimport parse_packet
from _fast.numbers cimport AH
from _fast.octets cimport get32, put32, put64
from _fast.suite cimport CIPHER_NULL
from _fast.types cimport DROP_AUTH_FAILED, DROP_MALFORMED, DROP_NO_MEMORY, PASSED, packet_info_t
from _fast.wrap cimport MOST_FRONT, packed_t, wrap_close, wrap_grow, wrap_next, wrap_shrink, wrap_split



cdef uint32_t ah_length(const crypt_key_t *k, uint8_t version) noexcept nogil:
    cdef uint32_t n = AH_FIXED + k.iv_len + k.icv_len
    return (n + 3) & ~<uint32_t>3 if version == 4 else (n + 7) & ~<uint32_t>7


cdef bint ah_plausible(const crypt_key_t *k, const uint8_t *ah, uint32_t left, uint8_t version) noexcept nogil:
    cdef uint32_t n
    if left < AH_FIXED:
        return False
    n = (<uint32_t>ah[1] + 2) * 4
    # Some peers align to 8 octets over IPv4 too; what they add is covered as it came.
    return n <= left and (n == ah_length(k, version) or n == ah_length(k, 6))


cdef int mask4(uint8_t *ip, uint32_t head) noexcept nogil:
    # RFC 4302 3.3.3.1.1 and A1. A mutable option is zeros from its type on.
    cdef uint32_t at = 20, n
    cdef uint8_t kind
    ip[1] = ip[6] = ip[7] = ip[8] = ip[10] = ip[11] = 0
    while at < head:
        kind = ip[at]
        if kind == 0:
            return PASSED
        if kind == 1:
            at += 1
            continue
        n = ip[at + 1] if at + 1 < head else 0
        if n < 2 or at + n > head:
            return DROP_MALFORMED
        if kind == 131 or kind == 137:
            # Loose and strict source routes: while one has hops left the destination is another than here.
            if n < 3 or (ip[at + 2] <= n):
                return DROP_MALFORMED
        # Basic, extended and commercial security, router alert, sender directed delivery stay as they are.
        if kind not in (130, 133, 134, 148, 149):
            memset(ip + at, 0, n)
        at += n
    return PASSED


cdef int mask6_options(uint8_t *from_, uint32_t length) noexcept nogil:
    # RFC 8200 4.2: the third bit of an option's type says whether its data may change.
    cdef uint32_t at = 2, n
    while at < length:
        if from_[at] == 0:
            at += 1
            continue
        if at + 2 > length or at + 2 + from_[at + 1] > length:
            return DROP_MALFORMED
        n = from_[at + 1]
        if from_[at] & 0x20:
            memset(from_ + at + 2, 0, n)
        at += 2 + n
    return PASSED


cdef int mask6(uint8_t *ip, uint32_t head) noexcept nogil:
    # RFC 4302 3.3.3.1.2 and A2. wrap_split has measured the headers.
    cdef uint32_t at = 40, n
    cdef uint8_t kind = ip[6], after
    cdef int why
    ip[0] = 0x60
    ip[1] = ip[2] = ip[3] = ip[7] = 0
    while at < head:
        n = (<uint32_t>ip[at + 1] + 1) * 8
        after = ip[at]
        if kind == 43:
            # With hops left the destination and this header's addresses are others at the end of the way.
            if ip[at + 3]:
                return DROP_MALFORMED
        else:
            why = mask6_options(ip + at, n)
            if why:
                return why
        kind = after
        at += n
    return PASSED


cdef int cover(crypt_t *c, crypt_key_t *k, packed_t *p, uint64_t sequence, uint8_t *tag) noexcept nogil:
    # The tag over the packet, whose AH's ICV holds zeros; header and all are put back.
    cdef uint8_t front[512]
    cdef uint8_t iv[8]
    cdef uint8_t *ah = p.at + p.head
    cdef uint32_t n = p.length
    cdef int why
    if p.head > MOST_FRONT:
        return DROP_MALFORMED
    memcpy(front, p.at, p.head)
    why = mask4(p.at, p.head) if p.version == 4 else mask6(p.at, p.head)
    if why == PASSED:
        if k.esn:
            put32(p.at + n, <uint32_t>(sequence >> 32))
            n += 4
        memcpy(iv, ah + AH_FIXED, 8)
        memset(ah + AH_FIXED, 0, k.iv_len)
        if not key_mac(c, k, p.at, n, iv, tag):
            why = DROP_NO_MEMORY
        memcpy(ah + AH_FIXED, iv, k.iv_len)
    memcpy(p.at, front, p.head)
    return why


cdef int ah_seal(crypt_t *c, crypt_key_t *k, packed_t *p, uint32_t spi, uint64_t sequence) noexcept nogil:
    cdef uint32_t n = ah_length(k, p.version)
    cdef uint8_t inside = wrap_next(p)
    cdef uint8_t tag[64]
    cdef uint8_t *ah
    cdef int why
    wrap_grow(p, n)
    ah = p.at + p.head
    memset(ah, 0, n)
    ah[0] = inside
    ah[1] = <uint8_t>(n // 4 - 2)
    put32(ah + 4, spi)
    put32(ah + 8, <uint32_t>sequence)
    if k.iv_len:
        put64(ah + AH_FIXED, key_iv(k, sequence))
    wrap_close(p, AH)
    why = cover(c, k, p, sequence, tag)
    if why == PASSED:
        memcpy(ah + AH_FIXED + k.iv_len, tag, k.icv_len)
    return why


cdef int ah_check(crypt_t *c, crypt_key_t *k, packed_t *p, uint64_t sequence) noexcept nogil:
    cdef uint8_t *icv = p.at + p.head + AH_FIXED + k.iv_len
    cdef uint8_t came[64]
    cdef uint8_t tag[64]
    cdef int why
    memcpy(came, icv, k.icv_len)
    memset(icv, 0, k.icv_len)
    why = cover(c, k, p, sequence, tag)
    memcpy(icv, came, k.icv_len)
    if why == PASSED and differ(tag, came, k.icv_len):
        why = DROP_AUTH_FAILED
    return why


cdef void ah_strip(packed_t *p) noexcept nogil:
    cdef uint8_t *ah = p.at + p.head
    cdef uint8_t inside = ah[0]
    wrap_shrink(p, (<uint32_t>ah[1] + 2) * 4)
    wrap_close(p, inside)


cdef class Ah:
    """One SA for tests: sign or check single packets; raced against klips.slow.ah.

    `integ` and `provider` are names of _fast.cipher; ValueError when the key does not fit.
    """

    cdef crypt_t c
    cdef crypt_key_t *k

    def __cinit__(self, str integ, bytes auth, bint esn=False, str provider="auto"):
        if crypt_open(&self.c, 0, PROVIDERS[provider]):
            raise ValueError("provider not available")
        self.k = key_new(&self.c, PROVIDERS[provider], CIPHER_NULL, b"", 0, INTEGS[integ], auth, <uint32_t>len(auth), esn)
        if self.k == NULL:
            raise ValueError("key does not fit the algorithm")

    def seal(self, uint32_t spi, uint64_t sequence, bytes packet):
        """(drop reason, the packet with an AH)."""
        cdef packed_t p
        cdef packet_info_t info
        cdef bytearray room = bytearray(256 + len(packet) + AH_SLACK)
        cdef int why = parse_packet(packet, <uint32_t>len(packet), &info)
        if why:
            return (why, b"")
        memcpy(<uint8_t *>room + 256, <const uint8_t *>packet, info.length)
        p.at = <uint8_t *>room + 256
        p.length = info.length
        p.version = info.flow.version
        why = wrap_split(&p)
        if why == PASSED:
            why = ah_seal(&self.c, self.k, &p, spi, sequence)
        if why:
            return (why, b"")
        return (PASSED, (<const uint8_t *>p.at)[:p.length])

    def open(self, bytes packet, uint64_t sequence=0):
        """(drop reason, the packet without its AH, sequence number). `sequence` gives the upper half with ESN."""
        cdef packed_t p
        cdef packet_info_t info
        cdef bytearray room = bytearray(256 + len(packet) + AH_SLACK)
        cdef uint64_t full
        cdef int why = parse_packet(packet, <uint32_t>len(packet), &info)
        if why:
            return (why, b"", 0)
        memcpy(<uint8_t *>room + 256, <const uint8_t *>packet, info.length)
        p.at = <uint8_t *>room + 256
        p.length = info.length
        p.version = info.flow.version
        why = wrap_split(&p)
        if why == PASSED and (wrap_next(&p) != AH or not ah_plausible(
                self.k, p.at + p.head, p.length - p.head, p.version)):
            why = DROP_MALFORMED
        if why:
            return (why, b"", 0)
        full = sequence >> 32 << 32 | get32(p.at + p.head + 8)
        why = ah_check(&self.c, self.k, &p, full)
        if why:
            return (why, b"", 0)
        ah_strip(&p)
        return (PASSED, (<const uint8_t *>p.at)[:p.length], full)

    def __dealloc__(self):
        key_free(self.k)
        crypt_close(&self.c)
