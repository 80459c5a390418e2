# SPDX-License-Identifier: GPL-2.0-or-later
"""Orders of the table commands: there and back, and what is refused."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from openswan.base.errors import ConfigError
from openswan.base.said import Shunt, parse_said
from openswan.plane.commands import Mode
from openswan.plane.orders import (
    FLAGS,
    KINDS,
    Change,
    ClearEroutes,
    ClearSas,
    Debug,
    DropSa,
    ErouteOrder,
    Group,
    Limits,
    NewSa,
    Order,
    Wire,
    Wiring,
    order_to_plain,
    plain_to_order,
)
from openswan.policy.selector import FlowKey


def said(text: str) -> Any:
    return parse_said(text)


ESP, ESP6 = said("esp.200@192.0.2.2"), said("esp:200@2001:db8::2")
FLOW = FlowKey(ip_network("10.1.0.0/24"), ip_network("10.2.0.0/24"))
CBC = NewSa(ESP, ip_address("192.0.2.1"), "aes_cbc", bytes(16), "hmac_sha1_96", bytes(range(20)))

ORDERS: list[Order] = [
    CBC,
    NewSa(
        ESP6,
        cipher="aes_gcm_16",
        enc_key=bytes(20),
        replay_window=0,
        mode=Mode.TUNNEL,
        esn=True,
        fresh=True,
        natt=(4500, 1),
        limits=Limits(hard_bytes=7),
        device="ipsec1",
    ),
    NewSa(said("ah.201@192.0.2.2"), None, "", b"", "hmac_md5_96", bytes(16)),
    NewSa(said("comp.2@192.0.2.2"), None, "deflate"),
    NewSa(said("tun.202@192.0.2.2"), ip_address("192.0.2.1")),
    DropSa(ESP),
    ClearSas(),
    Group((said("tun.202@192.0.2.2"), ESP)),
    ErouteOrder(Change.ADD, FLOW, ESP),
    ErouteOrder(Change.REPLACE, FlowKey(FLOW.src, FLOW.dst, 6, 80, 443), Shunt.PASS, "ipsec1"),
    ErouteOrder(Change.DELETE, FLOW),
    ErouteOrder(Change.ADD_IN, FLOW.reversed(), ESP),
    ClearEroutes(),
    Wire(Wiring.ATTACH, "ipsec1", "ppp0"),
    Wire(Wiring.CLEAR),
    Debug(FLAGS, ()),
]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: type(order).__name__)
def test_there_and_back(order: Order) -> None:
    order.check()
    plain = json.loads(json.dumps(order_to_plain(order)))
    assert plain_to_order(plain) == order


def test_every_kind_has_an_example() -> None:
    assert {type(order) for order in ORDERS} == set(KINDS.values())


def wrong(order: Order) -> str:
    with pytest.raises(ConfigError) as error:
        order.check()
    # The daemon says the same of what anybody else may send it.
    with pytest.raises(ConfigError) as again:
        plain_to_order(order_to_plain(order))
    assert again.value.reason == error.value.reason and "\n" not in error.value.reason
    return error.value.reason


KEYED: dict[str, Any] = {"cipher": "aes_cbc", "enc_key": bytes(16), "integ": "hmac_sha1_96", "auth_key": bytes(20)}
GCM: dict[str, Any] = {"cipher": "aes_gcm_16", "enc_key": bytes(20)}


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (NewSa(said("esp.ff@192.0.2.2"), **KEYED), "Illegal reserved spi: 0xff => 0xff Must be larger than 0x100."),
        (NewSa(said("comp.10000@192.0.2.2"), cipher="deflate"), "Illegal CPI: 0x10000"),
        (NewSa(ESP, ip_address("2001:db8::1"), **KEYED), "of different families"),
        (NewSa(ESP), "an ESP SA needs an algorithm"),
        (NewSa(ESP, **GCM), "--fresh-keys"),
        (NewSa(ESP, **KEYED, esn=True), "--fresh-keys"),
        (NewSa(ESP, cipher="aes_gcm_16", enc_key=bytes(5), fresh=True), "20 or 28 or 36 expected"),
        (NewSa(said("ah.200@192.0.2.2"), **KEYED), "needs an authentication algorithm and no other"),
        (NewSa(said("ah.200@192.0.2.2"), integ="aes_128_gmac", auth_key=bytes(20)), "--fresh-keys"),
        (NewSa(said("comp.2@192.0.2.2"), cipher="lzs"), "unknown compression 'lzs'"),
        (NewSa(said("comp.2@192.0.2.2"), cipher="deflate", enc_key=b"k"), "has no keys"),
        (NewSa(said("tun.200@192.0.2.2"), cipher="aes_cbc"), "has no algorithm"),
        (NewSa(said("int.200@192.0.2.2")), "is neither ah, esp, comp nor tun"),
        (NewSa(said("ah.200@192.0.2.2"), integ="hmac_md5_96", auth_key=bytes(16), natt=(1, 2)), "only ESP goes"),
        (Group(()), "0 SAs, a group has 1 to 4"),
        (Group((ESP, ESP)), "stands twice"),
        (Group((ESP, said("tun.200@192.0.2.2"))), "can only be the first"),
        (ErouteOrder(Change.ADD, FLOW), "an eroute needs --said"),
        (ErouteOrder(Change.ADD, FlowKey(FLOW.src, ip_network("::/0")), ESP), "different families"),
        (ErouteOrder(Change.ADD, FlowKey(FLOW.src, FLOW.dst, 0, 80), ESP), "a port needs --transport-proto"),
        (ErouteOrder(Change.ADD_IN, FLOW, Shunt.PASS), "names an SA, not a shunt"),
        (ErouteOrder(Change.ADD, FLOW, said("esp.ff@192.0.2.2")), "Illegal reserved spi"),
        (Wire(Wiring.ATTACH, "ipsec0"), "--attach needs --physical"),
        (Wire(Wiring.ATTACH, "ipsec0", "ipsec1"), "none of ours"),
        (Wire(Wiring.CREATE, "eth0"), "'eth0' is not a virtual interface"),
        (Wire(Wiring.CREATE), "'' cannot name an interface"),
        (Wire(Wiring.CREATE, "ipsec" + "1" * 20), "cannot name an interface"),
        (Wire(Wiring.ATTACH, "ipsec0", "../x"), "cannot name an interface"),
        (Debug(("foo",)), "unknown flag 'foo'"),
    ],
)
def test_what_makes_no_sense(order: Order, why: str) -> None:
    assert why in wrong(order)


@pytest.mark.parametrize(
    ("plain", "why"),
    [
        ({}, "klips request without a known order"),
        ({"do": ["spi-add"]}, "klips request without a known order"),
        ({"do": "spi-del"}, "spi-del: said is missing"),
        ({"do": "spi-del", "said": "%pass"}, "spi-del: said: %pass is not an SA"),
        ({"do": "spi-del", "said": 5}, "spi-del: said: a text is wanted"),
        ({"do": "spi-del", "said": str(ESP), "x": 1}, "spi-del: unknown argument 'x'"),
        ({"do": "spi-add", "said": str(ESP), "replay_window": 5000}, "a number from 0 to 4096 is wanted"),
        ({"do": "spi-add", "said": str(ESP), "esn": 1}, "true or false is wanted"),
        ({"do": "spi-add", "said": str(ESP), "mode": "beet"}, "one of tunnel, transport is wanted"),
        ({"do": "spi-add", "said": str(ESP), "natt": [1]}, "two ports are wanted"),
        ({"do": "spi-add", "said": str(ESP), "natt": [0, 1]}, "a number from 1 to 65535 is wanted"),
        ({"do": "spi-add", "said": str(ESP), "limits": []}, "limits are wanted"),
        ({"do": "spi-add", "said": str(ESP), "limits": {"soft_x": 1}}, "unknown limit 'soft_x'"),
        ({"do": "spigrp", "saids": "x"}, "a list is wanted"),
        ({"do": "eroute", "change": "add", "flow": [1]}, "source, destination, protocol and two ports are wanted"),
    ],
)
def test_requests_of_others(plain: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError) as error:
        plain_to_order(plain)
    assert why in error.value.reason


def test_no_key_is_ever_shown() -> None:
    assert "enc_key" not in repr(CBC) and "auth_key" not in repr(CBC)
    secret = "0x" + "5e" * 17
    with pytest.raises(ConfigError) as error:
        plain_to_order({"do": "spi-add", "said": str(ESP), "enc_key": secret + "zz"})
    assert "5e5e" not in error.value.reason
