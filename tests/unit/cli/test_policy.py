# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec policy`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from openswan.cli.policy import kernel_lines, main

LISTING = """\
src 10.1.0.0/24 dst 10.2.0.0/24 proto tcp sport 80
\tdir out priority 2344 ptype main
\ttmpl src 192.0.2.1 dst 192.0.2.2
\t\tproto esp reqid 1 mode tunnel
src 0.0.0.0/0 dst 10.9.0.0/24
\tdir in action block priority 1
src 0.0.0.0/0 dst 0.0.0.0/0
\tsocket in priority 0
"""
EROUTE = {"src": "10.1.0.0/24", "src_port": 0, "protocol": 6, "dst": "10.2.0.0/24", "dst_port": 80, "owner": "net"}


def test_policies_of_a_kernel() -> None:
    assert list(kernel_lines(LISTING)) == [
        ("out", "10.1.0.0/24 -> 10.2.0.0/24 proto tcp => esp/tunnel@192.0.2.1->192.0.2.2"),
        ("in", "0.0.0.0/0 -> 10.9.0.0/24 proto any => %drop"),
    ]


def test_policies_of_this_engine(pluto: Any, capsys: pytest.CaptureFixture[str]) -> None:
    child = {"remote": ["10.2.0.0/24"], "local": ["10.1.0.0/24"], "mode": "tunnel", "in": "esp.1@192.0.2.1"}
    pluto.answers["eroute"] = [f"000 {json.dumps([{**EROUTE, 'target': '%trap'}])}"]
    pluto.answers["status"] = [f"000 {json.dumps({'child_sas': [{**child, 'connection': 'net'}]})}"]
    assert main([]) == 0
    assert capsys.readouterr().out.splitlines() == [
        'out 10.1.0.0/24 -> 10.2.0.0/24 proto 6 ports 0->80 => %trap ("net")',
        'in  10.2.0.0/24 -> 10.1.0.0/24 tunnel => esp.1@192.0.2.1 ("net")',
    ]
    assert main(["--inbound"]) == 0
    assert capsys.readouterr().out.startswith("in ")
    assert main(["--detect-stack"]) == 0
    assert capsys.readouterr().out == "klips\n"


def test_a_saved_listing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "saved").write_text(LISTING)
    assert main(["--read", str(tmp_path / "saved"), "--outbound"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert main(["--read", str(tmp_path / "none")]) == 1
    assert "No such file" in capsys.readouterr().err
    assert main(["--stack", "mast"]) == 2
