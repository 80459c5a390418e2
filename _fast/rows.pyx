# SPDX-License-Identifier: GPL-2.0-or-later
"""Between the engine's structures and the plain tuples of pump.pyi, both ways."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from _fast.atomic cimport alloc_zeroed, load
from _fast.octets cimport get16
from _fast.sadb cimport release_selectors, selectors_size
from _fast.sysio cimport AF_INET, coarse_now
from _fast.types cimport eroute_t, sa_t, selector_t, selectors_t


cdef int put_address(uint8_t *into, uint8_t *version, bytes address) except -1:
    if len(address) != 4 and len(address) != 16:
        raise ValueError("address")
    version[0] = 4 if len(address) == 4 else 6
    memcpy(into, <const uint8_t *>address, len(address))
    return 0


cdef bytes address_of(const uint8_t *address, uint8_t version):
    return address[:4 if version == 4 else 16]


cdef tuple selector_tuple(const selector_t *s):
    return (s.version, s.proto, address_of(s.src_first, s.version), address_of(s.src_last, s.version),
            address_of(s.dst_first, s.version), address_of(s.dst_last, s.version), s.sport_low, s.sport_high,
            s.dport_low, s.dport_high)


cdef list selector_tuples(const selectors_t *selectors):
    return [selector_tuple(&selectors.items[i]) for i in range(selectors.count)]


cdef int pair_of(uint8_t *into, bytes pair, str what) except -1:
    # Two addresses, 4 or 16 octets each, at 0 and 16.
    cdef size_t n = len(pair) // 2
    if len(pair) != 8 and len(pair) != 32:
        raise ValueError(what)
    memcpy(into, <const uint8_t *>pair, n)
    memcpy(into + 16, <const uint8_t *>pair + n, n)
    return 0


cdef int put_alias(sa_t *sa, bytes alias) except -1:
    if alias:
        pair_of(sa.alias, alias, "alias")
        sa.aliased = 1
    return 0


cdef int put_original(sa_t *sa, bytes original) except -1:
    if original:
        pair_of(sa.original, original, "original addresses")
        sa.repair = 1
    return 0


cdef tuple remote_tuple(const uint8_t *name):
    cdef uint16_t family = (<const uint16_t *>name)[0]
    if family == AF_INET:
        return (4, name[4:8], get16(name + 2))
    return (6, name[8:24], get16(name + 2))


cdef tuple key_tuple(const eroute_t *e):
    cdef int n = 4 if e.version == 4 else 16
    return (e.version, (<const uint8_t *>e.src)[:n], e.srclen, (<const uint8_t *>e.dst)[:n], e.dstlen, e.proto,
            e.sport, e.dport)


cdef tuple eroute_row(eroute_t *e):
    cdef uint64_t last = load(&e.last_use)
    return (key_tuple(e), e.action, e.cookie, e.trap_cookie, load(&e.packets),
            max(0.0, (<double>coarse_now() - <double>last) / 1e9) if last else -1.0, e.held, e.device,
            e.sa.id if e.sa else 0)


cdef selectors_t *make_selectors(list wanted) except NULL:
    cdef selectors_t *made = <selectors_t *>alloc_zeroed(selectors_size(<uint32_t>len(wanted)))
    cdef int i
    if made == NULL:
        raise MemoryError
    made.count = <uint32_t>len(wanted)
    try:
        for i in range(len(wanted)):
            fill_selector(&made.items[i], wanted[i])
    except BaseException:
        release_selectors(made, NULL)
        raise
    return made


cdef void fill_selector(selector_t *s, tuple t) except *:
    cdef bytes part
    cdef uint8_t *into[4]
    cdef int i
    s.version, s.proto = t[0], t[1]
    into[0], into[1], into[2], into[3] = s.src_first, s.src_last, s.dst_first, s.dst_last
    for i in range(4):
        part = t[2 + i]
        if len(part) != (4 if s.version == 4 else 16):
            raise ValueError("selector")
        memcpy(into[i], <const uint8_t *>part, len(part))
    s.sport_low, s.sport_high, s.dport_low, s.dport_high = t[6:10]
