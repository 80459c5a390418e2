# SPDX-License-Identifier: GPL-2.0-or-later
"""Guard and routes over a restart."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace

import pytest

from openswan.daemon.leftovers import Leftovers
from openswan.daemon.wanted import Places, Wanted
from openswan.engine.events import Interface, NetworkState
from openswan.engine.orient import Plugs
from openswan.policy.connection import End, Host, HostKind, Startup
from openswan.wire.whack import encode_request
from tests.sim.pair import conn
from tests.unit.daemon.running import CONF, Namespace, Running, network, nothing, sh


def test_the_guard_over_a_restart(namespace: Namespace, tmp_path: Path) -> None:
    def standing() -> tuple[bool, bool, bool]:
        return (
            "10.2.0.0/24" in sh("nft list ruleset"),
            "10.2.0.0/24 dev ipsec0" in sh("ip route show table 50"),
            "blackhole 10.2.0.0/24" in sh("ip route show table 50"),
        )

    async def in_force(running: Running) -> None:
        await running.until(lambda: standing() == (True, True, True))

    def work() -> None:
        network()
        Running(tmp_path).serve(in_force, keep_guard=True)
        assert standing()[0], "a restart opens a gap"
        Running(tmp_path).serve(in_force, keep_guard=False)
        assert standing() == (False, False, False)
        Running(tmp_path).serve(nothing, keep_guard=True)
        # A slip of the pen gives up nothing.
        Running(tmp_path, conf=CONF.replace("leftsubnet", "lefftsubnet")).serve(nothing, keep_guard=True)
        assert standing()[0]
        # What ipsec.conf no longer has is given up by the next daemon at once.
        Running(tmp_path, conf="version 2.0\n").serve(nothing, keep_guard=True)
        assert not standing()[0]
        Running(tmp_path).serve(nothing, keep_guard=False)

    namespace(work)


def test_what_a_killed_daemon_left_goes_when_the_operator_says_so(namespace: Namespace, tmp_path: Path) -> None:
    def standing() -> tuple[bool, bool]:
        return "10.2.0.0/24" in sh("nft list ruleset"), "10.2.0.0/24" in sh("ip route show table 50")

    async def routed(running: Running) -> None:
        await running.until(lambda: standing() == (True, True))

    async def shown(running: Running) -> str:
        lines = [text for _, text in await running.ask(encode_request("status"))]
        (guard,) = (text for text in lines if text.startswith('"') and "leak guard: " in text)
        return guard.partition("leak guard: ")[2].partition(";")[0]

    async def unrouted(running: Running) -> None:
        assert standing() == (True, True), "the daemon that came after gave up what it had not been told to"
        assert await running.ask(encode_request("unroute", name="y")) == [(21, 'no connection named "y"')]
        assert standing() == (True, True)
        assert await shown(running) == "in place"
        assert await running.ask(encode_request("unroute", name="x")) == []
        assert standing() == (False, False)
        assert await shown(running) == "not in place"

    def work() -> None:
        network()
        Running(tmp_path).serve(routed, keep_guard=True)
        # A killed daemon leaves its routes too: put back what the orderly end took away.
        sh("ip route add blackhole 10.2.0.0/24 table 50 proto static metric 2147483647")
        Running(tmp_path, conf=CONF.replace("auto=route", "auto=add")).serve(unrouted, keep_guard=False)

    namespace(work)


def test_a_closed_group_stays_closed_over_a_restart_without_an_address(
    namespace: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ("left=%defaultroute", "right=%opportunisticgroup", "authby=secret", "failureshunt=drop", "auto=route")
    group = "conn lan\n" + "".join(f"\t{line}\n" for line in lines)
    monkeypatch.setenv("IPSEC_CONFS", str(tmp_path))
    (tmp_path / "ipsec.d/policies").mkdir(parents=True)
    (tmp_path / "ipsec.d/policies/lan").write_text("10.77.0.0/16\n")

    def closed() -> bool:
        return "10.77.0.0/16" in sh("nft list ruleset")

    async def in_force(running: Running) -> None:
        assert closed(), running.lines

    def work() -> None:
        network()  # without a default route: nobody knows which end is ours
        Running(tmp_path, conf=group).serve(in_force, keep_guard=True)
        assert closed()
        Running(tmp_path, conf=group).serve(in_force, keep_guard=True)
        assert closed()
        Running(tmp_path, conf="version 2.0\n").serve(nothing, keep_guard=False)
        assert not closed()

    namespace(work)


def test_what_comes_up_in_turn_is_guarded_until_then(tmp_path: Path) -> None:
    """With plutowait=yes the last conn of many may have to wait for minutes."""
    ends = [End(Host(HostKind.ADDRESS, ip_address(f"192.0.2.{n}"))) for n in range(1, 5)]
    conns = [
        conn(startup.value, ends[0], other, startup=startup)
        for startup, other in zip((Startup.START, Startup.ROUTE, Startup.ADD), ends[1:], strict=True)
    ]
    plugs = Plugs.of(NetworkState((Interface("eth0", "ipsec0", ((ip_address("192.0.2.1"), 24),)),), ()))
    wanted = Wanted(Places(*[tmp_path] * 4), connections=tuple(conns), in_turn=True)

    def ahead(wanted: Wanted) -> list[str]:
        found: list[str] = []
        guard = SimpleNamespace(entries=dict, set=lambda name, entries, block: found.append(name))
        Leftovers(guard, None, lambda names: None, lambda text, serious: None).guard_ahead(wanted, plugs)  # type: ignore
        return found

    assert ahead(wanted) == [Startup.START.value] and ahead(replace(wanted, in_turn=False)) == []
