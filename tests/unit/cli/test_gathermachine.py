# SPDX-License-Identifier: GPL-2.0-or-later
"""What a diagnosis gathers of the machine and of its peers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path
from threading import Barrier

import pytest

from openswan.base.address import Address
from openswan.base.errors import HostError
from openswan.base.marks import Marks
from openswan.cli import gathermachine as module
from openswan.diagnosis.facts import Link, Peer
from openswan.diagnosis.firewall import UDP, Packet
from openswan.host import naming
from openswan.host.errands import Errands
from openswan.host.ikeping import Answer, Target
from openswan.host.machine import Bound, Machine
from openswan.host.rtnetlink import Route, Rule, Way

ME, HIM, HOP = (ip_address(text) for text in ("192.0.2.1", "198.51.100.7", "192.0.2.254"))


class Netlink:
    """A routing table of paper."""

    def close(self) -> None:
        pass

    def addresses(self) -> list[tuple[Address, str]]:
        return [(ME, "wan"), (ip_address("127.0.0.1"), "lo"), (ip_address("10.9.0.1"), "ipsec0")]

    def routes(self, version: int, table: int) -> Iterator[Route]:
        if version == 4:
            yield Route(ip_network("10.2.0.0/24"), table, "ipsec0")
            yield Route(ip_network("10.3.0.0/24"), table)

    def rules(self, version: int) -> Iterator[Rule]:
        if version == 4:
            yield Rule(4, 5000, 50, 0x1000, 0x1000)

    def way(self, dst: Address, src: Address | None = None, mark: int = 0) -> Way:
        if dst.version == 6:
            raise HostError(f"no route from here to {dst}: Network is unreachable")
        return Way("blackhole" if dst == ip_address("203.0.113.1") else "unicast", "wan", HOP, ME, 254)

    def neighbour(self, address: Address) -> str:
        return "FAILED" if address == HOP else ""


class Cardboard(Machine):
    """Files of paper."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"))
        self.files = {"/sys/class/net/wan/operstate": "up\n", "/sys/class/net/wan/flags": "0x1003",
                      "/sys/class/net/wan/mtu": "1500", "/sys/class/net/ipsec0/operstate": "down"}  # fmt: skip

    def text(self, path: str) -> str | None:
        return self.files.get(path)

    def number(self, path: str) -> int | None:
        return {"ipv4/ip_forward": 0, "ipv4/conf/wan/rp_filter": 1}.get(path)

    def devices(self) -> list[str]:
        return ["all", "ipsec0", "lo", "wan"]

    def device(self, path: str) -> str:
        return ""

    def queueing(self) -> str:
        return ""

    def bound(self) -> list[Bound]:
        return [Bound(500, 1), Bound(4500, 2), Bound(53, 3)]

    def owner(self, inode: int) -> tuple[int, str]:
        return (7, "pluto") if inode == 1 else (9, "charon")

    def tool(self, name: str) -> str:
        return "" if name == "ip6tables-save" else name

    def output(self, *argv: str, timeout: float = 10.0) -> tuple[int, str]:
        if argv[0] == "nft":
            chain = {"family": "inet", "table": "x", "name": "y", "hook": "output", "policy": "drop"}
            return 0, json.dumps({"nftables": [{"chain": chain}]})
        return 0, "*filter\n:INPUT DROP [0:0]\nCOMMIT\n"


@pytest.fixture(autouse=True)
def _paper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Rtnetlink", Netlink)


def test_machine() -> None:
    found = module.machine(Cardboard(), 7)
    assert found.addresses == ((ME, "wan"), (ip_address("127.0.0.1"), "lo"))
    assert found.owners == {4500: "charon (process 9)"} and found.forwarding == {4: False, 6: True}
    assert found.links == {"wan": Link("wan", True, 1500, strict=True)}
    assert found.tunnels == {"ipsec0": Link("ipsec0", False)}
    assert found.routed == ("10.2.0.0/24",) and found.rules == {4: True, 6: False}


def test_firewalls() -> None:
    found = module.firewalls(module.filters(Cardboard(), Errands(5.0)))
    assert found.stops("input", Packet(UDP, HIM, ME, 500)) is not None
    assert found.stops("output", Packet(UDP, ME, HIM, 500)) is not None
    assert set(found.tables) == {"iptables filter", "nft inet x"}


def asked(wanted: dict[str, Peer], ping: bool) -> dict[str, Peer]:
    """What is found of peers."""
    found: dict[str, Peer] = {}
    for one in module.peers(wanted, ping, Errands(5.0)).values():
        found |= one.result({})
    return found


def test_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(targets: Sequence[Target], wait: float, marks: Marks) -> Iterator[Answer]:
        for target in targets:
            if target.port == 500:
                yield Answer(target, b"x")
            elif target.address == HIM:
                yield Answer(target, error="Connection refused")

    def addresses_of(name: str, lifetime: float, marks: Marks) -> list[Address]:
        if name == "lost":
            raise HostError("no such name")
        return [HIM]

    monkeypatch.setattr(module, "ask", ask)
    monkeypatch.setattr(naming, "addresses_of", addresses_of)
    wanted = {"a": Peer(address=HIM), "b": Peer("gw"), "c": Peer("lost"), "d": Peer(address=ip_address("fd00::1")),
              "e": Peer(address=ip_address("203.0.113.1"))}  # fmt: skip
    found = asked(wanted, True)
    assert found["a"].answers == {500: True, 4500: False} and found["a"].errors == {4500: "Connection refused"}
    assert found["a"].neighbour == "FAILED" and found["a"].way is not None and found["a"].way.gateway == HOP
    assert found["b"].address == HIM and found["c"].lookup == "no such name" and found["c"].way is None
    assert found["d"].way is not None and "unreachable" in found["d"].way.error
    assert found["e"].way is not None and "blackhole" in found["e"].way.error
    assert asked(wanted, False)["a"].answers == {}


def test_no_socket_no_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(targets: Sequence[Target], wait: float, marks: Marks) -> Iterator[Answer]:
        raise HostError("no")
        yield

    monkeypatch.setattr(module, "ask", refuse)
    assert asked({"a": Peer(address=HIM)}, True)["a"].answers == {}


def test_names_are_looked_up_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    meeting = Barrier(5)

    def addresses_of(name: str, lifetime: float, marks: Marks) -> list[Address]:
        meeting.wait(5.0)
        return [HIM]

    monkeypatch.setattr(naming, "addresses_of", addresses_of)
    found = asked({f"c{number}": Peer(f"h{number}") for number in range(5)}, False)
    assert len(found) == 5 and {peer.address for peer in found.values()} == {HIM}
