# SPDX-License-Identifier: GPL-2.0-or-later
"""Bundles of SAs: which may stand together, and how the packet engine is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from openswan.base.errors import KlipsError
from openswan.base.numbers import IpProtocol
from openswan.base.said import Said
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


class Member(Protocol):
    """What there is to know of an SA; klips.rows.SaRow is one."""

    @property
    def cookie(self) -> int:
        """Its number."""

    @property
    def said(self) -> Said:
        """Its name."""

    @property
    def direction(self) -> Direction:
        """Which way."""

    @property
    def mode(self) -> Mode:
        """What it wraps."""

    @property
    def encap(self) -> int:
        """Does it travel in UDP?"""


class Bundles:
    """The bundles of one engine; `link(cookie, following, chained, enclosed)` is the engine's, `look` knows an SA."""

    def __init__(self, link: Callable[[int, int, int, bool], None], look: Callable[[int], Member]) -> None:
        self._link = link
        self._look = look
        self._of: dict[int, tuple[int, ...]] = {}
        """Cookies, innermost first, of those that are in one."""

    def group(self, cookies: Sequence[int]) -> None:
        """Bundle these, innermost first; one alone leaves its bundle. KlipsError when they do not fit together."""
        members = [self._look(cookie) for cookie in cookies]
        _check(members)
        for cookie in cookies:
            self._leave(cookie)
        if len(members) == 1:
            self._link(cookies[0], 0, _alone(members[0]), False)
            return
        out = members[0].direction is Direction.OUT
        # Whoever is asked first comes last, so that no packet meets half a bundle.
        order = cookies if not out else cookies[::-1]
        following = 0
        for at, cookie in enumerate(order):
            self._of[cookie] = tuple(cookies)
            self._link(cookie, following, CHAINED, not out and at + 1 < len(order))
            following = cookie

    def of(self, cookie: int) -> tuple[int, ...]:
        """The bundle an SA is in, innermost first; empty: alone."""
        return self._of.get(cookie, ())

    def remove(self, cookie: int) -> None:
        """An SA goes: what was bundled with it carries nothing any more."""
        self._leave(cookie)

    def _leave(self, cookie: int) -> None:
        for other in self._of.pop(cookie, ()):
            if other != cookie:
                self._of.pop(other, None)
                self._link(other, 0, BROKEN, False)


def _alone(member: Member) -> int:
    """How the engine carries it when it is in no bundle."""
    return ALONE_FAST if member.said.proto is IpProtocol.ESP and member.mode is Mode.TUNNEL else CHAINED


def _check(members: Sequence[Member]) -> None:
    names = " ".join(str(member.said) for member in members)
    if not 1 <= len(members) <= MOST:
        raise KlipsError(f"a bundle has 1 to {MOST} SAs, not {len(members)}")
    if len({member.cookie for member in members}) != len(members):
        raise KlipsError(f"SAs {names}: one is named twice")
    layer = -1
    for at, c in enumerate(members):
        header = c.said.proto is IpProtocol.IPIP or c.mode is Mode.TUNNEL
        if not header and LAYER[c.said.proto] <= layer:
            raise KlipsError(f"SAs {names}: from inside out it is IPIP, IPComp, ESP, AH")
        layer = LAYER[c.said.proto]
        if c.encap and at + 1 < len(members):
            raise KlipsError(f"SAs {names}: {c.said} travels in UDP, so nothing goes round it")
        if c.encap and any(each.said.proto is IpProtocol.AH for each in members) and not header:
            raise KlipsError(f"SAs {names}: AH does not survive the NAT that UDP is for")
