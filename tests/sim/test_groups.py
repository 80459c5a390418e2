# SPDX-License-Identifier: GPL-2.0-or-later
"""Policy groups between two hosts: who finds whom, what happens to first packets, and what never goes in clear."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from openswan.base.address import Endpoint
from openswan.base.said import Said, Shunt
from openswan.config.plain import connection_to_plain
from openswan.engine.events import Intercepted, SendFailed
from openswan.engine.oestates import State
from openswan.engine.settings import Settings
from openswan.ike.v2.cookie import refusal
from openswan.policy.connection import Auth, Connection, End, Host, HostKind, ShuntPolicy
from openswan.policy.grade import Grade
from openswan.wire.header import Header
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import ExchangeType, NotifyType
from tests.sim.net import PERFECT, Faults, Packet
from tests.sim.pair import EAST, WEST, Pair, SimHost, conn, make_pair, psk

LOSSY = Faults(loss=0.2, duplicate=0.1)


def group(name: str, failure: ShuntPolicy = ShuntPolicy.DROP, **more: Any) -> Connection:
    """A group that looks for a tunnel."""
    values = {"auth": Auth.NULL, "failure_shunt": failure, "keying_tries": 1, "retransmit_timeout": 5.0, **more}
    return conn(name, End(Host(HostKind.DEFAULTROUTE)), End(Host(HostKind.OPPORTUNISTIC_GROUP)), **values)


PRIVATE = group("private")
PERMISSIVE = group("private-or-clear", ShuntPolicy.PASS)
CLEAR_OR_PRIVATE = group("clear-or-private", prospective=ShuntPolicy.PASS)
BLOCK = group("block", auth=Auth.NEVER, prospective=ShuntPolicy.REJECT)


def ready(host: SimHost, *groups: Connection, **files: str) -> None:
    """Load groups with these files and put them in force."""
    host.policies = {name.replace("_", "-"): text for name, text in files.items()}
    host.load(*groups)
    for each in groups:
        assert host.say("route", name=each.name) == [], host.lines


def both(west: Connection, east: Connection, faults: Faults = PERFECT, seed: int = 0, **more: Any) -> Pair:
    """Two hosts whose groups are about each other and the rest of the world."""
    pair = make_pair(seed, faults, **more)
    for host, each in ((pair.west, west), (pair.east, east)):
        ready(host, each, **{each.name.replace("-", "_"): "192.0.2.0/24\n198.51.100.0/24\n"})
    return pair


def target(host: SimHost, other: str) -> Said | Shunt | None:
    """What packets to another host meet."""
    from ipaddress import ip_address

    found = host.klips.match(host.address, ip_address(other))
    return found.target if found else None


def grade(host: SimHost) -> Grade | None:
    [state] = host.pluto.brain.pairs.machine.pairs.values()
    return state.grade


@pytest.mark.parametrize("west", [PRIVATE, PERMISSIVE], ids=lambda each: each.name)
@pytest.mark.parametrize("east", [PRIVATE, PERMISSIVE, CLEAR_OR_PRIVATE], ids=lambda each: each.name)
def test_the_first_packet_waits_and_arrives_encrypted(west: Connection, east: Connection) -> None:
    pair = both(west, east)
    for _ in range(3):
        pair.send(pair.west, WEST, EAST)
    assert pair.run(3.0, lambda: not pair.missing())
    assert pair.west.clear == pair.east.clear == []
    back = pair.send(pair.east, EAST, WEST)
    assert pair.run(1.0, lambda: back in pair.west.klips.delivered), "the same tunnel both ways"
    assert grade(pair.west) is grade(pair.east) is Grade.NULL
    assert any(name.startswith(west.name) for name in pair.west.guards), "guarded while there is a tunnel"
    pair.sane()


@pytest.mark.parametrize("policy", [PRIVATE, PERMISSIVE], ids=lambda each: each.name)
def test_a_line_that_loses_three_in_ten_each_way_is_encrypted_within_the_hold(policy: Connection) -> None:
    """Nine first packets in ten at least arrive, encrypted; those that were not held to the end are the others."""
    delivered = 0
    for seed in range(40):
        pair = both(policy, policy, Faults(loss=0.3), seed)
        first = pair.send(pair.west, WEST, EAST)
        pair.run(13.0)
        delivered += first in pair.east.klips.delivered
        assert pair.west.clear == ([] if first in pair.east.klips.delivered or policy is PRIVATE else [first])
    assert delivered >= 36


@pytest.mark.parametrize(("inbound", "first"), [(False, 7), (True, 1)], ids=["outbound", "inbound"])
def test_only_what_packets_wait_for_is_repeated_fast(inbound: bool, first: int) -> None:
    """Nobody answers: so many IKE_SA_INIT within the hold, and fewer and fewer later; one where a stranger began it."""
    pair = make_pair()
    ready(pair.west, PRIVATE, private="198.51.100.0/24\n")
    if inbound:
        pair.west.post(Intercepted(pair.west.address, pair.east.address, True))
    else:
        pair.send(pair.west, WEST, EAST)
    pair.run(3.0)
    assert len(pair.net.transcript) == first
    pair.run(60.0)
    assert len(pair.net.transcript) <= first + (not inbound)


@pytest.mark.parametrize("seed", range(12))
def test_both_begin_at_once_on_a_bad_line(seed: int) -> None:
    pair = both(*(replace(each, retransmit_timeout=5.0) for each in (PRIVATE, PERMISSIVE)), LOSSY, seed)
    for _ in range(5):
        pair.send(pair.west, WEST, EAST)
        pair.send(pair.east, EAST, WEST)
    pair.run(20.0)
    assert isinstance(target(pair.west, EAST), Said) and isinstance(target(pair.east, WEST), Said)
    assert pair.west.clear == [] and pair.agreed()
    pair.sane()


def test_a_group_with_a_secret() -> None:
    secret = group("private", auth=Auth.PSK)
    pair = both(secret, secret, west_secrets=psk("%any", "%any"), east_secrets=psk("%any", "%any"))
    pair.send(pair.west, WEST, EAST)
    assert pair.run(3.0, lambda: not pair.missing())
    assert grade(pair.west) is grade(pair.east) is Grade.GROUP


def test_a_peer_below_authgrade_gets_nothing() -> None:
    """Whoever begins: nothing that was held is ever sent into a tunnel that is not good enough, and nobody asks again
    and again."""
    strict = group("private", auth_grade=Grade.GROUP)
    for west, east in ((strict, PRIVATE), (PRIVATE, strict)):
        pair = both(west, east)
        for _ in range(20):
            pair.send(pair.west, WEST, EAST)
            pair.run(1.0)
        host = pair.west if west is strict else pair.east
        assert any("grade null, authgrade=group is wanted" in line for line in host.lines)
        assert "AddSa" not in host.klips.history and pair.east.klips.delivered == pair.west.klips.delivered == []
        assert not pair.east.klips.sas and not pair.west.klips.sas
        assert sum("initiating" in line for line in pair.west.lines) == 1
        pair.sane()


@pytest.mark.parametrize("keep", [False, True], ids=["logged", "forbidden"])
def test_a_downgrade(keep: bool) -> None:
    """Both had proved the group's secret; after east has come back with a file for anybody it has proved nothing."""
    mixed = group("private-or-clear", ShuntPolicy.PASS, auth=Auth.PSK, keep_grade=keep)
    shared = psk("%any", "%any")
    pair = both(mixed, mixed, west_secrets=shared, east_secrets=shared)
    pair.send(pair.west, WEST, EAST)
    assert pair.run(3.0, lambda: not pair.missing())
    for host in (pair.west, pair.east):
        host.say("delete", name=mixed.name)
        ready(host, replace(mixed, auth=Auth.NULL), private_or_clear="192.0.2.0/24\n198.51.100.0/24\n")
    pair.run(5.0)
    again = pair.send(pair.west, WEST, EAST)
    pair.run(5.0)
    lines = pair.east.lines if keep else pair.west.lines
    said = [line for line in lines if "grade null, it was group before" in line]
    assert len(said) == 1 and (again in pair.east.klips.delivered) is not keep
    if keep:
        assert target(pair.west, EAST) is Shunt.DROP and pair.west.clear == [], "nor in clear, though its group would"
    assert not pair.west.klips.refusals and not pair.east.klips.refusals


@pytest.mark.parametrize(("policy", "shunt"), [(PRIVATE, Shunt.DROP), (PERMISSIVE, Shunt.PASS)], ids=["drop", "pass"])
def test_nobody_answers(policy: Connection, shunt: Shunt) -> None:
    """Held for holdtimeout=, then the failure shunt; nothing else of the line is touched."""
    pair = make_pair()
    ready(pair.west, policy, **{policy.name.replace("-", "_"): "198.51.100.0/24\n"})
    first = pair.send(pair.west, WEST, EAST)
    pair.run(2.9)
    assert target(pair.west, EAST) is Shunt.HOLD and pair.west.clear == []
    pair.run(0.2)
    assert target(pair.west, EAST) is shunt
    assert pair.west.clear == ([first] if shunt is Shunt.PASS else [])
    assert target(pair.west, "198.51.100.8") is Shunt.TRAP
    pair.run(10.0)
    assert pair.west.empty() and target(pair.west, EAST) is shunt
    [state] = pair.west.pluto.brain.pairs.machine.pairs.values()
    assert state.state in (State.PASS, State.DROP) and state.retry_at > 0
    pair.run(2000.0)
    assert target(pair.west, EAST) is Shunt.TRAP, "forgotten when nobody uses it"
    assert pair.west.pluto.brain.pairs.machine.pairs == {} == pair.west.pluto.brain.pairs.shunts
    pair.sane()


def test_a_host_that_only_answers_blocks_or_knows_nothing() -> None:
    """What the responder says decides: nobody in its groups, or one that is blocked, gets no tunnel."""
    for groups, files in (
        ((BLOCK, PRIVATE), {"block": "192.0.2.1\n", "private": "192.0.2.0/24\n"}),
        ((PRIVATE,), {"private": "203.0.113.0/24\n"}),
    ):
        pair = make_pair()
        ready(pair.west, PRIVATE, private="198.51.100.0/24\n")
        ready(pair.east, *groups, **files)
        pair.send(pair.west, WEST, EAST)
        pair.run(10.0)
        assert target(pair.west, EAST) is Shunt.DROP and not pair.east.klips.sas, files
        assert pair.east.klips.delivered == []
        pair.sane()


def test_a_line_for_just_that_host_traps_again() -> None:
    pair = make_pair()
    ready(pair.west, PRIVATE, private=f"{EAST}\n")
    ready(pair.east, PRIVATE, private=f"{WEST}\n")
    pair.send(pair.west, WEST, EAST)
    assert pair.run(3.0, lambda: not pair.missing())
    assert pair.west.say("terminate", name="private")[-1][0] == 2
    pair.run(2.0)
    assert target(pair.west, EAST) is Shunt.TRAP and target(pair.east, WEST) is Shunt.TRAP
    pair.send(pair.east, EAST, WEST)
    assert pair.run(3.0, lambda: not pair.missing())
    pair.sane()


def test_used_pairs_stay_and_idle_ones_go() -> None:
    pair = both(PRIVATE, PRIVATE)
    pair.send(pair.west, WEST, EAST)
    for _ in range(40):
        pair.run(50.0)
        pair.send(pair.west, WEST, EAST)
    pair.run(1.0)
    assert isinstance(target(pair.west, EAST), Said) and not pair.missing()
    pair.run(2400.0)
    assert target(pair.west, EAST) is Shunt.TRAP and pair.west.empty() and pair.east.empty()
    pair.sane()


@pytest.mark.parametrize("rekey", [True, False], ids=["rekey", "rekey=no"])
def test_busy_tunnels_are_rekeyed_and_idle_ones_are_not(rekey: bool) -> None:
    """While packets flow nothing waits and nothing is lost; two lifetimes later, without any, nothing is left."""
    short = group("private", ipsec_lifetime=600.0, ike_lifetime=1500.0, rekey_margin=120.0, rekey=rekey)
    pair = both(short, short)
    pair.send(pair.west, WEST, EAST)
    assert pair.run(3.0, lambda: not pair.missing())
    for _ in range(200):
        pair.run(20.0)
        pair.send(pair.west, WEST, EAST)
        assert isinstance(target(pair.west, EAST), Said)
    pair.run(1.0)
    assert not pair.missing()
    replaced = sum("rekeying child SA" in line for line in (*pair.west.lines, *pair.east.lines))
    assert replaced >= 6
    pair.run(1800.0)
    assert target(pair.west, EAST) is Shunt.TRAP and pair.west.empty() and pair.east.empty()
    assert sum("rekeying child SA" in line for line in (*pair.west.lines, *pair.east.lines)) <= replaced + 2
    pair.sane()


def test_a_reload_that_changes_nothing_keeps_what_holds() -> None:
    """Tunnels, and what was decided of others, outlive files read again and conns replaced by their like."""
    pair = both(PRIVATE, PRIVATE)
    pair.send(pair.west, WEST, EAST)
    pair.send(pair.west, WEST, "198.51.100.99")
    pair.run(20.0)
    assert target(pair.west, "198.51.100.99") is Shunt.DROP
    known = dict(pair.west.pluto.brain.pairs.machine.pairs)
    for verb, args in (
        ("rereadgroups", {}),
        ("rereadall", {}),
        ("listen", {}),
        ("replace", {"connection": connection_to_plain(PRIVATE)}),
        ("route", {"name": PRIVATE.name}),
    ):
        pair.west.say(verb, **args)
        pair.run(1.0)
        assert isinstance(target(pair.west, EAST), Said) and target(pair.west, "198.51.100.99") is Shunt.DROP, verb
    assert pair.west.pluto.brain.pairs.machine.pairs == known
    packet = pair.send(pair.west, WEST, EAST)
    assert pair.run(1.0, lambda: packet in pair.east.klips.delivered)
    assert sum("initiating v2 parent SA" in line for line in pair.west.lines) == 2
    pair.sane()


def test_pairs_follow_their_groups() -> None:
    """A line that is more specific takes over at once, and what a group's pairs have ends with it."""
    pair = both(PRIVATE, PRIVATE)
    pair.send(pair.west, WEST, EAST)
    assert pair.run(3.0, lambda: not pair.missing())
    pair.west.load(BLOCK)
    pair.west.say("route", name="block")
    pair.west.policies["block"] = f"{EAST}\n"
    pair.west.say("rereadgroups")
    assert target(pair.west, EAST) is Shunt.REJECT
    pair.run(2.0)
    assert not pair.east.klips.sas and target(pair.east, WEST) is Shunt.TRAP
    pair.west.policies["block"] = ""
    pair.west.say("rereadgroups")
    assert target(pair.west, EAST) is Shunt.TRAP
    pair.send(pair.west, WEST, EAST)
    assert pair.run(3.0, lambda: isinstance(target(pair.west, EAST), Said))
    pair.west.say("delete", name="private")
    assert target(pair.west, EAST) is None and pair.west.guards == {}
    pair.sane()


def test_a_peer_that_forgot_everything_is_found_again() -> None:
    pair = both(PRIVATE, PRIVATE)
    pair.send(pair.west, WEST, EAST)
    assert pair.run(3.0, lambda: not pair.missing())
    pair.east.boot()
    ready(pair.east, PRIVATE, private="192.0.2.0/24\n")
    packet = pair.send(pair.east, EAST, WEST)
    assert pair.run(10.0, lambda: packet in pair.west.klips.delivered)
    packet = pair.send(pair.west, WEST, EAST)
    assert pair.run(10.0, lambda: packet in pair.east.klips.delivered)
    assert pair.west.clear == pair.east.clear == []


@pytest.mark.parametrize("policy", [PRIVATE, PERMISSIVE], ids=lambda each: each.name)
def test_a_network_error_ends_no_hold(policy: Connection) -> None:
    """Anybody can forge ICMP: it is shown as what somebody says, and the peer that answers late is still found."""
    pair = both(policy, PERMISSIVE)
    local, remote = Endpoint(pair.west.address, 500), Endpoint(pair.east.address, 500)
    pair.net.detach(pair.east.address)
    first = pair.send(pair.west, WEST, EAST)
    for _ in range(5):
        pair.run(0.2)
        pair.west.post(SendFailed(local, remote, "Connection refused"))
        assert target(pair.west, EAST) is Shunt.HOLD and pair.west.clear == []
    [state] = pair.west.pluto.brain.pairs.machine.pairs.values()
    assert state.hint == "Connection refused"
    pair.net.attach(pair.east.address, pair.east.receive)
    assert pair.run(4.0, lambda: first in pair.east.klips.delivered)
    assert pair.west.clear == []
    pair.sane()


@pytest.mark.parametrize("policy", [PRIVATE, PERMISSIVE], ids=lambda each: each.name)
def test_a_refusal_that_nobody_signed_ends_no_hold(policy: Connection) -> None:
    """It comes before the peer's own answer, and that one counts."""
    pair = both(policy, PERMISSIVE)

    def forge(packet: Packet) -> None:
        pair.net.attach(pair.east.address, pair.east.receive)
        message = refusal(Header.parse(packet.body), Notify(NotifyType.NO_PROPOSAL_CHOSEN))
        pair.net.send(packet.dst, packet.src, message, 100)

    pair.net.attach(pair.east.address, forge)
    first = pair.send(pair.west, WEST, EAST)
    pair.run(0.2)
    [state] = pair.west.pluto.brain.pairs.machine.pairs.values()
    assert "NO_PROPOSAL_CHOSEN" in state.hint and target(pair.west, EAST) is Shunt.HOLD
    assert pair.run(3.0, lambda: first in pair.east.klips.delivered) and pair.west.clear == []
    pair.sane()


@pytest.mark.parametrize("answers", [True, False], ids=["answers", "silent"])
def test_who_has_answered_gets_time_to_finish(answers: bool) -> None:
    """East is slow after its first answer: what is held waits longer than for somebody who says nothing."""
    pair = both(PERMISSIVE, PERMISSIVE)
    begun = pair.net.now

    def slow(packet: Packet) -> None:
        if answers and Header.parse(packet.body).exchange == ExchangeType.IKE_SA_INIT:
            pair.east.receive(packet)

    pair.net.attach(pair.east.address, slow)
    first = pair.send(pair.west, WEST, EAST)
    pair.run(3.2)
    assert (target(pair.west, EAST) is Shunt.HOLD) is answers and pair.west.clear == [first] * (not answers)
    [state] = pair.west.pluto.brain.pairs.machine.pairs.values()
    assert (state.state is State.SHAKING) is answers and pair.net.now - begun < 5.0
    pair.net.attach(pair.east.address, pair.east.receive)
    pair.run(6.0)
    assert (first in pair.east.klips.delivered) is answers
    pair.sane()


def test_a_deaf_peer_is_not_waited_for_again_until_its_time_is_over() -> None:
    pair = make_pair()
    ready(pair.west, PERMISSIVE, private_or_clear="198.51.100.0/24\n")
    machine = pair.west.pluto.brain.pairs.machine
    pair.send(pair.west, WEST, EAST)
    pair.run(20.0)
    assert len(pair.west.clear) == 1

    def forget() -> None:
        pair.west.policies["private-or-clear"] = ""
        pair.west.say("rereadgroups")
        pair.west.policies["private-or-clear"] = "198.51.100.0/24\n"
        pair.west.say("rereadgroups")
        assert not machine.pairs and target(pair.west, EAST) is Shunt.TRAP

    forget()
    again = pair.send(pair.west, WEST, EAST)
    assert target(pair.west, EAST) is Shunt.PASS and again in pair.west.clear, "at once"
    pair.run(900.0)
    forget()
    last = pair.send(pair.west, WEST, EAST)
    assert target(pair.west, EAST) is Shunt.HOLD and last not in pair.west.clear
    pair.run(3.5)
    assert last in pair.west.clear
    assert not pair.west.klips.refusals


@pytest.mark.parametrize("works", [True, False], ids=["works", "fails"])
@pytest.mark.parametrize("policy", [PRIVATE, PERMISSIVE], ids=lambda each: each.name)
def test_a_hold_that_ends_while_the_tunnel_is_put_in_place(policy: Connection, works: bool) -> None:
    """updown takes its time: the tunnel there is by then is no victim of the failure shunt; that counts if it fails."""
    pair = both(policy, PERMISSIVE)
    pair.west.updown_status = lambda env: 0 if works or not env["PLUTO_VERB"].startswith("up-") else 1
    pair.west.updown_delay = 20.0
    pair.send(pair.west, WEST, EAST)
    pair.run(14.0)
    assert isinstance(target(pair.west, EAST), Said)
    pair.run(60.0)
    [state] = pair.west.pluto.brain.pairs.machine.pairs.values()
    if works:
        assert isinstance(target(pair.west, EAST), Said) and not pair.missing() and state.state is State.TUNNEL
    else:
        assert target(pair.west, EAST) is (Shunt.DROP if policy is PRIVATE else Shunt.PASS)
    assert not pair.west.klips.refusals


def test_shunts_live_as_long_as_shuntlifetime_says() -> None:
    pair = both(PRIVATE, PRIVATE, settings=Settings(shunt_lifetime=120.0))
    pair.send(pair.west, WEST, "198.51.100.99")
    pair.run(20.0)
    assert target(pair.west, "198.51.100.99") is Shunt.DROP
    pair.run(300.0)
    assert target(pair.west, "198.51.100.99") is Shunt.TRAP
