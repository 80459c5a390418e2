# SPDX-License-Identifier: GPL-2.0-or-later
"""Every algorithm libipsec-mb has: AES-GCM and GMAC packet by packet, the rest as jobs that share its lanes."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from _fast.atomic cimport differ
from _fast.crypt cimport BATCH, crypt_key_t, crypt_t, esp_job_t
from _fast.ipsecmb cimport *
from _fast.octets cimport put32
from _fast.suite cimport (CIPHER_3DES_CBC, CIPHER_AES_CBC, CIPHER_AES_CCM_8, CIPHER_AES_CCM_12, CIPHER_AES_CCM_16,
                          CIPHER_AES_CTR, CIPHER_AES_GCM_8, CIPHER_AES_GCM_12, CIPHER_AES_GCM_16, CIPHER_AES_GMAC,
                          CIPHER_CHACHA20_POLY1305, CIPHER_NULL, FAMILY_AEAD, FAMILY_CLASSIC, FAMILY_GCM, FAMILY_GMAC,
                          INTEG_AES_CMAC_96, INTEG_AES_XCBC_96, associated, cipher_row, integ_row, make_nonce)

# --- keys ---------------------------------------------------------------------------------------------------------

ctypedef void (*setup_t)(crypt_t *c, crypt_key_t *k) noexcept nogil


cdef void setup_null(crypt_t *c, crypt_key_t *k) noexcept nogil:
    mb_null_key(k.job)


cdef void setup_cbc(crypt_t *c, crypt_key_t *k) noexcept nogil:
    mb_cbc_key(&c.mb, k.schedule, k.job, k.key, k.key_len)


cdef void setup_ctr(crypt_t *c, crypt_key_t *k) noexcept nogil:
    mb_ctr_key(&c.mb, k.schedule, k.job, k.key, k.key_len)


cdef void setup_ccm(crypt_t *c, crypt_key_t *k) noexcept nogil:
    mb_ccm_key(&c.mb, k.schedule, k.job, k.key, k.key_len, k.icv_len)


cdef void setup_3des(crypt_t *c, crypt_key_t *k) noexcept nogil:
    mb_des3_key(&c.mb, k.schedule, k.job, k.key)


cdef void setup_chacha(crypt_t *c, crypt_key_t *k) noexcept nogil:
    mb_chacha_key(k.schedule, k.job, k.key)


cdef void setup_gcm(crypt_t *c, crypt_key_t *k) noexcept nogil:
    mb_gcm_key(&c.mb, k.schedule, k.key, k.key_len)


cdef setup_t setups[12]
cdef uint32_t rooms[12]

setups[CIPHER_NULL], rooms[CIPHER_NULL] = setup_null, 0
setups[CIPHER_AES_CBC], rooms[CIPHER_AES_CBC] = setup_cbc, AES_ROOM
setups[CIPHER_AES_CTR], rooms[CIPHER_AES_CTR] = setup_ctr, AES_ROOM
setups[CIPHER_3DES_CBC], rooms[CIPHER_3DES_CBC] = setup_3des, DES3_ROOM
setups[CIPHER_AES_CCM_8], rooms[CIPHER_AES_CCM_8] = setup_ccm, AES_ROOM
setups[CIPHER_AES_CCM_12], rooms[CIPHER_AES_CCM_12] = setup_ccm, AES_ROOM
setups[CIPHER_AES_CCM_16], rooms[CIPHER_AES_CCM_16] = setup_ccm, AES_ROOM
setups[CIPHER_CHACHA20_POLY1305], rooms[CIPHER_CHACHA20_POLY1305] = setup_chacha, CHACHA_ROOM
setups[CIPHER_AES_GCM_8], rooms[CIPHER_AES_GCM_8] = setup_gcm, GCM_ROOM
setups[CIPHER_AES_GCM_12], rooms[CIPHER_AES_GCM_12] = setup_gcm, GCM_ROOM
setups[CIPHER_AES_GCM_16], rooms[CIPHER_AES_GCM_16] = setup_gcm, GCM_ROOM
setups[CIPHER_AES_GMAC], rooms[CIPHER_AES_GMAC] = setup_gcm, GCM_ROOM


cdef uint32_t job_room(int cipher) noexcept nogil:
    return JOB_ROOM if cipher_row(cipher).family in (FAMILY_CLASSIC, FAMILY_AEAD) else 0


cdef uint32_t mb_room(int cipher, uint32_t key_len, int integ) noexcept nogil:
    cdef uint32_t room = rooms[cipher] + job_room(cipher)
    if key_len == 24 and CIPHER_AES_CCM_8 <= cipher <= CIPHER_AES_CCM_16:
        return 0
    if cipher_row(cipher).family == FAMILY_CLASSIC:
        room += CBCMAC_ROOM if integ in (INTEG_AES_XCBC_96, INTEG_AES_CMAC_96) else HMAC_ROOM
    return room


cdef void mb_setup(crypt_t *c, crypt_key_t *k, void *room) noexcept nogil:
    cdef uint8_t *at = <uint8_t *>room
    k.schedule = at
    k.job = at + rooms[k.cipher]
    setups[k.cipher](c, k)
    if k.integ:
        mb_hash_key(&c.mb, at + rooms[k.cipher] + job_room(k.cipher), k.job, integ_row(k.integ).hash, k.auth, k.auth_len)


# --- packets ------------------------------------------------------------------------------------------------------

cdef void mbrun_gcm(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n, int seal) noexcept nogil:
    cdef uint8_t nonce[16]
    cdef uint8_t aad[12]
    cdef uint8_t tag[16]
    cdef uint32_t aad_len
    cdef uint8_t *text
    cdef uint64_t size
    cdef int i
    for i in range(n):
        aad_len = associated(k, &jobs[i], aad)
        make_nonce(k, jobs[i].data + 8, nonce)
        text = jobs[i].data + 16
        size = jobs[i].length - 16 - k.icv_len
        mb_gcm(&c.mb, k.schedule, k.key_len, seal, text, text, size, nonce, aad, aad_len, text + size if seal else tag,
               k.icv_len)
        jobs[i].ok = seal or differ(tag, text + size, k.icv_len) == 0


cdef void mb_seal_apart(crypt_t *c, crypt_key_t *k, const uint8_t *text, uint32_t size, uint8_t *esp,
                        uint64_t sequence) noexcept nogil:
    cdef uint8_t nonce[16]
    cdef uint8_t aad[12]
    cdef esp_job_t job
    job.data, job.sequence = esp, sequence
    make_nonce(k, esp + 8, nonce)
    mb_gcm(&c.mb, k.schedule, k.key_len, 1, esp + 16, text, size, nonce, aad, associated(k, &job, aad), esp + 16 + size,
           k.icv_len)


cdef void mbrun_gmac(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n, int seal) noexcept nogil:
    # The associated data of RFC 4543 3.3 with the IV in it, as every implementation has it.
    cdef uint8_t nonce[16]
    cdef uint8_t head[12]
    cdef uint8_t tag[16]
    cdef uint32_t head_len, covered
    cdef int i
    for i in range(n):
        head_len = associated(k, &jobs[i], head)
        make_nonce(k, jobs[i].data + 8, nonce)
        covered = jobs[i].length - 8 - 16
        mb_gmac(&c.mb, k.schedule, k.key_len, nonce, head, head_len, jobs[i].data + 8, covered, tag)
        if seal:
            memcpy(jobs[i].data + 8 + covered, tag, 16)
        jobs[i].ok = seal or differ(tag, jobs[i].data + 8 + covered, 16) == 0


cdef void mbrun_aead(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n, int seal) noexcept nogil:
    cdef mbjob_t work[64]
    cdef uint8_t tags[64][16]
    cdef uint8_t nonces[64][16]
    cdef uint8_t aads[64][16]
    cdef uint8_t *icv
    cdef int i
    for i in range(n):
        make_nonce(k, jobs[i].data + 8, nonces[i])
        work[i].aad_len = associated(k, &jobs[i], aads[i])
        work[i].aad = aads[i]
        work[i].iv = nonces[i]
        work[i].text = jobs[i].data + 16
        work[i].text_len = jobs[i].length - 16 - k.icv_len
        work[i].tag = jobs[i].data + jobs[i].length - k.icv_len if seal else tags[i]
    mb_aead(&c.mb, k.job, seal, work, n)
    for i in range(n):
        icv = jobs[i].data + jobs[i].length - k.icv_len
        jobs[i].ok = work[i].ok and (seal or differ(tags[i], icv, k.icv_len) == 0)


cdef void classic(mb_t *mb, crypt_key_t *k, esp_job_t *jobs, int n, int seal) noexcept nogil:
    cdef mbjob_t work[64]
    cdef uint8_t tags[64][32]
    cdef uint8_t icvs[64][32]
    cdef uint8_t counters[64][16]
    cdef uint8_t *icv
    cdef int i
    for i in range(n):
        icv = jobs[i].data + jobs[i].length - k.icv_len
        work[i].text = jobs[i].data + 8 + k.iv_len
        work[i].text_len = jobs[i].length - 8 - k.iv_len - k.icv_len
        work[i].tag = tags[i]
        work[i].iv = jobs[i].data + 8
        work[i].hash_from = jobs[i].data
        work[i].hash_len = jobs[i].length - k.icv_len
        if k.counter:
            # RFC 3686 4: nonce, IV, a block counter from 1.
            make_nonce(k, jobs[i].data + 8, counters[i])
            put32(counters[i] + 12, 1)
            work[i].iv = counters[i]
        if not seal:
            memcpy(icvs[i], icv, k.icv_len)
        if k.esn:
            # The upper half is hashed where the ICV stands and is never sent (RFC 4303 2.2.1).
            put32(icv, <uint32_t>(jobs[i].sequence >> 32))
            work[i].hash_len += 4
    mb_classic(mb, k.job, seal, work, n)
    for i in range(n):
        icv = jobs[i].data + jobs[i].length - k.icv_len
        jobs[i].ok = work[i].ok
        if seal:
            memcpy(icv, tags[i], k.icv_len)
        elif differ(tags[i], icvs[i], k.icv_len):
            jobs[i].ok = 0


cdef void mbrun_classic(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n, int seal) noexcept nogil:
    classic(&c.mb, k, jobs, n, seal)


cdef void mbrun_few(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n, int seal) noexcept nogil:
    classic(&c.small, k, jobs, n, seal)


cdef bint mac(mb_t *mb, crypt_key_t *k, const uint8_t *data, uint32_t length, uint8_t *tag) noexcept nogil:
    # A key of no cipher: its job is the hash alone.
    cdef mbjob_t work
    cdef uint8_t whole[32]
    if k.cipher != CIPHER_NULL:
        return False
    work.text = work.hash_from = <uint8_t *>data
    work.text_len = 0
    work.hash_len = length
    work.iv = NULL
    work.tag = whole
    mb_classic(mb, k.job, 1, &work, 1)
    memcpy(tag, whole, k.icv_len)
    return work.ok != 0


cdef bint mbmac_hash(crypt_t *c, crypt_key_t *k, const uint8_t *data, uint32_t length, const uint8_t *iv,
                     uint8_t *tag) noexcept nogil:
    return mac(&c.mb, k, data, length, tag)


cdef bint mbmac_few(crypt_t *c, crypt_key_t *k, const uint8_t *data, uint32_t length, const uint8_t *iv,
                    uint8_t *tag) noexcept nogil:
    return mac(&c.small, k, data, length, tag)


cdef bint mbmac_gmac(crypt_t *c, crypt_key_t *k, const uint8_t *data, uint32_t length, const uint8_t *iv,
                     uint8_t *tag) noexcept nogil:
    cdef uint8_t nonce[16]
    make_nonce(k, iv, nonce)
    mb_gmac(&c.mb, k.schedule, k.key_len, nonce, data, length, NULL, 0, tag)
    return True
