# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands behind a route, and reverse-path filters on a made-up /proc."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network
from pathlib import Path

import pytest

from openswan.base.numbers import ROUTE_TABLE, RULE_PRIORITY
from openswan.host import routes
from openswan.host.routes import Wanted, loosen
from openswan.host.rtnetlink import Rule


def test_our_own_client_is_thrown_back_only_when_the_route_would_take_it() -> None:
    world, lan, far = ip_network("0.0.0.0/0"), ip_network("10.1.0.0/16"), ip_network("10.1.2.0/24")
    assert Wanted("ipsec0", world, client=lan).thrown() == (ip_network("224.0.0.0/4"), lan)
    assert Wanted("ipsec0", far, client=lan).thrown() == ()
    assert Wanted("ipsec0", lan, client=lan).thrown() == ()
    assert Wanted("ipsec0", lan, client=far).thrown() == (far,)
    assert Wanted("ipsec0", ip_network("::/0"), client=ip_network("fd00::/64")).thrown() == (
        ip_network("fe80::/10"),
        ip_network("ff00::/8"),
        ip_network("fd00::/64"),
    )
    assert Wanted("ipsec0", world, client=lan, spared=(lan, far)).thrown() == (ip_network("224.0.0.0/4"), lan, far)


def test_rules_of_another_mask_go_when_ours_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, before = (
        [Rule(version, RULE_PRIORITY, ROUTE_TABLE, mark, mark) for version in (4, 6)] for mark in (0x1000, 0x1000000)
    )
    held = list(before)

    class Kernel:
        def rules(self, version: int) -> list[Rule]:
            return [rule for rule in held if rule.version == version]

        def add_rules(self, rules: Iterable[Rule]) -> None:
            held.extend(rules)

        def delete_rules(self, rules: Iterable[Rule]) -> None:
            assert set(ours) <= set(held), "there is no moment without"
            for rule in rules:
                held.remove(rule)

    monkeypatch.setattr(routes, "Rtnetlink", Kernel)
    monkeypatch.setattr(routes, "loosen", lambda device, physical: [])
    routes.Routes().setup("ipsec0")
    assert held == ours


def conf(tmp_path: Path, **values: int) -> Path:
    for name, value in values.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "rp_filter").write_text(str(value))
        (tmp_path / name / "src_valid_mark").write_text("0")
    return tmp_path


def read(where: Path, name: str, what: str = "rp_filter") -> int:
    return int((where / name / what).read_text())


def test_a_strict_all_moves_to_the_others_and_is_said(tmp_path: Path) -> None:
    where = conf(tmp_path, all=1, default=0, eth0=0, eth1=2, ipsec0=2)
    lines = loosen("ipsec0", ["eth0"], where)
    assert {name: read(where, name) for name in ("all", "default", "eth0", "eth1", "ipsec0")} == {
        "all": 0,
        "default": 1,
        "eth0": 1,
        "eth1": 2,
        "ipsec0": 0,
    }
    assert read(where, "eth0", "src_valid_mark") == 1 and read(where, "eth1", "src_valid_mark") == 0
    assert lines[0].startswith("WARNING: changing route filtering on all (changing ") and "from 1 to 0)" in lines[0]
    assert len(lines) == 2 and loosen("ipsec0", ["eth0"], where) == []


def test_nothing_is_touched_where_nothing_filters(tmp_path: Path) -> None:
    where = conf(tmp_path, all=0, default=2, eth0=0, ipsec0=0)
    assert loosen("ipsec0", ["eth0"], where) == [] and read(where, "eth0", "src_valid_mark") == 0


def test_a_missing_proc_is_one_line(tmp_path: Path) -> None:
    (line,) = loosen("ipsec0", [], tmp_path / "nowhere")
    assert line.startswith("WARNING: route filtering could not be set")
