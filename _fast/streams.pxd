# SPDX-License-Identifier: GPL-2.0-or-later
# TCP streams that carry IKE and ESP, and the datagrams by which their thread and the workers give each other packets.
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from _fast.octets cimport put16
from _fast.types cimport path_t

cdef enum:
    # | remote: sockaddr_in or sockaddr_in6, 28 | our address, 16 | our port, 2 | 0, 2 | stands before each packet
    KEY_OCTETS = 48

# Write the key of the stream that a path names.
cdef inline void path_key(const path_t *path, uint8_t *key) noexcept nogil:
    memcpy(key, path.remote, 28)
    memcpy(key + 28, path.local, 16)
    put16(key + 44, path.local_port)
    put16(key + 46, 0)
