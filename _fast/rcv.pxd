# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport int32_t, uint8_t, uint32_t

from _fast.plant cimport worker_t

# One datagram (or segment of one) from socket `slot`: IKE goes to pluto, ESP waits in the worker's batch for rcv_open.
# `remote` stays valid until then. What is dropped is counted here.
cdef void rcv_take(worker_t *w, int32_t slot, const uint8_t *remote, uint8_t *data, uint32_t length,
                   uint8_t tos) noexcept nogil
# Decrypt the batch, check, and hand what is good to the coalescer.
cdef void rcv_open(worker_t *w, int32_t slot) noexcept nogil
