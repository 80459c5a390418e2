# SPDX-License-Identifier: GPL-2.0-or-later
"""Encryption and integrity of ESP packets, in place, by libipsec-mb or libcrypto behind one interface.

    text of the job:  | SPI 4 | sequence 4 | IV 0/8/16 | payload, padding, pad length, next header | ICV |
    AEAD nonce:       salt 3/4 | IV 8        AEAD associated data: SPI 4 | [upper sequence 4] | sequence 4
    GMAC covers:      SPI 4 | [upper sequence 4] | sequence 4 | IV 8 ... next header
    HMAC and the like cover: SPI ... next header | [upper sequence 4]

The algorithms are rows of suite; what runs a family of them stands in the tables here.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from _fast.atomic cimport alloc_zeroed, cleanse, wipe_free
from _fast.crypt cimport mac_t, run_t
from _fast.evpside cimport evp_aead, evp_classic, evp_free, evp_gmac, evp_gmac_mac, evp_mac
from _fast.ipsecmb cimport mb_close, mb_open, mb_open_small, mb_t
from _fast.mbside cimport (mb_room, mb_setup, mbmac_few, mbmac_gmac, mbmac_hash, mbrun_aead, mbrun_classic, mbrun_few,
                           mbrun_gcm, mbrun_gmac)
from _fast.suite cimport *
from _fast.suite import CIPHERS, INTEGS

cdef extern from "<sys/random.h>" nogil:
    ssize_t getrandom(void *buf, size_t n, unsigned int flags)


# What runs a family, by each provider, and what makes an ICV alone.
cdef struct family_t:
    run_t mb
    run_t evp
    mac_t mb_mac
    mac_t evp_mac


cdef bint no_mac(crypt_t *c, crypt_key_t *k, const uint8_t *data, uint32_t length, const uint8_t *iv, uint8_t *tag) noexcept nogil:
    return False


cdef family_t families[4]
families[FAMILY_CLASSIC] = family_t(mb=mbrun_classic, evp=evp_classic, mb_mac=mbmac_hash, evp_mac=evp_mac)
families[FAMILY_GCM] = family_t(mb=mbrun_gcm, evp=evp_aead, mb_mac=no_mac, evp_mac=no_mac)
families[FAMILY_AEAD] = family_t(mb=mbrun_aead, evp=evp_aead, mb_mac=no_mac, evp_mac=no_mac)
families[FAMILY_GMAC] = family_t(mb=mbrun_gmac, evp=evp_gmac, mb_mac=mbmac_gmac, evp_mac=evp_gmac_mac)


cdef int crypt_open(crypt_t *c, int worker, int provider) noexcept nogil:
    memset(c, 0, sizeof(crypt_t))
    c.worker = worker
    if provider != PROVIDER_EVP and not mb_open(&c.mb) and provider == PROVIDER_MB:
        return -1
    if provider == PROVIDER_AUTO and c.mb.mgr != NULL:
        mb_open_small(&c.small)
    return 0


cdef void crypt_close(crypt_t *c) noexcept nogil:
    mb_close(&c.mb)
    mb_close(&c.small)
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


# --- keys ---------------------------------------------------------------------------------------------------------

cdef bint fits(const cipher_row_t *row, uint32_t key_len, const integ_row_t *hash_row, uint32_t auth_len) noexcept nogil:
    # Lengths are exact: a key cut or padded is another key.
    cdef int i
    if row == NULL or (hash_row == NULL) == (row.icv == 0):
        return False
    if auth_len != (hash_row.key if hash_row != NULL else 0):
        return False
    if row.keys[0] == 0:
        return key_len == 0
    for i in range(3):
        if row.keys[i] and key_len == <uint32_t>row.keys[i] + row.salt:
            return True
    return False


cdef crypt_key_t *key_new(crypt_t *c, int provider, int cipher, const uint8_t *key, uint32_t key_len, int integ,
                          const uint8_t *auth, uint32_t auth_len, bint esn) noexcept nogil:
    cdef const cipher_row_t *row
    cdef const integ_row_t *hash_row = integ_row(integ)
    cdef const family_t *family
    cdef crypt_key_t *k
    cdef crypt_key_t shape     # for the distance alone: a member of nothing is undefined behaviour
    cdef uint32_t room = 0, size = <uint32_t>(<uint8_t *>shape.auth - <uint8_t *>&shape)
    cdef uint8_t *memory
    if hash_row == NULL and integ != INTEG_NONE:
        return NULL
    if hash_row != NULL and hash_row.gmac:
        # RFC 4543 4: as an integrity algorithm it has its key and salt here; all the rest is the same.
        if cipher != CIPHER_NULL or key_len or auth_len != hash_row.key:
            return NULL
        cipher, key, key_len, integ, auth_len, hash_row = CIPHER_AES_GMAC, auth, auth_len, INTEG_NONE, 0, NULL
    row = cipher_row(cipher)
    if not fits(row, key_len, hash_row, auth_len):
        return NULL
    if c.mb.mgr != NULL and provider != PROVIDER_EVP:
        room = mb_room(cipher, key_len - row.salt, integ)
    size += auth_len
    memory = <uint8_t *>alloc_zeroed(room + size)
    if memory == NULL:
        return NULL
    k = <crypt_key_t *>(memory + room)
    k.room = room
    family = &families[row.family]
    k.size = size + room
    k.cipher, k.integ, k.esn, k.counter = <uint8_t>cipher, <uint8_t>integ, esn, row.counter
    k.iv_len, k.align, k.icv_len = row.iv, row.align, hash_row.icv if hash_row != NULL else row.icv
    k.key_len, k.salt_len, k.auth_len = <uint8_t>(key_len - row.salt), row.salt, <uint8_t>auth_len
    memcpy(k.key, key, k.key_len)
    memcpy(k.salt, key + k.key_len, k.salt_len)
    memcpy(k.auth, auth, auth_len)
    if k.counter and not crypt_random(c, <uint8_t *>&k.mask, 8):
        key_free(k)
        return NULL
    k.provider, k.run, k.run_few, k.mac = PROVIDER_EVP, family.evp, family.evp, family.evp_mac
    k.alone = room == 0 or row.family == FAMILY_GCM or row.family == FAMILY_GMAC
    if room == 0:
        return k
    k.provider, k.run = PROVIDER_MB, family.mb
    k.apart = row.family == FAMILY_GCM
    mb_setup(c, k, memory)
    k.mac = family.mb_mac
    # Multi-buffer hashing costs the same for one packet as for a full set of lanes: left the choice, few go another way.
    if provider == PROVIDER_AUTO and hash_row != NULL:
        k.few = hash_row.few
        if hash_row.small and c.small.mgr != NULL:
            k.run_few, k.mac = mbrun_few, mbmac_few
        elif k.few:
            k.mac = family.evp_mac
    if k.few == 0 or k.run_few == mbrun_few:
        # libipsec-mb works from its schedules alone.
        cleanse(k.key, sizeof(k.key))
        cleanse(k.auth, k.auth_len)
    return k


cdef void key_free(crypt_key_t *k) noexcept nogil:
    if k == NULL:
        return
    evp_free(k)
    wipe_free(<uint8_t *>k - k.room, k.size)


PROVIDERS = {"auto": PROVIDER_AUTO, "ipsec-mb": PROVIDER_MB, "evp": PROVIDER_EVP}


def providers():
    """The providers this build and this CPU have, best first."""
    cdef mb_t mb
    if mb_open(&mb):
        mb_close(&mb)
        return ("ipsec-mb", "evp")
    return ("evp",)


def key_octets(str cipher, bytes key, str integ="", bytes auth=b"", str provider="auto"):
    """Memory of an SA's keys before any packet; ValueError when they do not fit."""
    cdef crypt_t c
    cdef crypt_key_t *k
    if crypt_open(&c, 0, PROVIDERS[provider]):
        raise ValueError("provider not available")
    k = key_new(&c, PROVIDERS[provider], CIPHERS[cipher], key, <uint32_t>len(key), INTEGS[integ], auth,
                <uint32_t>len(auth), False)
    crypt_close(&c)
    if k == NULL:
        raise ValueError("keys do not fit the algorithm")
    size = k.size
    key_free(k)
    return size
