# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t, uint32_t

from _fast.crypt cimport crypt_key_t, crypt_t, esp_job_t

# How each family of algorithms runs by libcrypto; `ok` is 0 where it refuses.
cdef void evp_aead(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n, int seal) noexcept nogil
cdef void evp_gmac(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n, int seal) noexcept nogil
cdef void evp_classic(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n, int seal) noexcept nogil
# ICVs over one buffer.
cdef bint evp_mac(crypt_t *c, crypt_key_t *k, const uint8_t *data, uint32_t length, const uint8_t *iv, uint8_t *tag) noexcept nogil
cdef bint evp_gmac_mac(crypt_t *c, crypt_key_t *k, const uint8_t *data, uint32_t length, const uint8_t *iv,
                       uint8_t *tag) noexcept nogil
# Free what the workers made; the key must be out of their reach.
cdef void evp_free(crypt_key_t *k) noexcept nogil
