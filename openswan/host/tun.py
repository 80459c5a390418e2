# SPDX-License-Identifier: GPL-2.0-or-later
"""The virtual interface ipsecN: a persistent multi-queue TUN device with virtio-net headers.

Persistent, so that it (and the routes and rules that name it) outlives a killed daemon; the next one takes it over.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from openswan.base.errors import HostError

TUN_PATH = "/dev/net/tun"
TUNSETIFF = 0x400454CA
TUNSETPERSIST = 0x400454CB
IFF_TUN = 0x0001
IFF_MULTI_QUEUE = 0x0100
IFF_NO_PI = 0x1000
IFF_VNET_HDR = 0x4000
FLAGS = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE
MAX_NAME = 15
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFMTU, SIOCSIFTXQLEN = 0x8913, 0x8914, 0x8922, 0x8943
IFF_UP = 0x1
QUEUE_LENGTH = 1000
"""Packets; a TUN's default of 500 overflows when TCP sends super-packets in bursts."""
SYSCTLS = {
    "ipv6/conf/{}/addr_gen_mode": 1,  # none: else the kernel's own solicitations and MLD reports enter the tunnel
    "ipv6/conf/{}/accept_ra": 0,
    "ipv6/conf/{}/accept_redirects": 0,
    "ipv4/conf/{}/accept_redirects": 0,
    "ipv4/conf/{}/send_redirects": 0,  # sender and gateway share this interface whenever a tunnel leads on into another
    "ipv4/conf/{}/rp_filter": 0,  # the guard does the anti-spoofing, and knows about selectors
}
"""Settings below /proc/sys/net."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One virtual interface to have: its name, the physical one below and that one's MTU."""

    name: str
    physical: str
    mtu: int


def open_queues(name: str, count: int, path: str = TUN_PATH) -> tuple[int, ...]:
    """Up to `count` queues of the persistent TUN `name`, at least one; HostError when there is none to be had."""
    fds = [open_tun(name, path)]
    while len(fds) < count:
        try:
            fds.append(open_tun(name, path))
        except HostError:
            break  # a kernel that gives fewer: the engine shares them out
    return tuple(fds)


def open_tun(name: str, path: str = TUN_PATH) -> int:
    """A non-blocking queue of the persistent TUN `name`, made if need be; HostError in one line otherwise."""
    if not 0 < len(name.encode()) <= MAX_NAME:
        raise HostError(f"'{name}' cannot name an interface: 1 to {MAX_NAME} characters")
    try:
        fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as why:
        raise HostError(_explain_open(path, why)) from None
    try:
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), FLAGS))
        fcntl.ioctl(fd, TUNSETPERSIST, 1)
    except OSError as why:
        os.close(fd)
        raise HostError(_explain_attach(name, why)) from None
    return fd


def configure(name: str, mtu: int) -> list[str]:
    """Bring the device up with this MTU (octets) and our settings; complaints about settings that could not be made."""
    complaints = []
    for template, value in SYSCTLS.items():
        path = Path("/proc/sys/net", template.format(name))
        try:
            if path.read_text().strip() != str(value):
                path.write_text(str(value))
        except FileNotFoundError:
            pass  # a kernel without IPv6 has no IPv6 settings
        except OSError as why:
            complaints.append(f"{path} could not be set to {value}: {why.strerror}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        ifname = name.encode()
        try:
            fcntl.ioctl(control, SIOCSIFMTU, struct.pack("16si20x", ifname, mtu))
            fcntl.ioctl(control, SIOCSIFTXQLEN, struct.pack("16si20x", ifname, QUEUE_LENGTH))
            (flags,) = struct.unpack_from("H", fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack("16s24x", ifname)), 16)
            fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH22x", ifname, flags | IFF_UP))
        except OSError as why:
            raise HostError(f"cannot bring interface {name} up with MTU {mtu}: {why.strerror}") from None
    return complaints


def index_of(name: str) -> int:
    """The kernel's number of an interface, which no other will have; 0: there is none of this name."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0


def ours(name: str, path: str = TUN_PATH) -> bool:
    """Can this device be taken over: is it there, one of ours, and nobody else's?"""
    if not index_of(name):
        return False
    try:
        os.close(open_tun(name, path))
    except HostError:
        return False
    return True


def virtual_devices() -> list[str]:
    """The names of all ipsecN devices here."""
    return sorted(name for _, name in socket.if_nameindex() if name.startswith("ipsec") and name[5:].isdecimal())


def remove_tun(name: str, path: str = TUN_PATH) -> None:
    """Delete the persistent TUN `name`; HostError when somebody else uses it. One that is not there is fine."""
    fd = open_tun(name, path)
    try:
        fcntl.ioctl(fd, TUNSETPERSIST, 0)
    finally:
        os.close(fd)


def _explain_open(path: str, why: OSError) -> str:
    if why.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return f"{path} is missing: the kernel needs TUN support (modprobe tun, or give the container the device)"
    if why.errno in (errno.EPERM, errno.EACCES):
        return f"{path} may not be opened: root (CAP_NET_ADMIN) is needed"
    return f"{path}: {why.strerror}"


def _explain_attach(name: str, why: OSError) -> str:
    if why.errno in (errno.EPERM, errno.EACCES):
        return f"cannot make interface {name}: root (CAP_NET_ADMIN) is needed"
    if why.errno == errno.EINVAL:
        return f"cannot take over interface {name}: it exists and is not one of ours (ip link delete {name} removes it)"
    if why.errno == errno.EBUSY:
        return f"cannot take over interface {name}: another program has it"
    return f"cannot make interface {name}: {why.strerror}"
