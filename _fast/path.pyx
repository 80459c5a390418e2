# SPDX-License-Identifier: GPL-2.0-or-later
"""The outer path of an SA: addresses, socket, and what fits through it. Made anew and published whole at each change."""
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from _fast.atomic cimport alloc_zeroed
from _fast.esp cimport esp_payload
from _fast.octets cimport put16
from _fast.sysio cimport AF_INET, AF_INET6
from _fast.types cimport ENCAP_STREAM, MAX_SOCKETS, SLOT_DETACHED, path_t, sa_t


cdef path_t *make_path(const sa_t *sa, tuple t) except NULL:
    cdef path_t *p
    cdef uint8_t version = t[0], encap = t[5]
    cdef bytes local = t[1]
    cdef bytes remote = t[3]
    cdef uint16_t local_port = t[2], remote_port = t[4]
    cdef int32_t sock = t[6], link = t[9]
    cdef uint32_t mtu = t[7], cut = t[8]
    cdef bytes hop = t[10]
    if len(local) != (4 if version == 4 else 16) or len(remote) != len(local):
        raise ValueError("addresses")
    if not SLOT_DETACHED <= sock < MAX_SOCKETS:
        raise ValueError("socket slot")
    if hop and len(hop) != 6:
        raise ValueError("next hop")
    p = <path_t *>alloc_zeroed(sizeof(path_t))
    if p == NULL:
        raise MemoryError
    p.version = version
    p.encap = encap
    p.sock = sock
    p.local_port = local_port
    memcpy(p.local, <const uint8_t *>local, len(local))
    (<uint16_t *>p.remote)[0] = <uint16_t>(AF_INET if p.version == 4 else AF_INET6)
    # A raw socket must not be told a port.
    put16(p.remote + 2, remote_port if p.encap else 0)
    memcpy(p.remote + (4 if p.version == 4 else 8), <const uint8_t *>remote, len(remote))
    p.remote_len = 16 if p.version == 4 else 28
    p.outer_mtu = mtu
    # Of an ESP SA alone; what a bundle leaves room for is reckoned where it is used.
    p.inner_mtu = esp_payload(sa.key, mtu - outer_head(p)) if sa.proto == 50 and mtu > outer_head(p) else 0
    # Routers cut IPv4 packets without DF, and the kernel cuts what is too big for the interface.
    p.cut = (cut if cut > 1280 else 1280) if cut and p.version == 6 and p.encap != ENCAP_STREAM else 0
    if hop:
        p.link = link
        memcpy(p.hop, <const uint8_t *>hop, 6)
    return p
