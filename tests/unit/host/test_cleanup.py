# SPDX-License-Identifier: GPL-2.0-or-later
"""Cleaning up after a daemon that could not."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from openswan.base.errors import HostError
from openswan.engine.effects import GuardEntry
from openswan.host import cleanup, tun
from openswan.host.guard.guard import Guard
from openswan.host.openings.model import Opening
from openswan.host.openings.openings import Openings
from openswan.host.routes import Routes
from openswan.policy.selector import FlowKey

Namespace = Callable[[Callable[[], Any]], Any]
FAR = ip_network("10.2.0.0/24")
FLOW = FlowKey(ip_network("10.1.0.0/24"), FAR)
FENCE = "add table ip fence; add chain ip fence forward { type filter hook forward priority 0; policy drop; }"


def shown(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_routes_devices_and_guard_go(namespace: Namespace, tmp_path: Path) -> None:
    def work() -> None:
        os.close(tun.open_tun("ipsec0"))
        tun.configure("ipsec0", 1500)
        guard = Guard.open(rundir=tmp_path)
        guard.set("x", (GuardEntry(FLOW, "ipsec0"),))
        guard.close(keep=True)
        routes = Routes()
        routes.add("ipsec0", FAR)
        routes.close()
        subprocess.run(["nft", FENCE], check=True)
        assert Openings(tmp_path).open(Opening("x", "192.0.2.2", "ipsec0", (FLOW,), True, False)) == ()
        assert "ipsec-fw-fwd" in shown("nft", "list", "table", "ip", "fence")
        assert "10.2.0.0/24" in shown("ip", "route", "show", "table", "50")
        assert shown("nft", "list", "tables").strip()

        assert cleanup.remove_everything(tmp_path) == []
        assert "ipsec" not in shown("nft", "list", "table", "ip", "fence")
        subprocess.run(["nft", "delete table ip fence"], check=True)
        assert [name for _, name in socket.if_nameindex()] == ["lo"]
        assert "lookup 50" not in shown("ip", "rule")
        assert shown("nft", "list", "tables").strip() == ""
        assert cleanup.remove_everything(tmp_path) == []

        assert cleanup.remove_everything(tmp_path / "nowhere") == []

    namespace(work)


def test_one_thing_that_will_not_go_does_not_keep_the_others(
    namespace: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> None:
        raise HostError(f"{name} is busy")

    monkeypatch.setattr(cleanup.tun, "remove_tun", refuse)

    def work() -> None:
        os.close(tun.open_tun("ipsec0"))
        Guard.open(rundir=tmp_path).close(keep=True)
        assert cleanup.remove_everything(tmp_path) == ["ipsec0 is busy"]
        assert shown("nft", "list", "tables").strip() == ""

    namespace(work)
