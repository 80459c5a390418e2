# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec eroute --match`: which conn, eroute, guard and route one packet meets, and one sentence why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from openswan.base.address import Address
from openswan.base.errors import HostError
from openswan.base.marks import DEFAULT_MARKS, Marks
from openswan.base.numbers import ROUTE_TABLE, RULE_PRIORITY
from openswan.base.said import Said, Shunt
from openswan.engine.exemptions import OWNER as EXEMPT
from openswan.host.guard.model import Match
from openswan.host.rtnetlink import Way
from openswan.klips.tables import target_text
from openswan.plane.events import ErouteView
from openswan.policy.selector import FlowKey


class GuardView(Protocol):
    """The part of the guard that is asked."""

    def lookup(
        self, src: Address, dst: Address, protocol: int = 0, src_port: int = 0, dst_port: int = 0
    ) -> tuple[Match, ...]:
        """Whose guard a packet meets."""


class RouteView(Protocol):
    """The part of rtnetlink that is asked."""

    def way(self, dst: Address, src: Address | None = None, mark: int = 0) -> Way:
        """Where the kernel would send a packet; HostError."""


def matches(key: FlowKey, src: Address, dst: Address, protocol: int, port: int) -> bool:
    """Does an eroute take this packet? `port` is the destination's; the source's is not known, so a key with one is
    taken not to match.
    """  # fmt: skip
    return (
        src in key.src
        and dst in key.dst
        and key.protocol in (0, protocol)
        and key.src_port == 0
        and key.dst_port in (0, port)
    )


def specificity(key: FlowKey) -> tuple[int, int, bool, bool, bool]:
    """The eroute table's order: the source counts first, then the destination, then protocol and ports."""
    return key.src.prefixlen, key.dst.prefixlen, bool(key.protocol), bool(key.src_port), bool(key.dst_port)


SHUNTS: dict[Shunt, str] = {
    Shunt.TRAP: "the packet would be held while conn {conn} is negotiated",
    Shunt.HOLD: "the packet is held: conn {conn} is being negotiated",
    Shunt.PASS: "conn {conn} lets it pass in clear",
    Shunt.DROP: "conn {conn} discards it",
    Shunt.REJECT: "conn {conn} discards it and tells the sender",
}


def _ask(routes: RouteView, src: Address, dst: Address, mark: int) -> Way | None:
    # A source that is not ours is a forwarded packet; the tables are the same ones.
    for source in (src, None):
        try:
            return routes.way(dst, source, mark)
        except HostError:
            continue
    return None


def way_text(way: Way | None) -> str:
    """A route in a few words."""
    if way is None:
        return "none"
    words = [way.kind if way.kind != "unicast" or not way.device else f"dev {way.device}"]
    words += [f"via {way.gateway}"] if way.gateway else []
    words += [f"src {way.source}"] if way.source else []
    return " ".join([*words, f"table {way.table}"] if way.table else words)


def guard_text(match: Match | None) -> str:
    """A guard entry in a few words."""
    if match is None:
        return "none"
    if match.entry is None:
        return f"{match.connection}: the whole family is blocked"
    key = match.entry.key
    if match.outbound:
        return f"{match.connection}: {key} only out through {match.entry.device}"
    return f"{match.connection}: {key.reversed()} only in through {match.entry.device}"


def explain(
    src: Address,
    dst: Address,
    protocol: int,
    port: int,
    eroutes: Sequence[ErouteView],
    guard: GuardView,
    routes: RouteView,
    marks: Marks = DEFAULT_MARKS,
) -> tuple[list[str], dict[str, Any]]:
    """Lines for people, and the same as plain data. `port` is the destination's, 0: any."""
    found = [view for view in eroutes if matches(view.key, src, dst, protocol, port)]
    eroute = max(found, key=lambda view: specificity(view.key), default=None)
    met = guard.lookup(src, dst, protocol, 0, port)
    match = _guard_of(met, eroute, eroutes)
    way, own = _ask(routes, src, dst, 0), _ask(routes, src, dst, marks.own)
    conn = eroute.owner if eroute and eroute.owner else match.connection if match else ""
    home = match is None and _at_home(eroute, src, dst)
    why = _why(eroute, len(found), match, way, conn, home)
    packet = f"{src} -> {dst}" + (f" proto {protocol}" if protocol else "") + (f" port {port}" if port else "")
    lines = [
        f"packet  {packet}",
        f"conn    {conn or 'none'}",
        f"eroute  {f'{eroute.key} => {target_text(eroute.target)} ({eroute.packets} packets)' if eroute else 'none'}",
        f"guard   {guard_text(match)}",
        f"route   {way_text(way)}" + (f" (our own sockets: {way_text(own)})" if own != way else ""),
        f"why     {why}",
    ]
    data = {
        "packet": {"src": str(src), "dst": str(dst), "protocol": protocol, "port": port},
        "conn": conn or None,
        "eroute": None
        if eroute is None
        else {
            "src": str(eroute.key.src),
            "dst": str(eroute.key.dst),
            "protocol": eroute.key.protocol,
            "src_port": eroute.key.src_port,
            "dst_port": eroute.key.dst_port,
            "target": target_text(eroute.target),
            "owner": eroute.owner,
            "serial": eroute.serial,
            "packets": eroute.packets,
        },
        "guard": [_guard_data(each) for each in met],
        "route": _way_data(way),
        "own_route": _way_data(own),
        "why": why,
    }
    return lines, data


def _guard_of(met: Sequence[Match], eroute: ErouteView | None, eroutes: Sequence[ErouteView]) -> Match | None:
    """The most specific guard; of several for the same flow the one whose conn has the eroute."""
    if not met:
        return None
    owners = {eroute.owner} if eroute else {view.owner for view in eroutes}
    flow = met[0].entry.key if met[0].entry else None
    same = (each for each in met if each.entry and each.entry.key == flow and each.outbound == met[0].outbound)
    return next((each for each in same if each.connection in owners), met[0])


def _at_home(eroute: ErouteView | None, src: Address, dst: Address) -> bool:
    """Are both ends in the conn's own client, which its guard leaves alone?"""
    return eroute is not None and eroute.key.src != eroute.key.dst and src in eroute.key.src and dst in eroute.key.src


def _guard_data(match: Match) -> dict[str, Any]:
    key = match.entry.key if match.entry else None
    return {
        "conn": match.connection,
        "outbound": match.outbound,
        "flow": str(key) if key else None,
        "device": match.entry.device if match.entry else None,
    }


def _way_data(way: Way | None) -> dict[str, Any] | None:
    if way is None:
        return None
    return {
        "kind": way.kind,
        "device": way.device,
        "gateway": str(way.gateway) if way.gateway else None,
        "source": str(way.source) if way.source else None,
        "table": way.table,
    }


Case = tuple[Callable[[ErouteView | None, Match | None, bool], bool], str]
CASES: tuple[Case, ...] = (
    (
        lambda eroute, match, inside: match is not None and match.entry is not None and not match.outbound,
        "this is inbound traffic of {conn}: it is accepted only when it comes decrypted out of {device}",
    ),
    (
        lambda eroute, match, inside: match is not None and match.entry is None and not inside,
        "{conn} takes all traffic of the other IP version, so this one is blocked (otherfamily=clear would let it out)",
    ),
    (
        lambda eroute, match, inside: eroute is not None and match is not None and not inside,
        "there is an eroute, but the route leads elsewhere ({route}), so the guard drops it: look for a foreign route "
        f"or an ip rule before {RULE_PRIORITY}",
    ),
    (
        lambda eroute, match, inside: eroute is not None and not inside,
        "there is an eroute, but the route leads elsewhere ({route}) and nothing guards it: it leaves in clear",
    ),
    (
        lambda eroute, match, inside: match is not None and not inside,
        "{conn} protects it, but it has no eroute and the route leads elsewhere ({route}): the guard drops it",
    ),
    (
        lambda eroute, match, inside: eroute is None and inside,
        "the route leads into the tunnel but no eroute covers it, so the engine drops it",
    ),
    (
        lambda eroute, match, inside: eroute is None,
        "no connection covers it: it goes its ordinary way ({route})",
    ),
)  # fmt: skip
"""First case that holds; what holds for none has an eroute and a route that leads to it."""


def _why(eroute: ErouteView | None, count: int, match: Match | None, way: Way | None, conn: str, home: bool) -> str:
    device = eroute.device if eroute else match.entry.device if match and match.entry else ""
    inside = way is not None and bool(way.device) and (way.device == device or way.device.startswith("ipsec"))
    if way is not None and way.kind == "blackhole" and way.table in (0, ROUTE_TABLE):
        return f"{device or 'ipsecN'} is down or gone and the blackhole behind its route drops it"
    if home and not inside:
        return f"both ends are in the client of conn {conn} on this side: it goes its ordinary way ({way_text(way)})"
    for holds, text in CASES:
        if holds(eroute, match, inside):
            return text.format(conn=f"conn {conn}", route=way_text(way), device=device)
    assert eroute is not None
    if eroute.owner == EXEMPT:
        return "this host asks its own resolver, or for its address: no policy group touches that, it goes in clear"
    best = f"the most specific of {count} eroutes that cover it" if count > 1 else "the only eroute that covers it"
    if isinstance(eroute.target, Said):
        return f"this is {best}: conn {conn} encrypts it into {target_text(eroute.target)}"
    return f"this is {best}: {SHUNTS[eroute.target].format(conn=conn)}"
