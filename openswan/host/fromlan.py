# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets as a device would have received them, from hosts that know nothing of it.

A TAP of our own takes them from us, and a tc filter at its ingress hands them on as the device's own (mirred, ingress
redirect). So they meet what that device's packets meet: its hooks, its reverse-path filter, rules that name it, then
FORWARD. The TAP goes with its descriptor, however we end, and nothing of the device itself is touched. Numbers are
those of linux/pkt_sched.h, linux/pkt_cls.h and linux/tc_act/tc_mirred.h.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from pathlib import Path
from types import TracebackType
from typing import Self

from openswan.base.errors import HostError
from openswan.host.nlmsg import NETLINK_ROUTE, NLM_F_CREATE, NLM_F_EXCL, Message, NetlinkSocket, attr, nest, zstr
from openswan.host.packetsock import ETH_P_ALL, ETHERTYPES
from openswan.host.tun import IFF_NO_PI, IFF_UP, SIOCGIFFLAGS, SIOCSIFFLAGS, TUN_PATH, TUNSETIFF

NAME = "ipsecleak%d"
"""The kernel puts a number in."""
IFF_TAP = 0x0002
SIOCSIFHWADDR, SIOCGIFHWADDR = 0x8924, 0x8927
ARPHRD_ETHER = 1
RTM_NEWQDISC, RTM_NEWTFILTER = 36, 44
TC_H_INGRESS, HANDLE = 0xFFFFFFF1, 0xFFFF0000
TCA_KIND, TCA_OPTIONS = 1, 2
TCA_U32_SEL, TCA_U32_ACT = 5, 7
TCA_ACT_KIND, TCA_ACT_OPTIONS = 1, 2
TCA_MIRRED_PARMS, TCA_INGRESS_REDIR, TC_ACT_STOLEN = 2, 3, 4
EVERYTHING = struct.pack("=BBBxHHhhI", 1, 0, 1, 0, 0, 0, 0, 0) + bytes(16)
"""struct tc_u32_sel: terminal, one key, whose mask is zero."""
SENDER = bytes.fromhex("020000000001")
"""A locally administered address."""


def redirect(index: int, into: int) -> tuple[Message, Message]:
    """What makes packets of device number `index` those of number `into`: a qdisc and its filter."""
    action = nest(
        1,
        attr(TCA_ACT_KIND, zstr("mirred")),
        nest(
            TCA_ACT_OPTIONS,
            attr(TCA_MIRRED_PARMS, struct.pack("=IIiiiiI", 0, 0, TC_ACT_STOLEN, 0, 0, TCA_INGRESS_REDIR, into)),
        ),
    )
    options = nest(TCA_OPTIONS, attr(TCA_U32_SEL, EVERYTHING), nest(TCA_U32_ACT, action))
    info = 1 << 16 | socket.htons(ETH_P_ALL)
    return (
        Message(
            RTM_NEWQDISC,
            NLM_F_CREATE | NLM_F_EXCL,
            struct.pack("=BxxxiIII", 0, index, HANDLE, TC_H_INGRESS, 0) + attr(TCA_KIND, zstr("ingress")),
        ),
        Message(
            RTM_NEWTFILTER,
            NLM_F_CREATE | NLM_F_EXCL,
            struct.pack("=BxxxiIII", 0, index, 0, HANDLE, info) + attr(TCA_KIND, zstr("u32")) + options,
        ),
    )


class FromLan:
    """Plays hosts behind one device; a context manager. HostError when the kernel lacks something it takes."""

    def __init__(self, device: str, path: str = TUN_PATH) -> None:
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as why:
            raise HostError(f"{path}: {why.strerror}") from None
        try:
            self._address = self._prepare(device)
        except OSError as why:
            os.close(self._fd)
            raise HostError(f"no packets can be put into {device}: {why.strerror}") from None

    def _prepare(self, device: str) -> bytes:
        request = struct.pack("16sH22x", NAME.encode(), IFF_TAP | IFF_NO_PI)
        name = bytes(fcntl.ioctl(self._fd, TUNSETIFF, request)[:16])
        tap = name.rstrip(b"\0").decode()
        for setting, value in (("addr_gen_mode", 1), ("disable_ipv6", 1)):
            try:
                Path(f"/proc/sys/net/ipv6/conf/{tap}/{setting}").write_text(str(value))
            except FileNotFoundError:
                pass  # a kernel without IPv6
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
            own = fcntl.ioctl(control, SIOCGIFHWADDR, struct.pack("16s24x", device.encode()))
            # What is for this address is for the host, at the TAP and at the device.
            if struct.unpack_from("=H", own, 16)[0] == ARPHRD_ETHER:
                fcntl.ioctl(control, SIOCSIFHWADDR, name + own[16:])
            address = fcntl.ioctl(control, SIOCGIFHWADDR, struct.pack("16s24x", name))[18:24]
            (flags,) = struct.unpack_from("H", fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack("16s24x", name)), 16)
            fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH22x", name, flags | IFF_UP))
        with NetlinkSocket(NETLINK_ROUTE) as netlink:
            for refusal in netlink.send(redirect(socket.if_nametoindex(tap), socket.if_nametoindex(device))):
                raise OSError(refusal.error, f"{refusal} (tc needs ingress, u32 and mirred)")
        return bytes(address)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def send(self, packet: bytes) -> str:
        """Have the device receive a whole IP packet; why not, or empty."""
        try:
            os.write(self._fd, self._address + SENDER + struct.pack(">H", ETHERTYPES[packet[0] >> 4]) + packet)
        except OSError as why:
            return why.strerror or str(why)
        return ""
