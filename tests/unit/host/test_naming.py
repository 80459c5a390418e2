# SPDX-License-Identifier: GPL-2.0-or-later
"""Names looked up by commands."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from openswan.base.errors import HostError
from openswan.engine.oeevents import Verdict
from openswan.host.naming import addresses_of, published, records
from openswan.policy.dnsanswer import DnsStatus


def test_addresses_and_names_of_the_hosts_file(tmp_path: Path) -> None:
    hosts, resolv = tmp_path / "hosts", tmp_path / "resolv.conf"
    hosts.write_text("192.0.2.1 gw\n2001:db8::1 gw\n")
    assert addresses_of("192.0.2.9") == [ip_address("192.0.2.9")]
    assert addresses_of("gw", 6, hosts, resolv) == [ip_address("2001:db8::1")]
    assert len(addresses_of("gw", 0, hosts, resolv)) == 2
    with pytest.raises(HostError, match="is no IPv6 address"):
        addresses_of("192.0.2.9", 6)


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
