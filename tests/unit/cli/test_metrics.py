# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec metrics`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from openswan.base.errors import HostError
from openswan.cli import metrics
from openswan.cli.metrics import State, ask, families

STATUS: dict[str, Any] = {
    "version": 1,
    "listening": True,
    "connections": [
        {"name": "net", "instance": 0, "routing": "erouted", "wanted": True, "peer": "192.0.2.2"},
        {"name": "other", "instance": 0, "routing": "unrouted", "wanted": False, "peer": None},
        {"name": "rw", "instance": 2, "routing": "erouted", "wanted": False, "peer": "192.0.2.9"},
    ],
    "ike_sas": [{"established": True}, {"established": False}],
    "child_sas": [{"connection": "net", "serial": 2, "age": 100.0}],
    "interception": {"how": "by NFQUEUE", "held": 12, "dropped": 0, "overflows": 0},
    "pools": [{"first": "10.9.0.1", "last": "10.9.0.10", "size": 10, "in_use": 3}],
}
SA = {"owner": "net", "serial": 2, "spi": 0x1234, "packets": 7, "octets": 700, "replays": 0, "auth_failures": 1,
      "selector_failures": 0}  # fmt: skip
ANSWERS: dict[str, Any] = {
    "status": STATUS,
    "spi": [{**SA, "direction": "in"}, {**SA, "direction": "out", "spi": 0x5678}],
    "eroute": [{"target": "%trap", "held": 2}, {"target": "tun0x5678@192.0.2.2", "held": 0}],
    "tncfg": [{"name": "ipsec0", "rx_packets": 5, "tx_packets": 6}],
    "counters": {"engine": {"no_sa": 3}, "guard": {"out": 0}},
    "events": {"counts": {"child-established": 4}, "lines": []},
}


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    def request(verb: str, **arguments: Any) -> Iterator[tuple[int, str]]:
        yield 0, json.dumps(ANSWERS[verb])

    monkeypatch.setattr(metrics, "request", request)


def samples(state: State) -> dict[str, float]:
    found = {}
    for family in families(state):
        for sample in family.samples:
            labels = ",".join(sample.labels.values())
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_what_is_told(daemon: None) -> None:
    found = samples(ask())
    assert found["openswan_up{}"] == found["openswan_listening{}"] == 1
    assert found["openswan_connection_up{net}"] == 1 and found["openswan_connection_up{other}"] == 0
    assert "openswan_connection_up{rw}" not in found
    assert found["openswan_ike_sas{yes}"] == found["openswan_ike_sas{no}"] == found["openswan_child_sas{}"] == 1
    assert found["openswan_sa_octets_total{net,2,in,0x00001234}"] == 700
    assert found["openswan_sa_auth_failures_total{net,2,out,0x00005678}"] == 1
    assert found["openswan_eroutes{%trap}"] == found["openswan_eroutes{sa}"] == 1
    assert found["openswan_held_packets{}"] == 2 and found["openswan_interface_packets_total{ipsec0,out}"] == 6
    assert found["openswan_drops_total{engine,no_sa}"] == 3 and found["openswan_events_total{child-established}"] == 4
    assert found["openswan_queued_packets{}"] == 12
    assert found["openswan_pool_addresses{10.9.0.1-10.9.0.10,free}"] == 7


def test_it_is_openmetrics(daemon: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert metrics.main([]) == 0
    text = capsys.readouterr().out
    assert text.endswith("# EOF\n")
    names = {family.name for family in text_string_to_metric_families(text)}
    assert {"openswan_up", "openswan_drops", "openswan_events", "openswan_build"} <= names


def test_no_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    def request(verb: str, **arguments: Any) -> Iterator[tuple[int, str]]:
        raise HostError("Pluto is not running")

    monkeypatch.setattr(metrics, "request", request)
    assert samples(ask()) == {"openswan_up{}": 0.0} and not ask().alive


def test_into_a_file(daemon: None, tmp_path: Path) -> None:
    path = tmp_path / "openswan.prom"
    assert metrics.main(["--textfile", str(path)]) == 0
    assert "openswan_up 1.0\n" in path.read_text() and path.stat().st_mode & 0o777 == 0o644
    assert metrics.main(["--textfile", str(tmp_path / "none/x")]) == 1


def test_serving(daemon: None, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(metrics, "serve", lambda address, port, registry: seen.append((address, port)))
    for text in ("9100", "10.0.0.1:9100", "[::1]:9100"):
        assert metrics.main(["--listen", text]) == 0
    assert seen == [("127.0.0.1", 9100), ("10.0.0.1", 9100), ("::1", 9100)]


@pytest.mark.parametrize(
    "argv", [["--listen", "x"], ["--listen", "70000"], ["--listen", "1", "--textfile", "x"], ["y"]]
)
def test_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert metrics.main(argv) == 2
    assert "Usage: ipsec metrics" in capsys.readouterr().err
