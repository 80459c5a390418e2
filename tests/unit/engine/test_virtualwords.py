# SPDX-License-Identifier: GPL-2.0-or-later
"""What is said of road warriors' clients that cannot be had."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest

from openswan.engine.conn import Conn
from openswan.engine.virtualwords import REJECTED, overlap, rejected
from openswan.policy.identity import parse_identity
from openswan.policy.selector import Selector
from openswan.policy.virtual import Virtual
from tests.sim.pair import tunnel


def client(text: str) -> Selector:
    return Selector.of(ip_network(text))


@pytest.mark.parametrize(
    ("taker", "holder", "who"),
    [
        (False, False, "neither agrees"),
        (True, False, "holder does not agree"),
        (False, True, "taker does not agree"),
    ],
)
def test_who_would_have_to_agree_to_overlap(taker: bool, holder: bool, who: str) -> None:
    one, other = (
        Conn(replace(tunnel(name)[0], overlap_ip=agrees)) for name, agrees in (("taker", taker), ("holder", holder))
    )
    other.peer_id = parse_identity("@rw1")
    assert overlap(client("10.9.1.0/24"), one, other, parse_identity("@rw3")) == (
        "Virtual IP 10.9.1.0/24 overlaps with connection \"holder\" (kind=CK_PERMANENT) '@rw1'",
        f"overlap is forbidden ({who} to overlap)",
        "Your ID is '@rw3'",
    )


@pytest.mark.parametrize(
    ("text", "networks", "why"),
    [
        ("192.168.1.1/32", False, ""),
        ("192.168.1.0/24", False, "only virtual host IPs are allowed"),
        ("192.168.1.0/24", True, ""),
        ("172.16.0.1/32", False, "did not match our list (virtual_private=)"),
        ("192.168.9.1/32", False, "did not match our list (virtual_private=)"),
    ],
)
def test_why_a_client_is_rejected(text: str, networks: bool, why: str) -> None:
    virtual = Virtual((ip_network("192.168.0.0/16"),), (ip_network("192.168.9.0/24"),), networks=networks)
    said = rejected(client(text), virtual)
    assert said == () if not why else (said[0] == REJECTED and said[1].startswith("  ") and said[1].endswith(why))
