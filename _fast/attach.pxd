# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t

from _fast.plant cimport engine_t

# Give the engine the queues of a TUN, which are its own from now on; 0, or -1 with errno.
cdef int device_attach(engine_t *en, int32_t slot, const int *fds, int count, uint32_t mtu) noexcept nogil
cdef void device_detach(engine_t *en, int32_t slot) noexcept nogil
# The same for the sockets of one local endpoint. `spread`: the kernel chooses among them by SPI (handoff.lane_of).
cdef int socket_attach(engine_t *en, int32_t slot, const int *fds, int count, bint spread, int version,
                       const uint8_t *local, uint16_t port, uint8_t proto, uint32_t mtu) noexcept nogil
cdef void socket_detach(engine_t *en, int32_t slot) noexcept nogil
# Close it when no worker can still use it. The engine's mutex is held.
cdef void close_later(engine_t *en, int fd) noexcept nogil
# Take over a packet socket with its ring of blocks; 0, or -1 with errno.
cdef int intake_attach(engine_t *en, int32_t slot, int fd, int32_t reader, uint32_t block, uint32_t blocks) noexcept nogil
cdef void intake_detach(engine_t *en, int32_t slot) noexcept nogil
