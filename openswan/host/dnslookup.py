# SPDX-License-Identifier: GPL-2.0-or-later
"""Records of names, for opportunistic encryption: one look-up per name and type however many wait for it.

Servers are those of resolv.conf. The next one is asked when the one before has not answered for a moment, and whoever
answers first is heard; one that failed comes last for a while. With trust anchors answers are validated here, whatever
the server says of them. Without, what a validating resolver says (the AD bit) counts when it is on this host, where
nobody can change it on the way. An answer whose signatures are wrong is BOGUS, which is not the same as none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from importlib import import_module
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from openswan.base.errors import HostError
from openswan.host.dnscache import DnsCache
from openswan.host.dnsexchange import PAYLOAD, exchange
from openswan.host.dnssec import BogusError, Trust, Validator
from openswan.host.dnstrail import Piece, follow
from openswan.host.dnsvoid import Voids, worth_asking
from openswan.host.resolver import RESOLV_CONF
from openswan.policy.dnsanswer import DnsAnswer, DnsStatus

if TYPE_CHECKING:
    import dns.message

    from openswan.host.dnssec import Anchors

LIFETIME = 5.0
"""Seconds a look-up may take."""
PATIENCE = 0.4
"""Seconds after which the next server is asked beside the one that is silent."""
AT_ONCE = 256
"""Look-ups under way; others wait for a place, within their LIFETIME."""
MOST_WAITING = 8192
"""Names that wait; who comes then is told that it failed."""
BUSY = 16
"""Look-ups under way from which on it is asked how far up there is nothing."""
LONGEST_TTL, SHORTEST_TTL = 86400.0, 1.0
FAILURE_TTL = 5.0
"""A failure is remembered that long, so that a dead server is not asked for each packet."""
SHUNNED = 30.0
"""Seconds a server that failed comes after the others."""
MOST_TRAILS = 8
"""Questions one look-up may take because a server does not follow CNAMEs itself."""
BOGUS_CODES = range(5, 13)
"""Extended DNS errors about DNSSEC (RFC 8914 4.6 to 4.13)."""


NEEDED = ("dns.edns", "dns.message", "dns.resolver")
"""What a look-up loads; that takes a tenth of a second, which a first packet would wait."""


def prepare() -> None:
    """Load it, before the first look-up does."""
    for name in NEEDED:
        import_module(name)


class Places:
    """So many may be inside; of those that wait the one that came last is next.

    Where more is asked than can be answered, in turn all would be too late; so at least the newest are in time.
    """

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: dict[asyncio.Future[None], None] = {}

    async def __aenter__(self) -> None:
        if self._free:
            self._free -= 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting[place] = None
        try:
            await place
        except asyncio.CancelledError:
            self._waiting.pop(place, None)
            if not place.cancelled():
                self._leave()  # it had just been given away
            raise

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    def _leave(self) -> None:
        while self._waiting:
            place, _ = self._waiting.popitem()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1


class DnsLookup:
    """Looks records up; one instance for the daemon's life."""

    def __init__(
        self,
        resolv_conf: Path = RESOLV_CONF,
        lifetime: float = LIFETIME,
        port: int = 53,
        clock: Callable[[], float] = time.monotonic,
        anchors: Anchors | None = None,
        mark: int = 0,
        signed: bool = True,
    ) -> None:
        """`mark`: what questions carry; that of our own sockets, so that no conn ever takes them.

        `signed` False: no answer counts as secure.
        """
        self.cache = DnsCache()
        self._validator = Validator(self._fetch, anchors) if anchors and signed else None
        self._signed = signed
        self._resolv_conf = resolv_conf
        self._lifetime = lifetime
        self._port = port
        self._mark = mark
        self._clock = clock
        self._read_at = -1.0
        self._servers: tuple[str, ...] = ()
        self._shunned: dict[str, float] = {}
        self._running: dict[tuple[str, str], asyncio.Task[DnsAnswer]] = {}
        self._places = Places(AT_ONCE)
        self.voids = Voids()

    async def ask(self, name: str, kind: str) -> DnsAnswer:
        """The records of that type (IPSECKEY, TXT, KEY, A, AAAA ...) a name has. Does not raise."""
        name = name.rstrip(".").lower()
        self.servers()
        known = self.cache.get(name, kind, self._clock())
        if known is not None:
            return known
        void = self.voids.covering(name, self._clock())
        if void is not None:
            return _denied(name, kind, *void)
        task = self._running.get((name, kind))
        if task is None:
            if len(self._running) >= MOST_WAITING:
                return _failed(name, kind, f"{MOST_WAITING} look-ups are under way already")
            task = self._begin(name, kind)
        # One that waits may give up; the look-up goes on for the others.
        return await asyncio.shield(task)

    def _begin(self, name: str, kind: str, ahead: bool = False) -> asyncio.Task[DnsAnswer]:
        work = self._look_up(name, kind, nullcontext() if ahead else self._places)
        task = self._running[name, kind] = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(lambda _: self._running.pop((name, kind), None))
        return task

    def void(self, name: str) -> tuple[str, float] | None:
        """The name above this one that is known not to exist, and for how many seconds; None: none is."""
        self.servers()
        return self.voids.covering(name, self._clock())

    def servers(self) -> tuple[str, ...]:
        """The resolvers of resolv.conf, read again when it has changed; what they said before is forgotten then."""
        try:
            changed = self._resolv_conf.stat().st_mtime
        except OSError:
            changed = 0.0
        if changed != self._read_at:
            self._read_at = changed
            self._servers = _nameservers(self._resolv_conf)
            self._shunned.clear()
            self.cache.clear()
            self.voids.clear()
        return self._servers

    async def _look_up(self, name: str, kind: str, place: AbstractAsyncContextManager[None]) -> DnsAnswer:
        try:
            async with asyncio.timeout(self._lifetime), place:
                void = self.voids.covering(name, self._clock())
                answer = _denied(name, kind, *void) if void else await self._follow(name, kind)
        except TimeoutError:
            answer = _failed(name, kind, f"no DNS server answered about {name} within {self._lifetime:g} s")
        if answer.nothing and answer.secure:
            self._learn_void(answer)
        else:
            self.cache.put(answer, self._clock())
        return answer

    def _learn_void(self, answer: DnsAnswer) -> None:
        """It does not exist, nor does any name below it; where much is asked it is asked how far up that goes."""
        now = self._clock()
        if self.voids.covering(answer.name, now) is not None:
            return
        self.cache.put(answer, now)
        self.voids.add(answer.name, now + answer.ttl)
        if len(self._running) < BUSY:
            return
        for name in worth_asking(answer.name):
            if (name, answer.kind) not in self._running and self.cache.get(name, answer.kind, now) is None:
                self._begin(name, answer.kind, ahead=True)

    async def _follow(self, name: str, kind: str) -> DnsAnswer:
        """The trail from a name to its records, with further questions where the server did not go on."""
        trail: list[str] = []
        target, secure, ttl = name, True, LONGEST_TTL
        for _ in range(MOST_TRAILS):
            try:
                piece = await self._piece(target, kind)
            except HostError as why:
                return replace(_failed(name, kind, str(why)), trail=tuple(trail))
            if piece.status is DnsStatus.BOGUS:
                return DnsAnswer(name, kind, piece.status, ttl=FAILURE_TTL, trail=tuple(trail), reason=piece.reason)
            secure, ttl = secure and piece.secure, min(ttl, piece.ttl)
            trail += piece.trail
            if len(set(trail)) < len(trail) or name in trail:
                return _failed(name, kind, f"{name} leads to itself by CNAME")
            if piece.onward:
                target = piece.onward
                continue
            found = piece.status is DnsStatus.FOUND
            reason = "" if found else piece.reason
            ttl = max(ttl, SHORTEST_TTL)
            records = piece.records if found else ()
            told = reason, piece.faults, piece.nothing and not trail
            return DnsAnswer(name, kind, piece.status, records, secure, ttl, tuple(trail), *told)
        return _failed(name, kind, f"{name} leads over more than {MOST_TRAILS} CNAMEs")

    async def _piece(self, name: str, kind: str) -> Piece:
        import dns.exception

        try:
            query = _query(name, kind, checked_here=self._validator is not None)
        except (dns.exception.DNSException, ValueError) as why:
            raise HostError(f"{name[:80]} cannot be asked for: {str(why) or type(why).__name__}") from None
        message, server = await self._race(query)
        piece = follow(message, name, kind)
        if piece.status is DnsStatus.FAILED:
            self._shun(server)
            raise HostError(f"{server} answers {piece.reason} about {name}")
        if self._validator is None:
            return replace(piece, secure=self._signed and piece.secure and ip_address(server).is_loopback)
        try:
            trust = await self._validator.judge(message, name, kind)
        except BogusError as why:
            return Piece(DnsStatus.BOGUS, reason=f"DNSSEC: {why}")
        return replace(piece, secure=trust is Trust.SECURE)

    async def _fetch(self, name: str, kind: str) -> dns.message.Message:
        """What the validator needs beside the answer."""
        message, _ = await self._race(_query(name, kind, checked_here=True))
        return message

    async def _race(self, query: dns.message.Message) -> tuple[dns.message.Message, str]:
        """The first answer that can be used, and whose it is; HostError when no server has one."""
        servers = sorted(self._servers, key=lambda server: self._shunned.get(server, 0.0) > self._clock())
        if not servers:
            raise HostError(f"{self._resolv_conf} names no DNS server")
        waiting = dict.fromkeys(servers)
        running: dict[asyncio.Task[dns.message.Message], str] = {}
        reasons: list[str] = []
        try:
            while waiting or running:
                if waiting:
                    server = next(iter(waiting))
                    del waiting[server]
                    task = asyncio.ensure_future(self._question(query, server))
                    running[task] = server
                done, _ = await asyncio.wait(
                    running, timeout=PATIENCE if waiting else None, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    server = running.pop(task)
                    try:
                        return task.result(), server
                    except HostError as why:
                        self._shun(server)
                        reasons.append(str(why))
        finally:
            for task in running:
                task.cancel()
        raise HostError("; ".join(reasons))

    async def _question(self, query: dns.message.Message, server: str) -> dns.message.Message:
        """An answer or a denial of one server; SERVFAIL for wrong signatures counts, for anything else it does not."""
        import dns.rcode

        message = await exchange(query, server, self._port, self._lifetime, self._mark)
        if message.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            return message
        if message.rcode() is dns.rcode.SERVFAIL and await self._withheld(query, message, server):
            return message
        raise HostError(f"{server} answers {dns.rcode.to_text(message.rcode())}")

    async def _withheld(self, query: dns.message.Message, message: dns.message.Message, server: str) -> bool:
        """Is SERVFAIL there because of DNSSEC? Then the server has an answer for who does not want it checked (CD)."""
        import dns.edns
        import dns.flags
        import dns.rcode

        codes = [int(option.code) for option in message.options if isinstance(option, dns.edns.EDEOption)]
        if codes:
            return any(code in BOGUS_CODES for code in codes)
        unchecked = _query(query.question[0].name.to_text(), query.question[0].rdtype.name)
        unchecked.flags |= dns.flags.CD
        try:
            answer = await exchange(unchecked, server, self._port, self._lifetime, self._mark)
        except HostError:
            return False
        return answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)

    def _shun(self, server: str) -> None:
        self._shunned[server] = self._clock() + SHUNNED


def _query(name: str, kind: str, *, checked_here: bool = False) -> dns.message.Message:
    import dns.flags
    import dns.message

    query = dns.message.make_query(name, kind, use_edns=0, payload=PAYLOAD, want_dnssec=checked_here)
    # AD in a question asks whether the answer was validated (RFC 6840 5.7), CD wants it in any case (RFC 4035 3.2.2).
    query.flags |= dns.flags.CD if checked_here else dns.flags.AD
    return query


def _nameservers(path: Path) -> tuple[str, ...]:
    import dns.exception
    import dns.resolver

    try:
        listed = dns.resolver.Resolver(filename=str(path)).nameservers
    except (dns.exception.DNSException, OSError, ValueError):
        return ()
    return tuple(dict.fromkeys(server for server in listed if isinstance(server, str)))


def _denied(name: str, kind: str, above: str, ttl: float) -> DnsAnswer:
    return DnsAnswer(name, kind, DnsStatus.ABSENT, secure=True, ttl=ttl, reason=f"{above} does not exist", nothing=True)


def _failed(name: str, kind: str, reason: str) -> DnsAnswer:
    return DnsAnswer(name, kind, DnsStatus.FAILED, ttl=FAILURE_TTL, reason=reason)
