# SPDX-License-Identifier: GPL-2.0-or-later
"""Every algorithm by libcrypto's EVP interface.

EVP contexts hold state, so each worker has its own of every key it uses, made when it first does: most SAs are used by
one worker, and those that go by libipsec-mb never have any.
"""
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy, memset

from _fast.atomic cimport alloc_zeroed, cleanse, differ, install, loadp, wipe_free
from _fast.crypt cimport crypt_key_t, crypt_t, esp_job_t
from _fast.evp cimport *
from _fast.octets cimport put32
from _fast.suite cimport (CIPHER_AES_CCM_8, CIPHER_AES_CCM_16, INTEG_AES_CMAC_96, INTEG_AES_XCBC_96, associated,
                          cipher_row, integ_row, make_nonce)
from _fast.types cimport MAX_WORKERS

cdef enum:
    CHUNK = 1024


# A worker's contexts of one key. `mac` is an HMAC or CMAC; XCBC, which libcrypto has not, is CBC under `chain`.
cdef struct side_t:
    EVP_CIPHER_CTX *cipher
    EVP_MAC_CTX *mac
    EVP_CIPHER_CTX *chain
    uint8_t k2[16]
    uint8_t k3[16]


cdef void side_free(side_t *s) noexcept nogil:
    EVP_CIPHER_CTX_free(s.cipher)
    EVP_MAC_CTX_free(s.mac)
    EVP_CIPHER_CTX_free(s.chain)
    wipe_free(s, sizeof(side_t))


cdef void evp_free(crypt_key_t *k) noexcept nogil:
    cdef side_t **sides = <side_t **>k.evp
    cdef int i
    if sides == NULL:
        return
    for i in range(MAX_WORKERS):
        if sides[i] != NULL:
            side_free(sides[i])
    wipe_free(sides, MAX_WORKERS * sizeof(side_t *))
    k.evp = NULL


cdef bint chain_new(side_t *s, const uint8_t *key) noexcept nogil:
    # RFC 3566 4.1: K1, K2 and K3 are 0x01..., 0x02... and 0x03... enciphered with the key.
    cdef EVP_CIPHER_CTX *ecb = EVP_CIPHER_CTX_new()
    cdef uint8_t text[48]
    cdef uint8_t keys[48]
    cdef int out = 0
    cdef bint good
    memset(text, 1, 16)
    memset(text + 16, 2, 16)
    memset(text + 32, 3, 16)
    s.chain = EVP_CIPHER_CTX_new()
    good = (ecb != NULL and s.chain != NULL
            and EVP_CipherInit_ex(ecb, EVP_get_cipherbyname("AES-128-ECB"), NULL, key, NULL, 1) == 1
            and EVP_CipherUpdate(ecb, keys, &out, text, 48) == 1 and out == 48
            and EVP_CipherInit_ex(s.chain, EVP_get_cipherbyname("AES-128-CBC"), NULL, keys, NULL, 1) == 1
            and EVP_CIPHER_CTX_set_padding(s.chain, 0) == 1)
    if good:
        memcpy(s.k2, keys + 16, 16)
        memcpy(s.k3, keys + 32, 16)
    cleanse(keys, 48)
    EVP_CIPHER_CTX_free(ecb)
    return good


cdef bint side_cipher(side_t *s, const crypt_key_t *k, int seal) noexcept nogil:
    cdef const EVP_CIPHER *cipher = EVP_get_cipherbyname(cipher_row(k.cipher).evp[k.key_len // 8 - 2])
    s.cipher = EVP_CIPHER_CTX_new()
    if s.cipher == NULL or cipher == NULL or EVP_CipherInit_ex(s.cipher, cipher, NULL, NULL, NULL, seal) != 1:
        return False
    if CIPHER_AES_CCM_8 <= k.cipher <= CIPHER_AES_CCM_16 and (
            EVP_CIPHER_CTX_ctrl(s.cipher, EVP_CTRL_AEAD_SET_IVLEN, 11, NULL) != 1
            or EVP_CIPHER_CTX_ctrl(s.cipher, EVP_CTRL_AEAD_SET_TAG, k.icv_len, NULL) != 1):
        return False
    # An SA goes one way only, so the direction is set once with the key.
    return (EVP_CipherInit_ex(s.cipher, NULL, NULL, k.key, NULL, seal) == 1
            and EVP_CIPHER_CTX_set_padding(s.cipher, 0) == 1)


cdef side_t *side(crypt_t *c, crypt_key_t *k, int seal) noexcept nogil:
    # This worker's contexts; NULL when there is no memory or libcrypto lacks the algorithm.
    cdef side_t **sides = <side_t **>loadp(&k.evp)
    cdef side_t *s
    cdef bint good = True
    if sides == NULL:
        sides = <side_t **>alloc_zeroed(MAX_WORKERS * sizeof(side_t *))
        if sides == NULL:
            return NULL
        # Two workers may come first together: one's is kept.
        sides = <side_t **>install(&k.evp, sides)
    s = sides[c.worker]
    if s != NULL:
        return s
    s = <side_t *>alloc_zeroed(sizeof(side_t))
    if s == NULL:
        return NULL
    if cipher_row(k.cipher).evp[0] != NULL:
        good = side_cipher(s, k, seal)
    if good and k.integ == INTEG_AES_XCBC_96:
        good = chain_new(s, k.auth)
    elif good and k.integ:
        s.mac = mac_new(k.integ == INTEG_AES_CMAC_96, integ_row(k.integ).evp, k.auth, k.auth_len)
        good = s.mac != NULL
    if not good:
        side_free(s)
        return NULL
    sides[c.worker] = s
    return s


cdef void refuse(esp_job_t *jobs, int n) noexcept nogil:
    cdef int i
    for i in range(n):
        jobs[i].ok = 0


# --- AEADs --------------------------------------------------------------------------------------------------------

cdef bint aead_one(side_t *s, const crypt_key_t *k, esp_job_t *job, int seal) noexcept nogil:
    cdef EVP_CIPHER_CTX *ctx = s.cipher
    cdef uint8_t nonce[16]
    cdef uint8_t aad[12]
    cdef uint32_t aad_len = associated(k, job, aad)
    cdef uint8_t *text = job.data + 8 + k.iv_len
    cdef int n = <int>job.length - 8 - k.iv_len - k.icv_len
    cdef int out = 0
    cdef bint ccm = CIPHER_AES_CCM_8 <= k.cipher <= CIPHER_AES_CCM_16
    make_nonce(k, job.data + 8, nonce)
    # CCM wants tag length, or tag, before nonce and length, and checks it while it deciphers.
    if not seal and EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, k.icv_len, text + n) != 1:
        return False
    if EVP_CipherInit_ex(ctx, NULL, NULL, NULL, nonce, seal) != 1:
        return False
    if ccm and EVP_CipherUpdate(ctx, NULL, &out, NULL, n) != 1:
        return False
    if EVP_CipherUpdate(ctx, NULL, &out, aad, <int>aad_len) != 1 or EVP_CipherUpdate(ctx, text, &out, text, n) != 1:
        return False
    if not ccm and EVP_CipherFinal_ex(ctx, text + n, &out) != 1:
        return False
    return not seal or EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, k.icv_len, text + n) == 1


cdef void evp_aead(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n, int seal) noexcept nogil:
    cdef side_t *s = side(c, k, seal)
    cdef int i
    if s == NULL:
        refuse(jobs, n)
        return
    for i in range(n):
        jobs[i].ok = aead_one(s, k, &jobs[i], seal)


cdef bint gmac(side_t *s, const uint8_t *nonce, const uint8_t *head, int head_len, const uint8_t *rest, int rest_len,
               uint8_t *tag) noexcept nogil:
    # GCM of associated data alone (RFC 4543 3).
    cdef int out = 0
    return (EVP_CipherInit_ex(s.cipher, NULL, NULL, NULL, nonce, 1) == 1
            and (head_len == 0 or EVP_CipherUpdate(s.cipher, NULL, &out, head, head_len) == 1)
            and (rest_len == 0 or EVP_CipherUpdate(s.cipher, NULL, &out, rest, rest_len) == 1)
            and EVP_CipherFinal_ex(s.cipher, tag, &out) == 1
            and EVP_CIPHER_CTX_ctrl(s.cipher, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1)


cdef void evp_gmac(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n, int seal) noexcept nogil:
    # The associated data of RFC 4543 3.3 with the IV in it, as every implementation has it.
    cdef side_t *s = side(c, k, 1)
    cdef uint8_t nonce[16]
    cdef uint8_t head[12]
    cdef uint8_t tag[16]
    cdef uint32_t covered, head_len
    cdef int i
    if s == NULL:
        refuse(jobs, n)
        return
    for i in range(n):
        make_nonce(k, jobs[i].data + 8, nonce)
        head_len = associated(k, &jobs[i], head)
        covered = jobs[i].length - 8 - 16
        jobs[i].ok = gmac(s, nonce, head, <int>head_len, jobs[i].data + 8, <int>covered, tag)
        if seal:
            memcpy(jobs[i].data + 8 + covered, tag, 16)
        elif differ(tag, jobs[i].data + 8 + covered, 16):
            jobs[i].ok = 0


cdef bint evp_gmac_mac(crypt_t *c, crypt_key_t *k, const uint8_t *data, uint32_t length, const uint8_t *iv,
                       uint8_t *tag) noexcept nogil:
    cdef side_t *s = side(c, k, 1)
    cdef uint8_t nonce[16]
    if s == NULL:
        return False
    make_nonce(k, iv, nonce)
    return gmac(s, nonce, data, <int>length, NULL, 0, tag)


# --- cipher and hash ----------------------------------------------------------------------------------------------

cdef bint xcbc(side_t *s, const uint8_t *data, uint32_t length, const uint8_t *high, uint8_t *tag) noexcept nogil:
    # RFC 3566 4: CBC under K1; the last block is mixed with K2, or padded and mixed with K3. `high`: four more octets.
    cdef uint8_t zero[16]
    cdef uint8_t chain[1024]
    cdef uint8_t last[32]
    cdef uint8_t sealed[32]
    cdef const uint8_t *with_key
    cdef uint32_t whole, n, i, left
    cdef int out = 0
    memset(zero, 0, 16)
    if EVP_CipherInit_ex(s.chain, NULL, NULL, NULL, zero, 1) != 1:
        return False
    # All blocks that cannot be the last one go straight through.
    whole = (length - 1) // 16 * 16 if length else 0
    while whole:
        n = CHUNK if whole > CHUNK else whole
        if EVP_CipherUpdate(s.chain, chain, &out, data, <int>n) != 1:
            return False
        data += n
        length -= n
        whole -= n
    memset(last, 0, 32)
    memcpy(last, data, length)
    left = length
    if high != NULL:
        memcpy(last + left, high, 4)
        left += 4
    n = 32 if left > 16 else 16
    with_key = &s.k2[0] if left == n else &s.k3[0]
    if left < n:
        last[left] = 0x80
    for i in range(16):
        last[n - 16 + i] ^= with_key[i]
    if EVP_CipherUpdate(s.chain, sealed, &out, last, <int>n) != 1 or out != <int>n:
        return False
    memcpy(tag, sealed + n - 16, 16)
    return True


cdef bint hash_one(side_t *s, const crypt_key_t *k, const uint8_t *data, uint32_t length, const uint8_t *high,
                   uint8_t *tag) noexcept nogil:
    # `tag` has 64 octets.
    cdef size_t out = 0
    if k.integ == INTEG_AES_XCBC_96:
        return xcbc(s, data, length, high, tag)
    return (EVP_MAC_init(s.mac, NULL, 0, NULL) == 1 and EVP_MAC_update(s.mac, data, length) == 1
            and (high == NULL or EVP_MAC_update(s.mac, high, 4) == 1) and EVP_MAC_final(s.mac, tag, &out, 64) == 1)


cdef bint classic_one(side_t *s, const crypt_key_t *k, esp_job_t *job, int seal) noexcept nogil:
    cdef uint8_t tag[64]
    cdef uint8_t high[4]
    cdef uint8_t counter[16]
    cdef uint8_t *upper = high if k.esn else NULL
    cdef uint8_t *iv = job.data + 8
    cdef uint8_t *text = iv + k.iv_len
    cdef uint8_t *icv = job.data + job.length - k.icv_len
    cdef uint32_t covered = job.length - k.icv_len
    cdef int n = <int>(icv - text)
    cdef int out = 0
    put32(high, <uint32_t>(job.sequence >> 32))
    if not seal and (not hash_one(s, k, job.data, covered, upper, tag) or differ(tag, icv, k.icv_len)):
        return False
    if s.cipher != NULL:
        if k.counter:
            # RFC 3686 4: nonce, IV, a block counter from 1.
            make_nonce(k, iv, counter)
            put32(counter + 12, 1)
            iv = counter
        if EVP_CipherInit_ex(s.cipher, NULL, NULL, NULL, iv, seal) != 1:
            return False
        if EVP_CipherUpdate(s.cipher, text, &out, text, n) != 1 or out != n:
            return False
    if seal:
        if not hash_one(s, k, job.data, covered, upper, tag):
            return False
        memcpy(icv, tag, k.icv_len)
    return True


cdef void evp_classic(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n, int seal) noexcept nogil:
    cdef side_t *s = side(c, k, seal)
    cdef int i
    if s == NULL:
        refuse(jobs, n)
        return
    for i in range(n):
        jobs[i].ok = classic_one(s, k, &jobs[i], seal)


cdef bint evp_mac(crypt_t *c, crypt_key_t *k, const uint8_t *data, uint32_t length, const uint8_t *iv, uint8_t *tag) noexcept nogil:
    cdef side_t *s = side(c, k, 1)
    cdef uint8_t whole[64]
    if s == NULL or not hash_one(s, k, data, length, NULL, whole):
        return False
    memcpy(tag, whole, k.icv_len)
    return True
