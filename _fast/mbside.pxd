# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from _fast.crypt cimport crypt_key_t, crypt_t, esp_job_t

# Octets of schedules behind a key for these algorithms; 0 when libipsec-mb has not both.
cdef uint32_t mb_room(int cipher, uint32_t key_len, int integ) noexcept nogil
# Write them to `room`, on 64 octets, from k.key and k.auth.
cdef void mb_setup(crypt_t *c, crypt_key_t *k, void *room) noexcept nogil
# One packet of AES-GCM: `size` octets of text and trailer at `text` go sealed behind SPI, sequence number and IV, which
# stand at `esp`.
cdef void mb_seal_apart(crypt_t *c, crypt_key_t *k, const uint8_t *text, uint32_t size, uint8_t *esp,
                        uint64_t sequence) noexcept nogil
# How each family of algorithms runs by libipsec-mb.
cdef void mbrun_gcm(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n, int seal) noexcept nogil
cdef void mbrun_gmac(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n, int seal) noexcept nogil
cdef void mbrun_aead(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n, int seal) noexcept nogil
cdef void mbrun_classic(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n, int seal) noexcept nogil
# By the small manager: the caller has seen that there is one.
cdef void mbrun_few(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n, int seal) noexcept nogil
# ICVs over one buffer.
cdef bint mbmac_few(crypt_t *c, crypt_key_t *k, const uint8_t *data, uint32_t length, const uint8_t *iv,
                    uint8_t *tag) noexcept nogil
cdef bint mbmac_hash(crypt_t *c, crypt_key_t *k, const uint8_t *data, uint32_t length, const uint8_t *iv,
                     uint8_t *tag) noexcept nogil
cdef bint mbmac_gmac(crypt_t *c, crypt_key_t *k, const uint8_t *data, uint32_t length, const uint8_t *iv,
                     uint8_t *tag) noexcept nogil
