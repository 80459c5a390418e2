# SPDX-License-Identifier: GPL-2.0-or-later
"""The packet path of one worker without system calls, timed, beside the cipher alone on the same octets.

For the benchmark and its test: the worker comes as a capsule, and no thread may be running it.
"""
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from _fast.cipher cimport BATCH, PROVIDER_MB, crypt_key_t, crypt_t, esp_job_t, key_open, key_seal
from _fast.ipsecmb cimport mb_gcm
from _fast.plant cimport MERGE_SLOTS, worker_t
from _fast.rcv cimport rcv_open, rcv_take
from _fast.send cimport seal_outbox
from _fast.suite cimport FAMILY_GCM, associated, cipher_row, make_nonce
from _fast.types cimport FRAME_ROOM, FRAME_SLACK, VNET_LEN, sa_t
from _fast.xmit cimport xmit_frame

cdef enum:
    STRIDE = 2048              # from one received packet to the next


cdef uint64_t ticks() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <uint64_t>t.tv_sec * 1000000000 + <uint64_t>t.tv_nsec


cdef uint64_t alone(crypt_t *c, crypt_key_t *k, esp_job_t *jobs, int n, int seal) noexcept nogil:
    # ns for the cipher on these packets. AES-GCM by libipsec-mb is called bare, nonces and associated data at hand.
    cdef uint8_t nonces[64][16]
    cdef uint8_t aads[64][16]
    cdef uint32_t aad_len = 8
    cdef uint8_t tag[16]
    cdef uint64_t start, size
    cdef int i
    if k.provider != PROVIDER_MB or cipher_row(k.cipher).family != FAMILY_GCM:
        start = ticks()
        if seal:
            key_seal(c, k, jobs, n)
        else:
            key_open(c, k, jobs, n)
        return ticks() - start
    for i in range(n):
        make_nonce(k, jobs[i].data + 8, nonces[i])
        aad_len = associated(k, &jobs[i], aads[i])
    start = ticks()
    for i in range(n):
        size = jobs[i].length - 16 - k.icv_len
        mb_gcm(&c.mb, k.schedule, k.key_len, seal, jobs[i].data + 16, jobs[i].data + 16, size, nonces[i], aads[i],
               aad_len, tag, k.icv_len)
    return ticks() - start


def outbound(worker, int device, list frames, int rounds):
    """Frames (vnet header first) of `device` through eroutes, segmentation and framing, sealed and thrown away, `rounds`
    times; answers (ns for all of it, ns for the cipher alone, packets, their octets). Together at most an outbox."""
    cdef worker_t *w = <worker_t *>PyCapsule_GetPointer(worker, "_fast.worker")
    cdef const uint8_t *data[64]
    cdef uint32_t lengths[64]
    cdef uint8_t *frames_at[64]
    cdef esp_job_t jobs[64]
    cdef uint64_t start, whole = 0, bare = 0, packets = 0, octets = 0
    cdef sa_t *sa
    cdef int i, n = <int>len(frames), r
    cdef uint32_t at, m
    if not 1 <= n <= 64 or sum(map(len, frames)) > FRAME_ROOM - 64 * 80:
        raise ValueError("frames")
    for i in range(n):
        data[i], lengths[i] = <const uint8_t *><bytes>frames[i], <uint32_t>len(frames[i])
    with nogil:
        for r in range(rounds):
            at = 0
            for i in range(n):
                # As a TUN gives them, where one read after the other puts them.
                frames_at[i] = w.frame + at
                memcpy(frames_at[i], data[i], lengths[i])
                at += (lengths[i] + FRAME_SLACK + 63) & ~<uint32_t>63
            w.now = start = ticks()
            for i in range(n):
                xmit_frame(w, device, frames_at[i], lengths[i])
            seal_outbox(w)
            whole += ticks() - start
            packets += w.out_count
            at = 0
            while at < w.out_count:
                sa, m = w.sent[at].sa, 0
                while at + m < w.out_count and m < BATCH and w.sent[at + m].sa == sa:
                    jobs[m].data, jobs[m].length = w.sent[at + m].data, w.sent[at + m].length
                    jobs[m].sequence = w.sent[at + m].sequence
                    octets += jobs[m].length
                    m += 1
                if sa != NULL:
                    bare += alone(&w.crypt, sa.key, jobs, <int>m, 1)
                at += m
            w.out_count = w.out_used = 0
    return whole, bare, packets, octets


def inbound(worker, int slot, bytes remote, list packets, int batch):
    """Packets that came to socket `slot` from `remote` (a sockaddr of 28 octets) through SPI look-up, replay window,
    opening, selectors and coalescing, thrown away instead of written, `batch` at a time; answers as outbound() does."""
    cdef worker_t *w = <worker_t *>PyCapsule_GetPointer(worker, "_fast.worker")
    cdef const uint8_t *from_where = remote
    cdef esp_job_t jobs[64]
    cdef uint64_t start, whole = 0, bare = 0, count = 0, octets = 0
    cdef uint8_t *at
    cdef bytes packet
    cdef sa_t *sa = NULL
    cdef int i, done = 0
    if not 1 <= batch <= BATCH or len(remote) != 28 or max(map(len, packets)) > STRIDE - 64:
        raise ValueError("packets")
    while done + batch <= len(packets):
        for i in range(batch):
            packet = packets[done + i]
            jobs[i].data, jobs[i].length = w.rx + i * STRIDE + 32, <uint32_t>len(packet)
            memcpy(jobs[i].data, <const uint8_t *>packet, jobs[i].length)
        with nogil:
            w.now = start = ticks()
            for i in range(batch):
                rcv_take(w, slot, from_where, NULL, 0, jobs[i].data, jobs[i].length, 0)
            for i in range(<int>w.came_count):
                sa, jobs[i].sequence = w.came[i].sa, w.came[i].sequence
            rcv_open(w, slot)
            whole += ticks() - start
            for i in range(<int>w.merges):
                w.merge[i].kind = 0
            w.merges = 0
        count += batch
        for i in range(batch):
            packet = packets[done + i]
            memcpy(jobs[i].data, <const uint8_t *>packet, jobs[i].length)
            octets += jobs[i].length
        if sa != NULL:
            bare += alone(&w.crypt, sa.key, jobs, batch, 0)
        done += batch
    return whole, bare, count, octets
