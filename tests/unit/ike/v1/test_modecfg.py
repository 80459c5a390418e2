# SPDX-License-Identifier: GPL-2.0-or-later
"""Mode Config from end to end: asked for and pushed, Cisco's attributes, and servers that say nonsense."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network, ip_address
from typing import Any

import pytest

from openswan.ike.effects import ChildEstablished, Forget, Send
from openswan.ike.events import CreateChild
from openswan.ike.v1 import modecfg
from openswan.ike.v1.effects import IsakmpEstablished
from openswan.ike.v1.states import State
from openswan.policy.modecfg import MOST_BANNER, MOST_DOMAINS, MOST_ROUTES, MOST_SERVERS, Assigned, ConfigRole
from openswan.wire.attribute import Attribute
from openswan.wire.v1.modecfg import Attributes
from openswan.wire.v1.numbers import CfgAttribute, CfgType, ExchangeType
from openswan.wire.v1.vendor import UNITY
from tests.unit.ike.v1.pair import Pair, net, policy, quick
from tests.unit.ike.v1.test_xauth import judge
from tests.unit.ike.v1.test_xauth import pair_of as with_xauth

A = CfgAttribute
ADDRESS = ip_address("10.9.0.5")
GIVEN = Assigned(
    (ADDRESS,), (ip_address("10.2.0.53"),), ("corp.example", "lab.example"), (ip_address("10.2.0.9"),),
    "Welcome.\nBehave.", (IPv4Network("10.2.0.0/16"), IPv4Network("10.3.0.0/24")),
)  # fmt: skip
PULL = pytest.mark.parametrize("pull", [True, False], ids=["pull", "push"])
ADDRESSES: dict[str, Any] = {"config": ConfigRole.CLIENT}


def pair_of(pull: bool = True, given: Assigned | None = GIVEN, a: dict[str, Any] | None = None, **b: Any) -> Pair:
    pair = Pair(
        policy(**{**ADDRESSES, "config_pull": pull, "unity": True, **(a or {})}),
        policy("@b", "@a", **{"config": ConfigRole.SERVER, "config_pull": pull, **b}),
    )
    pair.asked.assigned = given
    return pair


@PULL
def test_an_address_and_all_that_goes_with_it(pull: bool) -> None:
    pair = pair_of(pull)
    pair.up()
    assert pair.a.sa.assigned == GIVEN and pair.b.sa.granted == GIVEN
    assert UNITY in pair.a.sa.announced and UNITY in pair.b.sa.announced
    [question] = pair.asked.leases
    assert (str(question.peer_id), question.user, question.versions, question.wish) == ("@a", "", (4,), None)
    lines = pair.a.lines()
    assert {"received mode cfg reply", "setting client address to 10.9.0.5/32"} <= set(lines)
    assert {f"Received DNS {server}, len={len(str(server))}" for server in GIVEN.dns} <= set(lines)
    assert "Received subnet 10.2.0.0/255.255.0.0, maskbits 16" in lines
    assert "banner: Welcome." in lines
    assert len(pair.a.seen(IsakmpEstablished)) == len(pair.b.seen(IsakmpEstablished)) == 1


@PULL
def test_a_client_that_does_not_know_ciscos_attributes_gets_none(pull: bool) -> None:
    pair = pair_of(pull, a={"unity": False}).up()
    assert pair.a.sa.assigned == replace(GIVEN, domains=(), banner="", routes=())
    assert UNITY not in pair.a.sa.announced and UNITY not in pair.b.sa.announced


def test_the_same_address_again_when_it_is_wished_for() -> None:
    pair = pair_of(a={"wishes": (ADDRESS,)}).up()
    assert pair.asked.leases[0].wish == ADDRESS


@PULL
def test_quick_mode_is_for_the_address(pull: bool) -> None:
    pair = pair_of(pull)
    pair.asked.quick = [quick("10.2.0.0/16", "10.9.0.5/32")]
    pair.collect(pair.a, pair.a.sa.request(CreateChild(quick("0.0.0.0/0", virtual=True), 7), pair.now))
    pair.start().run()
    [child] = pair.a.seen(ChildEstablished)
    assert child.mine == (net("10.9.0.5/32"),)
    assert pair.asked.asked[0].assigned == (ADDRESS,) and pair.asked.asked[0].theirs == net("10.9.0.5/32")


@PULL
@pytest.mark.parametrize("lost", range(9))
def test_any_one_message_may_be_lost(pull: bool, lost: int) -> None:
    number = 0

    def bend(sent: Send) -> list[Send]:
        nonlocal number
        number += 1
        return [] if number - 1 == lost else [sent]

    pair = pair_of(pull)
    pair.bend = bend
    pair.start().run()
    for _ in range(8):
        if pair.due() is not None and not (pair.a.sa.is_established and pair.b.sa.is_established):
            pair.tick().run()
    assert pair.a.sa.is_established and pair.b.sa.is_established
    assert pair.a.sa.assigned is not None and pair.a.sa.assigned.addresses == (ADDRESS,)
    assert len(pair.asked.leases) == 1


def test_ends_that_differ_about_who_begins() -> None:
    """A client that asks a server that would push, and one that waits for a server that would be asked."""
    pair = pair_of(True, config_pull=False).up()
    assert pair.a.sa.assigned is not None and pair.a.sa.assigned.addresses == (ADDRESS,)
    pair = pair_of(False, config_pull=True)
    pair.start().run()
    assert pair.a.sa.state is State.MODE_CFG_I1 and pair.b.sa.is_established
    pair.later(100)
    assert pair.a.seen(Forget) and pair.b.seen(Forget)
    assert "STATE_MODE_CFG_I1: the peer does not go on" in pair.a.lines()


def test_a_question_that_comes_before_the_acknowledgement_of_xauth() -> None:
    """The client goes on at once, and its messages overtake each other."""
    pair = with_xauth(a={"config": ConfigRole.CLIENT}, b={"config": ConfigRole.SERVER})
    pair.asked.assigned = GIVEN
    pair.start().run()
    swaps = 0

    def swapped() -> Pair:
        nonlocal swaps
        while pair.wire:
            if len(pair.wire) > 1 and pair.wire[0][0] is pair.a and pair.wire[1][0] is pair.a:
                pair.wire[0], pair.wire[1] = pair.wire[1], pair.wire[0]
                swaps += 1
            pair.deliver(*pair.wire.pop(0))
        return pair

    pair.run = swapped  # type: ignore[method-assign]
    judge(pair, pair.b)
    assert swaps and pair.a.sa.is_established and pair.b.sa.is_established
    assert pair.a.sa.assigned is not None and pair.a.sa.assigned.addresses == (ADDRESS,)


@PULL
def test_no_address_is_left(pull: bool) -> None:
    pair = pair_of(pull, None)
    pair.start().run()
    assert "no address is left" in pair.b.lines()
    assert pair.a.seen(Forget) and not pair.a.seen(IsakmpEstablished)


def learned(*attributes: Attribute, kind: CfgType = CfgType.SET) -> Pair:
    """What comes of it when a server pushes that."""
    pair = pair_of(False)
    pair.bend = lambda sent: [] if sent.data[18] == ExchangeType.TRANSACTION else [sent]
    pair.start().run()
    pair.forge(pair.a, [Attributes(kind, 9, attributes)], 0x77, exchange=ExchangeType.TRANSACTION)
    return pair


GOOD = Attribute(A.INTERNAL_IP4_ADDRESS, ADDRESS.packed)


@pytest.mark.parametrize(
    "address", [b"", b"\0" * 4, b"\xff" * 4, b"\x7f\0\0\1", b"\xe0\0\0\1", b"\xa9\xfe\0\1", b"\1\2\3", b"\1\2\3\4\5",
                bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])]
)  # fmt: skip
def test_addresses_that_are_none(address: bytes) -> None:
    pair = learned(Attribute(A.INTERNAL_IP4_ADDRESS, address))
    assert pair.a.seen(Forget) and not pair.a.seen(IsakmpEstablished)


def test_a_server_that_says_too_much() -> None:
    """CVE-2010-3302, CVE-2010-3308: many servers, names with quotes, banners of 60,000 octets."""
    pair = learned(
        GOOD,
        *(Attribute(A.INTERNAL_IP4_DNS, bytes([10, 0, 0, n])) for n in range(64)),
        *(Attribute(A.INTERNAL_IP4_NBNS, bytes([10, 0, 1, n])) for n in range(64)),
        Attribute(A.UNITY_DEF_DOMAIN, b"a';touch /tmp/x;'"),
        Attribute(A.UNITY_SPLITDNS_NAME, b"`reboot`.example"),
        *(Attribute(A.UNITY_SPLITDNS_NAME, f"n{n}.example".encode()) for n in range(60)),
        Attribute(A.UNITY_BANNER, b"ok\n'\"`$(reboot)`\0\x1b[2J" + b"x" * 60000),
        Attribute(A.UNITY_SPLIT_INCLUDE, b"".join(bytes([10, n, 0, 0, 255, 255, 0, 0]) + bytes(6) for n in range(200))),
    )
    got = pair.a.sa.assigned
    assert got is not None and got.addresses == (ADDRESS,)
    assert (len(got.dns), len(got.wins)) == (MOST_SERVERS, MOST_SERVERS)
    assert len(got.domains) <= MOST_DOMAINS and all("'" not in name and "`" not in name for name in got.domains)
    assert len(got.routes) == MOST_ROUTES and len(got.banner) <= MOST_BANNER
    assert all(line.isprintable() for line in pair.a.lines())
    assert pair.a.sa.is_established


def test_networks_that_are_none() -> None:
    holes = b"\x0a\0\0\0\xff\0\xff\0" + bytes(6)
    pair = learned(GOOD, Attribute(A.UNITY_SPLIT_INCLUDE, holes + b"\x0a\2\0\0\xff\xff\0\0" + bytes(6) + b"short"))
    assert pair.a.sa.assigned is not None and pair.a.sa.assigned.routes == (IPv4Network("10.2.0.0/16"),)


def test_what_nobody_asked_for_changes_nothing() -> None:
    pair = Pair().up()
    for number, kind in enumerate((CfgType.SET, CfgType.REPLY, CfgType.ACK, CfgType.REQUEST)):
        said = Attributes(kind, 9, (GOOD,))
        pair.forge(pair.a, [said], 0x100 + number, exchange=ExchangeType.TRANSACTION)
        pair.forge(pair.b, [said], 0x200 + number, exchange=ExchangeType.TRANSACTION)
    for end in (pair.a, pair.b):
        assert end.sa.is_established and end.sa.assigned is None and end.sa.granted is None
        assert len(end.seen(IsakmpEstablished)) == 1
    assert not pair.asked.leases


def test_two_families() -> None:
    six = ip_address("2001:db8:9::5")
    both = Assigned((ADDRESS, six), (ip_address("2001:db8::53"),))
    pair = pair_of(True, both, {"ask_addresses": (4, 6)}, assigns=(4, 6)).up()
    assert pair.a.sa.assigned == both
    assert modecfg._address(six.packed + b"\x80", 6) == six and modecfg._address(six.packed[:-1], 6) is None
