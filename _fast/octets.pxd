# SPDX-License-Identifier: GPL-2.0-or-later
# Octets and checksums, inline. Callers have tested the length before they pass a pointer.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from * nogil:
    """
    #include <stdint.h>
    #include <string.h>
    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    #define OW_BIG(bits, v) __builtin_bswap##bits(v)
    #define OW_LITTLE(bits, v) (v)
    #else
    #define OW_BIG(bits, v) (v)
    #define OW_LITTLE(bits, v) __builtin_bswap##bits(v)
    #endif
    static inline uint16_t ow_get16(const void *p) { uint16_t v; memcpy(&v, p, 2); return OW_BIG(16, v); }
    static inline uint32_t ow_get32(const void *p) { uint32_t v; memcpy(&v, p, 4); return OW_BIG(32, v); }
    static inline uint64_t ow_get64(const void *p) { uint64_t v; memcpy(&v, p, 8); return OW_BIG(64, v); }
    static inline void ow_put16(void *p, uint16_t v) { v = OW_BIG(16, v); memcpy(p, &v, 2); }
    static inline void ow_put32(void *p, uint32_t v) { v = OW_BIG(32, v); memcpy(p, &v, 4); }
    static inline void ow_put64(void *p, uint64_t v) { v = OW_BIG(64, v); memcpy(p, &v, 8); }
    static inline uint16_t ow_le16(const void *p) { uint16_t v; memcpy(&v, p, 2); return OW_LITTLE(16, v); }
    static inline void ow_putle16(void *p, uint16_t v) { v = OW_LITTLE(16, v); memcpy(p, &v, 2); }
    static inline uint16_t ow_own16(const void *p) { uint16_t v; memcpy(&v, p, 2); return v; }
    static inline uint16_t ow_summed(uint32_t v) { return OW_BIG(16, (uint16_t)v); }
    /* One's-complement sum (RFC 1071) of n octets in the machine's own order, as 32-bit words added up in 64 bits, which
       no packet can overflow; 128 octets at a time where the processor can. With q the octets are copied on the way. */
    static inline uint64_t ow_sum_words(uint8_t *q, const uint8_t *p, size_t n) {
        uint64_t a = 0;
        size_t i;
        for (i = 0; i + 4 <= n; i += 4) { uint32_t v; memcpy(&v, p + i, 4); if (q) memcpy(q + i, &v, 4); a += v; }
        if (n & 3) { uint32_t v = 0; memcpy(&v, p + i, n & 3); if (q) memcpy(q + i, &v, n & 3); a += v; }
        return a;
    }
    #if defined(__x86_64__)
    #include <immintrin.h>
    /* 16-bit words, made signed by taking 2^15 away, are added in pairs by one multiplication with ones. 65,535 octets
       are far from overflowing the 32-bit lanes. */
    #define OW_FOUR(KEEP, KEEP_ONE) \\
        const __m256i ones = _mm256_set1_epi16(1), half = _mm256_set1_epi16((short)0x8000); \\
        __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a; \\
        __m128i s; \\
        size_t i; \\
        for (i = 0; i + 128 <= n; i += 128) { \\
            __m256i x = _mm256_loadu_si256((const __m256i *)(p + i)); \\
            __m256i y = _mm256_loadu_si256((const __m256i *)(p + i + 32)); \\
            __m256i z = _mm256_loadu_si256((const __m256i *)(p + i + 64)); \\
            __m256i t = _mm256_loadu_si256((const __m256i *)(p + i + 96)); \\
            KEEP; \\
            a = _mm256_add_epi32(a, _mm256_madd_epi16(_mm256_xor_si256(x, half), ones)); \\
            b = _mm256_add_epi32(b, _mm256_madd_epi16(_mm256_xor_si256(y, half), ones)); \\
            c = _mm256_add_epi32(c, _mm256_madd_epi16(_mm256_xor_si256(z, half), ones)); \\
            d = _mm256_add_epi32(d, _mm256_madd_epi16(_mm256_xor_si256(t, half), ones)); \\
        } \\
        for (; i + 32 <= n; i += 32) { \\
            __m256i x = _mm256_loadu_si256((const __m256i *)(p + i)); \\
            KEEP_ONE; \\
            a = _mm256_add_epi32(a, _mm256_madd_epi16(_mm256_xor_si256(x, half), ones)); \\
        } \\
        a = _mm256_add_epi32(_mm256_add_epi32(a, b), _mm256_add_epi32(c, d)); \\
        s = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1)); \\
        s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e)); \\
        s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)); \\
        const uint64_t wide = (uint64_t)((int64_t)_mm_cvtsi128_si32(s) + (int64_t)(i / 2) * 0x8000);
    __attribute__((target("avx2"), noinline, unused))
    static uint64_t ow_sum_wide(const uint8_t *p, size_t n) {
        OW_FOUR((void)0, (void)0)
        return wide + ow_sum_words(NULL, p + i, n - i);
    }
    __attribute__((target("avx2"), noinline, unused))
    static uint64_t ow_copy_wide(uint8_t *q, const uint8_t *p, size_t n) {
        OW_FOUR(_mm256_storeu_si256((__m256i *)(q + i), x); _mm256_storeu_si256((__m256i *)(q + i + 32), y);
                _mm256_storeu_si256((__m256i *)(q + i + 64), z); _mm256_storeu_si256((__m256i *)(q + i + 96), t),
                _mm256_storeu_si256((__m256i *)(q + i), x))
        return wide + ow_sum_words(q + i, p + i, n - i);
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
    /* An IPv4 header without options, and the pseudo header's address, protocol and length (RFC 9293 3.1, RFC 8200 8.1),
       in registers: they have just been written, and wider reads would wait for that. */
    static inline uint64_t ow_sum20(const uint8_t *p) {
        uint32_t v[5];
        memcpy(v, p, 20);
        return (uint64_t)v[0] + v[1] + v[2] + v[3] + v[4];
    }
    static inline uint64_t ow_pseudo(const uint8_t *ip, uint32_t proto, uint32_t length) {
        const int words = ip[0] >> 4 == 4 ? 2 : 8;
        const uint8_t *p = ip + (words == 2 ? 12 : 8);
        uint64_t acc = (uint64_t)ow_summed(proto) + ow_summed(length);
        for (int i = 0; i < words; i++) { uint32_t v; memcpy(&v, p + 4 * i, 4); acc += v; }
        return acc;
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
    uint16_t own16 "ow_own16"(const void *p)    # in the machine's own order, in which sums are added up;
    uint16_t summed "ow_summed"(uint32_t v)     # what that makes of a number which is not in the packet
    uint64_t sum_octets "ow_sum"(uint64_t acc, const void *p, size_t n)
    uint64_t copy_sum "ow_copy_sum"(uint64_t acc, void *to, const void *p, size_t n)
    uint64_t sum_twenty "ow_sum20"(const uint8_t *p)
    uint64_t sum_pseudo "ow_pseudo"(const uint8_t *ip, uint32_t proto, uint32_t length)
    uint16_t fold_sum "ow_fold"(uint64_t acc)
    void put_sum "ow_putsum"(void *p, uint64_t acc)
