# SPDX-License-Identifier: GPL-2.0-or-later
"""Bundles of SAs: which may stand together, and how the packet engine is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from openswan.base.errors import KlipsError
from openswan.base.numbers import IpProtocol
from openswan.plane.commands import AddSa, Direction, Mode

MOST = 4
"""SAs of one bundle."""
DEFLATE = (IpProtocol.COMP, 2)
"""The one reserved number an SA may have: DEFLATE's own CPI, for keys by hand (RFC 3173 3.3, RFC 2394)."""
ALONE_FAST, CHAINED, BROKEN = 0, 1, 2
"""sa_t.chained of _fast.types."""

LAYER = {IpProtocol.IPIP: 0, IpProtocol.COMP: 1, IpProtocol.ESP: 2, IpProtocol.AH: 3}
"""Innermost first within one IP header: compression before encryption, encryption before authentication."""


def check_kind(c: AddSa) -> None:
    """KlipsError when an SA asks for what its protocol cannot do."""
    proto, said = c.said.proto, c.said
    if proto not in LAYER:
        raise KlipsError(f"SA {said}: protocol {int(proto)} is none of ESP, AH, IPComp and IPIP")
    if c.encap and proto is not IpProtocol.ESP:
        raise KlipsError(f"SA {said}: only ESP travels in UDP (RFC 3948)")
    if proto is IpProtocol.AH and (not c.integ or c.cipher):
        raise KlipsError(f"SA {said}: AH needs an authentication algorithm and has no other")
    if proto is IpProtocol.COMP and c.cipher != "deflate":
        raise KlipsError(f"SA {said}: compression algorithm {c.cipher or 'none'} is not available: use deflate")
    if proto is IpProtocol.COMP and said.spi > 0xFFFF:
        raise KlipsError(f"SA {said}: an IPComp SA's number (CPI) has 16 bits")
    if proto is IpProtocol.IPIP and (c.cipher or c.integ):
        raise KlipsError(f"SA {said}: an IPIP SA has no algorithms")
    if c.original and {a.version for a in c.original} != {c.src.version}:
        raise KlipsError(f"SA {said}: original addresses are of the other address family")


@dataclass
class _Member:
    cookie: int
    command: AddSa
    bundle: tuple[int, ...] = ()
    """Cookies, innermost first; empty: alone."""

    @property
    def alone(self) -> int:
        """How the engine carries it when it is in no bundle."""
        fast = self.command.said.proto is IpProtocol.ESP and self.command.mode is Mode.TUNNEL
        return ALONE_FAST if fast else CHAINED


class Bundles:
    """The bundles of one engine; `link(cookie, following, chained, enclosed)` is the engine's."""

    def __init__(self, link: Callable[[int, int, int, bool], None]) -> None:
        self._link = link
        self._members: dict[int, _Member] = {}

    def add(self, cookie: int, command: AddSa) -> None:
        """An SA is there, alone."""
        self._members[cookie] = _Member(cookie, command)

    def group(self, cookies: Sequence[int]) -> None:
        """Bundle these, innermost first; one alone leaves its bundle. KlipsError when they do not fit together."""
        members = [self._members[cookie] for cookie in cookies]
        _check(members)
        for member in members:
            self._leave(member)
        if len(members) == 1:
            self._link(members[0].cookie, 0, members[0].alone, False)
            return
        out = members[0].command.direction is Direction.OUT
        # Whoever is asked first comes last, so that no packet meets half a bundle.
        order = members if not out else members[::-1]
        following = 0
        for at, member in enumerate(order):
            member.bundle = tuple(cookies)
            self._link(member.cookie, following, CHAINED, not out and at + 1 < len(order))
            following = member.cookie

    def of(self, cookie: int) -> tuple[int, ...]:
        """The bundle an SA is in, innermost first; empty: alone."""
        return self._members[cookie].bundle

    def remove(self, cookie: int) -> None:
        """An SA goes: what was bundled with it carries nothing any more."""
        self._leave(self._members.pop(cookie))

    def _leave(self, member: _Member) -> None:
        for cookie in member.bundle:
            other = self._members.get(cookie)
            if other is not None and other is not member:
                other.bundle = ()
                self._link(cookie, 0, BROKEN, False)
        member.bundle = ()


def _check(members: Sequence[_Member]) -> None:
    names = " ".join(str(member.command.said) for member in members)
    if not 1 <= len(members) <= MOST:
        raise KlipsError(f"a bundle has 1 to {MOST} SAs, not {len(members)}")
    if len({member.cookie for member in members}) != len(members):
        raise KlipsError(f"SAs {names}: one is named twice")
    layer = -1
    for at, member in enumerate(members):
        c = member.command
        header = c.said.proto is IpProtocol.IPIP or c.mode is Mode.TUNNEL
        if not header and LAYER[c.said.proto] <= layer:
            raise KlipsError(f"SAs {names}: from inside out it is IPIP, IPComp, ESP, AH")
        layer = LAYER[c.said.proto]
        if c.encap and at + 1 < len(members):
            raise KlipsError(f"SAs {names}: {c.said} travels in UDP, so nothing goes round it")
        if c.encap and any(each.command.said.proto is IpProtocol.AH for each in members) and not header:
            raise KlipsError(f"SAs {names}: AH does not survive the NAT that UDP is for")
