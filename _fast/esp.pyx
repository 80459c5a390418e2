# SPDX-License-Identifier: GPL-2.0-or-later
"""One ESP packet (RFC 4303 2), buffer to buffer, no system call.

     0                   1                   2                   3
    +---------------------------------------------------------------+
    |               Security Parameters Index (SPI)                 |
    +---------------------------------------------------------------+
    |                      Sequence Number                          |
    +---------------------------------------------------------------+
    |                    IV (0, 8 or 16 octets)                     |
    +---------------------------------------------------------------+
    |                    Payload (an IP packet)                     |
    +               +-----------------------------------------------+
    |               |     Padding 1, 2, 3 ... (0-255 octets)        |
    +---------------+-----------------------------------------------+
    |                               |  Pad Length   | Next Header   |
    +---------------------------------------------------------------+
    |         Integrity Check Value (12, 16, 24 or 32 octets)       |
    +---------------------------------------------------------------+
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from _fast.cipher cimport (BATCH, crypt_close, crypt_key_t, crypt_open, crypt_random, crypt_t, esp_job_t, key_free,
                           key_iv, key_mac, key_new, key_open, key_seal)
from _fast.cipher import CIPHERS, INTEGS, PROVIDERS
from _fast.octets cimport get32, put32, put64
from _fast.replay cimport replay_check, replay_free, replay_infer, replay_init, replay_mark
from _fast.types cimport (DROP_AUTH_FAILED, DROP_BAD_PADDING, DROP_MALFORMED, DROP_REPLAY, PASSED, replay_t)


cdef uint32_t esp_payload(const crypt_key_t *k, uint32_t room) noexcept nogil:
    cdef uint32_t fixed = 8 + k.iv_len + k.icv_len
    if room < fixed + k.align:
        return 0
    return ((room - fixed) & ~<uint32_t>(k.align - 1)) - 2


cdef uint32_t esp_frame(crypt_t *c, const crypt_key_t *k, uint8_t *data, uint32_t inner, uint8_t next_header,
                        uint32_t spi, uint64_t sequence) noexcept nogil:
    cdef uint32_t text = (inner + 2 + k.align - 1) & ~<uint32_t>(k.align - 1)
    cdef uint32_t pad = text - inner - 2
    cdef uint8_t *at = data + 8 + k.iv_len + inner
    cdef uint32_t i
    put32(data, spi)
    put32(data + 4, <uint32_t>sequence)
    if k.counter:
        # Unique because the sequence number is (RFC 4106 3.1, RFC 7634 2).
        put64(data + 8, key_iv(k, sequence))
    elif k.iv_len and not crypt_random(c, data + 8, k.iv_len):
        return 0
    for i in range(pad):
        at[i] = <uint8_t>(i + 1)
    at[pad] = <uint8_t>pad
    at[pad + 1] = next_header
    return 8 + k.iv_len + text + k.icv_len


cdef uint64_t ticks() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <uint64_t>t.tv_sec * 1000000000 + <uint64_t>t.tv_nsec


cdef class Esp:
    """One SA for tests and benchmarks: seal or open single packets; raced against klips.slow.esp.

    `cipher`, `integ`, `provider` are names of _fast.cipher; ValueError when the keys do not fit them.
    """

    cdef crypt_t c
    cdef crypt_key_t *k        # seals
    cdef crypt_key_t *back     # opens: an EVP context goes one way
    cdef replay_t window
    cdef bint esn

    def __cinit__(self, str cipher, bytes key, str integ="", bytes auth=b"", bint esn=False, uint32_t window=64,
                  str provider="auto"):
        self.esn = esn
        self.window.bits = NULL
        if crypt_open(&self.c, 0, PROVIDERS[provider]) or replay_init(&self.window, window, True):
            raise ValueError("provider not available")
        self.k = key_new(&self.c, PROVIDERS[provider], CIPHERS[cipher], key, <uint32_t>len(key), INTEGS[integ], auth,
                         <uint32_t>len(auth), esn)
        self.back = key_new(&self.c, PROVIDERS[provider], CIPHERS[cipher], key, <uint32_t>len(key), INTEGS[integ], auth,
                            <uint32_t>len(auth), esn)
        if self.k == NULL or self.back == NULL:
            raise ValueError("keys do not fit the algorithm")

    def seal(self, uint32_t spi, uint64_t sequence, bytes payload, int next_header=4, bytes iv=None):
        """The ESP packet of `payload`; `iv` replaces the one that would be made."""
        cdef esp_job_t job
        cdef uint32_t n = <uint32_t>len(payload)
        if n > 65000:
            raise ValueError("too long")
        cdef bytearray out = bytearray(esp_length(self.k, n))
        cdef uint8_t *data = out
        memcpy(data + 8 + self.k.iv_len, <const uint8_t *>payload, n)
        job.length = esp_frame(&self.c, self.k, data, n, <uint8_t>next_header, spi, sequence)
        if iv is not None:
            if len(iv) != self.k.iv_len:
                raise ValueError("IV length")
            memcpy(data + 8, <const uint8_t *>iv, self.k.iv_len)
        if job.length == 0:
            raise ValueError("no unpredictable octets")
        job.data = data
        job.sequence = sequence
        with nogil:
            key_seal(&self.c, self.k, &job, 1)
        if not job.ok:
            raise ValueError("sealing failed")
        return bytes(out)

    def open(self, bytes packet):
        """(drop reason, payload, next header, sequence); after any reason but 0 the rest is empty."""
        cdef esp_job_t job
        cdef bytearray copy = bytearray(packet)
        cdef uint32_t inner = 0
        cdef uint8_t next_header = 0
        cdef int why
        if len(packet) < 8 or not esp_plausible(self.k, <uint32_t>len(packet)):
            return (DROP_MALFORMED, b"", 0, 0)
        job.data = copy
        job.length = <uint32_t>len(packet)
        job.sequence = get32(job.data + 4)
        if self.esn and not replay_infer(&self.window, get32(job.data + 4), &job.sequence):
            return (DROP_REPLAY, b"", 0, 0)
        if not replay_check(&self.window, job.sequence):
            return (DROP_REPLAY, b"", 0, 0)
        with nogil:
            key_open(&self.c, self.back, &job, 1)
        if not job.ok:
            return (DROP_AUTH_FAILED, b"", 0, 0)
        if not replay_mark(&self.window, job.sequence):
            return (DROP_REPLAY, b"", 0, 0)
        why = esp_strip(self.k, job.data, job.length, &inner, &next_header)
        if why:
            return (why, b"", 0, 0)
        return (PASSED, bytes(copy[8 + self.k.iv_len:8 + self.k.iv_len + inner]), next_header, job.sequence)

    def seal_many(self, uint32_t spi, uint64_t sequence, list payloads, int next_header=4):
        """The ESP packets of up to 64 payloads, numbered from `sequence`, sealed together."""
        cdef esp_job_t jobs[64]
        cdef int i, n = <int>len(payloads)
        cdef bytes payload
        cdef bytearray out
        cdef list packets = []
        if not 1 <= n <= BATCH or max(map(len, payloads)) > 65000:
            raise ValueError("batch")
        for i in range(n):
            payload = payloads[i]
            out = bytearray(esp_length(self.k, <uint32_t>len(payload)))
            packets.append(out)
            jobs[i].data, jobs[i].sequence = out, sequence + i
            memcpy(jobs[i].data + 8 + self.k.iv_len, <const uint8_t *>payload, len(payload))
            jobs[i].length = esp_frame(&self.c, self.k, jobs[i].data, <uint32_t>len(payload), <uint8_t>next_header, spi,
                                       jobs[i].sequence)
        with nogil:
            key_seal(&self.c, self.k, jobs, n)
        for i in range(n):
            if not jobs[i].ok:
                raise ValueError("sealing failed")
        return [bytes(packet) for packet in packets]

    def raw_many(self, list packets, list sequences, bint opening):
        """Encrypt and authenticate, or check and decrypt, up to 64 packets as they stand, trailer and all: a list of
        their octets afterwards, None for each that is not authentic. Each has room for its ICV."""
        cdef esp_job_t jobs[64]
        cdef int i, n = <int>len(packets)
        cdef bytearray copy
        cdef list copies = []
        if not 1 <= n <= BATCH:
            raise ValueError("batch")
        for i in range(n):
            copy = bytearray(packets[i])
            if len(copy) < 9 + self.k.iv_len + self.k.icv_len or len(copy) > 65535:
                raise ValueError("length")
            copies.append(copy)
            jobs[i].data, jobs[i].length, jobs[i].sequence = copy, <uint32_t>len(copy), sequences[i]
        with nogil:
            if opening:
                key_open(&self.c, self.back, jobs, n)
            else:
                key_seal(&self.c, self.k, jobs, n)
        return [bytes(copies[i]) if jobs[i].ok else None for i in range(n)]

    def mac(self, bytes data, bytes iv=b""):
        """The ICV over `data`, as AH makes it; `iv` (8 octets) with AES-GMAC."""
        cdef uint8_t tag[64]
        cdef bint good
        cdef const uint8_t *at = data
        cdef const uint8_t *iv_at = iv
        cdef uint32_t n = <uint32_t>len(data)
        if self.k.iv_len and len(iv) != self.k.iv_len:
            raise ValueError("IV length")
        with nogil:
            good = key_mac(&self.c, self.k, at, n, iv_at, tag)
        if not good:
            raise ValueError("no ICV of its own")
        return bytes(tag[:self.k.icv_len])

    def repeat(self, uint32_t size, int times, int batch=1, bint opening=False):
        """Frame and seal (or, with `opening`, seal once and open) packets of `size` payload octets, `batch` together,
        `times` batches, for the benchmark; answers ns spent."""
        cdef uint32_t room = (esp_length(self.k, size) + 63) // 64 * 64
        cdef bytearray out = bytearray(room * batch)
        cdef bytearray sealed
        cdef esp_job_t jobs[64]
        cdef uint8_t *base = out
        cdef const uint8_t *kept
        cdef uint64_t start, spent = 0
        cdef int i, j
        if not 1 <= batch <= BATCH:
            raise ValueError("batch")
        for i in range(times if not opening else 1):
            start = ticks()
            with nogil:
                for j in range(batch):
                    jobs[j].data = base + j * room
                    jobs[j].sequence = <uint64_t>i * batch + j + 1
                    jobs[j].length = esp_frame(&self.c, self.k, jobs[j].data, size, 4, 0x1000, jobs[j].sequence)
                key_seal(&self.c, self.k, jobs, batch)
            spent += ticks() - start
        if not opening:
            return spent
        sealed, spent = bytearray(out), 0
        kept = sealed
        for i in range(times):
            memcpy(base, kept, room * batch)
            start = ticks()
            with nogil:
                key_open(&self.c, self.back, jobs, batch)
            spent += ticks() - start
            for j in range(batch):
                if not jobs[j].ok:
                    raise ValueError("opening failed")
        return spent

    def __dealloc__(self):
        key_free(self.k)
        key_free(self.back)
        replay_free(&self.window)
        crypt_close(&self.c)
