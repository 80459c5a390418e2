# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec verify --leak`: what is tried, and what is said; the real thing is in tests/netns/test_leakcheck.py."""

from __future__ import annotations

import json
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from openswan.base.address import Address, Subnet
from openswan.base.errors import HostError
from openswan.cli import leakcheck
from openswan.cli.leakcheck import Trial, protected
from openswan.cli.verdict import Finding
from openswan.cli.verify import main
from openswan.host.leakear import Heard
from openswan.host.machine import Machine
from openswan.policy.leakprobe import Probe
from openswan.policy.selector import FlowKey

GUARDED = '{"connection":"net","entries":[["10.1.0.0/24","10.2.0.0/24",0,0,0,"ipsec0"]],"block":[6]}\n'
NET = FlowKey(ip_network("10.1.0.0/24"), ip_network("10.2.0.0/24"))
BARE = FlowKey(ip_network("10.1.0.0/24"), ip_network("10.3.0.0/24"))
ALL6 = FlowKey(ip_network("::/0"), ip_network("::/0"))


def row(key: FlowKey, target: str) -> dict[str, Any]:
    ports = {"protocol": 0, "src_port": 0, "dst_port": 0}
    return {"src": str(key.src), "dst": str(key.dst), **ports, "target": target, "owner": "bare"}


class Own(Machine):
    def addresses(self) -> list[tuple[Address, str]]:
        return [(ip_address("10.1.0.1"), "lan"), (ip_address("2001:db8::1"), "wan")]

    def homes(self) -> list[tuple[Subnet, str]]:
        return [(ip_network("10.1.0.0/24"), "lan")] if self.lan else []

    lan = False


def looked(monkeypatch: pytest.MonkeyPatch, blind: str = "", **leaks: str) -> list[Finding]:
    """With every packet to a net of `leaks` out on that device, refused elsewhere."""

    def attempt(wanted: Sequence[Probe]) -> Trial:
        out = {str(each.key.dst): device for each in wanted for owner, device in leaks.items() if owner == each.owner}
        heard = {
            number: [Heard(number, out.get(str(each.key.dst), "ipsec0"), ip_address("192.0.2.1"), each.dst)]
            for number, each in enumerate(wanted)
            if each.dst.version == 4
        }
        return Trial(wanted, heard, dict.fromkeys(range(len(wanted)), "Operation not permitted"), blind)

    monkeypatch.setattr(leakcheck, "attempt", attempt)
    return list(leakcheck.leakcheck(Own()))


def test_what_is_guarded_and_what_has_an_sa_is_tried(places: Path, pluto: Any) -> None:
    (places / "guard.journal").write_text(GUARDED)
    passed = FlowKey(ip_network("10.1.0.0/24"), ip_network("10.2.0.7/32"))
    trapped = FlowKey(ip_network("10.1.0.0/24"), ip_network("10.4.0.0/24"))
    rows = [row(NET, "tun0x1001@192.0.2.2"), row(BARE, "esp0x1@192.0.2.2"), row(passed, "%pass"), row(trapped, "%trap")]
    pluto.answers["eroute"] = ["000 " + json.dumps(rows)]
    found = protected()
    assert found.flows == (("net", NET), ("net", ALL6), ("bare", BARE)) and found.daemon
    assert found.guarded == {NET, ALL6} and found.clear == {passed.dst}


def test_what_a_dead_daemon_has_left_is_tried(places: Path) -> None:
    (places / "guard.journal").write_text(GUARDED)
    found = protected()
    assert found.flows == (("net", NET), ("net", ALL6)) and not found.daemon


def test_nothing_gets_out(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [one.verdict for one in looked(monkeypatch)] == ["N/A"]
    (places / "guard.journal").write_text(GUARDED)
    (found,) = looked(monkeypatch)
    assert found.text == "Leak probes: 6 of 2 flows" and found.verdict == "OK"
    assert found.hints == (
        '"net": 10.1.0.1 > 10.2.0.254 udp, tcp, icmp: into ipsec0',
        '"net": 2001:db8::1 > 2001:db8:ffff::1 udp, tcp, icmp: held back (Operation not permitted)',
    )


def test_a_leak_is_named_with_what_to_do(places: Path, pluto: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (places / "guard.journal").write_text(GUARDED)
    pluto.answers["eroute"] = ["000 " + json.dumps([row(BARE, "esp0x1@192.0.2.2")])]
    (found,) = looked(monkeypatch, bare="wan")
    out, remedy = found.hints
    assert found.verdict == "FAILED"
    assert out == ('"bare": 10.1.0.1 > 10.3.0.254 udp, tcp, icmp: LEFT IN CLEAR through wan as 192.0.2.1 > 10.3.0.254')
    assert "leakguard=no" in remedy and "ipsec auto --replace bare" in remedy
    (found,) = looked(monkeypatch, net="wan")
    assert "another program" in found.hints[-1]


def test_without_a_daemon_the_guard_alone_can_be_put_back(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (places / "guard.journal").write_text(GUARDED)
    (found,) = looked(monkeypatch, net="eth0")
    assert "ipsec setup guard" in found.hints[-1]


def test_an_ear_that_hears_nothing_proves_nothing(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (places / "guard.journal").write_text(GUARDED)
    (found,) = looked(monkeypatch, blind="is lo up?")
    assert (found.verdict, found.hints) == ("FAILED", ("is lo up?",))


def test_whoever_may_not_listen_is_told(
    places: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (places / "guard.journal").write_text(GUARDED)

    def refused(mark: bytes) -> None:
        raise HostError("cannot listen on the wire: Operation not permitted")

    monkeypatch.setattr(leakcheck, "Ear", refused)
    assert main(["--leak"]) == 1
    assert "cannot listen on the wire" in capsys.readouterr().out


def test_hosts_behind_the_gateway_are_played_or_it_is_said_why_not(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (places / "guard.journal").write_text(GUARDED)
    monkeypatch.setattr(Own, "lan", True)
    (found,) = looked(monkeypatch)
    assert '"net": 10.1.0.254 > 10.2.0.254 udp, tcp, icmp from lan: into ipsec0' in found.hints
    assert found.text == "Leak probes: 9 of 2 flows"

    def unplayed(wanted: Sequence[Probe]) -> Trial:
        return Trial([one for one in wanted if not one.device], {}, {}, "", {"lan": "no mirred"})

    monkeypatch.setattr(leakcheck, "attempt", unplayed)
    told, found = leakcheck.leakcheck(Own())
    assert (told.verdict, told.hints) == ("WARNING", ("no mirred",)) and "behind lan: not tried" in told.text
    assert found.verdict == "OK" and "6 of 2" in found.text
