# SPDX-License-Identifier: GPL-2.0-or-later
"""Which DNS servers this host is configured to ask: those of resolv.conf, or those behind a stub on this host."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

from openswan.base.address import Address
from openswan.host.resolver import RESOLV_CONF

BEHIND_STUB = Path("/run/systemd/resolve/resolv.conf")
"""Whom systemd-resolved asks; resolv.conf names just its stub then."""
STUBS = (ip_address("127.0.0.53"), ip_address("127.0.0.54"))
LIMIT = 1 << 16


def nameservers(path: Path) -> tuple[Address, ...]:
    """The servers a file names, in order; what cannot be read names none."""
    try:
        with path.open("rb") as file:
            text = file.read(LIMIT).decode(errors="replace")
    except OSError:
        return ()
    found: dict[Address, None] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            try:
                found[ip_address(words[1].partition("%")[0])] = None
            except ValueError:
                continue
    return tuple(found)


class ResolvConf:
    """The servers, read again when one of the files has changed."""

    def __init__(self, path: Path = RESOLV_CONF, behind_stub: Path = BEHIND_STUB) -> None:
        self._paths = (path, behind_stub)
        self._seen: tuple[tuple[int, int], ...] = ()
        self._servers: tuple[Address, ...] = ()

    def servers(self) -> tuple[Address, ...]:
        """Those of this moment."""
        seen = tuple(_stamp(path) for path in self._paths)
        if seen != self._seen:
            self._seen = seen
            self._servers = nameservers(self._paths[0])
            if any(server in STUBS for server in self._servers):
                self._servers = tuple(dict.fromkeys((*self._servers, *nameservers(self._paths[1]))))
        return self._servers


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_ino
