# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport int32_t, uint8_t

from _fast.plant cimport worker_t
from _fast.types cimport packet_info_t

# Hand a decrypted packet to a device. At least VNET_LEN octets before it belong to the caller, and it stays where it is
# until merge_flush. TCP segments and equal UDP datagrams that follow each other leave as one super-packet; the order
# within a pair of addresses is kept.
cdef void merge_put(worker_t *w, int32_t device, uint8_t *packet, packet_info_t *info) noexcept nogil
cdef void merge_flush(worker_t *w) noexcept nogil
