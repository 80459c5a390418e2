# SPDX-License-Identifier: GPL-2.0-or-later
from _fast.handles cimport handles_t
from _fast.plant cimport engine_t

cdef class Core:
    cdef engine_t *en
    cdef handles_t sas         # cookies of SAs,
    cdef handles_t notes       # and of eroutes, whose owner's notes they stand for

    # Round every change: the mutex, the epoch; and what was released meanwhile leaves.
    cdef void enter(self) noexcept
    cdef void leave(self) noexcept
