# SPDX-License-Identifier: GPL-2.0-or-later
"""Descriptors come and go: which worker reads which, and what the kernel can do with it.

Worker k reads queue k of every device and socket k of every group. Where there are fewer, those there are go to workers
one after the other, beginning with another one for each slot, and the rest write to a descriptor they share.
"""
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uintptr_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from _fast.atomic cimport alloc_zeroed, store, storep
from _fast.epoch cimport epoch_retire
from _fast.numbers cimport ESP, TCP
from _fast.plant cimport MERGE_PIECES, device_t, engine_t, intake_t, socket_t
from _fast.sysio cimport *
from _fast.types cimport VNET_LEN
from _fast.worker cimport KIND_DEVICE, KIND_INTAKE, KIND_SOCKET, worker_ignore, worker_watch

cdef enum:
    BUFFER = 8 << 20


cdef void release_fd(void *item, void *context) noexcept nogil:
    close(<int><uintptr_t>context)


cdef void close_later(engine_t *en, int fd) noexcept nogil:
    epoch_retire(&en.epoch, <void *>en, release_fd, <void *><uintptr_t>fd)


cdef int32_t share_out(engine_t *en, int32_t *own, const int *fds, int count, int first) noexcept nogil:
    # Answers the worker that reads fds[0].
    cdef int k
    for k in range(en.workers):
        own[1 + (first + k) % en.workers] = fds[k % count]
    own[0] = fds[0]
    return 1 + first % en.workers


cdef int watch(engine_t *en, int kind, int32_t slot, const int *fds, int count, int first) noexcept nogil:
    cdef int k, failed
    for k in range(count):
        if worker_watch(en.crew[1 + (first + k) % en.workers], kind, slot, fds[k]) < 0:
            failed = errno
            ignore(en, fds, k, first)
            set_errno(failed)
            return -1
    return 0


cdef void ignore(engine_t *en, const int *fds, int count, int first) noexcept nogil:
    cdef int k
    for k in range(count):
        worker_ignore(en.crew[1 + (first + k) % en.workers], fds[k])


cdef int queues(const int32_t *own, int workers, int first, int *fds) noexcept nogil:
    # share_out turned round.
    cdef int k
    for k in range(workers):
        fds[k] = own[1 + (first + k) % workers]
        if k and fds[k] == fds[0]:
            return k
    return workers


# --- devices ------------------------------------------------------------------------------------------------------

cdef void probe(device_t *d, int fd) noexcept nogil:
    # A persistent device keeps what an earlier owner set, so all of it is set again.
    cdef int size = VNET_LEN
    cdef int little = 1
    cdef int flags = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN
    d.offload = d.uso = d.strikes = 0
    if ioctl(fd, TUNSETVNETHDRSZ, &size) or ioctl(fd, TUNSETVNETLE, &little):
        return
    if ioctl(fd, TUNSETOFFLOAD, <unsigned long>(flags | TUN_F_USO4 | TUN_F_USO6)) == 0:
        d.offload = 1
        d.uso = MERGE_PIECES
    elif ioctl(fd, TUNSETOFFLOAD, <unsigned long>flags) == 0 or ioctl(
            fd, TUNSETOFFLOAD, <unsigned long>(flags & ~TUN_F_TSO_ECN)) == 0:
        d.offload = 1
    else:
        ioctl(fd, TUNSETOFFLOAD, <unsigned long>0)


cdef int device_attach(engine_t *en, int32_t slot, const int *fds, int count, uint32_t mtu) noexcept nogil:
    cdef device_t *d = &en.devices[slot]
    cdef int i
    for i in range(count):
        fcntl(fds[i], F_SETFL, fcntl(fds[i], F_GETFL) | O_NONBLOCK)
    probe(d, fds[0])
    d.mtu = mtu
    for i in range(en.workers + 1):
        store(&en.crew[i].to_host[slot], 0)
        store(&en.crew[i].from_host[slot], 0)
    share_out(en, d.queue, fds, count, slot)
    d.fd = fds[0]
    if watch(en, KIND_DEVICE, slot, fds, count, slot):
        d.fd = -1
        return -1
    return 0


cdef void device_detach(engine_t *en, int32_t slot) noexcept nogil:
    cdef device_t *d = &en.devices[slot]
    cdef int fds[9]
    cdef int i, count = queues(d.queue, en.workers, slot, fds)
    d.fd = -1
    ignore(en, fds, count, slot)
    for i in range(count):
        close_later(en, fds[i])


# --- sockets ------------------------------------------------------------------------------------------------------

cdef uint8_t segments(int fd) noexcept nogil:
    # UDP_SEGMENT came with Linux 4.18. It is set packet by packet; here it is only asked for.
    cdef int size = 1200, off = 0
    if setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof(int)) < 0:
        return 0
    setsockopt(fd, SOL_UDP, UDP_SEGMENT, &off, sizeof(int))
    return MERGE_PIECES


cdef void tune(int fd, int version, uint8_t proto) noexcept nogil:
    cdef int one = 1, big = BUFFER, omit
    if proto == 0:
        setsockopt(fd, SOL_UDP, UDP_GRO, &one, sizeof(int))
    if setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(int)) < 0:
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &big, sizeof(int))
    if setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(int)) < 0:
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &big, sizeof(int))
    if version == 4:
        omit = IP_PMTUDISC_OMIT
        setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &omit, sizeof(int))
        setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &one, sizeof(int))
    else:
        omit = IPV6_PMTUDISC_OMIT
        setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &omit, sizeof(int))
        setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &one, sizeof(int))
        if proto and proto != ESP:
            # The header that AH covers is put together again from these.
            setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(int))
            setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &one, sizeof(int))
            setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPOPTS, &one, sizeof(int))
            setsockopt(fd, IPPROTO_IPV6, IPV6_RECVDSTOPTS, &one, sizeof(int))
            setsockopt(fd, IPPROTO_IPV6, IPV6_RECVRTHDR, &one, sizeof(int))


cdef int socket_attach(engine_t *en, int32_t slot, const int *fds, int count, bint spread, int version,
                       const uint8_t *local, uint16_t port, uint8_t proto, uint32_t mtu) noexcept nogil:
    cdef socket_t *s = &en.sockets[slot]
    cdef int i
    # The kernel's choice is by place in the group: there the first is worker 1's.
    cdef int first = 0 if spread and count > 1 else slot
    s.version = <uint8_t>version
    s.udp = port != 0
    s.stream = proto == TCP
    s.proto = 0 if port else proto
    memset(s.local, 0, 16)
    memcpy(s.local, local, 4 if version == 4 else 16)
    s.wildcard = 1
    for i in range(16):
        if s.local[i]:
            s.wildcard = 0
    s.port = port
    s.mtu = mtu
    s.gso = segments(fds[0]) if s.udp else 0
    s.spread = count if spread and count > 1 else 0
    for i in range(count):
        tune(fds[i], version, s.proto)
    s.reader = share_out(en, s.lane, fds, count, first)
    s.fd = fds[0]
    if watch(en, KIND_SOCKET, slot, fds, count, first):
        s.fd = -1
        return -1
    return 0


cdef void socket_detach(engine_t *en, int32_t slot) noexcept nogil:
    cdef socket_t *s = &en.sockets[slot]
    cdef int fds[9]
    cdef int first = s.reader - 1
    cdef int i, count = queues(s.lane, en.workers, first, fds)
    s.fd = -1
    ignore(en, fds, count, first)
    for i in range(count):
        close_later(en, fds[i])


# --- intakes ------------------------------------------------------------------------------------------------------

cdef void release_intake(void *item, void *context) noexcept nogil:
    cdef intake_t *k = <intake_t *>item
    munmap(k.memory, <size_t>k.block * k.blocks)
    close(k.fd)
    free(k)


cdef int intake_attach(engine_t *en, int32_t slot, int fd, int32_t reader, uint32_t block, uint32_t blocks) noexcept nogil:
    cdef size_t octets = <size_t>block * blocks
    cdef intake_t *k = <intake_t *>alloc_zeroed(sizeof(intake_t))
    cdef void *memory = mmap(NULL, octets, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) if k else <void *>-1
    cdef int failed
    if memory == <void *>-1:
        free(k)
        return -1
    k.memory = <uint8_t *>memory
    k.block = block
    k.blocks = blocks
    k.reader = reader
    k.fd = fd
    if worker_watch(en.crew[reader], KIND_INTAKE, slot, fd) < 0:
        failed = errno
        munmap(memory, octets)
        free(k)
        set_errno(failed)
        return -1
    # Whole: its reader may still be at what had this slot before.
    storep(&en.intakes[slot], k)
    return 0


cdef void intake_detach(engine_t *en, int32_t slot) noexcept nogil:
    cdef intake_t *k = en.intakes[slot]
    worker_ignore(en.crew[k.reader], k.fd)
    storep(&en.intakes[slot], NULL)
    epoch_retire(&en.epoch, k, release_intake, NULL)
