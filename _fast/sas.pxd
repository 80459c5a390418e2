# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport int32_t, uint32_t, uint64_t

from _fast.ports cimport Ports
from _fast.types cimport sa_t

cdef class Sas(Ports):
    # KeyError: there is none (any more).
    cdef sa_t *get(self, uint64_t cookie) except NULL
    cdef void expected(self, sa_t *sa) noexcept
    cdef void bare(self, sa_t *sa, bint alone) noexcept
    cdef int32_t owner_of(self, const sa_t *sa, uint32_t partner) noexcept
