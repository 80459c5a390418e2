# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from _fast.evp cimport EVP_CIPHER_CTX, EVP_MAC_CTX
from _fast.ipsecmb cimport mb_t, mbkey_t
from _fast.types cimport crypt_key_t

cdef enum:
    CIPHER_NULL = 0
    CIPHER_AES_CBC = 1
    CIPHER_AES_GCM_16 = 2
    CIPHER_CHACHA20_POLY1305 = 3
    INTEG_NONE = 0
    INTEG_SHA1_96 = 1
    INTEG_SHA256_128 = 2
    INTEG_SHA384_192 = 3
    INTEG_SHA512_256 = 4
    PROVIDER_AUTO = 0
    PROVIDER_MB = 1
    PROVIDER_EVP = 2
    BATCH = 64                 # most packets of one call

# An SA's keys. `evp` and `mac` are per worker, made when that worker first needs them: EVP contexts hold state.
cdef struct crypt_key_t:
    mbkey_t mb
    uint8_t cipher
    uint8_t integ
    uint8_t provider
    uint8_t iv_len
    uint8_t align
    uint8_t icv_len
    uint8_t esn
    uint8_t few_by_evp
    uint8_t key_len
    uint8_t auth_len
    uint8_t salt[4]
    uint8_t key[32]
    uint8_t auth[64]
    EVP_CIPHER_CTX *evp[9]
    EVP_MAC_CTX *mac[9]

# A worker's scratch: one manager per thread, and unpredictable octets for CBC.
cdef struct crypt_t:
    mb_t mb
    int worker
    uint32_t random_left
    uint8_t random[4096]

# One ESP packet in place: at `data` SPI, sequence, IV, text, ICV; `length` counts them all. `sequence` has 64 bits,
# whose upper half is authenticated but not sent with ESN. After a call `ok` says whether it worked; an ICV that does
# not match is not ok.
cdef struct esp_job_t:
    uint8_t *data
    uint32_t length
    int32_t ok
    uint64_t sequence

cdef int crypt_open(crypt_t *c, int worker, int provider) noexcept nogil
cdef void crypt_close(crypt_t *c) noexcept nogil
cdef bint crypt_random(crypt_t *c, uint8_t *out, uint32_t n) noexcept nogil
# NULL when the algorithm, a length or memory does not allow it.
cdef crypt_key_t *key_new(crypt_t *c, int provider, int cipher, const uint8_t *key, uint32_t key_len, int integ,
                          const uint8_t *auth, uint32_t auth_len, bint esn) noexcept nogil
cdef void key_free(crypt_key_t *k) noexcept nogil
# Up to BATCH packets of one key.
cdef void key_seal(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n) noexcept nogil
cdef void key_open(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n) noexcept nogil
