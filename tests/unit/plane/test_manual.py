# SPDX-License-Identifier: GPL-2.0-or-later
"""Plans of manually keyed conns: made, sent, refused, shown."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from openswan.base.errors import ConfigError
from openswan.base.said import parse_said
from openswan.plane.commands import Mode
from openswan.plane.manual import ManualPlan, command_line, make_plan, plain_to_plan, plan_to_plain, undone
from openswan.plane.orders import Change, ClearSas, DropSa, ErouteOrder, Group, NewSa
from openswan.policy.manual import ManualConn, ManualEnd, ManualSa

ESP = ManualSa("esp", 0x204, "aes_cbc", bytes(16), "hmac_sha1_96", bytes(20), 64)
AH = ManualSa("ah", 0x202, "", b"", "hmac_md5_96", bytes(16), 64)
LEFT = ManualEnd(ip_address("192.0.2.1"), ip_network("10.1.0.0/24"), None, "mine", (replace(ESP, spi=0x205),))
RIGHT = ManualEnd(ip_address("192.0.2.2"), ip_network("10.2.0.0/24"), ip_address("192.0.2.9"), "theirs", (ESP,))
CONN = ManualConn("net", LEFT, RIGHT, metric=3, mtu=1400)


def plan(conn: ManualConn = CONN, **more: Any) -> ManualPlan:
    return make_plan(conn, [ip_address("192.0.2.1")], **more)


def test_a_tunnel() -> None:
    made = plan()
    assert (str(made.me), str(made.peer), made.updown, made.metric, made.mtu) == (
        "192.0.2.1", "192.0.2.2", "mine", 3, 1400,
    )  # fmt: skip
    out, inn, policy, eroute = made.orders
    assert isinstance(out, NewSa) and isinstance(inn, NewSa)
    assert str(out.said) == "esp.204@192.0.2.2" and str(inn.said) == "esp.205@192.0.2.1"
    assert out.mode is inn.mode is Mode.TUNNEL and str(inn.src) == "192.0.2.2"
    assert policy == ErouteOrder(Change.ADD_IN, made.flow.reversed(), inn.said)
    assert eroute == ErouteOrder(Change.ADD, made.flow, out.said)
    far = plan(other=True)
    assert far.me == made.peer and str(far.nexthop) == "192.0.2.9" and far.flow == made.flow.reversed()


def test_esp_and_ah_make_groups() -> None:
    both = replace(
        CONN,
        left=replace(LEFT, sas=(*LEFT.sas, replace(AH, spi=0x203))),
        right=replace(RIGHT, sas=(ESP, AH)),
        tunnel=False,
    )
    made = plan(both)
    groups = [order for order in made.orders if isinstance(order, Group)]
    assert [[str(said) for said in group.saids] for group in groups] == [
        ["esp.204@192.0.2.2", "ah.202@192.0.2.2"],
        ["esp.205@192.0.2.1", "ah.203@192.0.2.1"],
    ]
    assert {sa.mode for sa in made.sas} == {Mode.TRANSPORT}
    assert [sa.mode for sa in plan(replace(both, tunnel=True)).sas[:2]] == [Mode.TUNNEL, Mode.TRANSPORT]


def test_there_and_back() -> None:
    for made in (plan(), plan(other=True)):
        assert plain_to_plan(json.loads(json.dumps(plan_to_plain(made)))) == made


def with_sa(**more: Any) -> ManualPlan:
    made = plan()
    first = made.orders[0]
    assert isinstance(first, NewSa)
    return replace(made, orders=(replace(first, **more), *made.orders[1:]))


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (with_sa(said=parse_said("esp.1000@192.0.2.2")), "SPI 0x1000 is not for manual keying: 0x100 to 0xfff are"),
        (
            with_sa(cipher="aes_gcm_16", integ="", enc_key=bytes(20), auth_key=b"", fresh=True),
            "aes_gcm_16 is refused for manual keying: the keys of a configuration file are used again",
        ),
        (with_sa(esn=True, fresh=True), "extended sequence numbers are refused for manual keying"),
        (with_sa(fresh=True), "never fresh"),
        (replace(plan(), orders=()), "0 orders"),
        (replace(plan(), orders=(ClearSas(),)), "ClearSas is no part of a conn"),
        (replace(plan(), name="a b"), "a conn's name is wanted"),
        (replace(plan(), mtu=-1), "not negative"),
    ],
)
def test_the_daemon_refuses(made: ManualPlan, why: str) -> None:
    with pytest.raises(ConfigError) as error:
        plain_to_plan(plan_to_plain(made))
    assert why in error.value.reason


def test_requests_of_others() -> None:
    good = plan_to_plain(plan())
    for plain in (
        None,
        {},
        {**good, "me": "x"},
        {**good, "orders": ["x"]},
        {**good, "tunnel": 1},
        {**good, "mtu": True},
    ):
        with pytest.raises(ConfigError):
            plain_to_plan(plain)


def test_what_takes_orders_back() -> None:
    out, _, policy, eroute = plan().orders
    assert isinstance(out, NewSa) and isinstance(eroute, ErouteOrder)
    assert undone(out) == DropSa(out.said) and undone(policy) is None
    assert undone(eroute) == ErouteOrder(Change.DELETE, eroute.flow)


def test_as_commands() -> None:
    out, _, policy, eroute = plan().orders
    line = " ".join(command_line(out))
    assert line == (
        "ipsec spi --said esp.204@192.0.2.2 --src 192.0.2.1 --esp aes_cbc-hmac_sha1_96 --enckey KEY --authkey KEY"
        " --mode tunnel --replay_window 64"
    )
    assert "0x" + "00" * 16 in command_line(out, secret=False)
    assert command_line(policy)[2] == "--addin" and command_line(eroute)[-1] == "esp.204@192.0.2.2"
    ah: Any = parse_said("ah.202@192.0.2.2")
    assert command_line(NewSa(ah, integ="hmac_md5_96", auth_key=bytes(16)))[4:6] == ["--ah", "hmac_md5_96"]
    assert command_line(DropSa(ah))[-1] == "--del" and command_line(Group((ah,)))[1] == "spigrp"
    comp: Any = parse_said("comp.2@192.0.2.2")
    assert command_line(NewSa(comp, cipher="deflate"))[-1] == "deflate"
    with pytest.raises(ValueError, match="no command line"):
        command_line(ClearSas())
