# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint64_t

from _fast.plant cimport worker_t
from _fast.types cimport sa_t

# May an SA carry one packet more, which makes its totals this? 0 or DROP_SA_EXPIRED; soft and hard ends are told once.
cdef int life_spend(worker_t *w, sa_t *sa, uint64_t packets, uint64_t octets) noexcept nogil
# So many packets and octets at once, after what is counted: True when no end, soft or hard, is anywhere near, and
# `first` to `first` + packets - 1 are the caller's numbers. False: nothing is taken, each packet has to ask for itself.
cdef bint life_lease(sa_t *sa, uint64_t packets_before, uint64_t octets_before, uint64_t packets, uint64_t octets,
                     uint64_t *first) noexcept nogil
# The next sequence number of an outbound SA, in `sequence`: 0, or DROP_SEQUENCE_EXHAUSTED before any number or counter
# IV could come twice (RFC 4303 3.3.3).
cdef int life_sequence(worker_t *w, sa_t *sa, uint64_t *sequence) noexcept nogil
