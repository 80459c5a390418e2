# SPDX-License-Identifier: GPL-2.0-or-later
# Bits of addresses, inline. An address is two words in host order, `a` its first 64 bits; IPv4 fills the first 32.
from libc.stdint cimport uint8_t, uint64_t

cdef extern from * nogil:
    """
    #include <stdint.h>
    #if defined(__x86_64__)
    static int ow_has_popcnt = -1;
    static inline int ow_popcount(uint64_t x) {
        uint64_t n;
        if (__builtin_expect(ow_has_popcnt < 0, 0)) ow_has_popcnt = !!__builtin_cpu_supports("popcnt");
        if (!ow_has_popcnt) return __builtin_popcountll(x);
        __asm__("popcnt %1, %0" : "=r"(n) : "r"(x) : "cc");
        return (int)n;
    }
    #else
    #define ow_popcount(x) __builtin_popcountll(x)
    #endif
    /* Six bits from bit `d` on; behind the last one there are zeros. */
    static inline unsigned ow_chunk(uint64_t a, uint64_t b, unsigned d) {
        if (d <= 58) return (a >> (58 - d)) & 63;
        if (d < 64) return ((a << (d - 58)) | (b >> (122 - d))) & 63;
        return (d <= 122 ? b >> (122 - d) : b << (d - 122)) & 63;
    }
    /* Do the first `n` bits differ? */
    static inline int ow_apart(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned n) {
        if (n == 0) return 0;
        if (n <= 64) return ((a ^ c) >> (64 - n)) != 0;
        return a != c || ((b ^ d) >> (128 - n)) != 0;
    }
    /* How many bits agree, from the first on. */
    static inline unsigned ow_common(uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
        if (a != c) return __builtin_clzll(a ^ c);
        return b == d ? 128 : 64 + __builtin_clzll(b ^ d);
    }
    /* The last twelve of the first `n` bits, fewer when there are no more. */
    static inline unsigned ow_tail(uint64_t a, uint64_t b, unsigned n) {
        if (n < 64) return (a >> 1 >> (63 - n)) & 4095;
        return (unsigned)((((unsigned __int128)a << 64) | b) >> (128 - n)) & 4095;
    }
    /* The prefixes of 0 to 5 bits that cover six bits `c`: bit (1 << n) - 1 + (the first n of them) for each n. */
    static inline uint64_t ow_above(unsigned c) {
        return 1ULL | 1ULL << (1 + (c >> 5)) | 1ULL << (3 + (c >> 4)) | 1ULL << (7 + (c >> 3))
            | 1ULL << (15 + (c >> 2)) | 1ULL << (31 + (c >> 1));
    }
    #define ow_top(x) (63 - __builtin_clzll(x))
    /* Eight octets of an address, which were read as the machine has them, as a number whose first bit is the first one's. */
    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    #define ow_swab(x) __builtin_bswap64(x)
    #else
    #define ow_swab(x) ((uint64_t)(x))
    #endif
    #define ow_prefetch(p) __builtin_prefetch((const void *)(p))
    """
    int popcount "ow_popcount"(uint64_t x)
    unsigned chunk_of "ow_chunk"(uint64_t a, uint64_t b, unsigned d)
    bint apart "ow_apart"(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned n)
    unsigned common_bits "ow_common"(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
    unsigned tail_of "ow_tail"(uint64_t a, uint64_t b, unsigned n)
    uint64_t above "ow_above"(unsigned c)
    int top_bit "ow_top"(uint64_t x)
    uint64_t swab "ow_swab"(uint64_t x)
    void prefetch "ow_prefetch"(const void *p)

# Of so many bits, as in the packet.
cdef inline void prefix_mask(uint64_t *mask, int length) noexcept nogil:
    cdef uint8_t *octet = <uint8_t *>mask
    cdef int i
    for i in range(16):
        octet[i] = 0xFF if length >= 8 else 0 if length <= 0 else <uint8_t>(0xFF << (8 - length))
        length -= 8
