# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of ESP's and AH's algorithms: one row each, sizes in octets. Names are those of openswan.crypto.registry.

RFC 3602 (CBC), 3686 (CTR), 4106 (GCM), 4309 (CCM), 4543 (GMAC), 7634 (ChaCha20), 2451 (3DES), 2410 (NULL); RFC 2403,
2404, 4868 (HMAC), 3566 (XCBC), 4494 (CMAC).
"""
from _fast.ipsecmb cimport (HASH_CMAC, HASH_HMAC_MD5, HASH_HMAC_SHA1, HASH_HMAC_SHA256, HASH_HMAC_SHA384,
                            HASH_HMAC_SHA512, HASH_XCBC)

AES = (16, 24, 32)
GCM = (b"AES-128-GCM", b"AES-192-GCM", b"AES-256-GCM")
CCM = (b"AES-128-CCM", b"AES-192-CCM", b"AES-256-CCM")
CBC = (b"AES-128-CBC", b"AES-192-CBC", b"AES-256-CBC")
CTR = (b"AES-128-CTR", b"AES-192-CTR", b"AES-256-CTR")

CIPHER_TABLE = (
    # name, number, keys, salt, IV, alignment, ICV, counter mode, family, libcrypto
    ("null", CIPHER_NULL, (), 0, 0, 4, 0, False, FAMILY_CLASSIC, ()),
    ("aes_cbc", CIPHER_AES_CBC, AES, 0, 16, 16, 0, False, FAMILY_CLASSIC, CBC),
    ("3des_cbc", CIPHER_3DES_CBC, (24,), 0, 8, 8, 0, False, FAMILY_CLASSIC, (b"DES-EDE3-CBC",) * 3),
    ("aes_ctr", CIPHER_AES_CTR, AES, 4, 8, 4, 0, True, FAMILY_CLASSIC, CTR),
    ("aes_gcm_8", CIPHER_AES_GCM_8, AES, 4, 8, 4, 8, True, FAMILY_GCM, GCM),
    ("aes_gcm_12", CIPHER_AES_GCM_12, AES, 4, 8, 4, 12, True, FAMILY_GCM, GCM),
    ("aes_gcm_16", CIPHER_AES_GCM_16, AES, 4, 8, 4, 16, True, FAMILY_GCM, GCM),
    ("aes_ccm_8", CIPHER_AES_CCM_8, AES, 3, 8, 4, 8, True, FAMILY_AEAD, CCM),
    ("aes_ccm_12", CIPHER_AES_CCM_12, AES, 3, 8, 4, 12, True, FAMILY_AEAD, CCM),
    ("aes_ccm_16", CIPHER_AES_CCM_16, AES, 3, 8, 4, 16, True, FAMILY_AEAD, CCM),
    ("chacha20_poly1305", CIPHER_CHACHA20_POLY1305, (32,), 4, 8, 4, 16, True, FAMILY_AEAD, (b"ChaCha20-Poly1305",) * 3),
    ("null_auth_aes_gmac", CIPHER_AES_GMAC, AES, 4, 8, 4, 16, True, FAMILY_GMAC, GCM),
)

# What few packets are is measured (tests/bench/engine.py), at 1408 octets, on a CPU with AVX512 and SHA instructions.
INTEG_TABLE = (
    # name, number, key, ICV, libipsec-mb, few, small, AES-GMAC, libcrypto
    ("hmac_md5_96", INTEG_MD5_96, 16, 12, HASH_HMAC_MD5, 3, False, False, b"MD5"),
    ("hmac_sha1_96", INTEG_SHA1_96, 20, 12, HASH_HMAC_SHA1, 10, True, False, b"SHA1"),
    ("hmac_sha2_256_96", INTEG_SHA256_96, 32, 12, HASH_HMAC_SHA256, 24, True, False, b"SHA2-256"),
    ("hmac_sha2_256_128", INTEG_SHA256_128, 32, 16, HASH_HMAC_SHA256, 24, True, False, b"SHA2-256"),
    ("hmac_sha2_384_192", INTEG_SHA384_192, 48, 24, HASH_HMAC_SHA384, 2, False, False, b"SHA2-384"),
    ("hmac_sha2_512_256", INTEG_SHA512_256, 64, 32, HASH_HMAC_SHA512, 2, False, False, b"SHA2-512"),
    ("aes_xcbc_96", INTEG_AES_XCBC_96, 16, 12, HASH_XCBC, 2, True, False, b""),
    ("aes_cmac_96", INTEG_AES_CMAC_96, 16, 12, HASH_CMAC, 2, True, False, b"AES-128-CBC"),
    ("aes_128_gmac", INTEG_AES_128_GMAC, 20, 16, 0, 0, False, True, b""),
    ("aes_192_gmac", INTEG_AES_192_GMAC, 28, 16, 0, 0, False, True, b""),
    ("aes_256_gmac", INTEG_AES_256_GMAC, 36, 16, 0, 0, False, True, b""),
)

CIPHERS = {row[0]: row[1] for row in CIPHER_TABLE}
INTEGS = {"": INTEG_NONE} | {row[0]: row[1] for row in INTEG_TABLE}

cdef cipher_row_t ciphers[12]
cdef integ_row_t integs[12]


def fill():
    # The names stay where they are: the tables above hold them.
    cdef cipher_row_t *c
    cdef integ_row_t *g
    for _, number, keys, salt, iv, align, icv, counter, family, evp in CIPHER_TABLE:
        c = &ciphers[<int>number]
        c.salt, c.iv, c.align, c.icv, c.counter, c.family = salt, iv, align, icv, counter, family
        for i, octets in enumerate(keys):
            c.keys[<int>i] = octets
        for i, name in enumerate(evp):
            c.evp[<int>i] = <const char *><bytes>name
    for _, number, key, icv, hash_number, few, small, gmac, evp in INTEG_TABLE:
        g = &integs[<int>number]
        g.key, g.icv, g.hash, g.few, g.small, g.gmac = key, icv, hash_number, few, small, gmac
        g.evp = <const char *><bytes>evp


fill()


cdef const cipher_row_t *cipher_row(int number) noexcept nogil:
    return &ciphers[number] if 0 <= number < CIPHER_KINDS else NULL


cdef const integ_row_t *integ_row(int number) noexcept nogil:
    return &integs[number] if INTEG_NONE < number < INTEG_KINDS else NULL


def sizes(str cipher, str integ):
    """(key sizes, salt, IV, alignment, ICV), octets, of a pair of algorithms; KeyError when a name is unknown."""
    cdef const cipher_row_t *c = cipher_row(CIPHERS[cipher])
    cdef const integ_row_t *g = integ_row(INTEGS[integ])
    return tuple(c.keys[i] for i in range(3) if c.keys[i]), c.salt, c.iv, c.align, g.icv if g != NULL else c.icv
