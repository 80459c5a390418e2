# SPDX-License-Identifier: GPL-2.0-or-later
# What is used of libipsec-mb, behind a few inline functions, so that the tree also builds where it is missing.
#
# A classic job is a template, filled once with the key's schedules, copied for each packet: cipher and hash each add
# their part. Schedules are written to memory the caller has allocated, on 64 octets.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from * nogil:
    """
    #include <stdint.h>
    #include <stdlib.h>
    #include <string.h>
    typedef struct { uint8_t *text; uint64_t text_len; const uint8_t *iv; const uint8_t *aad; uint64_t aad_len;
                     uint8_t *hash_from; uint64_t hash_len; uint8_t *tag; int ok; } ow_mbjob;
    enum { OW_HMAC_SHA1 = 1, OW_HMAC_SHA256, OW_HMAC_SHA384, OW_HMAC_SHA512, OW_HMAC_MD5, OW_XCBC, OW_CMAC };
    #if HAVE_IPSEC_MB
    #include <intel-ipsec-mb.h>
    typedef struct { IMB_MGR *mgr; } ow_mb;
    typedef struct { uint32_t enc[60]; uint32_t dec[60]; } ow_aes;
    typedef struct { const void *ks[3]; uint64_t pad; uint64_t k[3][16]; } ow_des3;
    typedef struct { uint8_t inner[64]; uint8_t outer[64]; } ow_hmac;
    typedef struct { uint32_t k1[44]; uint32_t dust[44]; uint8_t k2[16]; uint8_t k3[16]; } ow_cbcmac;
    enum { OW_JOB_ROOM = (sizeof(IMB_JOB) + 63) & ~63, OW_GCM_ROOM = (sizeof(struct gcm_key_data) + 63) & ~63,
           OW_AES_ROOM = (sizeof(ow_aes) + 63) & ~63, OW_DES3_ROOM = (sizeof(ow_des3) + 63) & ~63, OW_CHACHA_ROOM = 64,
           OW_HMAC_ROOM = sizeof(ow_hmac), OW_CBCMAC_ROOM = (sizeof(ow_cbcmac) + 63) & ~63 };

    static int ow_mb_open(ow_mb *mb) {
        mb->mgr = alloc_mb_mgr(0);
        if (!mb->mgr) return 0;
        init_mb_mgr_auto(mb->mgr, NULL);
        if (imb_get_errno(mb->mgr) || !(mb->mgr->features & IMB_FEATURE_AESNI)) {
            free_mb_mgr(mb->mgr);
            mb->mgr = NULL;
            return 0;
        }
        return 1;
    }
    /* A manager of few lanes for few packets: with SHA instructions two packets at a time keep up with 16 lanes of
       AVX512, and one alone takes a quarter of the time. Key schedules of all but GCM are the same for both. */
    static int ow_mb_open_small(ow_mb *mb) {
        mb->mgr = alloc_mb_mgr(0);
        if (!mb->mgr) return 0;
        if (mb->mgr->features & IMB_FEATURE_SHANI) {
            init_mb_mgr_sse(mb->mgr);
            if (!imb_get_errno(mb->mgr)) return 1;
        }
        free_mb_mgr(mb->mgr);
        mb->mgr = NULL;
        return 0;
    }
    static void ow_mb_close(ow_mb *mb) { if (mb->mgr) { free_mb_mgr(mb->mgr); mb->mgr = NULL; } }

    /* --- key schedules --- */
    static void ow_mb_gcm_key(ow_mb *mb, void *to, const uint8_t *key, uint64_t n) {
        if (n == 16) IMB_AES128_GCM_PRE(mb->mgr, key, (struct gcm_key_data *)to);
        else if (n == 24) IMB_AES192_GCM_PRE(mb->mgr, key, (struct gcm_key_data *)to);
        else IMB_AES256_GCM_PRE(mb->mgr, key, (struct gcm_key_data *)to);
    }
    static void ow_mb_aes(ow_mb *mb, ow_aes *to, IMB_JOB *j, const uint8_t *key, uint64_t n) {
        if (n == 16) IMB_AES_KEYEXP_128(mb->mgr, key, to->enc, to->dec);
        else if (n == 24) IMB_AES_KEYEXP_192(mb->mgr, key, to->enc, to->dec);
        else IMB_AES_KEYEXP_256(mb->mgr, key, to->enc, to->dec);
        j->enc_keys = to->enc;
        j->dec_keys = to->dec;
        j->key_len_in_bytes = n;
    }
    static void ow_mb_cbc_key(ow_mb *mb, void *to, void *job, const uint8_t *key, uint64_t n) {
        ow_mb_aes(mb, (ow_aes *)to, (IMB_JOB *)job, key, n);
        ((IMB_JOB *)job)->cipher_mode = IMB_CIPHER_CBC;
        ((IMB_JOB *)job)->iv_len_in_bytes = 16;
    }
    static void ow_mb_ctr_key(ow_mb *mb, void *to, void *job, const uint8_t *key, uint64_t n) {
        IMB_JOB *j = (IMB_JOB *)job;
        ow_mb_aes(mb, (ow_aes *)to, j, key, n);
        j->cipher_mode = IMB_CIPHER_CNTR;
        j->dec_keys = j->enc_keys;
        j->iv_len_in_bytes = 16;
    }
    static void ow_mb_ccm_key(ow_mb *mb, void *to, void *job, const uint8_t *key, uint64_t n, uint64_t icv) {
        IMB_JOB *j = (IMB_JOB *)job;
        ow_mb_aes(mb, (ow_aes *)to, j, key, n);
        j->cipher_mode = IMB_CIPHER_CCM;
        j->hash_alg = IMB_AUTH_AES_CCM;
        j->dec_keys = j->enc_keys;
        j->iv_len_in_bytes = 11;
        j->auth_tag_output_len_in_bytes = icv;
    }
    static void ow_mb_des3_key(ow_mb *mb, void *to, void *job, const uint8_t *key) {
        IMB_JOB *j = (IMB_JOB *)job;
        ow_des3 *d = (ow_des3 *)to;
        int i;
        for (i = 0; i < 3; i++) {
            IMB_DES_KEYSCHED(mb->mgr, d->k[i], key + 8 * i);
            d->ks[i] = d->k[i];
        }
        j->cipher_mode = IMB_CIPHER_DES3;
        j->enc_keys = j->dec_keys = d->ks;
        j->key_len_in_bytes = 24;
        j->iv_len_in_bytes = 8;
    }
    static void ow_mb_chacha_key(void *to, void *job, const uint8_t *key) {
        IMB_JOB *j = (IMB_JOB *)job;
        memcpy(to, key, 32);
        j->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
        j->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
        j->enc_keys = j->dec_keys = to;
        j->key_len_in_bytes = 32;
        j->iv_len_in_bytes = 12;
        j->auth_tag_output_len_in_bytes = 16;
    }
    static void ow_mb_null_key(void *job) { ((IMB_JOB *)job)->cipher_mode = IMB_CIPHER_NULL; }
    /* HMAC keys are never longer than a block here (RFC 2104 2). */
    static void ow_mb_hash_key(ow_mb *mb, void *to, void *job, int hash, const uint8_t *key, uint64_t n) {
        static const struct { IMB_HASH_ALG alg; uint64_t tag; } rows[8] = {
            {IMB_AUTH_NULL, 0}, {IMB_AUTH_HMAC_SHA_1, 12}, {IMB_AUTH_HMAC_SHA_256, 16}, {IMB_AUTH_HMAC_SHA_384, 24},
            {IMB_AUTH_HMAC_SHA_512, 32}, {IMB_AUTH_MD5, 12}, {IMB_AUTH_AES_XCBC, 12}, {IMB_AUTH_AES_CMAC, 12}};
        IMB_JOB *j = (IMB_JOB *)job;
        ow_cbcmac *m = (ow_cbcmac *)to;
        ow_hmac *h = (ow_hmac *)to;
        uint8_t pad[128];
        int i, side;
        j->hash_alg = rows[hash].alg;
        j->auth_tag_output_len_in_bytes = rows[hash].tag;
        if (hash == OW_XCBC) {
            IMB_AES_XCBC_KEYEXP(mb->mgr, key, m->k1, m->k2, m->k3);
            j->u.XCBC._k1_expanded = m->k1;
            j->u.XCBC._k2 = m->k2;
            j->u.XCBC._k3 = m->k3;
            return;
        }
        if (hash == OW_CMAC) {
            IMB_AES_KEYEXP_128(mb->mgr, key, m->k1, m->dust);
            IMB_AES_CMAC_SUBKEY_GEN_128(mb->mgr, m->k1, m->k2, m->k3);
            j->u.CMAC._key_expanded = m->k1;
            j->u.CMAC._skey1 = m->k2;
            j->u.CMAC._skey2 = m->k3;
            return;
        }
        for (side = 0; side < 2; side++) {
            void *into = side ? h->outer : h->inner;
            memset(pad, side ? 0x5c : 0x36, sizeof pad);
            for (i = 0; i < (int)n && i < 128; i++) pad[i] ^= key[i];
            if (hash == OW_HMAC_SHA1) IMB_SHA1_ONE_BLOCK(mb->mgr, pad, into);
            else if (hash == OW_HMAC_SHA256) IMB_SHA256_ONE_BLOCK(mb->mgr, pad, into);
            else if (hash == OW_HMAC_SHA384) IMB_SHA384_ONE_BLOCK(mb->mgr, pad, into);
            else if (hash == OW_HMAC_SHA512) IMB_SHA512_ONE_BLOCK(mb->mgr, pad, into);
            else IMB_MD5_ONE_BLOCK(mb->mgr, pad, into);
        }
        j->u.HMAC._hashed_auth_key_xor_ipad = h->inner;
        j->u.HMAC._hashed_auth_key_xor_opad = h->outer;
        imb_clear_mem(pad, sizeof pad);
    }

    /* --- packets --- */
    static inline void ow_mb_gcm(ow_mb *mb, const void *key, uint32_t key_len, int seal, uint8_t *to,
                                 const uint8_t *text, uint64_t n, const uint8_t *nonce, const uint8_t *aad, uint64_t aad_len,
                                 uint8_t *tag, uint64_t tag_len) {
        const struct gcm_key_data *k = (const struct gcm_key_data *)key;
        struct gcm_context_data ctx;
        aes_gcm_enc_dec_t f;
        if (seal) f = key_len == 16 ? mb->mgr->gcm128_enc : key_len == 32 ? mb->mgr->gcm256_enc : mb->mgr->gcm192_enc;
        else f = key_len == 16 ? mb->mgr->gcm128_dec : key_len == 32 ? mb->mgr->gcm256_dec : mb->mgr->gcm192_dec;
        f(k, &ctx, to, text, n, nonce, aad, aad_len, tag, tag_len);
    }
    static void ow_mb_gmac(ow_mb *mb, const void *key, uint32_t key_len, const uint8_t *nonce, const uint8_t *head,
                           uint64_t head_len, const uint8_t *rest, uint64_t rest_len, uint8_t *tag) {
        const struct gcm_key_data *k = (const struct gcm_key_data *)key;
        struct gcm_context_data ctx;
    #define OW_GMAC(bits) do { \\
            IMB_AES##bits##_GMAC_INIT(mb->mgr, k, &ctx, nonce, 12); \\
            if (head_len) IMB_AES##bits##_GMAC_UPDATE(mb->mgr, k, &ctx, head, head_len); \\
            if (rest_len) IMB_AES##bits##_GMAC_UPDATE(mb->mgr, k, &ctx, rest, rest_len); \\
            IMB_AES##bits##_GMAC_FINALIZE(mb->mgr, k, &ctx, tag, 16); } while (0)
        if (key_len == 16) OW_GMAC(128);
        else if (key_len == 24) OW_GMAC(192);
        else OW_GMAC(256);
    #undef OW_GMAC
    }
    static inline void ow_mb_done(IMB_JOB *job) {
        if (job) ((ow_mbjob *)job->user_data)->ok = job->status == IMB_STATUS_COMPLETED;
    }
    static inline void ow_mb_drain(ow_mb *mb) {
        for (;;) {
            IMB_JOB *j = IMB_FLUSH_JOB(mb->mgr);
            if (!j) break;
            ow_mb_done(j);
        }
    }
    /* Cipher and hash over many packets of one key: lanes fill, one flush ends. */
    static void ow_mb_classic(ow_mb *mb, const void *job, int seal, ow_mbjob *w, int n) {
        int i;
        for (i = 0; i < n; i++) {
            IMB_JOB *j = IMB_GET_NEXT_JOB(mb->mgr);
            memcpy(j, job, sizeof *j);
            w[i].ok = 0;
            j->user_data = &w[i];
            j->cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
            j->chain_order = seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
            j->src = w[i].hash_from;
            j->dst = w[i].text;
            j->iv = w[i].iv;
            j->cipher_start_src_offset_in_bytes = (uint64_t)(w[i].text - w[i].hash_from);
            j->msg_len_to_cipher_in_bytes = w[i].text_len;
            j->msg_len_to_hash_in_bytes = w[i].hash_len;
            j->auth_tag_output = w[i].tag;
            ow_mb_done(IMB_SUBMIT_JOB(mb->mgr));
        }
        ow_mb_drain(mb);
    }
    /* The same for AEADs: CCM, whose hash covers the plaintext, and ChaCha20-Poly1305. */
    static void ow_mb_aead(ow_mb *mb, const void *job, int seal, ow_mbjob *w, int n) {
        int i;
        for (i = 0; i < n; i++) {
            IMB_JOB *j = IMB_GET_NEXT_JOB(mb->mgr);
            memcpy(j, job, sizeof *j);
            w[i].ok = 0;
            j->user_data = &w[i];
            j->cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
            j->src = w[i].text;
            j->dst = w[i].text;
            j->iv = w[i].iv;
            j->msg_len_to_cipher_in_bytes = j->msg_len_to_hash_in_bytes = w[i].text_len;
            j->auth_tag_output = w[i].tag;
            if (j->hash_alg == IMB_AUTH_AES_CCM) {
                j->chain_order = seal ? IMB_ORDER_HASH_CIPHER : IMB_ORDER_CIPHER_HASH;
                j->u.CCM.aad = w[i].aad;
                j->u.CCM.aad_len_in_bytes = w[i].aad_len;
            } else {
                j->chain_order = seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
                j->u.CHACHA20_POLY1305.aad = w[i].aad;
                j->u.CHACHA20_POLY1305.aad_len_in_bytes = w[i].aad_len;
            }
            ow_mb_done(IMB_SUBMIT_JOB(mb->mgr));
        }
        ow_mb_drain(mb);
    }
    #else
    typedef struct { void *mgr; } ow_mb;
    enum { OW_JOB_ROOM = 64, OW_GCM_ROOM = 64, OW_AES_ROOM = 64, OW_DES3_ROOM = 64, OW_CHACHA_ROOM = 64, OW_HMAC_ROOM = 64,
           OW_CBCMAC_ROOM = 64 };
    #define OW_ABSENT(...) do { (void)sizeof(#__VA_ARGS__); } while (0)
    static int ow_mb_open(ow_mb *mb) { mb->mgr = NULL; return 0; }
    static int ow_mb_open_small(ow_mb *mb) { mb->mgr = NULL; return 0; }
    static void ow_mb_close(ow_mb *mb) { (void)mb; }
    #define ow_mb_gcm_key OW_ABSENT
    #define ow_mb_cbc_key OW_ABSENT
    #define ow_mb_ctr_key OW_ABSENT
    #define ow_mb_ccm_key OW_ABSENT
    #define ow_mb_des3_key OW_ABSENT
    #define ow_mb_chacha_key OW_ABSENT
    #define ow_mb_null_key OW_ABSENT
    #define ow_mb_hash_key OW_ABSENT
    #define ow_mb_gcm OW_ABSENT
    #define ow_mb_gmac OW_ABSENT
    #define ow_mb_classic OW_ABSENT
    #define ow_mb_aead OW_ABSENT
    #endif
    """
    enum:
        HASH_HMAC_SHA1 "OW_HMAC_SHA1"
        HASH_HMAC_SHA256 "OW_HMAC_SHA256"
        HASH_HMAC_SHA384 "OW_HMAC_SHA384"
        HASH_HMAC_SHA512 "OW_HMAC_SHA512"
        HASH_HMAC_MD5 "OW_HMAC_MD5"
        HASH_XCBC "OW_XCBC"
        HASH_CMAC "OW_CMAC"
        JOB_ROOM "OW_JOB_ROOM"
        GCM_ROOM "OW_GCM_ROOM"
        AES_ROOM "OW_AES_ROOM"
        DES3_ROOM "OW_DES3_ROOM"
        CHACHA_ROOM "OW_CHACHA_ROOM"
        HMAC_ROOM "OW_HMAC_ROOM"
        CBCMAC_ROOM "OW_CBCMAC_ROOM"
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
    ctypedef struct mb_t "ow_mb":
        void *mgr
    int mb_open "ow_mb_open"(mb_t *mb)
    int mb_open_small "ow_mb_open_small"(mb_t *mb)
    void mb_close "ow_mb_close"(mb_t *mb)
    void mb_gcm_key "ow_mb_gcm_key"(mb_t *mb, void *to, const uint8_t *key, uint64_t n)
    void mb_cbc_key "ow_mb_cbc_key"(mb_t *mb, void *to, void *job, const uint8_t *key, uint64_t n)
    void mb_ctr_key "ow_mb_ctr_key"(mb_t *mb, void *to, void *job, const uint8_t *key, uint64_t n)
    void mb_ccm_key "ow_mb_ccm_key"(mb_t *mb, void *to, void *job, const uint8_t *key, uint64_t n, uint64_t icv)
    void mb_des3_key "ow_mb_des3_key"(mb_t *mb, void *to, void *job, const uint8_t *key)
    void mb_chacha_key "ow_mb_chacha_key"(void *to, void *job, const uint8_t *key)
    void mb_null_key "ow_mb_null_key"(void *job)
    void mb_hash_key "ow_mb_hash_key"(mb_t *mb, void *to, void *job, int hash, const uint8_t *key, uint64_t n)
    void mb_gcm "ow_mb_gcm"(mb_t *mb, const void *key, uint32_t key_len, int seal, uint8_t *to, const uint8_t *text,
                            uint64_t n, const uint8_t *nonce, const uint8_t *aad, uint64_t aad_len, uint8_t *tag,
                            uint64_t tag_len)
    void mb_gmac "ow_mb_gmac"(mb_t *mb, const void *key, uint32_t key_len, const uint8_t *nonce, const uint8_t *head,
                              uint64_t head_len, const uint8_t *rest, uint64_t rest_len, uint8_t *tag)
    void mb_classic "ow_mb_classic"(mb_t *mb, const void *job, int seal, mbjob_t *w, int n)
    void mb_aead "ow_mb_aead"(mb_t *mb, const void *job, int seal, mbjob_t *w, int n)
