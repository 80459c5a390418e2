# SPDX-License-Identifier: GPL-2.0-or-later
"""What a host has to say of itself: which addresses, which name, which key."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from openswan.cli.ownhost import MOST_ADDRESSES, own_host
from tests.netns.keys import pem
from tests.unit.cli.cardboard import Cardboard

KEY = ed25519.Ed25519PrivateKey.generate()


@pytest.fixture
def key(places: Path) -> Path:
    """A private key in `places`, and ipsec.secrets to name it by."""
    (places / "ipsec.d/private").mkdir(parents=True)
    (places / "ipsec.d/private/host.pem").touch(mode=0o600)
    (places / "ipsec.d/private/host.pem").write_bytes(pem(KEY))
    path = places / "ipsec.secrets"
    path.touch(mode=0o600)
    path.write_text(": RSA host.pem\n")
    return path


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        (["127.0.0.1", "10.0.0.1", "fe80::1"], ["10.0.0.1"]),
        (["10.0.0.1", "9.9.9.9", "2620:fe::fe"], ["9.9.9.9", "2620:fe::fe"]),
        ([f"9.9.9.{last}" for last in range(20)], [f"9.9.9.{last}" for last in range(MOST_ADDRESSES)]),
    ],
)
def test_public_addresses_if_there_are_any(places: Path, addresses: list[str], expected: list[str]) -> None:
    assert [str(each) for each in own_host(Cardboard(addresses=addresses), "gw.example.org").addresses] == expected


def test_an_address_that_is_asked_for_is_the_only_one(places: Path) -> None:
    assert own_host(Cardboard(), "gw", ip_address("192.0.2.1")).addresses == (ip_address("192.0.2.1"),)


@pytest.mark.parametrize(("name", "expected"), [("gw", ""), ("gw.example.org.", "gw.example.org")])
def test_a_name_without_a_domain_is_none(places: Path, name: str, expected: str) -> None:
    assert own_host(Cardboard(), name).name == expected


def test_its_key_and_records(key: Path) -> None:
    host = own_host(Cardboard(), "gw.example.org")
    assert host.key_of("gw.example.org") == host.key_of(host.addresses[0]) == KEY.public_key()
    assert [record.owner for record in host.records()] == ["1.0.0.10.in-addr.arpa", "gw.example.org"]


def test_a_key_for_the_host_name_serves_its_addresses(key: Path) -> None:
    key.write_text("gw.example.org : RSA host.pem\n")
    assert own_host(Cardboard(), "gw.example.org").key_of(ip_address("10.0.0.1")) == KEY.public_key()
    assert own_host(Cardboard(), "gw.example.net").key_of(ip_address("10.0.0.1")) is None


def test_without_a_key_there_is_nothing_to_publish(places: Path) -> None:
    host = own_host(Cardboard(), "gw.example.org")
    assert host.records() == () and host.complaints
