# SPDX-License-Identifier: GPL-2.0-or-later
"""Which ipsecN stands on which physical interface: `interfaces=` of config setup against what the host has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from openswan.base.address import Address
from openswan.engine.events import DefaultRoute, Interface
from openswan.host.tun import Plan

DEFAULT_VIRTUAL = "ipsec0"
VIRTUAL = re.compile(r"ipsec[0-9]{1,3}")


@dataclass(frozen=True, slots=True)
class Assignment:
    """The interfaces with their virtual ones filled in, the devices to have, and lines for the log."""

    interfaces: tuple[Interface, ...]
    plans: tuple[Plan, ...]
    complaints: tuple[str, ...]


def is_virtual(name: str) -> bool:
    """Is this the name of a device of ours?"""
    return VIRTUAL.fullmatch(name) is not None


def assign(
    wanted: Sequence[str],
    interfaces: Iterable[Interface],
    defaults: Sequence[DefaultRoute],
    prefer: Iterable[Address] = (),
) -> Assignment:
    """Give each usable interface its ipsecN.

    `wanted` holds the words of interfaces=: `ipsecN=DEV` binds one to the other, and then only interfaces named so are
    used. `%defaultroute`, `%none` or nothing follow the actual routes: one ipsec0 serves every interface; it is listed
    as standing on the default route's, else on one with an address of `prefer` (the conns' own), else on the first.
    """
    present = {each.name: each for each in interfaces if not is_virtual(each.name)}
    explicit, complaints = _explicit(wanted, present)
    if explicit:
        chosen = {physical: virtual for virtual, physical in explicit.items()}
        usable = tuple(replace(each, virtual=chosen.get(each.name, "")) for each in present.values())
        plans = tuple(Plan(virtual, name, present[name].mtu) for virtual, name in explicit.items())
        return Assignment(usable, plans, tuple(complaints))
    if complaints and not any(word.startswith("%") for word in wanted):
        return Assignment(tuple(present.values()), (), tuple(complaints))
    below = _follow_routes(present, defaults, set(prefer))
    usable = tuple(replace(each, virtual=DEFAULT_VIRTUAL if below else "") for each in present.values())
    plans = (Plan(DEFAULT_VIRTUAL, below.name, below.mtu),) if below else ()
    return Assignment(usable, plans, tuple(complaints))


def _explicit(wanted: Sequence[str], present: dict[str, Interface]) -> tuple[dict[str, str], list[str]]:
    found: dict[str, str] = {}
    complaints: list[str] = []
    for word in wanted:
        if word.startswith("%"):
            if word not in ("%defaultroute", "%none"):
                complaints.append(f"interface `{word}' not understood")
            continue
        virtual, equals, physical = word.partition("=")
        if not equals or not is_virtual(virtual) or not physical:
            complaints.append(f"interface `{word}' not understood: write ipsec0=eth0")
        elif physical not in present:
            complaints.append(f"interfaces={word}: there is no interface {physical}")
        elif virtual in found or physical in found.values():
            complaints.append(f"interfaces={word}: {virtual} or {physical} is taken already")
        else:
            if not present[physical].addresses:
                complaints.append(f"unable to determine address of `{physical}'")
            found[virtual] = physical
    return found, complaints


def _follow_routes(
    present: dict[str, Interface], defaults: Sequence[DefaultRoute], prefer: set[Address]
) -> Interface | None:
    for default in defaults:
        if below := present.get(default.interface):
            return below
    addressed = [each for each in present.values() if each.addresses]
    for each in addressed:
        if any(address in prefer for address, _ in each.addresses):
            return each
    return addressed[0] if addressed else None
