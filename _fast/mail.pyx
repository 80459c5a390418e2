# SPDX-License-Identifier: GPL-2.0-or-later
"""Events on their way from the packet threads to Python: a bounded queue and an eventfd."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from _fast.atomic cimport (alloc_zeroed, pthread_mutex_destroy, pthread_mutex_init, pthread_mutex_lock,
                           pthread_mutex_unlock)
from _fast.sysio cimport EFD_CLOEXEC, EFD_NONBLOCK, close, eventfd, read, write

cdef enum:
    MOST_NOTES = 16384
    MOST_DATAGRAMS = 4096
    MOST_DATAGRAM_OCTETS = 8 << 20


cdef int mail_init(mailbox_t *box) noexcept nogil:
    memset(box, 0, sizeof(mailbox_t))
    pthread_mutex_init(&box.lock, NULL)
    box.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
    return -1 if box.fd < 0 else 0


cdef void mail_free(mailbox_t *box) noexcept nogil:
    cdef mail_t *m = mail_take(box)
    while m:
        free(m)
        m = mail_take(box)
    close(box.fd)
    pthread_mutex_destroy(&box.lock)


cdef mail_t *mail_new(mailbox_t *box, int kind, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef bint full
    cdef mail_t *m
    # A racing poster may pass the limit by one: the limit is there against growth, not for its exact value.
    pthread_mutex_lock(&box.lock)
    if is_datagram(kind):
        full = box.datagrams >= MOST_DATAGRAMS or box.datagram_octets + length > MOST_DATAGRAM_OCTETS
    else:
        full = box.notes >= MOST_NOTES
    pthread_mutex_unlock(&box.lock)
    if full:
        return NULL
    m = <mail_t *>alloc_zeroed(sizeof(mail_t) + length)
    if m:
        m.kind = kind
        m.length = length
        if length and data:
            memcpy(m.data, data, length)
    return m


cdef void mail_post(mailbox_t *box, mail_t *m) noexcept nogil:
    cdef uint64_t one = 1
    cdef bint first
    pthread_mutex_lock(&box.lock)
    first = box.head == NULL
    if box.tail:
        box.tail.next = m
    else:
        box.head = m
    box.tail = m
    if is_datagram(m.kind):
        box.datagrams += 1
        box.datagram_octets += m.length
    else:
        box.notes += 1
    if first:
        write(box.fd, &one, 8)
    pthread_mutex_unlock(&box.lock)


cdef mail_t *mail_take(mailbox_t *box) noexcept nogil:
    cdef mail_t *m
    cdef uint64_t count
    pthread_mutex_lock(&box.lock)
    m = box.head
    if m:
        box.head = m.next
        if is_datagram(m.kind):
            box.datagrams -= 1
            box.datagram_octets -= m.length
        else:
            box.notes -= 1
    if box.head == NULL:
        box.tail = NULL
        read(box.fd, &count, 8)
    pthread_mutex_unlock(&box.lock)
    return m


cdef class Mailbox:
    """A mailbox of numbered notes and datagrams, for tests."""

    cdef mailbox_t box

    def __cinit__(self):
        if mail_init(&self.box):
            raise OSError("eventfd")

    def post(self, int kind, uint32_t number, bytes data=b""):
        """False when it is full."""
        cdef mail_t *m = mail_new(&self.box, kind, data, <uint32_t>len(data))
        if m == NULL:
            return False
        m.number = number
        mail_post(&self.box, m)
        return True

    def take(self):
        """(kind, number, data) of the oldest, or None."""
        cdef mail_t *m = mail_take(&self.box)
        if m == NULL:
            return None
        got = (m.kind, m.number, (<const uint8_t *>m.data)[:m.length])
        free(m)
        return got

    def fileno(self):
        """Readable while something waits."""
        return self.box.fd

    def __dealloc__(self):
        mail_free(&self.box)
