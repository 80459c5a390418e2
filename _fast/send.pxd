# SPDX-License-Identifier: GPL-2.0-or-later
from _fast.plant cimport worker_t

# Seal and send what has collected in the worker's outbox.
cdef void send_outbox(worker_t *w) noexcept nogil
# Only seal it.
cdef void seal_outbox(worker_t *w) noexcept nogil
