# SPDX-License-Identifier: GPL-2.0-or-later
"""Encryption and integrity of ESP packets, in place, by libipsec-mb or libcrypto behind one interface.

    text of the job:  | SPI 4 | sequence 4 | IV 0/8/16 | payload, padding, pad length, next header | ICV |
    AEAD nonce:       salt 4 | IV 8          AEAD associated data: SPI 4 | [upper sequence 4] | sequence 4
    HMAC covers:      SPI ... next header | [upper sequence 4]
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from _fast.atomic cimport alloc_zeroed, cleanse, differ, wipe_free
from _fast.evp cimport *
from _fast.ipsecmb cimport (mb_cbc_key, mb_chacha_key, mb_close, mb_gcm, mb_gcm_key, mb_hmac_key, mb_jobs, mb_open, mb_t,
                            mbjob_t, mbkey_t)
from _fast.octets cimport put32

cdef enum:
    FEW = 6


cdef extern from "<sys/random.h>" nogil:
    ssize_t getrandom(void *buf, size_t n, unsigned int flags)


cdef int crypt_open(crypt_t *c, int worker, int provider) noexcept nogil:
    memset(c, 0, sizeof(crypt_t))
    c.worker = worker
    if provider != PROVIDER_EVP and not mb_open(&c.mb) and provider == PROVIDER_MB:
        return -1
    return 0


cdef void crypt_close(crypt_t *c) noexcept nogil:
    mb_close(&c.mb)
    cleanse(c.random, sizeof(c.random))


cdef bint crypt_random(crypt_t *c, uint8_t *out, uint32_t n) noexcept nogil:
    cdef ssize_t got
    if c.random_left < n:
        got = getrandom(c.random, sizeof(c.random), 0)
        if got < <ssize_t>sizeof(c.random):
            c.random_left = 0
            return False
        c.random_left = sizeof(c.random)
    c.random_left -= n
    memcpy(out, c.random + c.random_left, n)
    # What was used as an IV is not left where the next one comes from.
    memset(c.random + c.random_left, 0, n)
    return True


cdef int mac_length(int integ) noexcept nogil:
    return 20 if integ == INTEG_SHA1_96 else 32 if integ == INTEG_SHA256_128 else 48 if integ == INTEG_SHA384_192 else 64


cdef const char *mac_digest(int integ) noexcept nogil:
    if integ == INTEG_SHA1_96:
        return "SHA1"
    if integ == INTEG_SHA256_128:
        return "SHA2-256"
    return "SHA2-384" if integ == INTEG_SHA384_192 else "SHA2-512"


cdef crypt_key_t *key_new(crypt_t *c, int provider, int cipher, const uint8_t *key, uint32_t key_len, int integ,
                          const uint8_t *auth, uint32_t auth_len, bint esn) noexcept nogil:
    cdef crypt_key_t *k
    cdef uint32_t salt = 0
    cdef bint few
    if cipher == CIPHER_AES_GCM_16 or cipher == CIPHER_CHACHA20_POLY1305:
        salt = 4
        if integ != INTEG_NONE or auth_len or key_len < 4:
            return NULL
        key_len -= 4
    elif integ < INTEG_SHA1_96 or integ > INTEG_SHA512_256 or auth_len != <uint32_t>mac_length(integ):
        return NULL
    if cipher == CIPHER_NULL:
        if key_len:
            return NULL
    elif cipher == CIPHER_CHACHA20_POLY1305:
        if key_len != 32:
            return NULL
    elif (cipher != CIPHER_AES_CBC and cipher != CIPHER_AES_GCM_16) or key_len not in (16, 24, 32):
        return NULL
    # Multi-buffer HMAC costs the same for one packet as for a full set of lanes: left the choice, few go by EVP.
    few = provider == PROVIDER_AUTO and c.mb.mgr != NULL and not salt
    if provider == PROVIDER_AUTO:
        provider = PROVIDER_MB if c.mb.mgr else PROVIDER_EVP
    if provider == PROVIDER_MB and c.mb.mgr == NULL:
        return NULL
    k = <crypt_key_t *>alloc_zeroed(sizeof(crypt_key_t))
    if k == NULL:
        return NULL
    k.cipher = <uint8_t>cipher
    k.integ = <uint8_t>integ
    k.provider = <uint8_t>provider
    k.esn = esn
    k.few_by_evp = few
    k.key_len = <uint8_t>key_len
    k.auth_len = <uint8_t>auth_len
    memcpy(k.key, key, key_len)
    if salt:
        memcpy(k.salt, key + key_len, 4)
        k.iv_len, k.align, k.icv_len = 8, 4, 16
    else:
        memcpy(k.auth, auth, auth_len)
        k.iv_len, k.align = (16, 16) if cipher == CIPHER_AES_CBC else (0, 4)
        k.icv_len = 12 if integ == INTEG_SHA1_96 else <uint8_t>(auth_len // 2)
    if provider == PROVIDER_MB:
        if cipher == CIPHER_AES_GCM_16:
            mb_gcm_key(&c.mb, &k.mb, k.key, key_len)
        elif cipher == CIPHER_CHACHA20_POLY1305:
            mb_chacha_key(&c.mb, &k.mb, k.key)
        elif cipher == CIPHER_AES_CBC:
            mb_cbc_key(&c.mb, &k.mb, k.key, key_len)
        if not salt:
            mb_hmac_key(&c.mb, &k.mb, integ, k.auth, auth_len)
        if not k.few_by_evp:
            # libipsec-mb works from its schedules alone.
            cleanse(k.key, sizeof(k.key))
            cleanse(k.auth, sizeof(k.auth))
    return k


cdef void key_free(crypt_key_t *k) noexcept nogil:
    cdef int i
    if k == NULL:
        return
    for i in range(9):
        EVP_CIPHER_CTX_free(k.evp[i])
        EVP_MAC_CTX_free(k.mac[i])
    wipe_free(k, sizeof(crypt_key_t))


cdef const EVP_CIPHER *evp_cipher(const crypt_key_t *k) noexcept nogil:
    if k.cipher == CIPHER_CHACHA20_POLY1305:
        return EVP_chacha20_poly1305()
    if k.cipher == CIPHER_AES_GCM_16:
        return EVP_aes_128_gcm() if k.key_len == 16 else EVP_aes_192_gcm() if k.key_len == 24 else EVP_aes_256_gcm()
    return EVP_aes_128_cbc() if k.key_len == 16 else EVP_aes_192_cbc() if k.key_len == 24 else EVP_aes_256_cbc()


cdef bint evp_ready(crypt_t *c, crypt_key_t *k, int seal) noexcept nogil:
    cdef EVP_CIPHER_CTX *ctx
    cdef EVP_MAC_CTX *mac
    if k.cipher != CIPHER_NULL and k.evp[c.worker] == NULL:
        ctx = EVP_CIPHER_CTX_new()
        if ctx == NULL:
            return False
        # An SA goes one way only, so the direction is set once with the key.
        if EVP_CipherInit_ex(ctx, evp_cipher(k), NULL, k.key, NULL, seal) != 1 or (
                k.cipher == CIPHER_AES_CBC and EVP_CIPHER_CTX_set_padding(ctx, 0) != 1):
            EVP_CIPHER_CTX_free(ctx)
            return False
        k.evp[c.worker] = ctx
    if k.integ and k.mac[c.worker] == NULL:
        mac = hmac_new(mac_digest(k.integ), k.auth, k.auth_len)
        if mac == NULL:
            return False
        k.mac[c.worker] = mac
    return True


cdef inline uint32_t associated(const crypt_key_t *k, const esp_job_t *job, uint8_t *aad) noexcept nogil:
    memcpy(aad, job.data, 8)
    if not k.esn:
        return 8
    put32(aad + 4, <uint32_t>(job.sequence >> 32))
    memcpy(aad + 8, job.data + 4, 4)
    return 12


cdef inline void make_nonce(const crypt_key_t *k, const esp_job_t *job, uint8_t *nonce) noexcept nogil:
    memcpy(nonce, k.salt, 4)
    memcpy(nonce + 4, job.data + 8, 8)


cdef void evp_aead(crypt_t *c, crypt_key_t *k, esp_job_t *job, int seal) noexcept nogil:
    cdef EVP_CIPHER_CTX *ctx = k.evp[c.worker]
    cdef uint8_t nonce[12]
    cdef uint8_t aad[12]
    cdef uint32_t aad_len = associated(k, job, aad)
    cdef uint8_t *text = job.data + 16
    cdef int n = <int>job.length - 32
    cdef int out = 0
    make_nonce(k, job, nonce)
    job.ok = 0
    if EVP_CipherInit_ex(ctx, NULL, NULL, NULL, nonce, seal) != 1:
        return
    if not seal and EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16, text + n) != 1:
        return
    if EVP_CipherUpdate(ctx, NULL, &out, aad, <int>aad_len) != 1 or EVP_CipherUpdate(ctx, text, &out, text, n) != 1:
        return
    if EVP_CipherFinal_ex(ctx, text + n, &out) != 1:
        return
    if seal and EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, text + n) != 1:
        return
    job.ok = 1


cdef bint evp_mac(crypt_t *c, crypt_key_t *k, esp_job_t *job, uint8_t *tag) noexcept nogil:
    cdef EVP_MAC_CTX *mac = k.mac[c.worker]
    cdef uint8_t high[4]
    cdef size_t out = 0
    if EVP_MAC_init(mac, NULL, 0, NULL) != 1 or EVP_MAC_update(mac, job.data, job.length - k.icv_len) != 1:
        return False
    if k.esn:
        put32(high, <uint32_t>(job.sequence >> 32))
        if EVP_MAC_update(mac, high, 4) != 1:
            return False
    return EVP_MAC_final(mac, tag, &out, 64) == 1


cdef void evp_classic(crypt_t *c, crypt_key_t *k, esp_job_t *job, int seal) noexcept nogil:
    cdef uint8_t tag[64]
    cdef uint8_t *text = job.data + 8 + k.iv_len
    cdef int n = <int>job.length - 8 - k.iv_len - k.icv_len
    cdef int out = 0
    job.ok = 0
    if not seal:
        if not evp_mac(c, k, job, tag) or differ(tag, job.data + job.length - k.icv_len, k.icv_len):
            return
    if k.cipher == CIPHER_AES_CBC:
        if EVP_CipherInit_ex(k.evp[c.worker], NULL, NULL, NULL, job.data + 8, seal) != 1:
            return
        if EVP_CipherUpdate(k.evp[c.worker], text, &out, text, n) != 1 or out != n:
            return
    if seal:
        if not evp_mac(c, k, job, tag):
            return
        memcpy(job.data + job.length - k.icv_len, tag, k.icv_len)
    job.ok = 1


cdef void mb_run(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n, int seal) noexcept nogil:
    cdef mbjob_t work[64]
    cdef uint8_t tags[64][64]
    cdef uint8_t icvs[64][32]
    cdef uint8_t nonces[64][12]
    cdef uint8_t aads[64][12]
    cdef uint8_t *icv
    cdef int i
    cdef bint chacha = k.cipher == CIPHER_CHACHA20_POLY1305
    for i in range(n):
        icv = jobs[i].data + jobs[i].length - k.icv_len
        work[i].text = jobs[i].data + 8 + k.iv_len
        work[i].text_len = jobs[i].length - 8 - k.iv_len - k.icv_len
        work[i].tag = tags[i]
        if chacha:
            make_nonce(k, &jobs[i], nonces[i])
            work[i].aad_len = associated(k, &jobs[i], aads[i])
            work[i].aad = aads[i]
            work[i].iv = nonces[i]
        else:
            work[i].iv = jobs[i].data + 8
            work[i].hash_from = jobs[i].data
            work[i].hash_len = jobs[i].length - k.icv_len
        if not seal:
            memcpy(icvs[i], icv, k.icv_len)
        if k.esn and not chacha:
            # The upper half is hashed where the ICV stands and is never sent (RFC 4303 2.2.1).
            put32(icv, <uint32_t>(jobs[i].sequence >> 32))
            work[i].hash_len += 4
    mb_jobs(&c.mb, &k.mb, 2 if chacha else k.cipher, seal, work, n)
    for i in range(n):
        jobs[i].ok = work[i].ok
        if seal:
            memcpy(jobs[i].data + jobs[i].length - k.icv_len, tags[i], k.icv_len)
        elif differ(tags[i], icvs[i], k.icv_len):
            jobs[i].ok = 0


cdef void mb_aead(crypt_t *c, crypt_key_t *k, esp_job_t *job, int seal) noexcept nogil:
    cdef uint8_t nonce[12]
    cdef uint8_t aad[12]
    cdef uint8_t tag[16]
    cdef uint32_t aad_len = associated(k, job, aad)
    cdef uint8_t *text = job.data + 16
    cdef uint64_t n = job.length - 32
    make_nonce(k, job, nonce)
    if seal:
        mb_gcm(&c.mb, &k.mb, 1, text, n, nonce, aad, aad_len, text + n)
        job.ok = 1
    else:
        mb_gcm(&c.mb, &k.mb, 0, text, n, nonce, aad, aad_len, tag)
        job.ok = differ(tag, text + n, 16) == 0


cdef void run(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n, int seal) noexcept nogil:
    cdef int i
    cdef bint aead = k.integ == INTEG_NONE
    if k.provider == PROVIDER_MB and not (k.few_by_evp and n < FEW):
        if c.mb.mgr == NULL:
            for i in range(n):
                jobs[i].ok = 0
        elif k.cipher == CIPHER_AES_GCM_16:
            for i in range(n):
                mb_aead(c, k, &jobs[i], seal)
        else:
            mb_run(c, k, jobs, n, seal)
        return
    if not evp_ready(c, k, seal):
        for i in range(n):
            jobs[i].ok = 0
        return
    for i in range(n):
        if aead:
            evp_aead(c, k, &jobs[i], seal)
        else:
            evp_classic(c, k, &jobs[i], seal)


cdef void key_seal(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n) noexcept nogil:
    run(c, k, jobs, n, 1)


cdef void key_open(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n) noexcept nogil:
    run(c, k, jobs, n, 0)


CIPHERS = {"null": CIPHER_NULL, "aes_cbc": CIPHER_AES_CBC, "aes_gcm_16": CIPHER_AES_GCM_16,
           "chacha20_poly1305": CIPHER_CHACHA20_POLY1305}
INTEGS = {"": INTEG_NONE, "hmac_sha1_96": INTEG_SHA1_96, "hmac_sha2_256_128": INTEG_SHA256_128,
          "hmac_sha2_384_192": INTEG_SHA384_192, "hmac_sha2_512_256": INTEG_SHA512_256}
PROVIDERS = {"auto": PROVIDER_AUTO, "ipsec-mb": PROVIDER_MB, "evp": PROVIDER_EVP}


def providers():
    """The providers this build and this CPU have, best first."""
    cdef mb_t mb
    if mb_open(&mb):
        mb_close(&mb)
        return ("ipsec-mb", "evp")
    return ("evp",)
