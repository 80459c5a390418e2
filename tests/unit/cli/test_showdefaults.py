# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec showdefaults`."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from openswan.cli.showdefaults import main
from openswan.host.machine import Default, Machine


def having(monkeypatch: pytest.MonkeyPatch, *routes: Default) -> None:
    monkeypatch.setattr(Machine, "default_routes", lambda self, marks: list(routes))


def test_the_lines(pluto: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pluto.answers["tncfg"] = ["000 ipsec0 -> eth0 mtu=1500(1500) -> 1500"]
    having(monkeypatch, Default("eth0", ip_address("192.0.2.10"), ip_address("192.0.2.1")))
    assert main([]) == 0
    assert capsys.readouterr().out == (
        "routephys=eth0\nroutevirt=ipsec0\nrouteaddr=192.0.2.10\nroutenexthop=192.0.2.1\n"
    )


def test_point_to_point_and_no_daemon(
    places: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    having(monkeypatch, Default("ppp0", ip_address("192.0.2.10"), None))
    assert main([]) == 0
    assert "routevirt=none" in (out := capsys.readouterr().out) and "routenexthop=%direct" in out


def test_no_default_route(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    having(monkeypatch)
    assert main([]) == 1
    assert capsys.readouterr().out == "# no default route\n"
