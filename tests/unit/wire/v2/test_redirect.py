# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v2.redirect promises."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from openswan.base.errors import WireError
from openswan.wire.v2.redirect import Redirect

NONCE = bytes(range(32))


@pytest.mark.parametrize(
    ("redirect", "octets"),
    [
        (Redirect(ip_address("192.0.2.7")), "0104c0000207"),
        (Redirect(ip_address("2001:db8::7"), b"\1\2"), "021020010db80000000000000000000000070102"),
        (Redirect("gw.example.org"), "030e" + b"gw.example.org".hex()),
        (Redirect("a" * 255, bytes(256)), "03ff" + "61" * 255 + "00" * 256),
    ],
)
def test_the_octets_are_where_the_drawing_says(redirect: Redirect, octets: str) -> None:
    assert redirect.emit() == bytes.fromhex(octets)
    assert Redirect.parse(redirect.emit()) == redirect


@pytest.mark.parametrize("redirect", [Redirect(ip_address("192.0.2.7")), Redirect("gw.example.org")])
def test_cut_at_every_octet(redirect: Redirect) -> None:
    data = redirect.emit()
    for size in range(len(data)):
        with pytest.raises(WireError):
            Redirect.parse(data[:size])


@pytest.mark.parametrize(
    "octets",
    ["0105c000020700", "0210c0000207", "0004c0000207", "0404c0000207", "0300", "0301 20", "0301 00", "0301 80"],
)
def test_what_is_no_gateway(octets: str) -> None:
    with pytest.raises(WireError):
        Redirect.parse(bytes.fromhex(octets))


def test_a_nonce_longer_than_any() -> None:
    with pytest.raises(WireError, match="257 octets"):
        Redirect.parse(Redirect(ip_address("192.0.2.7"), bytes(257)).emit())
