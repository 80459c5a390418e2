# SPDX-License-Identifier: GPL-2.0-or-later
# What cipher, its two providers and their users share: an SA's keys, a worker's scratch, one packet's job.
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from _fast.ipsecmb cimport mb_t
from _fast.types cimport crypt_key_t

cdef enum:
    PROVIDER_AUTO = 0
    PROVIDER_MB = 1
    PROVIDER_EVP = 2
    BATCH = 64                 # most packets of one call

# One ESP packet in place: at `data` SPI, sequence, IV, text, ICV; `length` counts them all. `sequence` has 64 bits,
# whose upper half is authenticated but not sent with ESN. After a call `ok` says whether it worked; an ICV that does
# not match is not ok.
cdef struct esp_job_t:
    uint8_t *data
    uint32_t length
    int32_t ok
    uint64_t sequence

# A worker's scratch: managers are one thread's, `small` is for few packets and not on every machine; unpredictable
# octets for CBC.
cdef struct crypt_t:
    mb_t mb
    mb_t small
    int worker
    uint32_t random_left
    uint8_t random[4096]

# Up to BATCH packets of one key, sealed or opened.
ctypedef void (*run_t)(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n, int seal) noexcept nogil
# The ICV over one buffer; `iv` is GMAC's.
ctypedef bint (*mac_t)(crypt_t *c, crypt_key_t *k, const uint8_t *data, uint32_t length, const uint8_t *iv,
                       uint8_t *tag) noexcept nogil

# An SA's keys. libipsec-mb's schedules, of just the kind it needs, stand right before on 64 octets; of `auth` there is
# what the algorithm's key fills. `evp` appears when the first packet goes by libcrypto.
cdef struct crypt_key_t:
    run_t run
    run_t run_few              # for batches below `few` packets
    mac_t mac
    void *schedule             # libipsec-mb: the cipher's keys
    void *job                  # libipsec-mb: the template of a job
    void *evp                  # libcrypto: contexts of each worker
    uint64_t mask              # makes the IVs of a counter mode out of sequence numbers
    uint32_t size              # of all this, for wiping,
    uint32_t room              # and of it the schedules'
    uint8_t cipher
    uint8_t integ
    uint8_t provider
    uint8_t few
    uint8_t esn
    uint8_t counter            # a counter mode: IVs must never repeat, and need not be unpredictable
    uint8_t alone              # packet by packet: sealing gains nothing by waiting for others
    uint8_t apart              # and mb_seal_apart can do it, out of the frame into the outbox
    uint8_t iv_len
    uint8_t align
    uint8_t icv_len
    uint8_t key_len
    uint8_t auth_len
    uint8_t salt_len
    uint8_t salt[4]
    uint8_t key[32]            # empty when nothing but the schedules is needed
    uint8_t auth[64]
