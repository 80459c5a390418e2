# SPDX-License-Identifier: GPL-2.0-or-later
"""Records looked up by commands."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

from openswan.engine.oeevents import Verdict
from openswan.host.dnsrecords import published, records
from openswan.policy.dnsanswer import DnsStatus


def test_without_a_server_every_question_has_a_reason(tmp_path: Path) -> None:
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("# none\n")
    answers = records([("a.example", "TXT"), ("b.example", "A")], resolv)
    assert [answer.name for answer in answers] == ["a.example", "b.example"]
    assert all(answer.status is DnsStatus.FAILED and answer.reason for answer in answers)


def test_what_peers_would_learn_has_a_reason_too(tmp_path: Path) -> None:
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("# none\n")
    ([(learned, complaints)], [keys]) = published([ip_address("192.0.2.1")], ["gw.example.org"], resolv)
    assert (learned.verdict, learned.destination, complaints) == (Verdict.FAILED, ip_address("192.0.2.1"), ())
    assert keys.status is DnsStatus.FAILED and keys.reason
