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
    /* One's-complement sum (RFC 1071) of n octets in the machine's own order, as 32-bit words added up in 64 bits, which
       no packet can overflow; 32 octets at a time where the processor can. With q the octets are copied on the way. */
    static inline uint64_t ow_sum_words(uint8_t *q, const uint8_t *p, size_t n) {
        uint64_t a = 0;
        size_t i;
        for (i = 0; i + 4 <= n; i += 4) { uint32_t v; memcpy(&v, p + i, 4); if (q) memcpy(q + i, &v, 4); a += v; }
        if (n & 3) { uint32_t v = 0; memcpy(&v, p + i, n & 3); if (q) memcpy(q + i, &v, n & 3); a += v; }
        return a;
    }
    #if defined(__x86_64__)
    typedef uint64_t ow_lanes __attribute__((vector_size(32)));
    #define OW_WIDE(KEEP) \\
        const ow_lanes low = {0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu}; \\
        ow_lanes a = {0}, b = {0}, c = {0}, d = {0}; \\
        size_t i; \\
        for (i = 0; i + 64 <= n; i += 64) { \\
            ow_lanes x, y; \\
            memcpy(&x, p + i, 32); memcpy(&y, p + i + 32, 32); \\
            KEEP; \\
            a += x & low; b += x >> 32; c += y & low; d += y >> 32; \\
        } \\
        a += b + c + d;
    __attribute__((target("avx2"), noinline, unused))
    static uint64_t ow_sum_wide(const uint8_t *p, size_t n) {
        OW_WIDE((void)0)
        return a[0] + a[1] + a[2] + a[3] + ow_sum_words(NULL, p + i, n - i);
    }
    __attribute__((target("avx2"), noinline, unused))
    static uint64_t ow_copy_wide(uint8_t *q, const uint8_t *p, size_t n) {
        OW_WIDE(memcpy(q + i, &x, 32); memcpy(q + i + 32, &y, 32))
        return a[0] + a[1] + a[2] + a[3] + ow_sum_words(q + i, p + i, n - i);
    }
    #define ow_is_wide(n) ((n) >= 256 && __builtin_cpu_supports("avx2"))
    #else
    #define ow_sum_wide(p, n) ow_sum_words(NULL, p, n)
    #define ow_copy_wide ow_sum_words
    #define ow_is_wide(n) 0
    #endif
    static inline uint64_t ow_sum(uint64_t acc, const void *at, size_t n) {
        const uint8_t *p = (const uint8_t *)at;
        return acc + (ow_is_wide(n) ? ow_sum_wide(p, n) : ow_sum_words(NULL, p, n));
    }
    static inline uint64_t ow_copy_sum(uint64_t acc, void *to, const void *at, size_t n) {
        const uint8_t *p = (const uint8_t *)at;
        uint8_t *q = (uint8_t *)to;
        return acc + (ow_is_wide(n) ? ow_copy_wide(q, p, n) : ow_sum_words(q, p, n));
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
    uint64_t copy_sum "ow_copy_sum"(uint64_t acc, void *to, const void *p, size_t n)
    uint16_t fold_sum "ow_fold"(uint64_t acc)
    void put_sum "ow_putsum"(void *p, uint64_t acc)
