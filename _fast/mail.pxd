# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from _fast.atomic cimport pthread_mutex_t
from _fast.types cimport eroute_t

cdef enum:
    MAIL_ACQUIRE = 1
    MAIL_EXPIRED = 2           # number: 1 hard, 0 soft
    MAIL_FIRST_USE = 3
    MAIL_NEW_MAPPING = 4       # remote
    MAIL_UNKNOWN_SPI = 5       # local, remote, number: SPI
    MAIL_IKE = 6               # local, remote, data
    MAIL_NEXT_HOP = 14         # of an SA that sends raw ESP
    MAIL_LOAD = 15             # raw ESP arrives at a rate at which an intake is worth while; sock
    MAIL_OFFLOAD = 16          # number: IP protocol, sock: device slot; number 0: socket slot
    MAIL_STREAM_IKE = 17       # data: a stream's key (streams.pxd) and the message
    MAIL_STREAM_GONE = 18      # data: its key; number: why

cdef struct mail_t:
    mail_t *next
    int32_t kind
    uint32_t number
    uint64_t cookie            # SA or trap
    eroute_t flow              # acquire: only the key fields hold
    eroute_t trap
    int32_t sock               # slot the packet came in by
    uint8_t remote[28]
    uint32_t length
    uint8_t data[1]

# Bounded by themselves, so that they leave room for notes.
cdef inline bint is_datagram(int kind) noexcept nogil:
    return kind == MAIL_IKE or kind == MAIL_STREAM_IKE

# Worker threads post, the control thread takes; bounded both ways, and the descriptor is readable while some wait.
cdef struct mailbox_t:
    pthread_mutex_t lock
    mail_t *head
    mail_t *tail
    uint32_t notes
    uint32_t datagrams
    uint64_t datagram_octets
    int fd

cdef int mail_init(mailbox_t *box) noexcept nogil
cdef void mail_free(mailbox_t *box) noexcept nogil
# NULL when full or without memory; fill it in (its data too, where none is given) and post it.
cdef mail_t *mail_new(mailbox_t *box, int kind, const uint8_t *data, uint32_t length) noexcept nogil
cdef void mail_post(mailbox_t *box, mail_t *m) noexcept nogil
cdef mail_t *mail_take(mailbox_t *box) noexcept nogil
