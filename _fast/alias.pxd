# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t

from _fast.types cimport packet_info_t, sa_t

# For SAs with `aliased`. Headers, checksums and `info` are changed where they stand; a packet that does not have the
# address in question stays as it is.

# A frame of the TUN's (vnet header first) on its way into the SA: our own address becomes the one the peer has given us.
cdef void alias_out(const sa_t *sa, uint8_t *frame, packet_info_t *info) noexcept nogil
# Undo that, for whoever is to be told of this packet.
cdef void alias_back(const sa_t *sa, uint8_t *frame, packet_info_t *info) noexcept nogil
# A packet that came out of the SA, and was allowed: the address given becomes our own.
cdef void alias_in(const sa_t *sa, uint8_t *packet, packet_info_t *info) noexcept nogil
