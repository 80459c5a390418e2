# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport int32_t

from _fast.plant cimport engine_t, worker_t

cdef enum:
    KIND_WAKE = 1
    KIND_DEVICE = 2
    KIND_SOCKET = 3
    KIND_INTAKE = 4

# Worker `index` of an engine, 0 for the control thread; NULL when there is no memory or no such crypto provider.
cdef worker_t *worker_new(engine_t *en, int index) noexcept nogil
cdef void worker_free(worker_t *w) noexcept nogil
# Let a worker wait for a descriptor; 0, or -1 with errno.
cdef int worker_watch(worker_t *w, int kind, int32_t slot, int fd) noexcept nogil
cdef void worker_ignore(worker_t *w, int fd) noexcept nogil
# Pump packets until the engine's stop is set.
cdef void work(worker_t *w) noexcept nogil
