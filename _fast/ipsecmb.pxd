# SPDX-License-Identifier: GPL-2.0-or-later
# What is used of libipsec-mb, behind a few inline functions, so that the tree also builds where it is missing.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from * nogil:
    """
    #include <stdint.h>
    #include <stdlib.h>
    #include <string.h>
    typedef struct { uint8_t *text; uint64_t text_len; const uint8_t *iv; const uint8_t *aad; uint64_t aad_len;
                     uint8_t *hash_from; uint64_t hash_len; uint8_t *tag; int ok; } ow_mbjob;
    #if HAVE_IPSEC_MB
    #include <intel-ipsec-mb.h>
    /* Per-SA keys. Schedules must sit on 64 octets: the structure is allocated that way and starts with them. */
    typedef struct {
        struct gcm_key_data gcm __attribute__((aligned(64)));
        uint32_t enc[60] __attribute__((aligned(64)));
        uint32_t dec[60] __attribute__((aligned(64)));
        uint8_t inner[64] __attribute__((aligned(64)));
        uint8_t outer[64] __attribute__((aligned(64)));
        uint8_t chacha[32];
        uint64_t key_len;
        int hash;
    } ow_mbkey;
    typedef struct { IMB_MGR *mgr; struct gcm_context_data *gcm; } ow_mb;
    static int ow_mb_open(ow_mb *mb) {
        void *p = NULL;
        mb->mgr = alloc_mb_mgr(0);
        if (!mb->mgr) return 0;
        init_mb_mgr_auto(mb->mgr, NULL);
        if (imb_get_errno(mb->mgr) || !(mb->mgr->features & IMB_FEATURE_AESNI)
            || posix_memalign(&p, 64, sizeof(struct gcm_context_data))) { free_mb_mgr(mb->mgr); mb->mgr = NULL; return 0; }
        mb->gcm = (struct gcm_context_data *)p;
        return 1;
    }
    static void ow_mb_close(ow_mb *mb) {
        if (mb->mgr) { free_mb_mgr(mb->mgr); free(mb->gcm); mb->mgr = NULL; mb->gcm = NULL; }
    }
    static void ow_mb_gcm_key(ow_mb *mb, ow_mbkey *k, const uint8_t *key, uint64_t n) {
        k->key_len = n;
        if (n == 16) IMB_AES128_GCM_PRE(mb->mgr, key, &k->gcm);
        else if (n == 24) IMB_AES192_GCM_PRE(mb->mgr, key, &k->gcm);
        else IMB_AES256_GCM_PRE(mb->mgr, key, &k->gcm);
    }
    static void ow_mb_cbc_key(ow_mb *mb, ow_mbkey *k, const uint8_t *key, uint64_t n) {
        k->key_len = n;
        if (n == 16) IMB_AES_KEYEXP_128(mb->mgr, key, k->enc, k->dec);
        else if (n == 24) IMB_AES_KEYEXP_192(mb->mgr, key, k->enc, k->dec);
        else IMB_AES_KEYEXP_256(mb->mgr, key, k->enc, k->dec);
    }
    /* hash: 1 SHA1, 2 SHA2-256, 3 SHA2-384, 4 SHA2-512; HMAC keys here are never longer than a block (RFC 2104). */
    static void ow_mb_hmac_key(ow_mb *mb, ow_mbkey *k, int hash, const uint8_t *key, uint64_t n) {
        uint8_t pad[128];
        int i, side;
        k->hash = hash;
        for (side = 0; side < 2; side++) {
            memset(pad, side ? 0x5c : 0x36, sizeof pad);
            for (i = 0; i < (int)n && i < 128; i++) pad[i] ^= key[i];
            void *to = side ? k->outer : k->inner;
            if (hash == 1) IMB_SHA1_ONE_BLOCK(mb->mgr, pad, to);
            else if (hash == 2) IMB_SHA256_ONE_BLOCK(mb->mgr, pad, to);
            else if (hash == 3) IMB_SHA384_ONE_BLOCK(mb->mgr, pad, to);
            else IMB_SHA512_ONE_BLOCK(mb->mgr, pad, to);
        }
        imb_clear_mem(pad, sizeof pad);
    }
    static inline void ow_mb_gcm(ow_mb *mb, ow_mbkey *k, int seal, uint8_t *text, uint64_t n, const uint8_t *nonce,
                                 const uint8_t *aad, uint64_t aad_len, uint8_t *tag) {
        if (seal) {
            if (k->key_len == 16) IMB_AES128_GCM_ENC(mb->mgr, &k->gcm, mb->gcm, text, text, n, nonce, aad, aad_len, tag, 16);
            else if (k->key_len == 24) IMB_AES192_GCM_ENC(mb->mgr, &k->gcm, mb->gcm, text, text, n, nonce, aad, aad_len, tag, 16);
            else IMB_AES256_GCM_ENC(mb->mgr, &k->gcm, mb->gcm, text, text, n, nonce, aad, aad_len, tag, 16);
        } else {
            if (k->key_len == 16) IMB_AES128_GCM_DEC(mb->mgr, &k->gcm, mb->gcm, text, text, n, nonce, aad, aad_len, tag, 16);
            else if (k->key_len == 24) IMB_AES192_GCM_DEC(mb->mgr, &k->gcm, mb->gcm, text, text, n, nonce, aad, aad_len, tag, 16);
            else IMB_AES256_GCM_DEC(mb->mgr, &k->gcm, mb->gcm, text, text, n, nonce, aad, aad_len, tag, 16);
        }
    }
    static inline void ow_mb_done(IMB_JOB *job) {
        if (job) ((ow_mbjob *)job->user_data)->ok = job->status == IMB_STATUS_COMPLETED;
    }
    /* CBC (cipher 1), null (0) or ChaCha20-Poly1305 (2) over many packets of one key: lanes fill, one flush ends. */
    static void ow_mb_jobs(ow_mb *mb, ow_mbkey *k, int cipher, int seal, ow_mbjob *w, int n) {
        static const IMB_HASH_ALG algs[5] = {IMB_AUTH_NULL, IMB_AUTH_HMAC_SHA_1, IMB_AUTH_HMAC_SHA_256,
                                             IMB_AUTH_HMAC_SHA_384, IMB_AUTH_HMAC_SHA_512};
        static const uint64_t tags[5] = {16, 12, 16, 24, 32};
        int i;
        for (i = 0; i < n; i++) {
            IMB_JOB *j = IMB_GET_NEXT_JOB(mb->mgr);
            memset(j, 0, sizeof *j);
            w[i].ok = 0;
            j->user_data = &w[i];
            j->cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
            j->chain_order = seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
            j->auth_tag_output = w[i].tag;
            j->iv = w[i].iv;
            if (cipher == 2) {
                j->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
                j->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
                j->enc_keys = j->dec_keys = k->chacha;
                j->key_len_in_bytes = 32;
                j->iv_len_in_bytes = 12;
                j->src = w[i].text;
                j->dst = w[i].text;
                j->msg_len_to_cipher_in_bytes = j->msg_len_to_hash_in_bytes = w[i].text_len;
                j->u.CHACHA20_POLY1305.aad = w[i].aad;
                j->u.CHACHA20_POLY1305.aad_len_in_bytes = w[i].aad_len;
                j->auth_tag_output_len_in_bytes = 16;
            } else {
                j->src = w[i].hash_from;
                j->dst = w[i].text;
                j->cipher_start_src_offset_in_bytes = (uint64_t)(w[i].text - w[i].hash_from);
                if (cipher) {
                    j->cipher_mode = IMB_CIPHER_CBC;
                    j->enc_keys = k->enc;
                    j->dec_keys = k->dec;
                    j->key_len_in_bytes = k->key_len;
                    j->iv_len_in_bytes = 16;
                    j->msg_len_to_cipher_in_bytes = w[i].text_len;
                } else j->cipher_mode = IMB_CIPHER_NULL;
                j->hash_alg = algs[k->hash];
                j->hash_start_src_offset_in_bytes = 0;
                j->msg_len_to_hash_in_bytes = w[i].hash_len;
                j->auth_tag_output_len_in_bytes = tags[k->hash];
                j->u.HMAC._hashed_auth_key_xor_ipad = k->inner;
                j->u.HMAC._hashed_auth_key_xor_opad = k->outer;
            }
            ow_mb_done(IMB_SUBMIT_JOB(mb->mgr));
        }
        for (;;) {
            IMB_JOB *j = IMB_FLUSH_JOB(mb->mgr);
            if (!j) break;
            ow_mb_done(j);
        }
    }
    #else
    typedef struct { int hash; } ow_mbkey;
    typedef struct { void *mgr; } ow_mb;
    static int ow_mb_open(ow_mb *mb) { mb->mgr = NULL; return 0; }
    static void ow_mb_close(ow_mb *mb) { (void)mb; }
    static void ow_mb_gcm_key(ow_mb *mb, ow_mbkey *k, const uint8_t *key, uint64_t n) { (void)mb; (void)k; (void)key; (void)n; }
    static void ow_mb_cbc_key(ow_mb *mb, ow_mbkey *k, const uint8_t *key, uint64_t n) { (void)mb; (void)k; (void)key; (void)n; }
    static void ow_mb_hmac_key(ow_mb *mb, ow_mbkey *k, int h, const uint8_t *key, uint64_t n) { (void)mb; (void)k; (void)h; (void)key; (void)n; }
    static inline void ow_mb_gcm(ow_mb *mb, ow_mbkey *k, int seal, uint8_t *text, uint64_t n, const uint8_t *nonce,
                                 const uint8_t *aad, uint64_t aad_len, uint8_t *tag) { (void)mb; (void)k; (void)seal; (void)text; (void)n; (void)nonce; (void)aad; (void)aad_len; (void)tag; }
    static void ow_mb_jobs(ow_mb *mb, ow_mbkey *k, int c, int seal, ow_mbjob *w, int n) { (void)mb; (void)k; (void)c; (void)seal; (void)w; (void)n; }
    #endif
    static void ow_mb_chacha_key(ow_mb *mb, ow_mbkey *k, const uint8_t *key) {
        (void)mb;
    #if HAVE_IPSEC_MB
        memcpy(k->chacha, key, 32);
        k->key_len = 32;
    #else
        (void)k; (void)key;
    #endif
    }
    """
    ctypedef struct mbjob_t "ow_mbjob":
        uint8_t *text
        uint64_t text_len
        const uint8_t *iv
        const uint8_t *aad
        uint64_t aad_len
        uint8_t *hash_from
        uint64_t hash_len
        uint8_t *tag
        int ok
    ctypedef struct mbkey_t "ow_mbkey":
        pass
    ctypedef struct mb_t "ow_mb":
        void *mgr
    int mb_open "ow_mb_open"(mb_t *mb)
    void mb_close "ow_mb_close"(mb_t *mb)
    void mb_gcm_key "ow_mb_gcm_key"(mb_t *mb, mbkey_t *k, const uint8_t *key, uint64_t n)
    void mb_cbc_key "ow_mb_cbc_key"(mb_t *mb, mbkey_t *k, const uint8_t *key, uint64_t n)
    void mb_hmac_key "ow_mb_hmac_key"(mb_t *mb, mbkey_t *k, int hash, const uint8_t *key, uint64_t n)
    void mb_chacha_key "ow_mb_chacha_key"(mb_t *mb, mbkey_t *k, const uint8_t *key)
    void mb_gcm "ow_mb_gcm"(mb_t *mb, mbkey_t *k, int seal, uint8_t *text, uint64_t n, const uint8_t *nonce,
                            const uint8_t *aad, uint64_t aad_len, uint8_t *tag)
    void mb_jobs "ow_mb_jobs"(mb_t *mb, mbkey_t *k, int cipher, int seal, mbjob_t *w, int n)
