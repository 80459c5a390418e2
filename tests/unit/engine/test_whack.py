# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests and their classic answers."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from openswan.config.plain import connection_to_plain
from openswan.engine.events import WhackGone
from openswan.engine.settings import Settings
from openswan.policy.connection import Auth, ShuntPolicy
from tests.sim.net import Net
from tests.sim.pair import EAST, WEST, WEST_NET, SimHost, conn, end, tunnel


def host(settings: Settings | None = None) -> SimHost:
    return SimHost(Net(0), "west", WEST, settings=settings)


def test_add_delete_and_their_classic_codes() -> None:
    it = host()
    plain = connection_to_plain(tunnel()[0])
    assert it.say("add", connection=plain) == [(2, 'added connection description "net-net"')]
    assert it.say("add", connection=plain) == [(20, 'attempt to redefine connection "net-net"')]
    assert it.say("delete", name="net-net")[-1][0] == 2
    assert it.say("delete", name="net-net") == [(21, 'no connection named "net-net"')]


def test_bad_requests_get_one_line_and_an_end() -> None:
    it = host()
    assert it.say("fly") == [(1, "whack error: unknown request 'fly'")]
    assert it.say("add")[0][0] == 37
    assert it.say("add", connection={"name": 3})[0][0] == 37
    assert it.say("route", name=["x"])[0][0] == 21
    assert it.say("initiate")[0][0] == 21
    assert it.say("terminate", name="a\nb") == [(21, 'no connection named "?"')]


@pytest.mark.parametrize("policy", ["", "accept", "drop", "reject"])
def test_ikev1_is_taken_unless_it_is_kept_out(policy: str) -> None:
    it = host(Settings(ikev1=policy))
    answer = it.say("add", connection=connection_to_plain(replace(tunnel()[0], ike_version=1)))
    out = policy in ("drop", "reject")
    assert answer[0][0] == (34 if out else 2)
    assert not out or f"ikev1-policy={policy} keeps out" in answer[0][1]


def test_initiate_says_why_not() -> None:
    it = host()
    it.say("add", connection=connection_to_plain(tunnel()[0]))
    assert it.say("initiate", name="net-net")[-1] == (24, '"net-net": need --listen before --initiate')
    assert it.say("route", name="net-net") == [(24, '"net-net": need --listen before --route')]
    it.say("listen")
    for policy, code in (
        (conn("far", end("192.0.2.99"), end(EAST)), 22),
        (conn("rw", end(WEST, WEST_NET), end("%any")), 29),
        (tunnel("never", auth=Auth.NEVER, prospective=ShuntPolicy.DROP)[0], 30),
    ):
        it.say("add", connection=connection_to_plain(policy))
        answer = it.say("initiate", name=policy.name)
        assert answer[-1][0] == code, answer
    assert it.say("route", name="rw")[-1][0] == 25
    assert it.say("route", name="far")[-1][0] == 22


def test_without_a_secret_nothing_is_sent() -> None:
    it = host()
    it.load(tunnel(keying_tries=1)[0])
    answer = it.say("initiate", name="net-net")
    assert any("no preshared key found for `@west' and `@east'" in text for _, text in answer)
    assert it.net.transcript == []
    assert "net-net" in it.guards


def test_aliases_stand_for_all_their_connections() -> None:
    it = host()
    for n in (1, 2):
        policy = conn(f"s/1x{n}", end(WEST, f"10.1.{n}.0/24"), end(EAST, f"10.2.{n}.0/24"), aliases=("s",))
        it.say("add", connection=connection_to_plain(policy))
    it.say("listen")
    assert it.say("route", name="s") == []
    assert len(it.klips.eroutes) == 2
    it.say("unroute", name="s")
    assert it.klips.eroutes == {}


def test_rereading() -> None:
    it = host()
    assert it.say("rereadsecrets") == []
    assert it.say("rereadcerts") == []
    assert it.say("rereadall") == []
    assert it.say("listall")[1] == (0, "List of Public Keys:")


def test_status_text_and_json_tell_the_same() -> None:
    it = host()
    it.load(tunnel()[0])
    it.say("route", name="net-net")
    lines = [text for code, text in it.say("status") if code == 0]
    assert "using kernel interface: klips" in lines
    first = next(line for line in lines if line.startswith('"net-net": '))
    assert first == (
        f'"net-net": 10.1.0.0/16==={WEST}<{WEST}>[@west]...{EAST}[@east]===10.2.0.0/16; '
        "prospective erouted; eroute owner: #0"
    )
    document = json.loads(it.say("status", json=True)[0][1])
    assert document["listening"] is True
    only = document["connections"][0]
    assert (only["routing"], only["shunt"], only["guarded"]) == ("prospective erouted", "%trap", True)


def test_shutdown_takes_down_routes_and_guards() -> None:
    it = host()
    it.load(tunnel()[0])
    it.say("route", name="net-net")
    it.say("shutdown", keep_guard=False)
    assert it.ended is not None and not it.ended.keep_guard
    assert (it.guards, it.klips.eroutes) == ({}, {})
    assert it.updowns[-1] == "unroute-client net-net"
    assert it.say("status") == [(1, "pluto is shutting down")]


def test_a_restart_keeps_the_guard() -> None:
    it = host()
    it.load(tunnel()[0])
    it.say("route", name="net-net")
    it.say("shutdown", keep_guard=True)
    assert it.ended is not None and it.ended.keep_guard
    assert "net-net" in it.guards
    assert it.klips.eroutes == {}


def test_a_client_that_hangs_up_is_forgotten() -> None:
    it = host()
    it.load(tunnel()[0])
    it.updown_status = lambda env: 0
    it.post(WhackGone(77))
    it.post(WhackGone(it.client))
    assert it.pluto.core.waiting == {}
