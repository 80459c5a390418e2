# SPDX-License-Identifier: GPL-2.0-or-later
"""Configuration payloads: asked for, granted, refused, and what a strange server says is not taken."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from openswan.base.address import Address
from openswan.base.errors import IkeError
from openswan.ike.effects import ChildEstablished, RequestFailed
from openswan.ike.events import CreateChild, RekeyIke
from openswan.ike.policy import AddressQuestion
from openswan.policy.modecfg import Assigned
from openswan.policy.selector import Selector
from openswan.wire.v2.cp import Cp, CpAttribute
from openswan.wire.v2.numbers import CfgAttribute, CfgType, NotifyType
from tests.unit.ike.pair import Pair, child_policy, ike_policy, mirrored

A = CfgAttribute
LEASE, LEASE6 = ip_address("10.9.0.7"), ip_address("2001:db8:9::7")
EVERYTHING = Selector.of(ip_network("0.0.0.0/0"))
HOST = Selector.of(ip_network("10.9.0.7/32"))
GIVEN = Assigned((LEASE, LEASE6), (ip_address("10.2.0.53"),), ("corp.example",))


def make(given: Assigned | None = GIVEN, wishes: tuple[Address, ...] = (), asks: tuple[int, ...] = (4, 6)) -> Pair:
    """A client that asks and a server that assigns `given` (None: it has none left)."""
    mine = child_policy(mine=(EVERYTHING,), virtual=bool(asks))
    client = ike_policy(ask_addresses=asks, wishes=wishes)
    pair = Pair(client, ike_policy("@b", "@a", assigns=True), mine, replace(mirrored(child_policy()), theirs=(HOST,)))
    pair.b.ask.address_questions = []  # type: ignore[attr-defined]

    def addresses(question: AddressQuestion) -> Assigned:
        pair.b.ask.address_questions.append(question)  # type: ignore[attr-defined]
        if given is None:
            raise IkeError("no address is left", NotifyType.INTERNAL_ADDRESS_FAILURE)
        return given

    pair.b.ask.addresses = addresses  # type: ignore[method-assign]
    return pair


def test_the_child_is_narrowed_to_the_assigned_address() -> None:
    pair = make(wishes=(LEASE,)).up()
    pair.agree()
    (child,) = pair.a.seen(ChildEstablished)
    assert child.mine == (HOST,)
    assert pair.a.sa.assigned == GIVEN and pair.b.sa.granted == GIVEN and pair.a.sa.granted is None
    (asked,) = pair.b.ask.address_questions  # type: ignore[attr-defined]
    assert asked.versions == (4, 6) and asked.wishes == (LEASE,)
    pair.a.request(RekeyIke())
    pair.run()
    assert pair.a.sa.assigned == GIVEN and pair.b.sa.granted == GIVEN, "a successor inherits"


def test_further_children_have_the_same_address() -> None:
    pair = make().up()
    pair.a.request(CreateChild(pair.child, 9))
    pair.run()
    assert [child.mine for child in pair.a.installed.values()] == [(HOST,), (HOST,)]
    assert pair.b.ask.child_questions[-1].assigned == (LEASE, LEASE6)


def test_who_does_not_ask_gets_no_child() -> None:
    pair = make(asks=()).up()
    (failed,) = pair.a.seen(RequestFailed)
    assert failed.notify == NotifyType.FAILED_CP_REQUIRED and not pair.a.installed and not pair.b.installed


def test_an_empty_pool() -> None:
    pair = make(None).up()
    (failed,) = pair.a.seen(RequestFailed)
    assert failed.notify == NotifyType.INTERNAL_ADDRESS_FAILURE and not pair.b.installed


def test_a_server_without_pools_ignores_the_question() -> None:
    pair = make()
    pair.b.ask.policies = (ike_policy("@b", "@a"),)
    pair.up()
    assert not pair.a.installed
    assert "the peer assigned no address" in pair.a.seen(RequestFailed)[0].reason
    assert not pair.b.installed, "the server is told that its child is not wanted"


@pytest.mark.parametrize(
    "address", ("0.0.0.0", "127.0.0.1", "224.0.0.1", "169.254.1.1", "192.0.2.1", "192.0.2.2", "10.3.0.1")
)
def test_addresses_that_make_no_sense(address: str) -> None:
    """Nobody's, everybody's, the outer ones, or one that the selectors do not have."""
    pair = make(Assigned((ip_address(address),))).up()
    assert not pair.a.installed and len(pair.a.seen(RequestFailed)) == 1


def test_what_else_a_server_may_say_is_sorted_out() -> None:
    pair = make()
    many = tuple(ip_address(f"10.2.0.{n}") for n in range(1, 30))
    hostile = Assigned((LEASE,), many, ("ok.example", "$(reboot)", "a b"))
    pair.b.ask.addresses = lambda question: hostile  # type: ignore[method-assign]
    pair.up()
    assert pair.a.sa.assigned is not None
    assert len(pair.a.sa.assigned.dns) == 8 and pair.a.sa.assigned.domains == ("ok.example",)


def test_octets_that_are_no_address() -> None:
    from openswan.ike.v2.tasks.config import _address

    for size in (0, 3, 5, 16, 17):
        assert _address(bytes([10] * size), 4) is None
    for size in (0, 4, 15, 18):
        assert _address(bytes([0x20] * size), 6) is None
    assert _address(LEASE6.packed + b"\x40", 6) == LEASE6


def test_a_question_outside_ike_auth_gets_an_empty_answer() -> None:
    pair = make().up()
    question = Cp(CfgType.REQUEST, (CpAttribute(A.APPLICATION_VERSION),))
    pair.inject(pair.a, pair.forge(pair.a, 37, [question]))
    (answer,) = pair.peek(pair.wire.pop())
    assert answer == Cp(CfgType.REPLY)
