# SPDX-License-Identifier: GPL-2.0-or-later
from _fast.core cimport Core
from _fast.plant cimport device_t, intake_t, socket_t

cdef class Ports(Core):
    # What is in a slot; ValueError: nothing.
    cdef device_t *device_at(self, int slot) except NULL
    cdef socket_t *socket_at(self, int slot) except NULL
    cdef intake_t *intake_at(self, int slot) except NULL
    # The descriptors of a command into `own`, which has room for one a worker; answers how many.
    cdef int read_fds(self, tuple fds, int *own) except -1
