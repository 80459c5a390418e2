# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec trafficstatus`, `shuntstatus`, `connectionstatus`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openswan.cli.statusviews import main, shunt_line, traffic_line, traffic_rows

STATE = {
    "connections": [{"name": "net"}, {"name": "sites/1x2"}],
    "ike_sas": [{"serial": 1, "peer_id": "@east"}],
    "child_sas": [{"serial": 2, "connection": "net", "ike": 1, "protocol": "esp", "age": 100.0}],
}
NO_LIFE = {"soft_bytes": 0, "hard_bytes": 0, "soft_packets": 0, "hard_packets": 0}
SAS = [
    {"serial": 2, "direction": "in", "octets": 84, "life": NO_LIFE},
    {"serial": 2, "direction": "out", "octets": 168, "life": {**NO_LIFE, "hard_bytes": 1000}},
    {"serial": 2, "direction": "out", "octets": 100, "life": NO_LIFE},
]
EROUTE = {"src": "10.1.1.5/32", "src_port": 0, "protocol": 0, "dst": "203.0.113.4/32", "dst_port": 0}


def test_traffic_of_an_sa() -> None:
    (row,) = traffic_rows(STATE, SAS, 1100.0)
    assert traffic_line(row) == (
        "#2: \"net\", type=ESP, add_time=1000, inBytes=84, outBytes=168, maxBytes=1000B, id='@east'"
    )
    (row,) = traffic_rows({**STATE, "ike_sas": []}, [], 1100.0)
    assert traffic_line(row).endswith("inBytes=0, outBytes=0, maxBytes=2^63B, id='(none)'")


def test_trafficstatus(pluto: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pluto.answers = {"status": [f"000 {json.dumps(STATE)}"], "spi": [f"000 {json.dumps(SAS)}"]}
    assert main(["trafficstatus"]) == 0
    assert capsys.readouterr().out.startswith('006 #2: "net", type=ESP')
    assert main(["trafficstatus", "sites"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["trafficstatus", "none"]) == 21
    assert capsys.readouterr().out == '021 no connection named "none"\n'
    assert main(["trafficstatus", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["in_bytes"] == 84


def test_shuntstatus(pluto: Any, capsys: pytest.CaptureFixture[str]) -> None:
    held = {**EROUTE, "target": "%hold", "owner": "oe", "idle": 14.7}
    assert shunt_line(held) == "10.1.1.5/32:0 -0-> 203.0.113.4/32:0 => %hold 0    oe    (14s)"
    pluto.answers["eroute"] = [f"000 {json.dumps([held, {**held, 'target': 'esp0x1@192.0.2.1'}])}"]
    assert main(["shuntstatus"]) == 0
    assert capsys.readouterr().out.splitlines() == ["000 Bare Shunt list:", "000 ", f"000 {shunt_line(held)}"]
    assert main(["shuntstatus", "x"]) == 2


def test_connectionstatus(pluto: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pluto.answers["status"] = ["000 using", '000 "net": a', '000 "sites/1x2"[3] 192.0.2.1: b', '000 #2: "net":500 c']
    assert main(["connectionstatus"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert main(["connectionstatus", "sites"]) == 0
    assert capsys.readouterr().out == '000 "sites/1x2"[3] 192.0.2.1: b\n'
    assert main(["connectionstatus", "site"]) == 21


def test_without_a_daemon(places: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trafficstatus"]) == 1
    assert "Pluto is not running" in capsys.readouterr().err
