# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

from _fast.crypt cimport crypt_key_t, esp_job_t
from _fast.octets cimport put32

cdef extern from * nogil:
    """
    #include <stdint.h>
    #include <string.h>
    /* In one store: the cipher reads it at once and whole, and would wait for several. The salt's unused octets are 0. */
    static inline void ow_put_nonce(uint8_t *nonce, const uint8_t *salt, int salt_len, const uint8_t *iv) {
    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        typedef uint64_t pair __attribute__((vector_size(16)));
        uint32_t front;
        uint64_t rest;
        memcpy(&front, salt, 4);
        memcpy(&rest, iv, 8);
        pair both = {front | rest << (8 * salt_len), rest >> (64 - 8 * salt_len)};
        memcpy(nonce, &both, 16);
    #else
        memset(nonce, 0, 16);
        memcpy(nonce, salt, salt_len);
        memcpy(nonce + salt_len, iv, 8);
    #endif
    }
    """
    void put_nonce "ow_put_nonce"(uint8_t *nonce, const uint8_t *salt, int salt_len, const uint8_t *iv)

cdef enum:
    CIPHER_NULL = 0
    CIPHER_AES_CBC = 1
    CIPHER_AES_GCM_16 = 2
    CIPHER_CHACHA20_POLY1305 = 3
    CIPHER_AES_GCM_8 = 4
    CIPHER_AES_GCM_12 = 5
    CIPHER_AES_CCM_8 = 6
    CIPHER_AES_CCM_12 = 7
    CIPHER_AES_CCM_16 = 8
    CIPHER_AES_CTR = 9
    CIPHER_3DES_CBC = 10
    CIPHER_AES_GMAC = 11       # null_auth_aes_gmac
    CIPHER_KINDS = 12
    INTEG_NONE = 0
    INTEG_SHA1_96 = 1
    INTEG_SHA256_128 = 2
    INTEG_SHA384_192 = 3
    INTEG_SHA512_256 = 4
    INTEG_MD5_96 = 5
    INTEG_SHA256_96 = 6
    INTEG_AES_XCBC_96 = 7
    INTEG_AES_CMAC_96 = 8
    INTEG_AES_128_GMAC = 9     # as in AH: a key with its salt
    INTEG_AES_192_GMAC = 10
    INTEG_AES_256_GMAC = 11
    INTEG_KINDS = 12

# How a cipher is run: which functions of each provider.
cdef enum:
    FAMILY_CLASSIC = 0         # a cipher (or none), then a hash
    FAMILY_GCM = 1
    FAMILY_AEAD = 2            # the other AEADs
    FAMILY_GMAC = 3
    FAMILIES = 4

# One encryption algorithm. Sizes in octets.
cdef struct cipher_row_t:
    uint8_t keys[3]            # without salt; 0: no further one
    uint8_t salt
    uint8_t iv
    uint8_t align              # of payload and trailer (RFC 4303 2.4: at least 4)
    uint8_t icv                # 0: an integrity algorithm brings it
    uint8_t counter
    uint8_t family
    const char *evp[3]         # libcrypto's names for keys of 16, 24 and 32

# One integrity algorithm.
cdef struct integ_row_t:
    uint8_t key
    uint8_t icv
    uint8_t hash               # libipsec-mb's, of ipsecmb.pxd
    uint8_t few                # below so many packets the machine's small manager, or libcrypto, is faster
    uint8_t small              # the small manager has instructions for it
    uint8_t gmac               # AES-GMAC: the key is a cipher's
    const char *evp            # digest of an HMAC, cipher of a CMAC

# NULL when there is no such number.
cdef const cipher_row_t *cipher_row(int number) noexcept nogil
cdef const integ_row_t *integ_row(int number) noexcept nogil


# An AEAD's associated data: SPI, sequence number, with ESN all 64 bits of it (RFC 4106 5, RFC 4303 2.2.1). At most 12.
cdef inline uint32_t associated(const crypt_key_t *k, const esp_job_t *job, uint8_t *aad) noexcept nogil:
    memcpy(aad, job.data, 8)
    if not k.esn:
        return 8
    put32(aad + 4, <uint32_t>(job.sequence >> 32))
    memcpy(aad + 8, job.data + 4, 4)
    return 12


# Salt of 3 or 4 octets, then the packet's IV of 8, then zeros: 16 octets.
cdef inline void make_nonce(const crypt_key_t *k, const uint8_t *iv, uint8_t *nonce) noexcept nogil:
    put_nonce(nonce, k.salt, k.salt_len, iv)
