# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine's commands about SAs."""
from cpython.ref cimport Py_INCREF, Py_XDECREF, PyObject
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcmp, memcpy, memset

from _fast.atomic cimport alloc_zeroed, load, raise_to, storep, wipe_free
from _fast.cipher cimport key_new
from _fast.epoch cimport epoch_retire, release_memory
from _fast.expect cimport expect_close, expect_deliver, expect_drop, expect_open
from _fast.handles cimport handle_drop, handle_item, handle_new
from _fast.handoff cimport lane_of
from _fast.numbers cimport ESP
from _fast.octets cimport get16
from _fast.outbox cimport out_dummy
from _fast.path cimport make_path
from _fast.plant cimport *
from _fast.ports cimport Ports
from _fast.replay cimport replay_init
from _fast.rows cimport address_of, make_selectors, put_address, put_alias, put_original, selector_tuples
from _fast.sadb cimport release_selectors, sa_release, sadb_add, sadb_find, sadb_named, sadb_remove
from _fast.sysio cimport coarse_now
from _fast.types cimport *


cdef enum:
    COMP = 108


cdef int device_slot(int slot) except -2:
    if not -1 <= slot < MAX_DEVICES:
        raise ValueError("device slot")
    return slot


cdef class Sas(Ports):
    """SAs, by cookies that add_sa hands out."""

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
            put_alias(sa, spec["alias"])
            sa.esn = esn
            sa.device = device_slot(spec["device"])
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
        self.bare(sa, not sa.transport)
        if not spec["bundled"]:
            self.expected(sa)
        self.leave()
        return sa.id

    cdef void expected(self, sa_t *sa) noexcept:
        # What has come before an SA could take it.
        if sa.inbound:
            expect_deliver(self.en.crew[0], expect_close(&self.en.expect, sa.proto, sa.spi))

    cdef sa_t *get(self, uint64_t cookie) except NULL:
        cdef sa_t *sa = <sa_t *>handle_item(&self.sas, cookie)
        if sa == NULL:
            raise KeyError(cookie)
        return sa

    cdef void bare(self, sa_t *sa, bint alone) noexcept:
        # Known to who meets an IP-in-IP packet, or no more; beyond MOST_BARE they are not.
        cdef int i, free = -1
        if not sa.inbound or sa.proto != COMP:
            return
        for i in range(MOST_BARE):
            if self.en.bare[i] == sa:
                storep(&self.en.bare[i], sa if alone else NULL)
                return
            if self.en.bare[i] == NULL:
                free = i
        if alone and free >= 0:
            storep(&self.en.bare[free], sa)

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
        if old.version == new.version and memcmp(old.local, new.local, 16) == 0:
            memcpy(new.was, old.was, 16)
            new.was_version = old.was_version
        else:
            memcpy(new.was, old.local, 16)
            new.was_version = old.version
        self.enter()
        storep(&sa.path, new)
        epoch_retire(&self.en.epoch, old, release_memory, <void *><uintptr_t>sizeof(path_t))
        self.leave()

    def send_dummy(self, uint64_t cookie):
        """Send one packet that its receiver discards (RFC 4303 2.6); nothing where the SA has no numbers left.

        ValueError: not an outbound ESP SA by itself.
        """
        cdef sa_t *sa = self.get(cookie)
        cdef int why
        if sa.inbound or sa.proto != ESP or sa.next != NULL or sa.chained == CHAIN_BROKEN:
            raise ValueError("only ESP that is in no bundle")
        self.enter()
        why = out_dummy(self.en.crew[0], sa)
        if why:
            self.en.crew[0].drops[why] += 1
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
        self.bare(sa, False)
        if sa.inbound:
            self.en.crew[0].drops[DROP_NO_SA] += expect_drop(expect_close(&self.en.expect, sa.proto, sa.spi))
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
        self.bare(sa, not sa.transport and not enclosed and chained != CHAIN_BROKEN)
        storep(&sa.next, other)
        sa.chained = <uint8_t>chained
        if not enclosed and chained != CHAIN_BROKEN:
            self.expected(sa)
        self.leave()

    def set_sequence(self, uint64_t cookie, uint64_t sequence):
        """Pretend an outbound SA has sent this many packets; only forward, so no number is used twice."""
        # In one step: a worker may be counting on.
        if not raise_to(&self.get(cookie).sequence, sequence):
            raise ValueError("sequence numbers never go back")

    def set_sa_device(self, uint64_t cookie, int device):
        """Let an SA's packets come out of another device slot; -1: none."""
        self.get(cookie).device = device_slot(device)

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

    def sent_to(self, bytes local, bytes remote):
        """Cookies of the SAs that send raw ESP between these addresses."""
        cdef uint64_t at
        cdef sa_t *sa
        cdef uint8_t version = 4 if len(local) == 4 else 6
        cdef uint32_t at_remote = 4 if version == 4 else 8, octets = 4 if version == 4 else 16
        cookies = []
        if len(local) != octets or len(remote) != octets:
            raise ValueError("addresses")
        for at in range(self.sas.used):
            sa = <sa_t *>self.sas.slots[at].item if self.sas.slots[at].handle else NULL
            if (sa != NULL and not sa.inbound and sa.proto == 50 and not sa.path.encap and sa.path.version == version
                    and memcmp(sa.path.remote + at_remote, <const uint8_t *>remote, octets) == 0
                    and memcmp(sa.path.local, <const uint8_t *>local, octets) == 0):
                cookies.append(sa.id)
        return cookies

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
                sa.cipher, sa.integ, bool(sa.esn), sa.replay.window, p.encap, p.local[:n], p.local_port,
                p.remote[n if n == 4 else 8:8 if n == 4 else 24], get16(p.remote + 2), p.outer_mtu, p.inner_mtu,
                [0 if limit == ~<uint64_t>0 else limit for limit in
                 (sa.life.soft_octets, sa.life.hard_octets, sa.life.soft_packets, sa.life.hard_packets)],
                selector_tuples(sa.selectors),
                sa.mtu, bool(sa.unproven), <object>sa.note)
