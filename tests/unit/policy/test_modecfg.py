# SPDX-License-Identifier: GPL-2.0-or-later
"""Pools, what is assigned, and names that may be told a script."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from openswan.policy.modecfg import Assigned, Pool, is_domain


def test_a_pool_counts_and_holds_its_addresses() -> None:
    pool = Pool(ip_address("10.9.0.250"), ip_address("10.9.1.3"))
    assert pool.size == 10 and str(pool.at(9)) == "10.9.1.3" and pool.version == 4
    assert ip_address("10.9.1.0") in pool and ip_address("10.9.1.4") not in pool
    assert ip_address("::a09:1") not in pool
    six = Pool(ip_address("2001:db8::1"), ip_address("2001:db8::ffff:ffff"))
    assert str(six.at(0xFFFF)) == "2001:db8::1:0"
    assert str(pool) == "10.9.0.250-10.9.1.3"


def test_what_is_assigned_is_found_by_family() -> None:
    given = Assigned((ip_address("10.9.0.1"), ip_address("2001:db8::5")))
    assert str(given.address(6)) == "2001:db8::5" and given.address(4) == ip_address("10.9.0.1")
    assert Assigned().address(4) is None


@pytest.mark.parametrize("name", ("example", "corp.example", "xn--bcher-kva.example", "_tcp.example", "a" * 63))
def test_domains(name: str) -> None:
    assert is_domain(name)


@pytest.mark.parametrize(
    "name", ("", ".", "a..b", "a b", "$(reboot)", "a" * 64, "a." * 127 + "a", "-a", "a\n", "b\u00fccher")
)
def test_what_is_no_domain(name: str) -> None:
    assert not is_domain(name)
