# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t, uint32_t

from _fast.types cimport ENCAP_STREAM, ENCAP_UDP, path_t, sa_t

cdef enum:
    UDP_HEAD = 8
    STREAM_HEAD = 34           # TCP with timestamps, and the length (RFC 9329 3.1); shared by packets that meet in a segment

cdef inline uint32_t over_head(uint8_t encap) noexcept nogil:
    return UDP_HEAD if encap == ENCAP_UDP else STREAM_HEAD if encap == ENCAP_STREAM else 0

# Octets an outer packet adds before ESP: IP header and, when encapsulated, UDP's or TCP's.
cdef inline uint32_t outer_head(const path_t *path) noexcept nogil:
    return (20 if path.version == 4 else 40) + over_head(path.encap)

# The path of an SA from RawPath of pump.pyi; ValueError when addresses and version do not agree.
cdef path_t *make_path(const sa_t *sa, tuple t) except NULL
