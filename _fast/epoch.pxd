# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint64_t

from _fast.atomic cimport pthread_mutex_t

ctypedef void (*release_t)(void *item, void *context) noexcept nogil

cdef struct retired_t:
    retired_t *next
    void *item
    void *context
    release_t release
    uint64_t epoch

# Readers take no lock. A writer unlinks, then retires; what is retired is released when every reader has passed a
# quiescent point since. All but epoch_enter, epoch_leave and epoch_pass is called with the engine's mutex held.
cdef struct epoch_t:
    uint64_t now
    uint64_t seen[16]          # per reader; all ones: not reading
    uint64_t waiting           # how many are retired and not yet released
    retired_t *head
    retired_t *tail

cdef void epoch_init(epoch_t *e) noexcept nogil
cdef void epoch_enter(epoch_t *e, int reader) noexcept nogil
cdef void epoch_leave(epoch_t *e, int reader) noexcept nogil
cdef void epoch_retire(epoch_t *e, void *item, release_t release, void *context) noexcept nogil
cdef void epoch_reclaim(epoch_t *e) noexcept nogil
cdef void epoch_drain(epoch_t *e) noexcept nogil
cdef void release_memory(void *item, void *context) noexcept nogil
