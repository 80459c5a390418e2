# SPDX-License-Identifier: GPL-2.0-or-later
# Octets and checksums, inline. Callers have tested the length before they pass a pointer.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from * nogil:
    """
    #include <stdint.h>
    #include <string.h>
    static inline uint16_t ow_get16(const void *p) { uint16_t v; memcpy(&v, p, 2); return __builtin_bswap16(v); }
    static inline uint32_t ow_get32(const void *p) { uint32_t v; memcpy(&v, p, 4); return __builtin_bswap32(v); }
    static inline uint64_t ow_get64(const void *p) { uint64_t v; memcpy(&v, p, 8); return __builtin_bswap64(v); }
    static inline void ow_put16(void *p, uint16_t v) { v = __builtin_bswap16(v); memcpy(p, &v, 2); }
    static inline void ow_put32(void *p, uint32_t v) { v = __builtin_bswap32(v); memcpy(p, &v, 4); }
    static inline void ow_put64(void *p, uint64_t v) { v = __builtin_bswap64(v); memcpy(p, &v, 8); }
    static inline uint16_t ow_le16(const void *p) { uint16_t v; memcpy(&v, p, 2); return v; }
    static inline void ow_putle16(void *p, uint16_t v) { memcpy(p, &v, 2); }
    #if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error "the packet engine is written for little-endian machines"
    #endif
    /* One's-complement sum (RFC 1071) of n octets in the machine's own order. Summing 32-bit words into 64 bits
       cannot overflow for any packet, and lets the compiler use vectors. */
    static inline uint64_t ow_sum(uint64_t acc, const void *at, size_t n) {
        const uint8_t *p = (const uint8_t *)at;
        size_t i, words = n / 4;
        uint64_t a = 0;
        for (i = 0; i < words; i++) { uint32_t v; memcpy(&v, p + 4 * i, 4); a += v; }
        if (n & 3) { uint32_t v = 0; memcpy(&v, p + 4 * words, n & 3); a += v; }
        return acc + a;
    }
    static inline uint16_t ow_fold(uint64_t acc) {
        acc = (acc >> 32) + (acc & 0xffffffffu);
        acc = (acc >> 32) + (acc & 0xffffffffu);
        acc = (acc >> 16) + (acc & 0xffff);
        acc = (acc >> 16) + (acc & 0xffff);
        return (uint16_t)acc;
    }
    /* Store the checksum of what acc has summed up, already in network order. */
    static inline void ow_putsum(void *p, uint64_t acc) { uint16_t v = (uint16_t)~ow_fold(acc); memcpy(p, &v, 2); }
    """
    uint16_t get16 "ow_get16"(const void *p)
    uint32_t get32 "ow_get32"(const void *p)
    uint64_t get64 "ow_get64"(const void *p)
    void put16 "ow_put16"(void *p, uint16_t v)
    void put32 "ow_put32"(void *p, uint32_t v)
    void put64 "ow_put64"(void *p, uint64_t v)
    uint16_t le16 "ow_le16"(const void *p)
    void putle16 "ow_putle16"(void *p, uint16_t v)
    uint64_t sum_octets "ow_sum"(uint64_t acc, const void *p, size_t n)
    uint16_t fold_sum "ow_fold"(uint64_t acc)
    void put_sum "ow_putsum"(void *p, uint64_t acc)
