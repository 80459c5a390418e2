# SPDX-License-Identifier: GPL-2.0-or-later
"""The updown contract: exit statuses, output, parameters, and what the default command does."""

from __future__ import annotations

import asyncio
import time
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from openswan.base.errors import HostError
from openswan.engine.updown import is_default
from openswan.host.openings import openings as module
from openswan.host.openings.together import Together
from openswan.host.updown import Updown, World, carry_out, fold

ENV = {
    "PLUTO_VERSION": "2.0",
    "PLUTO_VERB": "route-client",
    "PLUTO_CONNECTION": "net",
    "PLUTO_INTERFACE": "ipsec0",
    "PLUTO_MY_CLIENT": "10.1.0.0/24",
    "PLUTO_PEER_CLIENT": "10.2.0.0/24",
    "PLUTO_MY_PROTOCOL": "17",
    "PLUTO_PEER_PORT": "53",
    "PLUTO_MY_SOURCEIP": "10.1.0.1",
    "PLUTO_MTU": "1400",
}


class Double:
    """Routes and guard that remember."""

    def __init__(self, refuse: str = "") -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.refuse = refuse

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any) -> tuple[str, ...]:
            if self.refuse:
                raise HostError(self.refuse)
            self.calls.append((name, *args))
            return ()

        return call


def world(refuse: str = "") -> Any:
    return World(Double(refuse), Double())  # type: ignore[arg-type]


def test_verbs_do_their_part() -> None:
    one = world()
    for verb in ("prepare-client", "route-client", "up-client", "down-client", "unroute-client-v6", "guard-host"):
        assert carry_out(ENV | {"PLUTO_VERB": verb}, one) == (0, ())
    theirs, ours = ip_network("10.2.0.0/24"), ip_network("10.1.0.0/24")
    assert one.routes.calls == [
        ("add", "ipsec0", theirs, ip_address("10.1.0.1"), 1400, 0, ours),
        ("delete", "ipsec0", theirs),
    ]
    ((name, connection, entries),) = one.guard.calls
    assert (name, connection) == ("set", "net")
    assert (entries[0].key.src, entries[0].key.dst, entries[0].key.protocol, entries[0].key.dst_port) == (
        ours,
        theirs,
        17,
        53,
    )


@pytest.mark.parametrize(
    ("change", "parameters", "status", "text"),
    [
        ({"PLUTO_VERSION": "1.1"}, (), 2, "obsolete interface version `1.1'"),
        ({"PLUTO_VERSION": ""}, (), 2, "PLUTO_VERSION is not set"),
        ({"PLUTO_VERB": "dance-client"}, (), 1, "unknown verb `dance-client'"),
        ({"PLUTO_VERB": "up"}, (), 1, "unknown verb `up'"),
        ({"PLUTO_PEER_CLIENT": "10.2.0.1/24"}, (), 2, "host bits"),
        ({}, ("sideways",), 2, "unknown parameters `sideways'"),
        ({}, ("custom", "--route", "yes"), 0, ""),
    ],
)
def test_mistakes_have_the_classic_statuses(
    change: dict[str, str], parameters: tuple[str, ...], status: int, text: str
) -> None:
    got, output = carry_out(ENV | change, world(), parameters)
    assert got == status and text in " ".join(output)


def test_a_refusal_of_the_kernel_is_status_1_and_a_line() -> None:
    assert carry_out(ENV, world("route to 10.2.0.0/24: Network is down")) == (
        1,
        ("route-client: route to 10.2.0.0/24: Network is down",),
    )


def test_what_counts_as_the_default() -> None:
    assert is_default("ipsec _updown") and is_default("ipsec  _updown --route yes")
    for other in ("", "ipsec _updown; reboot", "/etc/updown", "ipsec _updown $X", "_updown"):
        assert not is_default(other)


def test_lines_fold_at_255() -> None:
    assert fold(b"a" * 600 + b"\n\nb\n") == ("a" * 255, "a" * 255, "a" * 90, "", "b")


def run(command: str, patience: float = 20.0) -> tuple[int, tuple[str, ...]]:
    return asyncio.run(Updown(world(), patience).run(command, ENV))


def test_a_shell_runs_the_users_string() -> None:
    assert run('echo "$PLUTO_VERB" $0; echo oops >&2; exit 7 #') == (7, ("route-client /bin/sh", "oops"))
    assert run("kill -TERM $$")[0] == -15
    assert run("/nowhere/script custom")[0] == 127
    names = run("env | grep -o '^PLUTO_[A-Z_]*' | sort")[1]
    assert set(names) == {*ENV, "PLUTO_FWMARK_MASK"} and len(names) == len(ENV) + 1


def test_a_script_that_hangs_is_killed_with_all_it_started() -> None:
    begun = time.monotonic()
    status, output = run("sleep 60 & echo waiting; sleep 60", 0.5)
    assert status == -9 and output[0] == "waiting" and "killed" in output[-1] and time.monotonic() - begun < 5


def test_a_child_left_behind_does_not_hold_us_up() -> None:
    begun = time.monotonic()
    assert run("sleep 3 & echo done") == (0, ("done",))
    assert time.monotonic() - begun < 2


def test_output_is_bounded() -> None:
    status, output = run("head -c 3000000 /dev/zero | tr '\\0' x")
    assert status == 0 and sum(map(len, output)) < 80_000


def test_the_loop_goes_on_meanwhile() -> None:
    async def both() -> int:
        ticks = 0
        task = asyncio.create_task(Updown(world()).run("sleep 0.3", ENV))
        while not task.done():
            await asyncio.sleep(0.02)
            ticks += 1
        return ticks

    assert asyncio.run(both()) > 5


def opened(verb: str, words: str, **more: str) -> list[tuple[Any, ...]]:
    openings = Double()
    env = ENV | {"PLUTO_VERB": verb, "PLUTO_CONN_POLICY": words, "PLUTO_PEER": "192.0.2.2"} | more
    status, _ = carry_out(env, World(Double(), Double(), openings))  # type: ignore[arg-type]
    assert status == 0
    return [(name, what.forward, what.host) for name, what in openings.calls]


def test_up_opens_what_the_policy_says_and_down_closes_it() -> None:
    assert opened("up-client", "PSK+FIREWALL+UP") == [("open", True, False)]
    assert opened("up-client", "HOSTACCESS") == [("open", False, True)]
    assert opened("up-client-v6", "FIREWALL+HOSTACCESS") == [("open", True, True)]
    assert opened("up-host", "FIREWALL") == [("open", False, True)]
    assert opened("up-client", "PSK+TUNNEL") == []
    assert opened("down-client", "PSK+TUNNEL") == [("close", False, False)], "the policy may be another one by now"
    assert opened("route-client", "FIREWALL") == []


def test_openings_made_together_are_waited_for_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "places", lambda: iter(()))
    openings = Together(tmp_path, lambda line, serious: None)
    updown = Updown(World(Double(), Double(), openings))  # type: ignore[arg-type]
    asking = ENV | {"PLUTO_PEER": "192.0.2.2", "PLUTO_CONN_POLICY": "PSK+FIREWALL+UP"}
    command = "ipsec _updown"
    up, down, route = (asking | {"PLUTO_VERB": f"{verb}-client"} for verb in ("up", "down", "route"))
    assert updown.start(command, route) == updown.start(command, down) == (0, ()), "nothing is open"
    assert updown.start(command, up | {"PLUTO_CONN_POLICY": "PSK+UP"}) == (0, ())

    async def made(verb: dict[str, str], held: int) -> None:
        done = updown.start(command, verb)
        assert not isinstance(done, tuple) and len(openings.held()) == 1 - held
        assert updown.start(command, route) == (0, ()), "another command, which waits for nobody"
        assert await done == (0, ()) and len(openings.held()) == held

    asyncio.run(made(up, 1))
    asyncio.run(made(down, 0))


def test_the_resolver_is_told_of_servers_unless_networkmanager_does_it() -> None:
    one = World(Double(), resolv=Double())  # type: ignore[arg-type]
    env = ENV | {"PLUTO_CISCO_DNS_INFO": "10.2.0.53 fd00::53", "PLUTO_CISCO_DOMAIN_INFO": "a.example b.example"}
    for verb in ("updateresolvconf-client", "restoreresolvconf-client", "disconnectNM-host-v6"):
        assert carry_out(env | {"PLUTO_VERB": verb}, one) == (0, ())
        assert carry_out(env | {"PLUTO_VERB": verb, "PLUTO_NM_CONFIGURED": "1"}, one) == (0, ())
    assert carry_out(ENV | {"PLUTO_VERB": "updateresolvconf-client"}, one) == (0, ())
    assert one.resolv.calls == [  # type: ignore[union-attr]
        ("update", "net", (ip_address("10.2.0.53"), ip_address("fd00::53")), ("a.example", "b.example")),
        ("restore", "net"),
    ]


def test_an_opening_without_effect_is_said_and_no_failure() -> None:
    class Deaf:
        def open(self, opening: Any) -> tuple[str, ...]:
            return (f"no effect: {opening.flows[0].dst_port}",)

    env = ENV | {"PLUTO_VERB": "up-client", "PLUTO_CONN_POLICY": "FIREWALL"}
    assert carry_out(env, World(Double(), None, Deaf())) == (0, ("no effect: 53",))  # type: ignore[arg-type]
