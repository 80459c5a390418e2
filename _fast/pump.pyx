# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine's face for klips.engine: the commands that change what the workers read, and what there is to report.

Worker 0 is the control thread: it sends held packets and answers questions. Workers 1 to n sit in `run`. A command
publishes what it changes with one atomic store; what was there before goes when every worker has passed a quiet point.
"""
cimport cython
from cpython.pycapsule cimport PyCapsule_New
from cpython.ref cimport Py_INCREF, Py_XDECREF, PyObject
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from _fast.atomic cimport (alloc_zeroed, load, loadp, pthread_mutex_destroy, pthread_mutex_init, pthread_mutex_lock,
                           pthread_mutex_unlock, store, store_sc, storep, wipe_free)
from _fast.attach cimport close_later, device_attach, device_detach, socket_attach, socket_detach
from _fast.cipher cimport key_new
from _fast.epoch cimport (epoch_drain, epoch_enter, epoch_init, epoch_leave, epoch_reclaim, epoch_retire,
                          release_memory)
from _fast.expect cimport expect_close, expect_deliver, expect_drop, expect_free, expect_open
from _fast.handles cimport handle_drop, handle_item, handle_new, handles_free, handles_t
from _fast.handoff cimport lane_of
from _fast.hold cimport hold_delist, hold_drop, hold_take
from _fast.mail cimport (MAIL_ACQUIRE, MAIL_EXPIRED, MAIL_FIRST_USE, MAIL_IKE, MAIL_NEW_MAPPING, MAIL_UNKNOWN_SPI,
                         mail_free, mail_init, mail_t, mail_take)
from _fast.octets cimport get16
from _fast.path cimport make_path
from _fast.plant cimport *
from _fast.radij cimport (fill_key, flow_from, radij_find, radij_free, radij_init, radij_match, radij_new,
                           radij_release, radij_rows)
from _fast.replay cimport replay_init
from _fast.sadb cimport (release_selectors, sa_release, sadb_add, sadb_find, sadb_free, sadb_init, sadb_named,
                         sadb_remove, selectors_size)
from _fast.send cimport send_outbox
from _fast.sysio cimport *
from _fast.types cimport *
from _fast.worker cimport work, worker_free, worker_new
from _fast.xmit cimport eroute_install, eroute_uninstall

cdef enum:
    SPARE_ROWS = 65536         # holds that workers may make while the table is listed: MOST_NARROW


@cython.no_gc_clear
cdef class Engine:
    """One packet engine with `workers` threads to come (1 to 8); errors are OSError, KeyError, ValueError.

    SAs and eroutes are named by cookies this class hands out. Every method is for one thread at a time.
    """

    cdef engine_t *en
    cdef handles_t sas         # cookies of SAs,
    cdef handles_t notes       # and of eroutes, whose owner's notes they stand for

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
        self.en.pass_fd[0] = self.en.pass_fd[1] = -1
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
        cdef uint64_t one = 1
        cdef int i
        store_sc(&self.en.stop, 1)
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

    # --- devices and sockets

    def attach_device(self, int slot, tuple fds, uint32_t mtu):
        """Take over the queues of a TUN (or, for tests, sockets that keep message bounds), one a worker or fewer.

        Answers (offload, uso): whether super-packets of TCP and of UDP may be written.
        """
        cdef int own[9]
        cdef int count = self.read_fds(fds, own)
        if not 0 <= slot < MAX_DEVICES or self.en.devices[slot].fd >= 0:
            raise ValueError("device slot")
        self.enter()
        failed = device_attach(self.en, slot, own, count, mtu)
        number = errno
        self.leave()
        if failed:
            raise OSError(number, "descriptor cannot be waited for")
        return (bool(self.en.devices[slot].offload), bool(self.en.devices[slot].uso))

    cdef int read_fds(self, tuple fds, int *own) except -1:
        cdef int i, n = <int>len(fds)
        if not 1 <= n <= self.en.workers:
            raise ValueError(f"{n} descriptors for {self.en.workers} workers")
        for i in range(n):
            own[i] = fds[i]
        return n

    def set_offload(self, int slot, bint tcp, bint udp):
        """Say by hand what super-packets the device takes, for tests with a socket in the TUN's place."""
        self.en.devices[slot].offload = tcp
        self.en.devices[slot].uso = MERGE_PIECES if udp else 0

    def detach_device(self, int slot):
        """Stop reading it and close its descriptors."""
        self.enter()
        device_detach(self.en, slot)
        self.leave()

    def set_device_mtu(self, int slot, uint32_t mtu, uint32_t below):
        """The virtual interface's MTU and that of the physical one below (0: unknown), octets."""
        self.en.devices[slot].mtu = mtu
        self.en.devices[slot].pass_mtu = below

    def set_socket_mtu(self, int slot, uint32_t mtu):
        """The MTU of the socket's physical interface; SAs learn of it by move_sa."""
        self.en.sockets[slot].mtu = mtu

    def device(self, int slot):
        """(packets to the host, packets from it, mtu, TSO taken, USO taken)."""
        cdef int i
        rx = tx = 0
        for i in range(self.en.workers + 1):
            rx += load(&self.en.crew[i].to_host[slot])
            tx += load(&self.en.crew[i].from_host[slot])
        return (rx, tx, self.en.devices[slot].mtu, bool(self.en.devices[slot].offload), bool(self.en.devices[slot].uso))

    def attach_socket(self, int slot, tuple fds, bint spread, int version, bytes local, int port, uint32_t mtu,
                      int proto=50):
        """Use the bound sockets of one endpoint (port 0: raw, of protocol 50, 51 or 108); duplicates of the descriptors are kept.

        `spread`: the kernel chooses among them by SPI, as _fast.handoff.lane does.
        """
        cdef int own[9]
        cdef int i, number = 0, count = self.read_fds(fds, own)
        cdef bint failed = False
        if not 0 <= slot < MAX_SOCKETS or self.en.sockets[slot].fd >= 0 or len(local) != (4 if version == 4 else 16):
            raise ValueError("socket slot")
        for i in range(count):
            own[i] = fcntl(own[i], F_DUPFD_CLOEXEC, 3)
            if own[i] < 0 and not failed:
                failed, number = True, errno
        if failed:
            for i in range(count):
                if own[i] >= 0:
                    close(own[i])
            raise OSError(number, "socket cannot be duplicated")
        self.enter()
        failed = socket_attach(self.en, slot, own, count, spread, version, local, <uint16_t>port, <uint8_t>proto,
                               mtu) != 0
        number = errno
        self.leave()
        if failed:
            for i in range(count):
                close(own[i])
            raise OSError(number, "descriptor cannot be waited for")

    def detach_socket(self, int slot):
        """Stop using them."""
        self.enter()
        socket_detach(self.en, slot)
        self.leave()

    def attach_pass(self, int version, int fd):
        """Send %pass packets through a duplicate of this raw socket with its own IP header (IP_HDRINCL)."""
        cdef int own = fcntl(fd, F_DUPFD_CLOEXEC, 3)
        cdef int at = 0 if version == 4 else 1
        if own < 0:
            raise OSError(errno, "socket cannot be duplicated")
        self.enter()
        old, self.en.pass_fd[at] = self.en.pass_fd[at], own
        if old >= 0:
            close_later(self.en, old)
        self.leave()

    # --- SAs

    def add_sa(self, dict spec):
        """Install an SA as RawSa of pump.pyi describes it; answers its cookie.

        KeyError: protocol, SPI and local address of an inbound one are taken. ValueError: the keys do not fit.
        """
        cdef sa_t *sa
        cdef bytes key = spec["key"]
        cdef bytes auth = spec["auth"]
        cdef bint esn = spec["esn"]
        cdef uint32_t spi = spec["spi"]
        cdef bint inbound = spec["inbound"]
        sa = <sa_t *>alloc_zeroed(sizeof(sa_t))
        if sa == NULL:
            raise MemoryError
        try:
            sa.spi = spi
            sa.proto = spec["proto"]
            put_address(sa.name, &sa.name_version, spec["dst"])
            sa.cipher = spec["cipher"]
            sa.integ = spec["integ"]
            sa.mtu = spec["mtu"]
            sa.unproven = spec["unproven"]
            sa.partner = spec["partner"]
            sa.inbound = inbound
            sa.transport = spec["transport"]
            sa.chained = 1 if sa.proto != 50 or sa.transport else 0
            put_original(sa, spec["original"])
            sa.esn = esn
            sa.device = spec["device"]
            sa.added = coarse_now()
            sa.limit = ~<uint64_t>0 - (1 << 20) if esn else <uint64_t>0xFFFFFFFF
            sa.soft = <uint64_t>1 << (63 if esn else 31)
            if sa.proto == 50 or sa.proto == 51:
                sa.key = key_new(&self.en.crew[0].crypt, self.en.provider, spec["cipher"], key, <uint32_t>len(key),
                                 spec["integ"], auth, <uint32_t>len(auth), esn)
                if sa.key == NULL:
                    raise ValueError("keys do not fit the algorithm")
            elif key or auth:
                raise ValueError("no keys belong there")
            sa.copy_dscp = spec["copy_dscp"]
            sa.tfc = spec["tfc"]
            (sa.life.soft_octets, sa.life.hard_octets, sa.life.soft_packets,
             sa.life.hard_packets) = [limit or ~<uint64_t>0 for limit in spec["life"]]
            # What is only sent needs neither a ring nor selectors: the first for its listing alone.
            if replay_init(&sa.replay, spec["window"], inbound):
                raise MemoryError
            sa.selectors = make_selectors(spec["selectors"] if inbound else [])
            sa.path = make_path(sa, spec["path"])
            if inbound and sadb_find(&self.en.sadb, sa.proto, spi, sa.path.local, sa.path.version) != NULL:
                raise KeyError(spi)
            sa.owner = self.owner_of(sa, spec["partner"])
        except BaseException:
            sa_release(sa, NULL)
            raise
        sa.id = handle_new(&self.sas, sa)
        if sa.id == 0:
            sa_release(sa, NULL)
            raise MemoryError
        note = spec["note"]
        self.enter()
        if sadb_add(&self.en.sadb, sa):
            self.leave()
            handle_drop(&self.sas, sa.id)
            sa_release(sa, NULL)
            raise MemoryError
        Py_INCREF(note)
        sa.note = <void *>note
        if sa.inbound:
            expect_deliver(self.en.crew[0], expect_close(&self.en.expect, sa.proto, spi))
        self.leave()
        return sa.id

    cdef sa_t *get(self, uint64_t cookie) except NULL:
        cdef sa_t *sa = <sa_t *>handle_item(&self.sas, cookie)
        if sa == NULL:
            raise KeyError(cookie)
        return sa

    cdef int32_t owner_of(self, const sa_t *sa, uint32_t partner) noexcept:
        # The worker that gets the packets of the other direction: the kernel gives it those of the same flows to seal.
        cdef socket_t *s
        if sa.inbound or not partner or sa.path.sock < 0:
            return 0
        s = &self.en.sockets[sa.path.sock]
        return lane_of(partner, s.spread) if s.spread else s.reader

    def expect_spi(self, int proto, uint32_t spi):
        """Keep what comes for an SPI until add_sa or expect_no_more; a datagram is kept for a second at most."""
        self.enter()
        self.en.crew[0].drops[DROP_NO_SA] += expect_open(&self.en.expect, <uint8_t>proto, spi)
        self.leave()

    def expect_no_more(self, int proto, uint32_t spi):
        """No SA will come; what was kept is dropped."""
        self.enter()
        self.en.crew[0].drops[DROP_NO_SA] += expect_drop(expect_close(&self.en.expect, <uint8_t>proto, spi))
        self.leave()

    def move_sa(self, uint64_t cookie, tuple path):
        """Give an SA other outer addresses while packets flow. KeyError: an inbound one has this name there already."""
        cdef sa_t *sa = self.get(cookie)
        cdef path_t *new = make_path(sa, path)
        cdef path_t *old = sa.path
        cdef sa_t *taken
        if sa.inbound:
            taken = sadb_find(&self.en.sadb, sa.proto, sa.spi, new.local, new.version)
            if taken != NULL and taken != sa:
                wipe_free(new, sizeof(path_t))
                raise KeyError(cookie)
        self.enter()
        storep(&sa.path, new)
        epoch_retire(&self.en.epoch, old, release_memory, <void *><uintptr_t>sizeof(path_t))
        self.leave()

    def set_selectors(self, uint64_t cookie, list selectors):
        """Replace what an SA may carry while packets flow."""
        cdef sa_t *sa = self.get(cookie)
        cdef selectors_t *new = make_selectors(selectors)
        cdef selectors_t *old = sa.selectors
        self.enter()
        storep(&sa.selectors, new)
        epoch_retire(&self.en.epoch, old, release_selectors, NULL)
        self.leave()

    def del_sa(self, uint64_t cookie):
        """Remove an SA; its keys are wiped once no thread can see them. Its eroutes must have been unbound."""
        cdef sa_t *sa = self.get(cookie)
        handle_drop(&self.sas, cookie)
        Py_XDECREF(<PyObject *>sa.note)
        sa.note = NULL
        self.enter()
        sadb_remove(&self.en.sadb, sa)
        epoch_retire(&self.en.epoch, sa, sa_release, NULL)
        self.leave()

    def link_sa(self, uint64_t cookie, uint64_t following, int chained, bint enclosed):
        """Place an SA in a bundle: `following` is its neighbour outside (OUT) or inside (IN), 0 none.

        `chained` 0: alone, ESP in tunnel mode; 1: by way of the bundles; 2: carries nothing any more. `enclosed`: of an IN
        SA, nothing may arrive outside the bundle.
        """
        cdef sa_t *sa = self.get(cookie)
        cdef sa_t *other = self.get(following) if following else NULL
        self.enter()
        if chained:
            sa.chained = <uint8_t>chained
        sa.enclosed = enclosed
        storep(&sa.next, other)
        sa.chained = <uint8_t>chained
        self.leave()

    def set_sequence(self, uint64_t cookie, uint64_t sequence):
        """Pretend an outbound SA has sent this many packets; only forward, so no number is used twice."""
        cdef sa_t *sa = self.get(cookie)
        if sequence < load(&sa.sequence):
            raise ValueError("sequence numbers never go back")
        store(&sa.sequence, sequence)

    def set_sa_device(self, uint64_t cookie, int device):
        """Let an SA's packets come out of another device slot; -1: none."""
        self.get(cookie).device = device

    def sa(self, uint64_t cookie):
        """(packets, octets, sequence, replays, auth failures, selector failures, age s, idle s or -1, key bits,

        provider, ECN alarms).
        """
        cdef sa_t *sa = self.get(cookie)
        cdef uint64_t now = coarse_now()
        cdef uint64_t last = load(&sa.last_use)
        cdef uint64_t sequence = load(&sa.replay.top) if sa.inbound else load(&sa.sequence)
        if sequence > sa.limit:
            sequence = sa.limit
        return (load(&sa.packets), load(&sa.octets), sequence, load(&sa.replays), load(&sa.auth_failures),
                load(&sa.selector_failures), max(0.0, (<double>now - <double>sa.added) / 1e9),
                max(0.0, (<double>now - <double>last) / 1e9) if last else -1.0,
                sa.key.key_len * 8 if sa.key else 0, sa.key.provider if sa.key else 0,
                load(&sa.ecn_alarms))

    def find_sa(self, bint inbound, int proto, uint32_t spi, bytes dst):
        """The cookie of the SA that was added by this name, 0: there is none."""
        cdef uint8_t name[16]
        cdef uint8_t version
        cdef sa_t *sa
        memset(name, 0, 16)
        put_address(name, &version, dst)
        sa = sadb_named(&self.en.sadb, inbound, <uint8_t>proto, spi, name, version)
        return sa.id if sa else 0

    def partner(self, uint64_t cookie):
        """The cookie of the SA of the other direction, at the same address of ours; 0: none, or not there."""
        cdef sa_t *sa = self.get(cookie)
        cdef sa_t *back = NULL
        if sa.partner and not sa.inbound:
            back = sadb_find(&self.en.sadb, sa.proto, sa.partner, sa.path.local, sa.path.version)
        return back.id if back else 0

    def cookies(self):
        """Of every SA, in the order they were added."""
        cdef uint64_t at
        return sorted([self.sas.slots[at].handle for at in range(self.sas.used) if self.sas.slots[at].handle])

    def keep_mtu(self, uint64_t cookie, int mtu, bint unproven):
        """What is known of an SA's path by itself, for whoever makes the next one; move_sa makes it count."""
        cdef sa_t *sa = self.get(cookie)
        sa.mtu, sa.unproven = <uint16_t>mtu, unproven

    def describe(self, uint64_t cookie):
        """What an SA is, as SaFacts of pump.pyi; never its keys. KeyError: it is gone."""
        cdef sa_t *sa = self.get(cookie)
        cdef path_t *p = sa.path
        cdef int n = 4 if p.version == 4 else 16
        return (cookie, sa.proto, sa.spi, address_of(sa.name, sa.name_version), bool(sa.inbound), bool(sa.transport),
                sa.cipher, sa.integ, bool(sa.esn), sa.replay.window, bool(p.encap), p.local[:n], p.local_port,
                p.remote[n if n == 4 else 8:8 if n == 4 else 24], get16(p.remote + 2), p.outer_mtu, p.inner_mtu,
                [0 if limit == ~<uint64_t>0 else limit for limit in
                 (sa.life.soft_octets, sa.life.hard_octets, sa.life.soft_packets, sa.life.hard_packets)],
                [selector_tuple(&sa.selectors.items[i]) for i in range(sa.selectors.count)],
                sa.mtu, bool(sa.unproven), <object>sa.note)

    # --- eroutes

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
        event = (m.kind, m.cookie, m.number, m.sock, remote_tuple(m.remote) if m.remote[0] else None,
                 key_tuple(&m.flow) if m.kind == MAIL_ACQUIRE else None,
                 key_tuple(&m.trap) if m.kind == MAIL_ACQUIRE else None, (<const uint8_t *>m.data)[:m.length])
        free(m)
        return event


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


cdef int put_original(sa_t *sa, bytes original) except -1:
    cdef size_t n = len(original) // 2
    if not original:
        return 0
    if n != 4 and n != 16:
        raise ValueError("original addresses")
    sa.repair = 1
    memcpy(sa.original, <const uint8_t *>original, n)
    memcpy(sa.original + 16, <const uint8_t *>original + n, n)
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
