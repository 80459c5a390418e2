# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport int32_t

from _fast.plant cimport worker_t

# Receive one batch from a socket: tell ESP, IKE and keepalives apart, decrypt, check, write to the devices.
cdef void recv_socket(worker_t *w, int32_t slot) noexcept nogil
