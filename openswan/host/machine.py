# SPDX-License-Identifier: GPL-2.0-or-later
"""What the machine has and how it is set, for `ipsec verify` and others. Nothing here changes anything."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import struct
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from openswan.base.address import Address, Subnet
from openswan.base.errors import HostError
from openswan.base.marks import DEFAULT_MARKS, Marks
from openswan.host import process
from openswan.host.guard import last, trial
from openswan.host.nlmsg import NETLINK_NETFILTER, Message, NetlinkSocket, attr
from openswan.host.rtnetlink import Rtnetlink

MOST_OCTETS = 1 << 20
"""Of one file that is shown."""
NFQNL_MSG_CONFIG = 3 << 8 | 2
NFQA_CFG_CMD, NFQNL_CFG_CMD_PF_BIND = 1, 3
MAIN_TABLE = 254
SOMEWHERE = {4: ip_address("198.51.100.1"), 6: ip_address("2001:db8:ffff::1")}
"""Documentation addresses (RFC 5737, RFC 3849): nobody has a route of their own for them."""


@dataclass(frozen=True, slots=True)
class Default:
    """Where a default route leads."""

    device: str
    address: Address | None
    gateway: Address | None
    """None: point to point, no gateway."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound UDP socket."""

    port: int
    inode: int


@dataclass(frozen=True, slots=True)
class LastLine:
    """The leak guard on netdev egress."""

    why: str
    """Why there can be none; empty: there can."""
    guarded: frozenset[str]
    """Devices that have it,"""
    physical: frozenset[str]
    """and those that should."""


class Machine:
    """The machine below `root`; another root serves tests."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def text(self, path: str) -> str | None:
        """What a file holds, at most MOST_OCTETS of it; None when it is not there or cannot be read."""
        try:
            with (self.root / path.lstrip("/")).open("rb") as file:
                return file.read(MOST_OCTETS).decode(errors="replace")
        except OSError:
            return None

    def number(self, path: str) -> int | None:
        """A setting below /proc/sys/net; None when the kernel has none of that name."""
        text = (self.text(f"/proc/sys/net/{path}") or "").strip()
        return int(text) if text.isascii() and text.lstrip("-").isdecimal() else None

    def interfaces(self) -> list[str]:
        """Network devices that are not down; not lo, and not our own ipsecN."""
        try:
            found = sorted(each.name for each in (self.root / "proc/sys/net/ipv4/conf").iterdir())
        except OSError:
            return []
        return [
            name
            for name in found
            if name not in ("all", "default", "lo")
            and not name.startswith("ipsec")
            and (self.text(f"/sys/class/net/{name}/operstate") or "").strip() != "down"
        ]

    def devices(self) -> list[str]:
        """Every network device."""
        try:
            return sorted(each.name for each in (self.root / "proc/sys/net/ipv4/conf").iterdir())
        except OSError:
            return []

    def device(self, path: str) -> str:
        """Why a character device cannot be opened; empty when it can."""
        try:
            where = self.root / path.lstrip("/")
            if not stat.S_ISCHR(where.stat().st_mode):
                return f"{path} is no device"
            os.close(os.open(where, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError as why:
            return f"{path}: {why.strerror}"
        return ""

    def bound(self) -> list[Bound]:
        """UDP sockets of this network namespace, both families."""
        found = []
        for family in ("udp", "udp6"):
            for line in (self.text(f"/proc/net/{family}") or "").splitlines()[1:]:
                words = line.split()
                if len(words) > 9 and words[9].isdecimal():
                    found.append(Bound(int(words[1].rpartition(":")[2], 16), int(words[9])))
        return found

    def sockets(self, pid: int) -> set[int]:
        """Inodes of the sockets a process has open; empty when that cannot be told."""
        found = set()
        try:
            for fd in (self.root / f"proc/{pid}/fd").iterdir():
                name = os.readlink(fd)
                if name.startswith("socket:["):
                    found.add(int(name[8:-1]))
        except OSError:
            return found
        return found

    def owner(self, inode: int) -> tuple[int, str]:
        """(pid, name) of a process that has the socket open; (0, "") when that cannot be told."""
        wanted = f"socket:[{inode}]"
        for each in (self.root / "proc").glob("[0-9]*"):
            try:
                if any(os.readlink(fd) == wanted for fd in (each / "fd").iterdir()):
                    return int(each.name), (each / "comm").read_text().strip()
            except OSError:
                continue
        return 0, ""

    def tool(self, name: str) -> str:
        """Where a program is found; empty when nowhere."""
        return shutil.which(name) or ""

    def output(self, *argv: str, timeout: float = 10.0) -> tuple[int, str]:
        """Exit status and output of a program; 127 when there is none of that name."""
        return process.command(argv, timeout)

    def mode(self, path: Path) -> tuple[int, int] | None:
        """(permission bits, owner) of a file; None when it is not there."""
        try:
            found = path.stat()
        except OSError:
            return None
        return stat.S_IMODE(found.st_mode), found.st_uid

    def queueing(self) -> str:
        """Why the kernel has no NFQUEUE; empty when it has."""
        command = attr(NFQA_CFG_CMD, struct.pack(">BxH", NFQNL_CFG_CMD_PF_BIND, 2))
        try:
            with NetlinkSocket(NETLINK_NETFILTER) as netlink:
                refusals = netlink.send([Message(NFQNL_MSG_CONFIG, 0x4, struct.pack(">BBH", 0, 0, 0) + command)])
        except (OSError, HostError) as why:
            return str(why)
        return os.strerror(refusals[0].error) if refusals and refusals[0].error != errno.EPERM else ""

    def last_guard(self) -> LastLine:
        """The last leak guard of this network namespace, whoever holds it."""
        try:
            there = last.in_force()
            return LastLine("" if there else trial.supported(), there, last.physical())
        except (OSError, HostError) as why:
            return LastLine(str(why), frozenset(), frozenset())

    def default_routes(self, marks: Marks = DEFAULT_MARKS) -> list[Default]:
        """Where the default routes lead, IPv4 first; none when there are none."""
        found = []
        netlink = Rtnetlink()
        try:
            for version in (4, 6):
                if any(not route.subnet.prefixlen and route.device for route in netlink.routes(version, MAIN_TABLE)):
                    found.append(_default(netlink, version, marks))
        finally:
            netlink.close()
        return [one for one in found if one is not None]

    def homes(self) -> list[tuple[Subnet, str]]:
        """(subnet, device) of every route that is no default one and leads into no ipsecN; none of too many."""
        netlink = Rtnetlink()
        try:
            return netlink.homes() or []
        except OSError:
            return []
        finally:
            netlink.close()

    def addresses(self) -> list[tuple[Address, str]]:
        """Addresses and their devices."""
        netlink = Rtnetlink()
        try:
            return netlink.addresses()
        finally:
            netlink.close()


def _default(netlink: Rtnetlink, version: int, marks: Marks) -> Default | None:
    try:
        way = netlink.way(SOMEWHERE[version], mark=marks.own)
    except HostError:
        return None
    return Default(way.device, way.source, way.gateway) if way.device else None
