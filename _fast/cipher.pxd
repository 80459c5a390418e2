# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from _fast.crypt cimport (BATCH, PROVIDER_AUTO, PROVIDER_EVP, PROVIDER_MB, crypt_key_t, crypt_t, esp_job_t)

# 0, or -1 when the provider is not there.
cdef int crypt_open(crypt_t *c, int worker, int provider) noexcept nogil
cdef void crypt_close(crypt_t *c) noexcept nogil
# Unpredictable octets; False when the kernel gives none. At most 4096.
cdef bint crypt_random(crypt_t *c, uint8_t *out, uint32_t n) noexcept nogil
# Numbers are those of suite.pxd; `key` ends with its salt. For AH the cipher is CIPHER_NULL. NULL when the algorithm, a
# length or memory does not allow it. What libipsec-mb lacks goes by libcrypto, whatever `provider` says.
cdef crypt_key_t *key_new(crypt_t *c, int provider, int cipher, const uint8_t *key, uint32_t key_len, int integ,
                          const uint8_t *auth, uint32_t auth_len, bint esn) noexcept nogil
cdef void key_free(crypt_key_t *k) noexcept nogil


# The packet's IV for a counter mode, 8 octets, as a number. Sequence numbers of an SA never repeat, so neither does it;
# the mask keeps it from repeating when the same key is installed again.
cdef inline uint64_t key_iv(const crypt_key_t *k, uint64_t sequence) noexcept nogil:
    return sequence ^ k.mask


# Up to BATCH packets of one key.
cdef inline void key_seal(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n) noexcept nogil:
    (k.run_few if n < k.few else k.run)(c, k, jobs, n, 1)


cdef inline void key_open(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n) noexcept nogil:
    (k.run_few if n < k.few else k.run)(c, k, jobs, n, 0)


# The ICV (k.icv_len octets) over one buffer of at least one octet, for AH. `iv`: 8 octets with AES-GMAC, else not
# looked at. False when it cannot be made.
cdef inline bint key_mac(crypt_t *c, crypt_key_t *k, const uint8_t *data, uint32_t length, const uint8_t *iv,
                         uint8_t *tag) noexcept nogil:
    return k.mac(c, k, data, length, iv, tag)
