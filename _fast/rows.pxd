# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint8_t

from _fast.types cimport eroute_t, sa_t, selectors_t

# An address of 4 or 16 octets, and which it is; ValueError: neither.
cdef int put_address(uint8_t *into, uint8_t *version, bytes address) except -1
cdef bytes address_of(const uint8_t *address, uint8_t version)
# Our own address and the one the peer has given us, or nothing.
cdef int put_alias(sa_t *sa, bytes alias) except -1
# Source and destination the checksums of a transport-mode packet were made over, or nothing.
cdef int put_original(sa_t *sa, bytes original) except -1
# A sockaddr as Remote.
cdef tuple remote_tuple(const uint8_t *name)
# RawKey and Row.
cdef tuple key_tuple(const eroute_t *e)
cdef tuple eroute_row(eroute_t *e)
# RawSelectors; MemoryError, or ValueError when an address is not of its version.
cdef selectors_t *make_selectors(list wanted) except NULL
cdef list selector_tuples(const selectors_t *selectors)
