# SPDX-License-Identifier: GPL-2.0-or-later
"""One packet engine's memory and threads, and what all of it reports.

Worker 0 is the control thread: it sends held packets and answers questions. Workers 1 to n sit in `run`. A command
publishes what it changes with one atomic store; what was there before goes when every worker has passed a quiet point.
"""
cimport cython
from cpython.pycapsule cimport PyCapsule_New
from cpython.ref cimport Py_XDECREF, PyObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free

from _fast.atomic cimport (alloc_zeroed, load, pthread_mutex_destroy, pthread_mutex_init, pthread_mutex_lock,
                           pthread_mutex_unlock, store_sc, wipe_free)
from _fast.attach cimport device_detach, intake_detach, socket_detach
from _fast.epoch cimport epoch_drain, epoch_enter, epoch_init, epoch_leave, epoch_reclaim
from _fast.expect cimport expect_free
from _fast.handles cimport handles_free
from _fast.hold cimport hold_drop, hold_take
from _fast.mail cimport MAIL_ACQUIRE, mail_free, mail_init, mail_t, mail_take
from _fast.plant cimport *
from _fast.radij cimport radij_free, radij_init
from _fast.rows cimport key_tuple, remote_tuple
from _fast.sadb cimport sa_release, sadb_free, sadb_init
from _fast.send cimport send_outbox
from _fast.sysio cimport *
from _fast.types cimport *
from _fast.worker cimport work, worker_free, worker_new


@cython.no_gc_clear
cdef class Core:
    """What every command needs: the engine, its lock, its threads."""

    def __cinit__(self, int provider, int workers):
        cdef int i
        if not 1 <= workers <= MAX_WORKERS - 1:
            raise ValueError("workers")
        self.en = <engine_t *>alloc_zeroed(sizeof(engine_t))
        if self.en == NULL:
            raise MemoryError
        pthread_mutex_init(&self.en.lock, NULL)
        epoch_init(&self.en.epoch)
        self.en.provider = provider
        self.en.workers = workers
        self.en.next_cookie = 1
        self.en.mail.fd = -1
        for i in range(MAX_DEVICES):
            self.en.devices[i].fd = -1
        for i in range(MAX_SOCKETS):
            self.en.sockets[i].fd = -1
        self.en.pass_fd[0] = self.en.pass_fd[1] = self.en.link_fd = -1
        if mail_init(&self.en.mail) or sadb_init(&self.en.sadb, &self.en.epoch) or radij_init(
                &self.en.radij, &self.en.epoch):
            raise MemoryError
        for i in range(workers + 1):
            self.en.crew[i] = worker_new(self.en, i)
            if self.en.crew[i] == NULL:
                raise ValueError("provider not available on this machine")

    def __dealloc__(self):
        cdef int i
        cdef uint64_t at
        cdef sa_t *sa
        cdef eroute_t *e
        cdef held_t *p
        if self.en == NULL:
            return
        # No worker runs any more: run() holds a reference to self.
        for i in range(MAX_DEVICES):
            if self.en.devices[i].fd >= 0:
                device_detach(self.en, i)
        for i in range(MAX_SOCKETS):
            if self.en.sockets[i].fd >= 0:
                socket_detach(self.en, i)
        for i in range(MAX_INTAKES):
            if self.en.intakes[i] != NULL:
                intake_detach(self.en, i)
        epoch_drain(&self.en.epoch)
        e = self.en.hold.eroutes
        while e:
            p = hold_take(&self.en.hold, e)
            while p:
                hold_drop(p)
                p = hold_take(&self.en.hold, e)
            e = e.next_hold
        for at in range(self.sas.used):
            if self.sas.slots[at].handle:
                sa = <sa_t *>self.sas.slots[at].item
                Py_XDECREF(<PyObject *>sa.note)
                sa_release(sa, NULL)
        for at in range(self.notes.used):
            if self.notes.slots[at].handle:
                Py_XDECREF(<PyObject *>self.notes.slots[at].item)
        handles_free(&self.sas)
        handles_free(&self.notes)
        expect_free(&self.en.expect)
        radij_free(&self.en.radij)
        sadb_free(&self.en.sadb)
        if self.en.mail.fd >= 0:
            mail_free(&self.en.mail)
        for i in range(2):
            if self.en.pass_fd[i] >= 0:
                close(self.en.pass_fd[i])
        if self.en.link_fd >= 0:
            close(self.en.link_fd)
        for i in range(MAX_WORKERS):
            worker_free(self.en.crew[i])
        pthread_mutex_destroy(&self.en.lock)
        wipe_free(self.en, sizeof(engine_t))

    # --- threads

    @property
    def workers(self):
        """How many threads belong in run()."""
        return self.en.workers

    def event_fd(self):
        """Readable while events wait."""
        return self.en.mail.fd

    def run(self, int index):
        """Pump packets until stop(); for a thread of its own, `index` from 1 to `workers`."""
        if not 1 <= index <= self.en.workers:
            raise ValueError("index")
        with nogil:
            work(self.en.crew[index])

    def stop(self):
        """Make every run() return."""
        store_sc(&self.en.stop, 1)
        self.nudge()

    def nudge(self):
        """Wake every worker, so that its turns go on if it is well."""
        cdef uint64_t one = 1
        cdef int i
        for i in range(1, self.en.workers + 1):
            write(self.en.crew[i].wake, &one, 8)

    def restart(self):
        """Allow run() again after stop()."""
        store_sc(&self.en.stop, 0)

    cdef void enter(self) noexcept:
        with nogil:
            pthread_mutex_lock(&self.en.lock)
            self.en.crew[0].now = coarse_now()
            epoch_enter(&self.en.epoch, 0)

    cdef void leave(self) noexcept:
        with nogil:
            send_outbox(self.en.crew[0])
            epoch_leave(&self.en.epoch, 0)
            epoch_reclaim(&self.en.epoch)
            pthread_mutex_unlock(&self.en.lock)
    # --- reports

    def drops(self):
        """Dropped packets by reason, as a list of counters."""
        cdef int i, k
        totals = [0] * DROP_KINDS
        for i in range(self.en.workers + 1):
            for k in range(DROP_KINDS):
                totals[k] += load(&self.en.crew[i].drops[k])
        return totals

    def worker_packets(self):
        """(packets to the host, packets from it) of each worker."""
        cdef int i, k
        rows = []
        for i in range(1, self.en.workers + 1):
            rx = tx = 0
            for k in range(MAX_DEVICES):
                rx += load(&self.en.crew[i].to_host[k])
                tx += load(&self.en.crew[i].from_host[k])
            rows.append((rx, tx))
        return rows

    def turns(self):
        """Times each worker has looked for work."""
        return [load(&self.en.crew[i].turns) for i in range(1, self.en.workers + 1)]

    def waiting(self):
        """Retired and not yet released."""
        return load(&self.en.epoch.waiting)

    def worker(self, int index):
        """Worker `index` as a capsule "_fast.worker", for fuzzers that call the packet path themselves; good while self is."""
        if not 0 <= index <= self.en.workers:
            raise ValueError("index")
        return PyCapsule_New(self.en.crew[index], "_fast.worker", NULL)

    def take(self):
        """The oldest event as a tuple, or None: (kind, cookie, number, socket slot, remote, flow key, trap key, data)."""
        cdef mail_t *m = mail_take(&self.en.mail)
        if m == NULL:
            return None
        event = (m.kind, m.cookie, m.number, m.sock, remote_tuple(m.remote) if m.remote[0] or m.remote[1] else None,
                 key_tuple(&m.flow) if m.kind == MAIL_ACQUIRE else None,
                 key_tuple(&m.trap) if m.kind == MAIL_ACQUIRE else None, (<const uint8_t *>m.data)[:m.length])
        free(m)
        return event
