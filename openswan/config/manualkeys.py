# SPDX-License-Identifier: GPL-2.0-or-later
"""Manually keyed conns: spi= or spibase=, esp=, ah= and their keys, from a flat conn to what each end makes of it.

A keyword with left or right in front is of the SA that leads there: leftespspi= is the SPI of packets to left. With
spi= every SA has that SPI; with spibase= the SAs to right have even ones, those to left the odd ones behind them:

    base + 0, 1  spare (once of the IP-in-IP SAs)   + 2, 3  AH   + 4, 5  ESP   + 6, 7  spare
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from openswan.base.errors import ConfigError
from openswan.base.octets import parse_octets
from openswan.config.ends import parse_client, parse_host, parse_nexthop
from openswan.config.keyword import Section
from openswan.config.keywords import find
from openswan.config.parser import FlatConn
from openswan.policy.connection import HostKind
from openswan.policy.keying import (
    HIGHEST_MANUAL_SPI,
    LOWEST_SPI,
    NOT_FRESH,
    ah_algorithm,
    check_keys,
    counters_repeat,
    esp_algorithms,
)
from openswan.policy.manual import ManualConn, ManualEnd, ManualSa

SIDES = ("left", "right")
SPIS = ("spi", "spibase", "espspi", "ahspi")
OFFSETS = {"ah": 2, "esp": 4}
REPLAY_WINDOW = 64
REFUSED_TYPES = ("passthrough", "pass", "drop", "reject")


def is_manual(flat: FlatConn) -> bool:
    """Does this conn have SPIs of its own?"""
    return any(flat.text(name, side) is not None for name in SPIS for side in ("", *SIDES))


def union(parts: Sequence[FlatConn]) -> FlatConn:
    """One conn of several parts (--union); ConfigError when two say different things."""
    merged = dict(parts[0].params)
    for part in parts[1:]:
        for key, param in part.params.items():
            if key in merged and not merged[key].same(param):
                raise ConfigError(f'conn "{part.name}": {param.spelled} differs from that of "{parts[0].name}"')
            merged.setdefault(key, param)
    return replace(parts[0], params=merged)


def build_manual(flat: FlatConn) -> ManualConn:
    """A manually keyed conn; ConfigError names the keyword and what is wrong, and never shows a key."""
    try:
        return _Builder(flat).build()
    except ConfigError as why:
        raise ConfigError(f'conn "{flat.name}": {why.reason}', flat.where) from None


@dataclass(frozen=True, slots=True)
class _Builder:
    flat: FlatConn

    def build(self) -> ManualConn:
        kind = (self.flat.text("type") or "tunnel").lower()
        if kind in REFUSED_TYPES:
            raise ConfigError(f"type={kind} has no keys: use ipsec auto")
        if kind not in ("tunnel", "transport"):
            raise ConfigError(f"type={kind[:40]} is not available for manual keying: tunnel and transport are")
        if (self.flat.text("esn") or "no").lower() == "yes":
            raise ConfigError(f"esn=yes is refused for manual keying: {NOT_FRESH}")
        left, right = (self._end(side) for side in SIDES)
        if left.address and right.address and left.address.version != right.address.version:
            raise ConfigError("left and right are of different address families")
        if kind == "transport" and (left.subnet or right.subnet):
            raise ConfigError("type=transport is between two hosts: leave leftsubnet= and rightsubnet= out")
        if left.address and right.address and left.client.version != right.client.version:
            raise ConfigError("leftsubnet and rightsubnet are of different address families")
        return ManualConn(
            self.flat.name,
            left,
            right,
            kind == "tunnel",
            (self.flat.text("leakguard") or "yes").lower() not in ("no", "off", "false", "0", "n"),
            self._number("metric", 2**31),
            self._number("mtu", 65535),
            (self.flat.text("auto") or "").lower() == "manual",
        )

    def _number(self, name: str, most: int, side: str = "", default: int = 0) -> int:
        text = self._either(name, side)
        if text is None:
            return default
        if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > most:
            raise ConfigError(f"{name}={text[:40]} is not a number from 0 to {most}")
        return int(text)

    def _either(self, name: str, side: str) -> str | None:
        """The keyword of that side, else the one of both."""
        found = self.flat.text(name, side) if side else None
        return found if found is not None else self.flat.text(name)

    def _end(self, side: str) -> ManualEnd:
        text = self.flat.text("", side)
        if text is None:
            raise ConfigError(f"{side}= is missing")
        host = parse_host(text)
        if host.kind not in (HostKind.ADDRESS, HostKind.DEFAULTROUTE):
            raise ConfigError(f"{side}={text[:60]}: manual keying wants an address")
        version = host.address.version if host.address else 4
        given = self.flat.text("subnet", side)
        subnet = parse_client(given, version)[0] if given else None
        nexthop = self.flat.text("nexthop", side)
        updown = self.flat.text("updown", side)
        return ManualEnd(
            host.address,
            subnet,
            parse_nexthop(nexthop) if nexthop else None,
            "ipsec _updown" if updown is None else "" if updown.lower() in ("", "%disabled") else updown,
            self._sas(side),
            self._yes("firewall", side),
            self._yes("hostaccess", side),
        )

    def _yes(self, name: str, side: str) -> bool:
        text, found = self.flat.text(name, side), find(Section.CONN, side + name)
        return text is not None and found is not None and found[0].canonical(text, side) == "yes"

    def _sas(self, side: str) -> tuple[ManualSa, ...]:
        esp, ah = self.flat.text("phase2alg"), self.flat.text("ah")
        if esp is None and ah is None:
            raise ConfigError("neither esp= nor ah=: nothing would be protected")
        found = []
        if esp is not None:
            algorithms = esp_algorithms(esp)
            self._reusable(algorithms.cipher, "")
            enc = self._key("espenckey", side, algorithms.cipher == "null")
            auth = self._key("espauthkey", side, not algorithms.integ)
            check_keys(algorithms.cipher, algorithms.integ, enc, auth, algorithms.bits)
            window = self._number("espreplay_window", 4096, side, REPLAY_WINDOW)
            found.append(
                ManualSa("esp", self._spi("esp", side), algorithms.cipher, enc, algorithms.integ, auth, window)
            )
        if ah is not None:
            integ = ah_algorithm(ah)
            self._reusable("", integ)
            auth = self._key("ahkey", side, False)
            check_keys("", integ, b"", auth)
            window = self._number("ahreplay_window", 4096, side, REPLAY_WINDOW)
            found.append(ManualSa("ah", self._spi("ah", side), "", b"", integ, auth, window))
        return tuple(found)

    def _reusable(self, cipher: str, integ: str) -> None:
        if counters_repeat(cipher, integ):
            raise ConfigError(f"{cipher or integ} is refused for manual keying: {NOT_FRESH}")

    def _key(self, name: str, side: str, absent: bool) -> bytes:
        text = self._either(name, side)
        if text is None or text.lower() == "0x":
            if absent:
                return b""
            raise ConfigError(f"{name}= is missing")
        try:
            return parse_octets(text)
        except ConfigError as why:
            raise ConfigError(f"{name}=: {why.reason}") from None

    def _spi(self, protocol: str, side: str) -> int:
        for name in (f"{protocol}spi", "spi"):
            text = self._either(name, side)
            if text is not None:
                return _hex(name, text)
        text = self._either("spibase", side)
        if text is None:
            raise ConfigError("neither spi= nor spibase=: it is not manually keyed (ipsec auto is for the others)")
        base = _hex("spibase", text)
        if base & 15:
            raise ConfigError(f"spibase={text[:20]}: its last digit must be 0")
        # Even ones lead to right, odd ones to left.
        return base + OFFSETS[protocol] + (side == "left")


def _hex(name: str, text: str) -> int:
    if not re.fullmatch(r"0[xX][0-9a-fA-F]{1,8}", text):
        raise ConfigError(f"{name}={text[:20]} is not an SPI: write it as 0x200")
    spi = int(text, 16)
    if not LOWEST_SPI <= spi <= HIGHEST_MANUAL_SPI:
        raise ConfigError(f"{name}={text}: 0x{LOWEST_SPI:x} to 0x{HIGHEST_MANUAL_SPI:x} are for manual keying")
    return spi
