# SPDX-License-Identifier: GPL-2.0-or-later
from _fast.core cimport Core

cdef class Ports(Core):
    # The descriptors of a command into `own`, which has room for one a worker; answers how many.
    cdef int read_fds(self, tuple fds, int *own) except -1
