# SPDX-License-Identifier: GPL-2.0-or-later
"""Host names to addresses: /etc/hosts first, then dnspython's asynchronous resolver; never blocks, ends in time.

A question goes the way of all traffic first, perhaps through a tunnel. Where everything belongs into a tunnel that is
not there yet, for its peer is a name, the guard lets no such question out: it is asked again with our sockets' mark.
"""

from __future__ import annotations

import asyncio
import socket
import time
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openswan.base.address import Address
from openswan.base.marks import DEFAULT_MARKS, Marks
from openswan.base.numbers import SO_MARK

if TYPE_CHECKING:
    import dns.asyncresolver
    import dns.resolver

HOSTS = Path("/etc/hosts")
RESOLV_CONF = Path("/etc/resolv.conf")
LIFETIME = 10.0
"""Seconds one look-up may take, all servers and retries together."""
UNMARKED_PART = 0.4
"""Of it, for the question without our mark."""
CONCURRENT = 64
HOSTS_LIMIT = 4 << 20
HOSTS_TTL = 300.0
"""Seconds until the file is looked at again."""


def from_hosts(name: str, version: int, path: Path = HOSTS) -> tuple[Address, ...]:
    """The addresses /etc/hosts gives `name`; `version` 0 takes both families."""
    wanted = name.rstrip(".").lower()
    found: list[Address] = []
    try:
        with path.open("rb") as file:
            text = file.read(HOSTS_LIMIT).decode(errors="replace")
    except OSError:
        return ()
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if len(words) > 1 and wanted in (word.lower() for word in words[1:]):
            try:
                address = ip_address(words[0])
            except ValueError:
                continue
            if version in (0, address.version) and address not in found:
                found.append(address)
    return tuple(found)


class Resolver:
    """Looks names up; one instance for the daemon's life."""

    def __init__(
        self,
        hosts: Path = HOSTS,
        resolv_conf: Path = RESOLV_CONF,
        lifetime: float = LIFETIME,
        marks: Marks = DEFAULT_MARKS,
    ) -> None:
        self._marks = marks
        self._hosts = hosts
        self._resolv_conf = resolv_conf
        self._lifetime = lifetime
        self._read_at = -1.0
        self._resolver: dns.asyncresolver.Resolver | None = None
        self._slots = asyncio.Semaphore(CONCURRENT)

    async def look_up(self, name: str, version: int = 0) -> tuple[tuple[Address, ...], str, float]:
        """(addresses, reason, seconds they may be believed): no addresses come with a reason. Does not raise."""
        if found := from_hosts(name, version, self._hosts):
            return found, "", HOSTS_TTL
        async with self._slots:
            families = [kind for kind, number in (("A", 4), ("AAAA", 6)) if version in (0, number)]
            answers = await asyncio.gather(*(self._ask(name, kind) for kind in families))
        addresses = tuple(address for found, _, _ in answers for address in found)
        reason = "" if addresses else next((why for _, why, _ in answers if why), f"{name} has no address")
        return addresses, reason, min((ttl for found, _, ttl in answers if found), default=0.0)

    async def _ask(self, name: str, kind: str) -> tuple[tuple[Address, ...], str, float]:
        import dns.exception
        import dns.resolver

        try:
            try:
                answer = await self._resolve(name, kind, self._lifetime * UNMARKED_PART)
            except (TimeoutError, dns.exception.Timeout, dns.resolver.NoNameservers):
                answer = await self._resolve(
                    name, kind, self._lifetime * (1 - UNMARKED_PART), marked_backend(self._marks)
                )
        except dns.resolver.NXDOMAIN:
            return (), f"{name} does not exist in the DNS", 0.0
        except (TimeoutError, dns.exception.Timeout):
            return (), f"no DNS server answered about {name} within {self._lifetime:g} s", 0.0
        except (dns.exception.DNSException, OSError, ValueError) as why:
            return (), f"DNS look-up of {name} failed: {' '.join(str(why).split()) or type(why).__name__}", 0.0
        ttl = max(0.0, answer.expiration - time.time())
        return tuple(ip_address(record.address) for record in answer.rrset or ()), "", ttl

    async def _resolve(self, name: str, kind: str, lifetime: float, backend: Any = None) -> dns.resolver.Answer:
        # The library bounds a look-up itself; the outer limit holds should one of its sockets hang.
        asked = self._current().resolve(name, kind, lifetime=lifetime, raise_on_no_answer=False, backend=backend)
        return await asyncio.wait_for(asked, lifetime + 1)

    def _current(self) -> dns.asyncresolver.Resolver:
        """The resolver, made afresh when resolv.conf has changed. Imported late: most daemons never ask the DNS."""
        import dns.asyncresolver

        try:
            changed = self._resolv_conf.stat().st_mtime
        except OSError:
            changed = 0.0
        if self._resolver is None or changed != self._read_at:
            self._resolver = dns.asyncresolver.Resolver(filename=str(self._resolv_conf))
            self._read_at = changed
        return self._resolver


def marked_backend(marks: Marks = DEFAULT_MARKS) -> Any:
    """The library's sockets with our mark, which the guard lets out and no conn takes; TCP's come without it."""
    import dns.asyncbackend

    class Marked(type(dns.asyncbackend.get_backend("asyncio"))):  # type: ignore[misc]
        async def make_socket(self, *where: Any, **more: Any) -> Any:
            made = await super().make_socket(*where, **more)
            if (transport := getattr(made, "transport", None)) is not None:
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, SO_MARK, marks.own)
            return made

    return Marked()
