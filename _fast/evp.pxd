# SPDX-License-Identifier: GPL-2.0-or-later
# What is used of libcrypto's EVP interface, nothing more.

cdef extern from "<openssl/evp.h>" nogil:
    ctypedef struct EVP_CIPHER
    ctypedef struct EVP_CIPHER_CTX
    ctypedef struct EVP_MAC
    ctypedef struct EVP_MAC_CTX
    ctypedef struct OSSL_PARAM
    enum:
        EVP_CTRL_AEAD_SET_IVLEN
        EVP_CTRL_AEAD_GET_TAG
        EVP_CTRL_AEAD_SET_TAG
    EVP_CIPHER_CTX *EVP_CIPHER_CTX_new()
    void EVP_CIPHER_CTX_free(EVP_CIPHER_CTX *ctx)
    int EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX *ctx, int op, int arg, void *p)
    int EVP_CIPHER_CTX_set_padding(EVP_CIPHER_CTX *ctx, int on)
    int EVP_CipherInit_ex(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *type, void *engine, const unsigned char *key,
                          const unsigned char *iv, int encrypt)
    int EVP_CipherUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *outl, const unsigned char *src, int inl)
    int EVP_CipherFinal_ex(EVP_CIPHER_CTX *ctx, unsigned char *out, int *outl)
    const EVP_CIPHER *EVP_get_cipherbyname(const char *name)
    EVP_MAC *EVP_MAC_fetch(void *libctx, const char *name, const char *properties)
    void EVP_MAC_free(EVP_MAC *mac)
    EVP_MAC_CTX *EVP_MAC_CTX_new(EVP_MAC *mac)
    void EVP_MAC_CTX_free(EVP_MAC_CTX *ctx)
    int EVP_MAC_init(EVP_MAC_CTX *ctx, const unsigned char *key, size_t keylen, const OSSL_PARAM *params)
    int EVP_MAC_update(EVP_MAC_CTX *ctx, const unsigned char *data, size_t n)
    int EVP_MAC_final(EVP_MAC_CTX *ctx, unsigned char *out, size_t *outl, size_t outsize)

cdef extern from * nogil:
    """
    #include <openssl/evp.h>
    #include <openssl/core_names.h>
    #include <openssl/params.h>
    /* An HMAC (of that digest) or CMAC (of that cipher) context with its key loaded; NULL when libcrypto refuses. The
       caller frees it. */
    static EVP_MAC_CTX *ow_mac_new(int cmac, const char *of, const unsigned char *key, size_t n) {
        EVP_MAC *mac = EVP_MAC_fetch(NULL, cmac ? "CMAC" : "HMAC", NULL);
        EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
        OSSL_PARAM params[2];
        EVP_MAC_free(mac);
        params[0] = OSSL_PARAM_construct_utf8_string(cmac ? OSSL_MAC_PARAM_CIPHER : OSSL_MAC_PARAM_DIGEST, (char *)of, 0);
        params[1] = OSSL_PARAM_construct_end();
        if (ctx && EVP_MAC_init(ctx, key, n, params) != 1) { EVP_MAC_CTX_free(ctx); ctx = NULL; }
        return ctx;
    }
    """
    EVP_MAC_CTX *mac_new "ow_mac_new"(bint cmac, const char *of, const unsigned char *key, size_t n)
