# SPDX-License-Identifier: GPL-2.0-or-later
"""Openings in the words of iptables; tests/netns/test_firewall.py sees packets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from openswan.base.errors import HostError
from openswan.host import nftables
from openswan.host.openings import xtables
from openswan.host.openings.xtables import Xtables, legacy_loaded, legacy_tables, rule_text, tool_of
from tests.unit.host.openings.samples import FAR, LAN, opening


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        (0, ""),
        (6, " -p tcp -m tcp --sport 80"),
        (17, " -p udp -m udp --sport 80"),
        (136, " -p 136 -m multiport --sports 80"),
        (47, " -p 47"),
    ],
)
def test_iptables_words(protocol: int, words: str) -> None:
    back, _ = opening(protocol=protocol, dst_port=80 if protocol else 0).accepts()
    assert rule_text(back) == f'-s {FAR} -d {LAN} -i ipsec0{words} -m comment --comment "net" -j ACCEPT'


def test_a_filter_of_iptables_changes_in_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    saved = "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -j LOG\nCOMMIT\n"

    def run(command: Sequence[str], text: str = "") -> str:
        if text:
            said.append(text)
        return saved

    monkeypatch.setattr(xtables, "run", run)
    table = Xtables(4, "iptables-nft")
    table.load([])
    assert said == [], "nothing of ours, nothing to do"
    table.load([opening()])
    lines = said[0].splitlines()
    assert lines[0] == "*filter" and lines[1] == ":ipsec-fw-fwd - [0:0]" and lines[-1] == "COMMIT"
    assert len([line for line in lines if line.startswith("-A ipsec-fw-fwd ")]) == 2
    jump = '-m comment --comment "ipsec: leftfirewall, lefthostaccess" -j ipsec-fw-fwd'
    assert lines[-2] == f"-I FORWARD 1 {jump}"
    ours = "\n".join(line for line in lines if line.startswith("-A"))
    saved = f"*filter\n:ipsec-fw-fwd - [0:0]\n{ours}\n-A FORWARD {jump}\nCOMMIT\n"
    assert table.check([opening()]) and not table.check([]) and not table.check([opening(), opening("b")])
    said.clear()
    table.load([])
    assert said[0].splitlines()[1:-1] == [f"-D FORWARD {jump}", ":ipsec-fw-fwd - [0:0]", "-X ipsec-fw-fwd"]


def tools(*names: str) -> Callable[..., str | None]:
    return lambda name, path=None: f"/sbin/{name}" if name in names else None


def of_kind(kind: str) -> Callable[..., str]:
    """Every command is, as far as its name does not say."""

    def version(command: Sequence[str], text: str = "") -> str:
        assert command[1:] == ("-V",)
        if kind == "broken":
            raise HostError("it does not run")
        said = {"nft": " (nf_tables)", "legacy": " (legacy)"}.get(command[0].partition("-")[2] or kind, "")
        return f"{command[0]} v1.8.9{said}\n"

    return version


@pytest.fixture(autouse=True)
def _nothing_known() -> None:
    xtables._kind.cache_clear()


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("nft", ["iptables-nft", "", "ip6tables", ""]),
        ("legacy", ["iptables-nft", "iptables", "", "ip6tables"]),
        ("older than both", ["iptables-nft", "iptables", "", "ip6tables"]),
        ("broken", ["", "", "", ""]),
    ],
)
def test_the_plain_name_serves_the_kind_it_is_of(monkeypatch: pytest.MonkeyPatch, kind: str, wanted: list[str]) -> None:
    monkeypatch.setattr(xtables.shutil, "which", tools("iptables", "iptables-nft", "ip6tables"))
    monkeypatch.setattr(xtables, "run", of_kind(kind))
    assert [tool_of(version, each) for version in (4, 6) for each in ("nft", "legacy")] == wanted
    monkeypatch.setattr(xtables.shutil, "which", tools())
    assert tool_of(4, "nft") == ""


def test_the_older_kind_has_the_tables_the_kernel_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(nftables, "Path", lambda *parts: tmp_path / parts[-1])
    assert not legacy_loaded(4) and list(legacy_tables()) == []
    (tmp_path / "ip_tables_names").write_text("mangle\nnat\n")
    (tmp_path / "ip6_tables_names").write_text("filter\n")
    assert not legacy_loaded(4) and legacy_loaded(6)
    monkeypatch.setattr(xtables.shutil, "which", tools("ip6tables-legacy"))
    monkeypatch.setattr(xtables, "run", of_kind(""))
    assert [str(each) for each in legacy_tables()] == ["the table filter of ip6tables-legacy"]
    monkeypatch.setattr(xtables.shutil, "which", tools())
    (table,) = legacy_tables()
    table.load([])
    table.load([opening()])
    assert str(table) == "the table filter of ip6tables-legacy" and table.check([opening()]), "that is one of IPv4"
    (tmp_path / "ip_tables_names").write_text("filter\n")
    table, _ = legacy_tables()
    assert table.check([]) and not table.check([opening()])
    with pytest.raises(HostError, match="there is no such command here"):
        table.load([opening()])
