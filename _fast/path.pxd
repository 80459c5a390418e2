# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint32_t

from _fast.types cimport path_t, sa_t

# Octets an outer packet adds before ESP: IP header and, when encapsulated, UDP's.
cdef inline uint32_t outer_head(const path_t *path) noexcept nogil:
    return (20 if path.version == 4 else 40) + (8 if path.encap else 0)

# The path of an SA from RawPath of pump.pyi; ValueError when addresses and version do not agree.
cdef path_t *make_path(const sa_t *sa, tuple t) except NULL
