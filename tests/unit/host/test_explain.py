# SPDX-License-Identifier: GPL-2.0-or-later
"""One sentence why, for every kind of answer."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address, ip_network

import pytest

from openswan.base.address import Address
from openswan.base.errors import HostError
from openswan.base.numbers import IpProtocol
from openswan.base.said import Said, Shunt
from openswan.engine.effects import GuardEntry
from openswan.host.explain import explain, matches
from openswan.host.guard.model import GuardModel, Held, Match
from openswan.host.rtnetlink import Way
from openswan.plane.events import ErouteView
from openswan.policy.selector import FlowKey

LAN, FAR, ALL = ip_network("10.1.0.0/24"), ip_network("10.2.0.0/24"), ip_network("0.0.0.0/0")
A, B = ip_address("10.1.0.5"), ip_address("10.2.0.1")
SAID = Said(IpProtocol.ESP, 0x1234, IPv4Address("192.0.2.2"))
TUNNEL = Way("unicast", "ipsec0", None, ip_address("10.1.0.1"), 50)
WAN = Way("unicast", "eth0", ip_address("192.0.2.9"), None, 254)


def row(src: object, dst: object, target: Said | Shunt, owner: str) -> ErouteView:
    return ErouteView(FlowKey(src, dst), target, "ipsec0", owner, 1, 7, 1.0, 0)  # type: ignore[arg-type]


class Ways:
    def __init__(self, way: Way | None) -> None:
        self.answer = way

    def way(self, dst: Address, src: Address | None = None, mark: int = 0) -> Way:
        if mark:
            return WAN
        if self.answer is None:
            raise HostError("no route")
        return self.answer


class Guarding:
    def __init__(self, *flows: tuple[str, FlowKey], block: tuple[int, ...] = ()) -> None:
        self.model = GuardModel()
        for name, key in flows:
            self.model.replace(name, Held((GuardEntry(key, "ipsec0"),), block))

    def lookup(self, *what: object) -> tuple[Match, ...]:
        return tuple(self.model.find(*what))  # type: ignore[arg-type]


NET = ("net", FlowKey(LAN, FAR))
CASES = [
    (
        [row(LAN, FAR, SAID, "net")],
        (NET,),
        TUNNEL,
        A,
        B,
        "the only eroute that covers it: conn net encrypts it into esp",
    ),
    (
        [row(LAN, ALL, Shunt.TRAP, "world"), row(LAN, FAR, SAID, "net")],
        (NET,),
        TUNNEL,
        A,
        B,
        "the most specific of 2 eroutes",
    ),
    ([row(LAN, FAR, Shunt.TRAP, "net")], (NET,), TUNNEL, A, B, "would be held while conn net is negotiated"),
    ([row(LAN, FAR, SAID, "net")], (NET,), WAN, A, B, "the guard drops it: look for a foreign route"),
    ([row(LAN, FAR, SAID, "net")], (), WAN, A, B, "it leaves in clear"),
    ([], (NET,), WAN, A, B, "has no eroute and the route leads elsewhere"),
    ([], (), WAN, A, B, "no connection covers it: it goes its ordinary way (dev eth0 via 192.0.2.9 table 254)"),
    ([], (), None, A, B, "ordinary way (none)"),
    ([], (), TUNNEL, A, B, "no eroute covers it, so the engine drops it"),
    ([row(LAN, FAR, SAID, "net")], (NET,), Way("blackhole", "", None, None, 50), A, B, "is down or gone"),
    ([row(LAN, FAR, SAID, "net")], (NET,), WAN, B, A, "inbound traffic of conn net: it is accepted only"),
]


@pytest.mark.parametrize(("rows", "flows", "way", "src", "dst", "why"), CASES)
def test_why(
    rows: list[ErouteView],
    flows: tuple[tuple[str, FlowKey], ...],
    way: Way | None,
    src: Address,
    dst: Address,
    why: str,
) -> None:
    lines, data = explain(src, dst, 6, 80, rows, Guarding(*flows), Ways(way))
    assert why in lines[-1] and why in data["why"]
    assert [line.split()[0] for line in lines] == ["packet", "conn", "eroute", "guard", "route", "why"]


def test_a_blocked_family_says_so() -> None:
    guard = Guarding(("world", FlowKey(LAN, ALL)), block=(6,))
    lines, data = explain(ip_address("fd00::1"), ip_address("fd00::2"), 0, 0, [], guard, Ways(WAN))
    assert "otherfamily=clear" in lines[-1] and data["conn"] == "world"


def test_what_stays_on_our_side_goes_its_ordinary_way() -> None:
    rows, flow = [row(LAN, ALL, SAID, "world")], ("world", FlowKey(LAN, ALL))
    lines, data = explain(A, ip_address("10.1.0.9"), 0, 0, rows, Guarding(flow), Ways(WAN))
    assert data["guard"] == [] and "both ends are in the client of conn world" in lines[-1]


@pytest.mark.parametrize(("src", "dst"), [(A, B), (B, A)])
def test_of_two_guards_for_one_flow_the_one_in_use_is_named(src: Address, dst: Address) -> None:
    twins = (("alpha", NET[1]), NET)
    lines, data = explain(src, dst, 0, 0, [row(LAN, FAR, SAID, "net")], Guarding(*twins), Ways(TUNNEL))
    assert data["conn"] == "net" and lines[3].startswith("guard   net: ")
    assert {each["conn"] for each in data["guard"]} == {"alpha", "net"}


def test_the_winner_is_the_one_with_the_narrower_source() -> None:
    rows = [row(ip_network("10.1.0.0/16"), ip_network("10.2.0.1/32"), SAID, "dst"), row(LAN, ALL, SAID, "src")]
    _, data = explain(A, B, 0, 0, rows, Guarding(), Ways(TUNNEL))
    assert data["conn"] == "src" and data["eroute"]["owner"] == "src"


def test_ports_and_protocols() -> None:
    key = FlowKey(LAN, FAR, 6, 0, 80)
    assert matches(key, A, B, 6, 80)
    assert not matches(key, A, B, 17, 80) and not matches(key, A, B, 6, 81) and not matches(key, A, B, 0, 0)
    assert not matches(FlowKey(LAN, FAR, 6, 1024, 0), A, B, 6, 80)
