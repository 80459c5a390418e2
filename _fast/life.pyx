# SPDX-License-Identifier: GPL-2.0-or-later
"""The end of an SA by use: octets, packets, sequence numbers; soft ends are reported, hard ones stop the SA."""
from libc.stdint cimport uint64_t

from _fast.atomic cimport claim, fetch_add, load, unclaim
from _fast.mail cimport MAIL_EXPIRED, mail_new, mail_post, mail_t
from _fast.plant cimport worker_t
from _fast.types cimport DROP_SA_EXPIRED, DROP_SEQUENCE_EXHAUSTED, PASSED, sa_t


cdef void tell(worker_t *w, sa_t *sa, bint hard) noexcept nogil:
    cdef mail_t *m
    # The plain read first: a locked instruction a packet would be wasted after the first.
    if (sa.hard_told if hard else sa.soft_told) or not claim(&sa.hard_told if hard else &sa.soft_told):
        return
    m = mail_new(&w.engine.mail, MAIL_EXPIRED, NULL, 0)
    if m == NULL:
        # No room now: the next packet tells it.
        unclaim(&sa.hard_told if hard else &sa.soft_told)
        return
    m.cookie = sa.id
    m.number = hard
    mail_post(&w.engine.mail, m)


cdef int life_spend(worker_t *w, sa_t *sa, uint64_t packets, uint64_t octets) noexcept nogil:
    if octets < sa.life.soft_octets and packets < sa.life.soft_packets:
        if octets <= sa.life.hard_octets and packets <= sa.life.hard_packets:
            return PASSED
    if octets > sa.life.hard_octets or packets > sa.life.hard_packets:
        tell(w, sa, True)
        return DROP_SA_EXPIRED
    tell(w, sa, False)
    return PASSED


cdef int life_sequence(worker_t *w, sa_t *sa, uint64_t *sequence) noexcept nogil:
    # Read before it is moved: a spent SA's counter must not creep on until it wraps.
    if load(&sa.sequence) >= sa.limit:
        tell(w, sa, True)
        return DROP_SEQUENCE_EXHAUSTED
    sequence[0] = fetch_add(&sa.sequence, 1) + 1
    if sequence[0] < sa.soft:
        return PASSED
    if sequence[0] > sa.limit:
        tell(w, sa, True)
        return DROP_SEQUENCE_EXHAUSTED
    tell(w, sa, False)
    return PASSED


cdef bint life_lease(sa_t *sa, uint64_t packets_before, uint64_t octets_before, uint64_t packets, uint64_t octets,
                     uint64_t *first) noexcept nogil:
    cdef uint64_t last
    if octets_before + octets >= sa.life.soft_octets or packets_before + packets >= sa.life.soft_packets:
        return False
    if octets_before + octets > sa.life.hard_octets or packets_before + packets > sa.life.hard_packets:
        return False
    # The control thread takes numbers too, thousands at most in the meantime: half the space is left behind `soft`.
    if load(&sa.sequence) + packets >= sa.soft:
        return False
    last = fetch_add(&sa.sequence, packets)
    first[0] = last + 1
    return True
