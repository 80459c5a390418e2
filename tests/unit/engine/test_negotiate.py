# SPDX-License-Identifier: GPL-2.0-or-later
"""Bringing connections up and down."""

from __future__ import annotations

from ipaddress import ip_address

from openswan.engine.settings import RETRY_FIRST, RETRY_MOST
from openswan.policy.identity import parse_identity
from tests.sim.net import Net
from tests.sim.pair import EAST, EAST_NET, WEST, SimHost, conn, end, make_pair, psk, tunnel


def test_pauses_double_up_to_a_bound_and_never_march_in_step() -> None:
    pair = make_pair(1)
    pair.west.load(tunnel()[0])
    brain = pair.west.pluto.brain
    found = pair.west.pluto.core.conns.named["net-net"]
    for attempt in range(1, 40):
        found.attempt = attempt
        pauses = {brain.negotiator._pause(found) for _ in range(20)}
        middle = min(RETRY_FIRST * 2 ** (attempt - 1), RETRY_MOST)
        assert 0.8 * middle <= min(pauses) < max(pauses) <= 1.2 * middle


def test_up_of_what_is_up_makes_fresh_sas_and_loses_nothing() -> None:
    pair = make_pair(1)
    west, east = tunnel()
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, pair.up)
    first = set(pair.west.klips.by_spi)
    assert pair.west.say("initiate", name="net-net", asynchronous=True) == []
    client = pair.west.request("initiate", name="net-net")
    for _ in range(20):
        pair.send(pair.west, "10.1.0.5", "10.2.0.6")
        pair.send(pair.east, "10.2.0.6", "10.1.0.5")
        pair.run(0.5)
    assert client in pair.west.finished and pair.west.whack[client][-1][0] == 4
    assert not first & set(pair.west.klips.by_spi)
    assert pair.missing() == []


def test_up_again_ends_with_the_reason_when_the_peer_will_not() -> None:
    pair = make_pair(1)
    west, east = tunnel(retransmit_timeout=5.0, keying_tries=1)
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, pair.up)
    pair.net.cut.add(pair.east.address)
    client = pair.west.request("initiate", name="net-net")
    pair.run(60.0)
    assert client in pair.west.finished
    words = [(code, text) for code, text in pair.west.whack[client] if code != 2]
    assert words[-1][0] not in (0, 4) and "No response" in words[-1][1]


def test_asynchronous_up_is_answered_at_once() -> None:
    pair = make_pair(1)
    west, east = tunnel()
    pair.west.load(west)
    pair.east.load(east)
    assert pair.west.say("initiate", name="net-net", asynchronous=True) == []
    assert pair.run(5.0, pair.up)


def test_a_second_asker_joins_the_negotiation() -> None:
    pair = make_pair(1)
    west, east = tunnel()
    pair.west.load(west)
    pair.east.load(east)
    clients = [pair.west.request("initiate", name="net-net") for _ in range(3)]
    assert pair.run(5.0, pair.up)
    assert all(client in pair.west.finished for client in clients)
    assert all(pair.west.whack[client][-1][0] == 4 for client in clients)
    assert len(pair.west.pluto.core.states.ikes) == 1


def test_all_connections_of_an_alias_come_up_before_the_answer_ends() -> None:
    pair = make_pair(1)
    for n in (1, 2, 3):
        left, right = end(WEST, f"10.1.{n}.0/24", "@west"), end(EAST, f"10.2.{n}.0/24", "@east")
        policy = conn(f"s/1x{n}", left, right, aliases=("s",))
        pair.west.load(policy)
        pair.east.load(policy)
    client = pair.west.request("initiate", name="s")
    assert pair.west.whack[client][0] == (0, "initiating all conns with alias='s'")
    assert pair.run(5.0, lambda: client in pair.west.finished)
    assert len(pair.west.klips.sas) == 6
    pair.west.say("terminate", name="s")
    pair.run(60.0)
    assert pair.west.empty() and pair.east.empty()


def gateway() -> SimHost:
    it = SimHost(Net(0), "gw", EAST, 0, psk("@gw", "%any"))
    it.load(conn("rw", end(EAST, EAST_NET, "@gw"), end("%any")))
    return it


def test_instances_are_one_per_peer_and_identity() -> None:
    it = gateway()
    negotiator, template = it.pluto.brain.negotiator, it.pluto.core.conns.named["rw"]
    one = negotiator.instantiate(template, ip_address("203.0.113.1"), parse_identity("@a"))
    assert negotiator.instantiate(template, ip_address("203.0.113.1"), parse_identity("@a")) is one
    two = negotiator.instantiate(template, ip_address("203.0.113.1"), parse_identity("@b"))
    three = negotiator.instantiate(template, ip_address("203.0.113.2"), parse_identity("@a"))
    assert [it.unique for it in (one, two, three)] == ["rw[1]", "rw[2]", "rw[3]"]
    assert str(three.keys[0]) == "10.2.0.0/16 -> 203.0.113.2/32"
    negotiator.dissolve(two)
    assert [it.unique for it in it.pluto.core.conns] == ["rw", "rw[1]", "rw[3]"]
    it.say("delete", name="rw")
    assert it.pluto.core.conns.unique == {} and it.pluto.core.conns.pairs == {}


def test_an_instance_in_use_is_not_dissolved() -> None:
    it = gateway()
    negotiator, template = it.pluto.brain.negotiator, it.pluto.core.conns.named["rw"]
    one = negotiator.instantiate(template, ip_address("203.0.113.1"), None)
    for attribute, value in (("children", {1}), ("ikes", {1}), ("negotiating", 5)):
        before = getattr(one, attribute)
        setattr(one, attribute, value)
        negotiator.dissolve(one)
        assert one.instance in template.instances
        setattr(one, attribute, before)


def test_a_template_cannot_be_started_and_is_not_guarded() -> None:
    it = gateway()
    assert it.say("initiate", name="rw")[-1][0] == 29
    assert it.guards == {}


def test_nothing_is_negotiated_before_the_secrets_have_been_read() -> None:
    """At start everything is asked for at once: add, listen, start; the secrets come when the host has read them."""
    from openswan.engine.effects import ReadSecrets
    from openswan.engine.events import SecretsRead

    pair = make_pair(1)
    west, east = tunnel()
    pair.east.load(east)
    original = pair.west.perform
    pair.west.perform = lambda effect: None if isinstance(effect, ReadSecrets) else original(effect)  # type: ignore[method-assign]
    pair.west.load(west)
    client = pair.west.request("initiate", name="net-net")
    pair.run(1.0)
    assert pair.net.transcript == [] and client not in pair.west.finished
    assert "net-net" in pair.west.guards
    pair.west.post(SecretsRead(pair.west.secrets, ()))
    assert pair.run(1.0, pair.up)
    assert client in pair.west.finished
