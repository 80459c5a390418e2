# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine's face for klips.engine: the commands that change what the workers read, and what there is to report.

Here are those about eroutes; each class below it adds a kind of commands:

    Core (memory, threads, reports) <- Ports (devices, sockets) <- Sas <- Engine
"""
from cpython.ref cimport Py_INCREF, Py_XDECREF, PyObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from _fast.atomic cimport load, storep
from _fast.epoch cimport epoch_enter, epoch_leave
from _fast.handles cimport handle_drop, handle_item, handle_new
from _fast.plant cimport *
from _fast.radij cimport fill_key, flow_from, radij_find, radij_match, radij_new, radij_release, radij_rows
from _fast.rows cimport eroute_row, key_tuple
from _fast.sas cimport Sas
from _fast.types cimport *
from _fast.xmit cimport eroute_install, eroute_uninstall

cdef enum:
    SPARE_ROWS = 65536         # holds that workers may make while the table is listed: MOST_NARROW


# The eroutes of an SA hang together, so that they lose it when it goes. Readers do not follow these.
cdef void chain_eroute(eroute_t *e) noexcept nogil:
    e.prev_hold = NULL
    e.next_hold = e.sa.eroutes
    if e.next_hold:
        e.next_hold.prev_hold = e
    e.sa.eroutes = e


cdef uint64_t forget_eroute(eroute_t *e) noexcept nogil:
    # Out of its SA's chain; answers its cookie.
    if e == NULL:
        return 0
    if e.action == ACT_SA and e.sa:
        if e.prev_hold:
            e.prev_hold.next_hold = e.next_hold
        else:
            e.sa.eroutes = e.next_hold
        if e.next_hold:
            e.next_hold.prev_hold = e.prev_hold
    return e.cookie


cdef class Engine(Sas):
    """One packet engine with `workers` threads to come (1 to 8); errors are OSError, KeyError, ValueError.

    SAs and eroutes are named by cookies this class hands out. Every method is for one thread at a time.
    """

    def set_eroute(self, tuple key, int action, uint64_t sa_cookie, int device, object owner=None):
        """Add or replace an eroute; answers its cookie. `sa_cookie` 0: the SA is not there (yet). `owner`: for note()."""
        cdef eroute_t k
        cdef eroute_t *e
        cdef uint64_t old
        cdef int failed = -1
        fill_key(&k, key)
        k.action = action
        k.device = device
        if sa_cookie and action == ACT_SA:
            k.sa = self.get(sa_cookie)
        k.cookie = handle_new(&self.notes, <void *>owner)
        if k.cookie == 0:
            raise MemoryError
        Py_INCREF(owner)
        self.enter()
        with nogil:
            old = forget_eroute(radij_find(&self.en.radij, &k))
            e = radij_new(&self.en.radij)
            if e:
                memcpy(e, &k, sizeof(eroute_t))
                failed = eroute_install(self.en.crew[0], e)
                if failed:
                    radij_release(e, &self.en.radij)
                elif e.sa and e.action == ACT_SA:
                    chain_eroute(e)
            if failed:
                # The old one stays as it is.
                e = radij_find(&self.en.radij, &k)
                if e != NULL and e.sa and e.action == ACT_SA:
                    chain_eroute(e)
        self.leave()
        self.drop_note(k.cookie if failed else old)
        if failed:
            raise MemoryError
        return k.cookie

    cdef void drop_note(self, uint64_t cookie) noexcept:
        cdef PyObject *owner = <PyObject *>handle_item(&self.notes, cookie)
        handle_drop(&self.notes, cookie)
        Py_XDECREF(owner)

    def note(self, uint64_t cookie):
        """What set_eroute was given as `owner`, or None when that eroute is gone or was never given any."""
        cdef void *owner = handle_item(&self.notes, cookie)
        return <object>owner if owner else None

    def eroutes_of(self, uint64_t cookie):
        """The keys of the eroutes that use an SA."""
        cdef eroute_t *e = self.get(cookie).eroutes
        keys = []
        while e:
            keys.append(key_tuple(e))
            e = e.next_hold
        return keys

    def find_eroute(self, tuple key):
        """The row of the eroute of exactly this key, or None."""
        cdef eroute_t k
        cdef eroute_t *e
        fill_key(&k, key)
        self.enter()
        e = radij_find(&self.en.radij, &k)
        row = None if e == NULL else eroute_row(e)
        self.leave()
        return row

    def bind_eroute(self, tuple key, uint64_t sa_cookie):
        """Let an SA eroute use another SA (0: none) from now on."""
        cdef eroute_t k
        cdef eroute_t *e
        cdef sa_t *sa
        fill_key(&k, key)
        # Looked up before the lock: an error inside would keep it for ever.
        sa = self.get(sa_cookie) if sa_cookie else NULL
        self.enter()
        e = radij_find(&self.en.radij, &k)
        if e != NULL and e.action == ACT_SA:
            forget_eroute(e)
            storep(&e.sa, sa)
            if sa:
                chain_eroute(e)
        self.leave()

    def del_eroute(self, tuple key):
        """Remove an eroute; False when there is none."""
        cdef eroute_t k
        cdef bint found
        cdef uint64_t old
        fill_key(&k, key)
        self.enter()
        with nogil:
            old = forget_eroute(radij_find(&self.en.radij, &k))
            found = eroute_uninstall(self.en.crew[0], &k)
        self.leave()
        self.drop_note(old)
        return found

    def match(self, tuple flow):
        """The row of the eroute for (version, src, dst, proto, sport, dport), or None."""
        cdef flow_t f
        cdef eroute_t *e
        flow_from(&f, flow)
        self.enter()
        e = radij_match(&self.en.radij, &f, True)
        row = None if e == NULL else eroute_row(e)
        self.leave()
        return row

    def eroutes(self):
        """Every eroute as a row: (key, action, cookie, trap cookie, packets, idle s or -1, held, device, SA cookie)."""
        cdef uint64_t room = load(&self.en.radij.count) + SPARE_ROWS, count, i
        cdef eroute_t **at = <eroute_t **>malloc(room * sizeof(void *))
        if at == NULL:
            raise MemoryError
        # As a reader, without the mutex: a worker that has a packet to hold must not wait for a million rows. Through it
        # once, so that whatever an event has told of is complete.
        self.enter()
        self.leave()
        epoch_enter(&self.en.epoch, 0)
        try:
            with nogil:
                count = min(room, radij_rows(&self.en.radij, at, room))
            return [eroute_row(at[i]) for i in range(count)]
        finally:
            epoch_leave(&self.en.epoch, 0)
            free(at)
