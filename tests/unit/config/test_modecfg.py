# SPDX-License-Identifier: GPL-2.0-or-later
"""Keyword values about assigned addresses."""

from __future__ import annotations

import pytest

from openswan.base.errors import ConfigError
from openswan.config.modecfg import parse_domains, parse_families, parse_pools, parse_servers
from tests.unit.config.conn import errors, one


@pytest.mark.parametrize(
    ("text", "pools"),
    (
        ("10.0.0.10-10.0.0.100", "10.0.0.10-10.0.0.100"),
        ("10.0.0.10 - 10.0.0.100", "10.0.0.10-10.0.0.100"),
        ("10.0.0.0/24", "10.0.0.1-10.0.0.254"),
        ("10.0.0.4/31", "10.0.0.4-10.0.0.5"),
        ("10.0.0.7", "10.0.0.7-10.0.0.7"),
        ("10.0.0.0/24, 2001:db8::/120", "10.0.0.1-10.0.0.254 2001:db8::1-2001:db8::ff"),
    ),
)
def test_pools(text: str, pools: str) -> None:
    assert " ".join(map(str, parse_pools(text))) == pools


@pytest.mark.parametrize(
    ("text", "reason"),
    (
        ("", "empty"),
        ("10.0.0.9-10.0.0.1", "not a range"),
        ("10.0.0.1-2001:db8::1", "not a range"),
        ("10.0.0.1-10.0.0.9,10.0.0.9-10.0.0.20", "overlaps"),
        ("224.0.0.1-224.0.0.9", "no host can have"),
        ("pool.example", "not a numeric"),
        (",".join(f"10.0.{n}.0/24" for n in range(9)), "at most 8"),
    ),
)
def test_bad_pools(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        parse_pools(text)


def test_a_client_that_asks_for_an_address_and_has_a_subnet_of_one_is_given_that() -> None:
    for text, pool in (("10.9.2.209/32", "10.9.2.209-10.9.2.209"), ("2001:db8::7", "2001:db8::7-2001:db8::7")):
        left = one(f"leftmodecfgclient=yes;leftsubnet={text}").left
        assert (" ".join(map(str, left.pools)), left.subnet, left.ask_addresses) == (pool, None, (4, 6))
    for text in ("10.9.0.0/16", "10.9.2.209/32;leftaddresspool=10.9.3.0/24", "10.9.2.209/32;leftsourceip=%config"):
        assert any("exclude each other" in line for line in errors(f"leftmodecfgclient=yes;leftsubnet={text}"))


def test_families() -> None:
    assert parse_families("%config") == (4, 6) and parse_families("%CONFIG6") == (6,)
    assert parse_families("10.0.0.1") is None


def test_servers_and_domains() -> None:
    assert [str(s) for s in parse_servers("10.0.0.53,2001:db8::53 10.0.0.53")] == ["10.0.0.53", "2001:db8::53"]
    assert parse_domains("Corp.Example. lab.example,corp.example") == ("corp.example", "lab.example")
    for reader, text in (
        (parse_servers, "ns.example"),
        (parse_domains, "a;b"),
        (parse_servers, " ".join(f"10.0.0.{n}" for n in range(9))),
    ):
        with pytest.raises(ConfigError):
            reader(text)
    with pytest.raises(ConfigError, match="at most 64"):
        parse_domains(" ".join(f"d{n}.example" for n in range(65)))
