# SPDX-License-Identifier: GPL-2.0-or-later
"""Which ipsecN stands on which physical interface: `interfaces=` of config setup against what the host has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from openswan.base.address import Address
from openswan.engine.events import DefaultRoute, Interface
from openswan.host.tun import Plan

DEFAULT_VIRTUAL = "ipsec0"
DEFAULT_ROUTE = "%defaultroute"
VIRTUAL = re.compile(r"(ipsec|mast)[0-9]{1,3}")


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
    wanted: Sequence[tuple[str, str]],
    interfaces: Iterable[Interface],
    defaults: Sequence[DefaultRoute],
    prefer: Iterable[Address] = (),
    by_hand: Mapping[str, str] | None = None,
) -> Assignment:
    """Give each usable interface its ipsecN.

    `wanted` holds the (virtual, physical) pairs of interfaces=. A physical interface named there gets its virtual one,
    and then only interfaces named so are used. `%defaultroute` alone, or nothing (%none), follows actual routes: one
    virtual interface serves all; it is listed as standing on the default route's, else on one with an address of
    `prefer` (the conns' own), else on the first.

    `by_hand` is what tncfg has said since: virtual interface to the physical one below, empty for none. It wins.
    """
    made = _assign(wanted, tuple(interfaces), defaults, prefer)
    follows = all(physical == DEFAULT_ROUTE for _, physical in wanted)
    return _amend(made, by_hand, follows) if by_hand else made


def _amend(made: Assignment, by_hand: Mapping[str, str], follows: bool) -> Assignment:
    present = {each.name: each for each in made.interfaces}
    virtual = {physical: name for name, physical in by_hand.items() if physical in present}
    # The one that served all interfaces goes on doing so from wherever it has been put, unless it stands on nothing.
    gone = {name for name, physical in by_hand.items() if not physical}
    moved = set(by_hand) if not follows else gone
    interfaces = tuple(
        replace(each, virtual=virtual.get(each.name, "" if each.virtual in moved else each.virtual))
        for each in made.interfaces
    )
    plans = [plan for plan in made.plans if plan.name not in by_hand and plan.physical not in virtual]
    plans += [
        Plan(name, physical, present[physical].mtu) if physical in present else Plan(name, "", 0)
        for name, physical in by_hand.items()
    ]
    named = {plan.name for plan in plans}
    plans += [plan for plan in made.plans if plan.name not in named]
    return Assignment(interfaces, tuple(plans), made.complaints)


def _assign(
    wanted: Sequence[tuple[str, str]],
    interfaces: Iterable[Interface],
    defaults: Sequence[DefaultRoute],
    prefer: Iterable[Address],
) -> Assignment:
    present = {each.name: each for each in interfaces if not is_virtual(each.name)}
    if all(physical == DEFAULT_ROUTE for _, physical in wanted):
        virtual = wanted[0][0] if wanted else DEFAULT_VIRTUAL
        below = _follow_routes(present, defaults, set(prefer))
        usable = tuple(replace(each, virtual=virtual if below else "") for each in present.values())
        return Assignment(usable, (Plan(virtual, below.name, below.mtu),) if below else (), ())
    chosen: dict[str, str] = {}
    complaints: list[str] = []
    plans: list[Plan] = []
    for virtual, word in wanted:
        physical = word
        if word == DEFAULT_ROUTE:
            physical = next((each.interface for each in defaults if each.interface in present), "")
        if not physical:
            complaints.append("no default route, %defaultroute cannot cope!!!")
        elif physical not in present:
            complaints.append(f"interfaces={virtual}={physical}: there is no interface {physical}")
        elif physical in chosen:
            complaints.append(f"interfaces={virtual}={physical}: {chosen[physical]} stands on {physical} already")
        else:
            if not present[physical].addresses:
                complaints.append(f"unable to determine address of `{physical}'")
            chosen[physical] = virtual
            plans.append(Plan(virtual, physical, present[physical].mtu))
    usable = tuple(replace(each, virtual=chosen.get(each.name, "")) for each in present.values())
    return Assignment(usable, tuple(plans), tuple(complaints))


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
