# SPDX-License-Identifier: GPL-2.0-or-later
"""Names looked up by commands."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from openswan.base.errors import HostError
from openswan.base.marks import DEFAULT_MARKS
from openswan.host.naming import addresses_of


def test_addresses_and_names_of_the_hosts_file(tmp_path: Path) -> None:
    hosts, resolv = tmp_path / "hosts", tmp_path / "resolv.conf"
    hosts.write_text("192.0.2.1 gw\n2001:db8::1 gw\n")
    assert addresses_of("192.0.2.9", marks=DEFAULT_MARKS) == [ip_address("192.0.2.9")]
    assert addresses_of("gw", 6, hosts, resolv, marks=DEFAULT_MARKS) == [ip_address("2001:db8::1")]
    assert len(addresses_of("gw", 0, hosts, resolv, marks=DEFAULT_MARKS)) == 2
    with pytest.raises(HostError, match="is no IPv6 address"):
        addresses_of("192.0.2.9", 6, marks=DEFAULT_MARKS)
