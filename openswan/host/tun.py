# SPDX-License-Identifier: GPL-2.0-or-later
"""The virtual interface ipsecN: a persistent multi-queue TUN device with virtio-net headers.

Persistent, so that it (and the routes and rules that name it) outlives a killed daemon; the next one takes it over.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Plan:
    """One virtual interface to have: its name, the physical one below and that one's MTU."""

    name: str
    physical: str
    mtu: int


def open_tun(name: str, path: str = TUN_PATH) -> int:
    """A non-blocking descriptor of the persistent TUN `name`, made if need be; HostError in one line otherwise."""
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
