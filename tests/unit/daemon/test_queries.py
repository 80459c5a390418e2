# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables over the control socket."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from openswan.base.address import Address
from openswan.base.drops import Drop
from openswan.base.errors import HostError
from openswan.base.numbers import IpProtocol
from openswan.base.said import Said, Shunt
from openswan.daemon.queries import Queries
from openswan.plane.commands import Direction
from openswan.plane.events import DeviceView, ErouteView, SaView
from openswan.policy.selector import FlowKey

PEER = ip_address("192.0.2.2")
SAID = Said(IpProtocol.ESP, 0x1234, PEER)
KEY = FlowKey(ip_network("10.1.0.0/24"), ip_network("10.2.0.0/24"))


class Engine:
    """Tables of one row each."""

    def sas(self) -> list[SaView]:
        return [
            SaView(
                SAID, ip_address("192.0.2.1"), Direction.OUT, "aes_gcm_16", "", 256, False, 128, None, "ipsec0", "x", 2,
                7, 700, 7, 0, 0, 0, 12.5, 0.5,
            )
        ]  # fmt: skip

    def eroutes(self) -> list[ErouteView]:
        return [
            ErouteView(KEY, SAID, "ipsec0", "x", 2, 7, 0.5, 0),
            ErouteView(KEY.reversed(), Shunt.TRAP, "ipsec0", "y", 0, 0, -1, 0),
        ]

    def devices(self) -> list[DeviceView]:
        return [DeviceView("ipsec0", "eth0", 1500, 1500, 1, 2)]

    def drops(self) -> dict[Drop, int]:
        return {Drop.REPLAY: 3, Drop.NO_SA: 0}


def explain(src: Address, dst: Address, protocol: int, port: int) -> tuple[list[str], Any]:
    if port == 9:
        raise HostError("no route from here")
    return [f"{src} to {dst}", f"{protocol}/{port}"], {"src": str(src)}


QUERIES = Queries(Engine(), explain, {"guard": lambda: {"out4": 5, "in4": 0}})


def text(verb: str, **arguments: Any) -> list[tuple[int, str]]:
    return list(QUERIES.answer(verb, arguments))


def data(verb: str, **arguments: Any) -> Any:
    ((code, line),) = QUERIES.answer(verb, {"json": True, **arguments})
    assert code == 0
    return json.loads(line)


def test_which_requests_are_ours() -> None:
    for verb in ("eroute", "spi", "spigrp", "tncfg", "counters", "match"):
        assert QUERIES.knows(verb)
    for verb in ("status", "initiate", ""):
        assert not QUERIES.knows(verb)


def test_eroutes() -> None:
    assert text("eroute") == [
        (0, "7          10.1.0.0/24        -> 10.2.0.0/24        => esp0x1234@192.0.2.2"),
        (0, "0          10.2.0.0/24        -> 10.1.0.0/24        => %trap"),
    ]
    assert [row["target"] for row in data("eroute")] == ["esp0x1234@192.0.2.2", "%trap"]


def test_sas_devices_and_groups() -> None:
    ((_, line),) = text("spi")
    assert line.startswith("esp0x1234@192.0.2.2 ESP_AES_GCM_16: dir=out src=192.0.2.1")
    assert data("spi")[0]["packets"] == 7
    assert text("spigrp") == [(0, "esp0x1234@192.0.2.2")]
    assert text("tncfg") == [(0, "ipsec0 -> eth0 mtu=1500(1500) -> 1500")]
    assert data("tncfg")[0]["physical"] == "eth0"


def test_counters_leave_zeros_to_programs() -> None:
    assert text("counters") == [(0, "3          engine replay"), (0, "5          guard out4")]
    assert data("counters") == {"engine": {"replay": 3, "no_sa": 0}, "guard": {"out4": 5, "in4": 0}}


def test_match() -> None:
    asked = {"src": "10.1.0.5", "dst": "10.2.0.5", "protocol": 6, "port": 443}
    assert text("match", **asked) == [(0, "10.1.0.5 to 10.2.0.5"), (0, "6/443")]
    assert data("match", **asked) == {"src": "10.1.0.5"}
    assert text("match", **{**asked, "port": 9}) == [(1, "no route from here")]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"src": "x"}, "'x' is not a numeric IP address"),
        ({"src": None}, "match needs an address as src"),
        ({"dst": "2001:db8::1"}, "10.1.0.5 and 2001:db8::1 are of different families"),
        ({"protocol": 256}, "match: protocol is not a number from 0 to 255"),
        ({"port": True}, "match: port is not a number from 0 to 65535"),
        ({"port": "1"}, "match: port is not a number from 0 to 65535"),
    ],
)
def test_match_with_words_that_make_no_sense(change: dict[str, Any], complaint: str) -> None:
    assert text("match", **{"src": "10.1.0.5", "dst": "10.2.0.5", **change}) == [(1, complaint)]
