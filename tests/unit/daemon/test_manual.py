# SPDX-License-Identifier: GPL-2.0-or-later
"""Manual conns in the daemon: what is done in which order, and what a failure leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from openswan.base.errors import KlipsError
from openswan.daemon.manual import Manual, environment
from openswan.engine.effects import DelGuard, Effect, SetGuard
from openswan.plane.manual import ManualPlan, plan_to_plain
from openswan.plane.orders import ErouteOrder, NewSa, Order
from tests.unit.plane.test_manual import plan


class Bench(Manual):
    """Everything that happens, in order, as words."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.refused: type[Order] | None = None
        self.failing = ""
        self.replies: list[tuple[int, str]] = []
        self.owners: set[str] = set()

        class Tables:
            @staticmethod
            def carry_out(order: Order, owner: str = "") -> None:
                if type(order) is self.refused:
                    raise KlipsError("SA already in use.  Delete old one first.")
                self.owners.add(owner)
                change = f" {order.change.value}" if isinstance(order, ErouteOrder) else ""
                self.done.append(type(order).__name__ + change)

        def perform(effect: Effect) -> None:
            if isinstance(effect, SetGuard | DelGuard):
                self.done.append(type(effect).__name__)
                assert effect.connection == "%manual/net"

        async def updown(command: str, env: Mapping[str, str]) -> tuple[int, tuple[str, ...]]:
            self.done.append(env["PLUTO_VERB"])
            return int(env["PLUTO_VERB"] == self.failing), ("said something",)

        tables: Any = Tables()
        super().__init__(tables, perform, updown, lambda text, serious: None, lambda plan: "ipsec2")

    def ask(self, verb: str, made: ManualPlan | None = None, name: str = "net") -> list[tuple[int, str]]:
        self.done.clear()
        self.replies = []
        arguments: dict[str, Any] = {"do": verb, "name": name}
        if made is not None:
            arguments["plan"] = plan_to_plain(made)
        asyncio.run(self.request(arguments, lambda code, text: self.replies.append((code, text))))
        return self.replies


@pytest.fixture
def bench() -> Bench:
    return Bench()


ORDERS = ["NewSa", "NewSa", "ErouteOrder addin", "ErouteOrder add"]
BACK = ["ErouteOrder del", "DropSa", "DropSa"]


def test_the_guard_goes_in_first_and_comes_out_last(bench: Bench) -> None:
    assert bench.ask("up", plan()) == []
    assert bench.done == ["SetGuard", *ORDERS, "up-client", "prepare-client", "route-client"]
    assert bench.owners == {"%manual/net"}
    assert "is up already" in bench.ask("up", plan())[0][1] and not bench.done
    assert bench.ask("down") == []
    assert bench.done == ["down-client", *BACK]
    assert "routed, down" in bench.ask("status")[0][1]
    bench.ask("up", plan())
    assert bench.done == ["SetGuard", *ORDERS, "up-client"]
    bench.ask("delete")
    assert bench.done == ["down-client", *BACK, "unroute-client", "DelGuard"]
    assert "knows no such conn" in bench.ask("down")[0][1]


def test_route_alone(bench: Bench) -> None:
    bench.ask("route", plan())
    assert bench.done == ["SetGuard", "prepare-client", "route-client"]
    bench.ask("down")
    assert bench.done == []
    bench.ask("unroute")
    assert bench.done == ["unroute-client", "DelGuard"]
    assert bench.ask("status")[0][1].endswith("manual; down")


def test_what_was_made_is_taken_back(bench: Bench) -> None:
    bench.refused = ErouteOrder
    assert bench.ask("up", plan()) == [(1, "SA already in use.  Delete old one first.")]
    assert bench.done == ["SetGuard", "NewSa", "NewSa", "DropSa", "DropSa", "DelGuard"] and not bench.conns
    bench.refused, bench.failing = None, "route-client"
    assert "route-client command exited with status 1" in bench.ask("up", plan())[0][1]
    assert bench.done[-5:] == ["route-client", *BACK, "DelGuard"] and not bench.conns
    assert "exited with status 1" in bench.ask("route", plan())[0][1]
    assert bench.done[-1] == "DelGuard"


def test_a_routed_conn_that_does_not_come_up_stays_guarded(bench: Bench) -> None:
    bench.ask("route", plan())
    bench.refused = NewSa
    bench.ask("up", plan())
    assert bench.done == ["SetGuard"] and bench.conns["net"].routed and not bench.conns["net"].up


def test_another_conn_of_that_name_takes_the_routes_of_the_old(bench: Bench) -> None:
    bench.ask("up", plan())
    bench.ask("down")
    made = plan()
    bench.ask("up", replace(made, flow=replace(made.flow, protocol=6)))
    assert bench.done[:3] == ["unroute-client", "DelGuard", "SetGuard"] and bench.done[-1] == "route-client"


def test_without_guard_and_updown(bench: Bench) -> None:
    bench.ask("up", replace(plan(), leak_guard=False, updown=""))
    assert bench.done == ORDERS


def test_what_makes_no_sense(bench: Bench) -> None:
    assert bench.ask("dance")[0][0] == 1
    assert bench.ask("up")[0] == (1, "manual: a plan is wanted")


def test_status_names_the_sas(bench: Bench) -> None:
    bench.ask("up", plan())
    assert [text for _, text in bench.ask("status")] == [
        '"net": 10.1.0.0/24===192.0.2.1...192.0.2.2===10.2.0.0/24; tunnel; manual; up',
        '"net": esp.204@192.0.2.2 aes_cbc hmac_sha1_96',
        '"net": esp.205@192.0.2.1 aes_cbc hmac_sha1_96',
    ]


def test_the_environment_of_updown() -> None:
    env = environment(plan(), "up", "ipsec2")
    assert env["PLUTO_VERB"] == "up-client" and env["PLUTO_INTERFACE"] == "ipsec2" and env["PLUTO_MTU"] == "1400"
    assert env["PLUTO_PEER_CLIENT"] == "10.2.0.0/24" and env["PLUTO_NEXT_HOP"] == "192.0.2.2"


def test_openings_are_told_as_those_of_negotiated_conns_are() -> None:
    env = environment(replace(plan(), firewall=True, host_access=True), "up", "ipsec2")
    assert (env["PLUTO_CONN_POLICY"], env["PLUTO_HOST_ACCESS"]) == ("FIREWALL+HOSTACCESS", "1")
    assert "PLUTO_HOST_ACCESS" not in environment(plan(), "up", "ipsec2")
