# SPDX-License-Identifier: GPL-2.0-or-later
# Atomics, locks, secret-safe memory and a keyed hash, inline.
from libc.stdint cimport int32_t, uint32_t, uint64_t

cdef extern from * nogil:
    """
    #include <stdint.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sched.h>
    #include <pthread.h>
    #include <openssl/crypto.h>
    #define ow_load(p) __atomic_load_n((uint64_t *)(p), __ATOMIC_RELAXED)
    #define ow_store(p, v) __atomic_store_n((uint64_t *)(p), (v), __ATOMIC_RELAXED)
    #define ow_add(p, v) __atomic_fetch_add((uint64_t *)(p), (v), __ATOMIC_RELAXED)
    #define ow_load_acq(p) __atomic_load_n((uint64_t *)(p), __ATOMIC_ACQUIRE)
    #define ow_store_rel(p, v) __atomic_store_n((uint64_t *)(p), (v), __ATOMIC_RELEASE)
    #define ow_loadp(p) __atomic_load_n((void **)(p), __ATOMIC_ACQUIRE)
    #define ow_storep(p, v) __atomic_store_n((void **)(p), (void *)(v), __ATOMIC_RELEASE)
    #define ow_load_sc(p) __atomic_load_n((uint64_t *)(p), __ATOMIC_SEQ_CST)
    #define ow_store_sc(p, v) __atomic_store_n((uint64_t *)(p), (v), __ATOMIC_SEQ_CST)
    #define ow_add_sc(p, v) __atomic_fetch_add((uint64_t *)(p), (v), __ATOMIC_SEQ_CST)
    #define ow_claim(p) (__atomic_exchange_n((uint32_t *)(p), 1, __ATOMIC_ACQ_REL) == 0)
    #define ow_unclaim(p) __atomic_store_n((uint32_t *)(p), 0, __ATOMIC_RELEASE)
    #define ow_load_32(p) __atomic_load_n((uint32_t *)(p), __ATOMIC_RELAXED)
    #define ow_store_32(p, v) __atomic_store_n((uint32_t *)(p), (v), __ATOMIC_RELAXED)
    #define ow_load_slot(p) __atomic_load_n((int32_t *)(p), __ATOMIC_RELAXED)
    static inline int32_t ow_settle(int32_t *p, int32_t v) {
        int32_t was = 0;
        return __atomic_compare_exchange_n(p, &was, v, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE) ? v : was;
    }
    /* Never lowers it; answers whether it was not above `v`. */
    static inline int ow_raise(uint64_t *p, uint64_t v) {
        uint64_t was = ow_load(p);
        while (was < v && !__atomic_compare_exchange_n(p, &was, v, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
        return was <= v;
    }
    #define ow_fence() __atomic_thread_fence(__ATOMIC_SEQ_CST)
    static inline void ow_spin_lock(uint32_t *lock) {
        int tries = 0;
        while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE)) {
            if (++tries > 100) { sched_yield(); tries = 0; }
        }
    }
    #define ow_spin_unlock(p) __atomic_store_n((uint32_t *)(p), 0, __ATOMIC_RELEASE)
    /* Put p where nothing is yet; answers what is there afterwards, and frees p when another came first. */
    static inline void *ow_install(void **at, void *p) {
        void *none = NULL;
        if (__atomic_compare_exchange_n(at, &none, p, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return p;
        free(p);
        return none;
    }
    /* Zeroed memory, from 256 octets on a cache line of its own (libipsec-mb wants keys on 64 octets; what is smaller
       would pay as much again for it); NULL when there is none. */
    static inline void *ow_alloc(size_t n) {
        void *p = NULL;
        if (n < 256) return calloc(1, n ? n : 1);
        /* malloc's own eight octets belong to the last line, or the next piece would begin a line later. */
        n = ((n + 8 + 63) & ~(size_t)63) - 8;
        if (posix_memalign(&p, 64, n)) return NULL;
        memset(p, 0, n);
        return p;
    }
    static inline void ow_wipe_free(void *p, size_t n) { if (p) { OPENSSL_cleanse(p, n); free(p); } }
    static inline uint64_t ow_mum(uint64_t a, uint64_t b) {
        __uint128_t r = (__uint128_t)a * b;
        return (uint64_t)r ^ (uint64_t)(r >> 64);
    }
    """
    ctypedef struct pthread_mutex_t:
        pass
    int pthread_mutex_init(pthread_mutex_t *m, void *attr)
    int pthread_mutex_lock(pthread_mutex_t *m)
    int pthread_mutex_trylock(pthread_mutex_t *m)
    int pthread_mutex_unlock(pthread_mutex_t *m)
    int pthread_mutex_destroy(pthread_mutex_t *m)
    uint64_t load "ow_load"(uint64_t *p)
    void store "ow_store"(uint64_t *p, uint64_t v)
    uint64_t fetch_add "ow_add"(uint64_t *p, uint64_t v)
    uint64_t load_acquire "ow_load_acq"(uint64_t *p)
    void store_release "ow_store_rel"(uint64_t *p, uint64_t v)
    void *loadp "ow_loadp"(void *p)
    void storep "ow_storep"(void *p, void *v)
    void *install "ow_install"(void **at, void *p)
    uint64_t load_sc "ow_load_sc"(uint64_t *p)
    void store_sc "ow_store_sc"(uint64_t *p, uint64_t v)
    uint64_t fetch_add_sc "ow_add_sc"(uint64_t *p, uint64_t v)
    bint claim "ow_claim"(uint32_t *p)
    void unclaim "ow_unclaim"(uint32_t *p)
    uint32_t load_32 "ow_load_32"(uint32_t *p)
    void store_32 "ow_store_32"(uint32_t *p, uint32_t v)
    int32_t load_slot "ow_load_slot"(int32_t *p)
    # Makes a slot that is 0 hold `v`; answers what it holds then.
    int32_t settle_slot "ow_settle"(int32_t *p, int32_t v)
    bint raise_to "ow_raise"(uint64_t *p, uint64_t v)
    void fence "ow_fence"()
    void spin_lock "ow_spin_lock"(uint32_t *p)
    void spin_unlock "ow_spin_unlock"(uint32_t *p)
    void *alloc_zeroed "ow_alloc"(size_t n)
    void wipe_free "ow_wipe_free"(void *p, size_t n)
    uint64_t mum "ow_mum"(uint64_t a, uint64_t b)
    void cleanse "OPENSSL_cleanse"(void *p, size_t n)
    int differ "CRYPTO_memcmp"(const void *a, const void *b, size_t n)
