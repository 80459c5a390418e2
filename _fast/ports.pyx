# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine's commands about descriptors: queues of TUN devices, sockets, the way out in clear."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from _fast.atomic cimport load
from _fast.attach cimport (close_later, device_attach, device_detach, intake_attach, intake_detach, socket_attach,
                          socket_detach)
from _fast.core cimport Core
from _fast.plant cimport *
from _fast.sysio cimport *
from _fast.types cimport *


cdef class Ports(Core):
    """Devices and sockets, by slot numbers the caller chooses; ValueError: one is taken, or there is nothing in it."""

    cdef device_t *device_at(self, int slot) except NULL:
        if not 0 <= slot < MAX_DEVICES or self.en.devices[slot].fd < 0:
            raise ValueError("device slot")
        return &self.en.devices[slot]

    cdef socket_t *socket_at(self, int slot) except NULL:
        if not 0 <= slot < MAX_SOCKETS or self.en.sockets[slot].fd < 0:
            raise ValueError("socket slot")
        return &self.en.sockets[slot]

    cdef intake_t *intake_at(self, int slot) except NULL:
        if not 0 <= slot < MAX_INTAKES or self.en.intakes[slot] == NULL:
            raise ValueError("intake slot")
        return self.en.intakes[slot]

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
        cdef device_t *d = self.device_at(slot)
        d.offload = tcp
        d.uso = MERGE_PIECES if udp else 0

    def detach_device(self, int slot):
        """Stop reading it and close its descriptors."""
        self.device_at(slot)
        self.enter()
        device_detach(self.en, slot)
        self.leave()

    def set_device_mtu(self, int slot, uint32_t mtu, uint32_t below):
        """The virtual interface's MTU and that of the physical one below (0: unknown), octets."""
        cdef device_t *d = self.device_at(slot)
        d.mtu = mtu
        d.pass_mtu = below

    def set_socket_mtu(self, int slot, uint32_t mtu):
        """The MTU of the socket's physical interface; SAs learn of it by move_sa."""
        self.socket_at(slot).mtu = mtu

    def device(self, int slot):
        """(packets to the host, packets from it, mtu, TSO taken, USO taken)."""
        cdef device_t *d = self.device_at(slot)
        cdef int i
        rx = tx = 0
        for i in range(self.en.workers + 1):
            rx += load(&self.en.crew[i].to_host[slot])
            tx += load(&self.en.crew[i].from_host[slot])
        return (rx, tx, d.mtu, bool(d.offload), bool(d.uso))

    def attach_socket(self, int slot, tuple fds, bint spread, int version, bytes local, int port, uint32_t mtu,
                      int proto=50):
        """Use the bound sockets of one endpoint (port 0: raw, of protocol 50, 51 or 108; with one and protocol 6: the end of
        a pair of _fast.streams); duplicates of the descriptors are kept.

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
        self.socket_at(slot)
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

    def attach_link(self, int fd):
        """Put raw ESP on links through a duplicate of this packet socket, where an SA's path has a next hop."""
        cdef int own = fcntl(fd, F_DUPFD_CLOEXEC, 3)
        if own < 0:
            raise OSError(errno, "socket cannot be duplicated")
        self.enter()
        old, self.en.link_fd = self.en.link_fd, own
        if old >= 0:
            close_later(self.en, old)
        self.leave()

    def attach_intake(self, int slot, int fd, int reader, uint32_t block, uint32_t blocks):
        """Let worker `reader` take raw ESP from a duplicate of a packet socket with so many blocks of so many octets."""
        cdef int own, number, failed
        if not 0 <= slot < MAX_INTAKES or self.en.intakes[slot] != NULL or not 1 <= reader <= self.en.workers:
            raise ValueError("intake slot")
        own = fcntl(fd, F_DUPFD_CLOEXEC, 3)
        if own < 0:
            raise OSError(errno, "socket cannot be duplicated")
        self.enter()
        failed = intake_attach(self.en, slot, own, reader, block, blocks)
        number = errno
        self.leave()
        if failed:
            close(own)
            raise OSError(number, "the packet socket's memory cannot be mapped")

    def detach_intake(self, int slot):
        """Stop using it."""
        self.intake_at(slot)
        self.enter()
        intake_detach(self.en, slot)
        self.leave()

    def intake_packets(self, int slot):
        """Packets taken from it so far."""
        return load(&self.intake_at(slot).packets)
