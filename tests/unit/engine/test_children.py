# SPDX-License-Identifier: GPL-2.0-or-later
"""The order of things when a child SA comes and goes."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest

from openswan.base.log import Rc
from openswan.base.said import Said, Shunt
from openswan.engine import children, names, router
from openswan.engine.children import established_line
from openswan.engine.effects import FlushConntrack, KlipsCommand, RunUpdown, SendDatagram, SetGuard
from openswan.engine.settings import LINGER
from openswan.plane.commands import AddSa, DelSa, Direction, SetEroute
from openswan.policy.grade import Grade
from openswan.policy.selector import FlowKey
from tests.sim.pair import EAST, EAST_NET, WEST, WEST_NET, Pair, SimHost, conn, end, make_pair, tunnel

KEY = FlowKey(ip_network(WEST_NET), ip_network(EAST_NET))


def watch(host: SimHost) -> list[str]:
    """The order of what is done for a tunnel."""
    seen: list[str] = []
    original = host.perform

    def perform(effect):  # type: ignore[no-untyped-def]
        if isinstance(effect, KlipsCommand):
            command = effect.command
            way = f" {command.direction.value}" if isinstance(command, AddSa) else ""
            seen.append(type(command).__name__ + way)
        elif isinstance(effect, SetGuard | FlushConntrack | SendDatagram):
            seen.append(type(effect).__name__)
        elif isinstance(effect, RunUpdown):
            seen.append(effect.environment["PLUTO_VERB"])
        original(effect)

    host.perform = perform  # type: ignore[method-assign]
    return seen


def test_a_peer_whose_grade_changes_loses_or_gets_its_openings_while_the_tunnel_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [Grade.CERT]
    monkeypatch.setattr(children, "grade_of", lambda ike, conn: now[0])
    for module in (router, names):
        monkeypatch.setattr(module, "openings", lambda conn: ["FIREWALL"] * (conn.grade or Grade.NULL).authenticated)
    pair, seen, _ = started()
    pair.west.environments.clear()
    west = pair.west.pluto.brain
    pair.run(1.0)
    both = ["down-client", "up-client"]
    for now[0], told in ((Grade.PSK, []), (Grade.DNS, both), (Grade.DNSSEC, []), (Grade.RAW_KEY, both)):
        del seen[:]
        newest = west.core.conns.named["net-net"].newest_child
        west.lifetimes.rekey_child(west.core.states.children[newest])
        pair.run(10.0)
        assert [verb for verb in seen if verb.endswith("-client")] == told
    opened = [(env["PLUTO_VERB"], "FIREWALL" in env["PLUTO_CONN_POLICY"]) for env in pair.west.environments]
    assert [each for each in opened if each[0] in both] == [
        ("down-client", True), ("up-client", False), ("down-client", False), ("up-client", True),
    ], "each command is told of what was open before it, and after it"  # fmt: skip
    assert pair.up()


def started(**more: object) -> tuple[Pair, list[str], list[str]]:
    pair = make_pair(1)
    west, east = tunnel(**more)
    pair.west.load(west)
    pair.east.load(east)
    orders = watch(pair.west), watch(pair.east)
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, pair.up)
    return pair, *orders


def test_the_initiator_is_guarded_before_it_sends_anything() -> None:
    _, west, _ = started()
    assert west == [
        "SetGuard",
        "FlushConntrack",
        "SendDatagram",
        "ExpectSpi",
        "SendDatagram",
        "AddSa out",
        "SetEroute",
        "up-client",
        "prepare-client",
        "route-client",
        "AddSa in",
    ], "what comes in has a route for its answer"


def test_the_responder_is_guarded_and_can_receive_before_it_answers() -> None:
    _, _, east = started()
    start = east.index("SetGuard")
    assert east[start : start + 9] == [
        "SetGuard",
        "FlushConntrack",
        "ExpectSpi",
        "AddSa out",
        "SetEroute",
        "up-client",
        "prepare-client",
        "route-client",
        "AddSa in",
    ]
    assert "SendDatagram" in east[start + 9 :], "the answer comes after the inbound SA"


def test_sas_as_the_engine_gets_them() -> None:
    pair, _, _ = started()
    inward = next(sa for sa in pair.west.klips.sas.values() if sa.direction is Direction.IN)
    outward = next(sa for sa in pair.west.klips.sas.values() if sa.direction is Direction.OUT)
    assert (str(inward.said.dst), str(inward.src)) == (WEST, EAST)
    assert (str(outward.said.dst), str(outward.src)) == (EAST, WEST)
    assert inward.peer_said == outward.said and outward.peer_said == inward.said
    assert len(inward.enc_key) == 16 + 4 and inward.enc_key != outward.enc_key
    ((src, dst),) = inward.selectors
    assert (str(src), str(dst)) == (EAST_NET, WEST_NET)
    ((src, dst),) = outward.selectors
    assert (str(src), str(dst)) == (WEST_NET, EAST_NET)
    assert inward.owner == "net-net" and inward.serial == outward.serial == 2


def test_disablearrivalcheck_lets_anything_in() -> None:
    pair, _, _ = started(arrival_check=False)
    inward = next(sa for sa in pair.west.klips.sas.values() if sa.direction is Direction.IN)
    assert inward.selectors == ()


def test_the_old_inbound_sa_lingers_after_a_rekeying() -> None:
    pair, west, _ = started()
    (child,) = pair.west.pluto.core.states.children.values()
    core = pair.west.pluto.core
    core.now = pair.net.now
    pair.west.pluto.brain.lifetimes.rekey_child(child)
    for effect in core.effects:
        pair.west.perform(effect)
    core.effects = []
    pair.west._arm()
    del west[:]
    pair.run(1.0)
    assert west[:3] == ["AddSa in", "AddSa out", "SetEroute"]
    assert child.said_in in pair.west.klips.sas and child.said_out not in pair.west.klips.sas
    assert child.spi_in in core.states.lingering
    pair.run(LINGER)
    assert child.said_in not in pair.west.klips.sas
    assert core.states.lingering == set()


def test_what_a_peer_did_not_take_is_dropped_and_not_sent_elsewhere() -> None:
    pair = make_pair(1)
    pair.west.load(replace(tunnel(narrowing=True)[0]))
    pair.east.load(conn("net-net", end(WEST, WEST_NET, "@west"), end(EAST, "10.2.7.0/24", "@east"), narrowing=True))
    pair.west.say("route", name="net-net")
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, pair.up)
    narrow = FlowKey(ip_network(WEST_NET), ip_network("10.2.7.0/24"))
    assert isinstance(pair.west.klips.eroutes[narrow].target, Said)
    assert pair.west.klips.eroutes[KEY].target is Shunt.DROP
    pair.west.say("terminate", name="net-net")
    assert narrow not in pair.west.klips.eroutes
    assert pair.west.klips.eroutes[KEY].target is Shunt.TRAP
    pair.sane()


def test_the_established_line() -> None:
    pair, _, _ = started(dpd_delay=10.0)
    (child,) = pair.west.pluto.core.states.children.values()
    assert established_line(child) == (
        f"STATE_PARENT_I3: PARENT SA established tunnel mode {{ESP/NAT=>0x{child.spi_out:08x} <0x{child.spi_in:08x} "
        "xfrm=AES_GCM_16_128-NONE NATOA=none NATD=198.51.100.7:4500 DPD=enabled}"
    )


def test_commands_name_their_owner() -> None:
    pair, _, _ = started()
    eroute = pair.west.klips.eroutes[KEY]
    assert isinstance(eroute, SetEroute) and (eroute.owner, eroute.serial) == ("net-net", 2)
    pair.west.say("delete", name="net-net")
    assert pair.west.klips.history.count(DelSa.__name__) == 2


def test_what_the_peer_has_proved_counts_when_its_tunnel_is_put_in_place() -> None:
    """One that is in the way of another changes nothing: the firewall is opened by it."""
    pair = make_pair(1)
    west, east = tunnel()
    pair.west.load(west)
    pair.east.load(east)
    mine = pair.west.pluto.core.conns.named["net-net"]
    obstacle = pair.west.pluto.brain.router.obstacle
    pair.west.pluto.brain.router.obstacle = lambda conn: (Rc.LOG_SERIOUS, "in the way")  # type: ignore[method-assign]
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, lambda: any("in the way" in line for line in pair.west.lines)) and mine.grade is None
    pair.west.pluto.brain.router.obstacle = obstacle  # type: ignore[method-assign]
    pair.run(30.0)
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, pair.up) and mine.grade is Grade.GROUP
