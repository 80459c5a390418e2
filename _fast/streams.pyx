# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP streams that carry IKE and ESP (RFC 9329), looked after by one thread without the interpreter lock.

    worker: sealed ESP ──► key, packet ──► socket pair ──► [ thread ] ──► length, packet ──► stream ──► peer
    worker: opened ◄────── key, packet ◄── socket pair ◄── [        ] ◄── ESP  ◄──────────── stream ◄── peer
                                pluto  ◄── mailbox     ◄── [        ] ◄── IKE

To a worker the socket pair is one more socket, so no worker ever waits for a stream: what a stream's peer does not take
in time is dropped here and counted, and what the workers do not take is left where datagrams would be lost too.
Everything is bounded: streams, octets kept of each, messages handed over of one stream before the others have their turn.
"""
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcmp, memcpy, memset

from _fast.atomic cimport (alloc_zeroed, load_sc, mum, pthread_mutex_destroy, pthread_mutex_init, pthread_mutex_lock,
                           pthread_mutex_t, pthread_mutex_unlock, store_sc)
from _fast.core cimport Core
from _fast.mail cimport MAIL_STREAM_GONE, MAIL_STREAM_IKE, mail_new, mail_post, mail_t
from _fast.octets cimport get32
from _fast.plant cimport engine_t
from _fast.stream cimport *
from _fast.sysio cimport *
from _fast.types cimport *

cdef enum:
    MOST_STREAMS = 1024
    BUCKETS = 1024
    EVENTS = 64
    SCRATCH = 65536 + 48       # a packet of a worker with its key, or what is read of a stream at once
    READS = 4                  # of one stream before the others have their turn,
    PACKETS = 256              # and packets of the workers
    PAIR_BUFFER = 4 << 20
    MARKER = 4
    TAG_WAKE = 0xFFFF
    TAG_PAIR = 0xFFFE          # and 0xFFFD for IPv6

cdef uint64_t SECOND = 1000000000
cdef uint8_t[4] NON_ESP = [0, 0, 0, 0]

cdef struct stream_t:
    stream_t *chain            # of its bucket
    stream_t *after            # has something to be sent too
    int32_t fd
    int32_t slot
    uint32_t born              # tells it from the one that had its slot before
    uint8_t key[48]
    uint8_t spoken             # a whole message has come
    uint8_t kept               # an IKE SA uses it
    uint8_t eager              # is in the list of those with something to be sent
    uint8_t blocked            # waits for room in the socket
    uint64_t since
    reader_t reader
    writer_t writer

cdef struct table_t:
    pthread_mutex_t lock
    engine_t *engine
    int32_t epoll
    int32_t wake
    int32_t mine[2]            # ends of the pairs: IPv4, IPv6
    int32_t theirs[2]
    uint64_t stop
    uint64_t now
    uint64_t swept
    uint64_t slow              # ns for a first whole message,
    uint64_t unused            # and for an IKE SA
    uint8_t restless           # some stream is watched by the clock
    uint32_t born
    int32_t count
    int32_t most
    stream_t *eager
    uint64_t drops[48]         # by DROP_...
    stream_t *slots[1024]
    stream_t *buckets[1024]
    uint8_t scratch[65584]


# --- the table ----------------------------------------------------------------------------------------------------

cdef uint32_t bucket_of(const uint8_t *key) noexcept nogil:
    cdef uint64_t h = 0x9E3779B97F4A7C15
    cdef uint64_t word
    cdef int i
    for i in range(6):
        memcpy(&word, key + 8 * i, 8)
        h = mum(h ^ word, 0xD6E8FEB86659FD93)
    return <uint32_t>(h % BUCKETS)


cdef stream_t *find(table_t *t, const uint8_t *key) noexcept nogil:
    cdef stream_t *s = t.buckets[bucket_of(key)]
    while s and memcmp(s.key, key, 48):
        s = s.chain
    return s


cdef int watch(table_t *t, stream_t *s, int how) noexcept nogil:
    cdef epoll_event event
    epoll_fill(&event, EPOLLIN | EPOLLOUT if s.blocked else EPOLLIN, <uint64_t>s.born << 32 | <uint32_t>s.slot)
    return epoll_ctl(t.epoll, how, s.fd, &event)


cdef void unlist(table_t *t, stream_t *s) noexcept nogil:
    cdef stream_t **at = &t.buckets[bucket_of(s.key)]
    while at[0] != s:
        at = &at[0].chain
    at[0] = s.chain
    at = &t.eager
    while s.eager and at[0] != s:
        at = &at[0].after
    if s.eager:
        at[0] = s.after


cdef void end(table_t *t, stream_t *s) noexcept nogil:
    unlist(t, s)
    t.slots[s.slot] = NULL
    t.count -= 1
    close(s.fd)
    reader_free(&s.reader)
    writer_free(&s.writer)
    free(s)


cdef void give_up(table_t *t, stream_t *s, int why) noexcept nogil:
    cdef mail_t *m = mail_new(&t.engine.mail, MAIL_STREAM_GONE, s.key, 48)
    if m:
        m.number = <uint32_t>why
        mail_post(&t.engine.mail, m)
    if why != STREAM_CLOSED and why != STREAM_UNUSED:
        t.drops[DROP_STREAM_BROKEN] += 1
    end(t, s)


cdef void make_eager(table_t *t, stream_t *s) noexcept nogil:
    if not s.eager:
        s.eager = 1
        s.after = t.eager
        t.eager = s


cdef void flush_one(table_t *t, stream_t *s) noexcept nogil:
    cdef int left = writer_flush(&s.writer, s.fd)
    if left < 0:
        give_up(t, s, STREAM_CLOSED)
    elif left != s.blocked:
        s.blocked = <uint8_t>left
        watch(t, s, EPOLL_CTL_MOD)


cdef void flush_all(table_t *t) noexcept nogil:
    cdef stream_t *s
    while t.eager:
        s = t.eager
        t.eager = s.after
        s.eager = 0
        flush_one(t, s)


# --- from a stream ------------------------------------------------------------------------------------------------

cdef struct taking_t:
    table_t *table
    stream_t *stream


cdef void to_worker(table_t *t, stream_t *s, const uint8_t *packet, uint32_t length) noexcept nogil:
    cdef iovec parts[2]
    cdef msghdr m
    memset(&m, 0, sizeof(msghdr))
    parts[0].iov_base, parts[0].iov_len = s.key, 48
    parts[1].iov_base, parts[1].iov_len = <void *>packet, length
    m.msg_iov = parts
    m.msg_iovlen = 2
    if sendmsg(t.mine[0 if (<uint16_t *>s.key)[0] == AF_INET else 1], &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0:
        t.drops[DROP_STREAM_FULL] += 1


cdef void to_pluto(table_t *t, stream_t *s, const uint8_t *message, uint32_t length) noexcept nogil:
    cdef mail_t *m = mail_new(&t.engine.mail, MAIL_STREAM_IKE, NULL, 48 + length)
    if m == NULL:
        t.drops[DROP_STREAM_FULL] += 1
        return
    memcpy(m.data, s.key, 48)
    memcpy(m.data + 48, message, length)
    mail_post(&t.engine.mail, m)


cdef void take(void *context, const uint8_t *message, uint32_t length) noexcept nogil:
    cdef taking_t *c = <taking_t *>context
    c.stream.spoken = 1
    if length >= MARKER and get32(message) == 0:
        to_pluto(c.table, c.stream, message + MARKER, length - MARKER)
    elif length >= 8:
        to_worker(c.table, c.stream, message, length)
    else:
        c.table.drops[DROP_KEEPALIVE if length == 1 and message[0] == 0xFF else DROP_MALFORMED] += 1


cdef void read_stream(table_t *t, stream_t *s) noexcept nogil:
    cdef taking_t context
    cdef ssize_t n
    cdef int i, why
    context.table, context.stream = t, s
    for i in range(READS):
        n = recv(s.fd, t.scratch, SCRATCH, MSG_DONTWAIT)
        if n < 0 and (errno == EAGAIN or errno == EINTR):
            return
        if n <= 0:
            give_up(t, s, STREAM_CLOSED)
            return
        why = reader_feed(&s.reader, t.scratch, <size_t>n, take, &context)
        if why:
            give_up(t, s, why)
            return
        if n < SCRATCH:
            return


# --- from the workers ---------------------------------------------------------------------------------------------

cdef void read_pair(table_t *t, int which) noexcept nogil:
    cdef stream_t *s
    cdef ssize_t n
    cdef int i
    for i in range(PACKETS):
        n = recv(t.mine[which], t.scratch, SCRATCH, MSG_DONTWAIT)
        if n < 48:
            return
        s = find(t, t.scratch)
        if s == NULL:
            t.drops[DROP_STREAM_GONE] += 1
        elif not writer_put(&s.writer, NULL, 0, t.scratch + 48, <uint32_t>n - 48, False):
            t.drops[DROP_STREAM_FULL] += 1
        elif not s.blocked:
            make_eager(t, s)


# --- the thread ---------------------------------------------------------------------------------------------------

cdef void sweep(table_t *t) noexcept nogil:
    # A stream on which nobody says anything, or nothing that came to an IKE SA, does not stay.
    cdef stream_t *s
    cdef int i
    t.swept = t.now
    t.restless = 0
    for i in range(t.most):
        s = t.slots[i]
        if s == NULL or s.kept:
            continue
        if not s.spoken and t.now - s.since > t.slow:
            give_up(t, s, STREAM_SLOW)
        elif t.now - s.since > t.unused:
            give_up(t, s, STREAM_UNUSED)
        else:
            t.restless = 1


cdef void turn(table_t *t, const epoll_event *events, int n) noexcept nogil:
    cdef uint64_t data, count
    cdef uint32_t low
    cdef stream_t *s
    cdef int i
    t.now = coarse_now()
    for i in range(n):
        data = epoll_data(<epoll_event *>&events[i])
        low = <uint32_t>data
        if low == TAG_WAKE:
            read(t.wake, &count, 8)
        elif low > TAG_WAKE - 3:
            read_pair(t, TAG_PAIR - low)
        else:
            s = t.slots[low]
            if s == NULL or s.born != data >> 32:
                continue
            if events[i].events & EPOLLOUT:
                make_eager(t, s)
            if events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP):
                read_stream(t, s)
    flush_all(t)
    if t.restless and t.now - t.swept > SECOND // 4:
        sweep(t)


cdef void work(table_t *t) noexcept nogil:
    cdef epoll_event events[64]
    cdef int n
    while not load_sc(&t.stop):
        # `restless` is set under the lock, before the bell rings.
        n = epoll_wait(t.epoll, events, EVENTS, 250 if t.restless else -1)
        pthread_mutex_lock(&t.lock)
        turn(t, events, n)
        pthread_mutex_unlock(&t.lock)


cdef int watch_fixed(table_t *t, int fd, uint32_t tag) noexcept nogil:
    cdef epoll_event event
    epoll_fill(&event, EPOLLIN, tag)
    return epoll_ctl(t.epoll, EPOLL_CTL_ADD, fd, &event)


cdef int checked(bytes key) except -1:
    if len(key) != 48:
        raise ValueError("key")
    return 0


cdef class Streams:
    """The streams of one engine, `most` at once.

    A stream whose first whole message does not come within `slow` seconds, or which nobody keeps within `unused`, is
    closed. Keys are as streams.pxd has them; events go to the engine's mailbox.
    """

    cdef table_t *t
    cdef Core core

    def __cinit__(self, Core core, int most, double slow, double unused):
        cdef int i, buffer = PAIR_BUFFER
        cdef int pair[2]
        if not 1 <= most <= MOST_STREAMS:
            raise ValueError("streams")
        self.core = core
        self.t = <table_t *>alloc_zeroed(sizeof(table_t))
        if self.t == NULL:
            raise MemoryError
        pthread_mutex_init(&self.t.lock, NULL)
        self.t.engine = core.en
        self.t.most = most
        self.t.slow, self.t.unused = <uint64_t>(slow * 1e9), <uint64_t>(unused * 1e9)
        self.t.mine[0] = self.t.mine[1] = self.t.theirs[0] = self.t.theirs[1] = -1
        self.t.epoll = epoll_create1(EPOLL_CLOEXEC)
        self.t.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        if self.t.epoll < 0 or self.t.wake < 0 or watch_fixed(self.t, self.t.wake, TAG_WAKE):
            raise OSError(errno, "no descriptors for streams")
        for i in range(2):
            if socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair):
                raise OSError(errno, "no socket pair for streams")
            self.t.mine[i], self.t.theirs[i] = pair[0], pair[1]
            if setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(int)) < 0:
                setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(int))
            if watch_fixed(self.t, pair[0], TAG_PAIR - i):
                raise OSError(errno, "no descriptors for streams")

    def __dealloc__(self):
        cdef int i
        if self.t == NULL:
            return
        # run() holds a reference to self: the thread has ended.
        for i in range(MOST_STREAMS):
            if self.t.slots[i]:
                end(self.t, self.t.slots[i])
        for i in range(2):
            if self.t.mine[i] >= 0:
                close(self.t.mine[i])
            if self.t.theirs[i] >= 0:
                close(self.t.theirs[i])
        if self.t.epoll >= 0:
            close(self.t.epoll)
        if self.t.wake >= 0:
            close(self.t.wake)
        pthread_mutex_destroy(&self.t.lock)
        free(self.t)

    # --- the thread

    @property
    def workers(self):
        """One thread belongs in run()."""
        return 1

    def run(self, int index):
        """Carry packets until stop(); for a thread of its own."""
        with nogil:
            work(self.t)

    def stop(self):
        """Make run() return."""
        store_sc(&self.t.stop, 1)
        self.ring()

    def restart(self):
        """Allow run() again after stop()."""
        store_sc(&self.t.stop, 0)

    cdef void ring(self) noexcept:
        cdef uint64_t one = 1
        write(self.t.wake, &one, 8)

    cdef void enter(self) noexcept:
        with nogil:
            pthread_mutex_lock(&self.t.lock)
            self.t.now = coarse_now()

    cdef void leave(self) noexcept:
        pthread_mutex_unlock(&self.t.lock)
        self.ring()

    def pair(self, int version):
        """The descriptor that stands for all streams of that family in the engine."""
        return self.t.theirs[0 if version == 4 else 1]

    # --- streams

    def add(self, bytes key, int fd, bint originator):
        """Carry packets of a connected socket, of which a duplicate is kept; the `originator` sends the prefix.

        KeyError: there is one of that key. ValueError: no more than so many at once.
        """
        cdef stream_t *s
        cdef int own, number = 0, at = 0
        checked(key)
        own = fcntl(fd, F_DUPFD_CLOEXEC, 3)
        if own < 0:
            raise OSError(errno, "socket cannot be duplicated")
        fcntl(own, F_SETFL, fcntl(own, F_GETFL) | O_NONBLOCK)
        s = <stream_t *>alloc_zeroed(sizeof(stream_t))
        if s == NULL:
            close(own)
            raise MemoryError
        memcpy(s.key, <const uint8_t *>key, 48)
        s.fd = own
        reader_init(&s.reader, not originator)
        self.enter()
        s.since = self.t.now
        if find(self.t, s.key):
            number = 1
        elif self.t.count == self.t.most:
            number = 2
        else:
            while self.t.slots[at]:
                at += 1
            self.t.born += 1
            s.slot, s.born = at, self.t.born
            if (originator and not writer_prefix(&s.writer)) or watch(self.t, s, EPOLL_CTL_ADD):
                number = 3
        if number == 0:
            self.t.slots[at] = s
            self.t.count += 1
            self.t.restless = 1
            s.chain = self.t.buckets[bucket_of(s.key)]
            self.t.buckets[bucket_of(s.key)] = s
            if originator:
                make_eager(self.t, s)
        self.leave()
        if number:
            close(own)
            writer_free(&s.writer)
            free(s)
            if number == 1:
                raise KeyError("stream")
            raise ValueError(f"no more than {self.t.most} TCP streams at once") if number == 2 else MemoryError

    def keep(self, bytes key):
        """An IKE SA uses it: it may be silent as long as it likes. False: it is not there."""
        cdef stream_t *s
        checked(key)
        self.enter()
        s = find(self.t, key)
        if s:
            s.kept = 1
        self.leave()
        return s != NULL

    def remove(self, bytes key):
        """Close it, once the kernel has what it takes of what waits; nothing when it is not there."""
        cdef stream_t *s
        checked(key)
        self.enter()
        s = find(self.t, key)
        if s:
            writer_flush(&s.writer, s.fd)
            end(self.t, s)
        self.leave()

    def send(self, bytes key, bytes message):
        """Send an IKE message. False: there is no such stream, or its peer takes nothing."""
        cdef stream_t *s
        cdef bint done = False
        checked(key)
        self.enter()
        s = find(self.t, key)
        if s and writer_put(&s.writer, NON_ESP, MARKER, message, <uint32_t>len(message), True):
            done = True
            if not s.blocked:
                make_eager(self.t, s)
        self.leave()
        return done

    # --- reports

    def keys(self):
        """Of all streams."""
        self.enter()
        found = [(<const uint8_t *>self.t.slots[i].key)[:48] for i in range(MOST_STREAMS) if self.t.slots[i]]
        self.leave()
        return found

    def drops(self):
        """Messages that went no further by reason, and streams that were broken, as a list of counters."""
        return [self.t.drops[i] for i in range(DROP_KINDS)]
