# SPDX-License-Identifier: GPL-2.0-or-later
"""The wired gateway inside one namespace: requests, interfaces that change, guard and routes over a restart."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from openswan.base.errors import HostError
from openswan.config.load import load
from openswan.daemon.gateway import Gateway, Places, Wanted
from openswan.host.ctlsock import ask
from openswan.wire.whack import encode_request

Namespace = Callable[[Callable[[], Any]], Any]
CONF = """\
conn x
    left=192.0.2.1
    leftsubnet=10.1.0.0/24
    right=192.0.2.2
    rightsubnet=10.2.0.0/24
    authby=secret
    auto=route
"""


def sh(command: str) -> str:
    return subprocess.run(["sh", "-ec", command], capture_output=True, text=True, check=True).stdout


class Running:
    """A gateway that serves, and its log."""

    def __init__(self, directory: Path, conf: str = CONF, **more: Any) -> None:
        (directory / "ipsec.conf").write_text(conf)
        self.path = directory / "pluto.ctl"
        self.lines: list[str] = []
        places = Places(directory, self.path, directory / "ipsec.secrets", directory / "ipsec.d")
        wanted = Wanted(places, connections=load(directory / "ipsec.conf").connections, **more)
        self.gateway = Gateway(wanted, lambda line, _: self.lines.append(line))

    async def ask(self, line: bytes) -> list[tuple[int, str]]:
        return await asyncio.to_thread(lambda: list(ask(line, self.path, 5.0)))

    async def table(self, verb: str) -> Any:
        ((_, text),) = await self.ask(encode_request(verb, json=True))
        return json.loads(text)

    async def until(self, what: Callable[[], object]) -> None:
        for _ in range(300):
            if what():
                return
            await asyncio.sleep(0.01)
        raise AssertionError("\n".join(self.lines))

    def serve(self, conversation: Callable[[Running], Awaitable[None]], keep_guard: bool) -> None:
        """Run until the conversation has ended."""

        async def main() -> None:
            up = asyncio.Event()
            self.gateway.control.bind()
            running = asyncio.create_task(self.gateway.run(up.set, signals=False))
            waiting = asyncio.create_task(up.wait())
            await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
            if not up.is_set():
                await running
            try:
                await conversation(self)
            finally:
                await self.ask(encode_request("shutdown", keep_guard=keep_guard))
                await asyncio.wait_for(running, 20)

        asyncio.run(main())


def network() -> None:
    sh("ip link add eth0 mtu 1400 type veth peer name far; ip addr add 192.0.2.1/24 dev eth0; ip link set eth0 up")
    sh("ip link set far up")


async def nothing(_: Running) -> None:
    """No conversation at all."""


def test_requests_that_make_no_sense_are_answered(namespace: Namespace, tmp_path: Path) -> None:
    async def conversation(running: Running) -> None:
        assert (await running.ask(b"rubbish\n"))[0] == (1, "whack error: whack request is not JSON")
        assert (await running.ask(b'{"verb":7}\n'))[0][0] == 1
        assert (await running.ask(encode_request("frob")))[0][0] == 1
        assert (await running.ask(encode_request("match", src="x")))[0][0] == 1
        lines = await running.ask(encode_request("match", src="10.1.0.5", dst="10.2.0.5"))
        assert any("conn x" in text for _, text in lines)

    def work() -> None:
        network()
        Running(tmp_path).serve(conversation, keep_guard=False)

    namespace(work)


def test_ipsec0_has_the_underlays_mtu_and_follows_it(namespace: Namespace, tmp_path: Path) -> None:
    async def conversation(running: Running) -> None:
        (device,) = await running.table("tncfg")
        assert (device["name"], device["physical"], device["mtu"]) == ("ipsec0", "eth0", 1400)
        sh("ip link set eth0 mtu 1300")
        await running.until(lambda: "mtu 1300" in sh("ip link show ipsec0"))

    def work() -> None:
        network()
        Running(tmp_path).serve(conversation, keep_guard=False)

    namespace(work)


def test_addresses_that_come_and_go_are_followed(namespace: Namespace, tmp_path: Path) -> None:
    async def conversation(running: Running) -> None:
        sh("ip addr add 192.0.2.9/24 dev eth0")
        await running.until(lambda: "192.0.2.9:4500" in sh("ss -uan"))
        sh("ip addr del 192.0.2.9/24 dev eth0")
        await running.until(lambda: "192.0.2.9:4500" not in sh("ss -uan"))
        assert "192.0.2.1:500" in sh("ss -uan")

    def work() -> None:
        network()
        Running(tmp_path).serve(conversation, keep_guard=False)

    namespace(work)


def test_only_the_addresses_that_were_asked_for(namespace: Namespace, tmp_path: Path) -> None:
    async def conversation(running: Running) -> None:
        assert "192.0.2.1:500" in sh("ss -uan") and "192.0.2.7" not in sh("ss -uan")
        assert "mtu 1280" in sh("ip link show ipsec3")

    def work() -> None:
        network()
        sh("ip addr add 192.0.2.7/24 dev eth0")
        running = Running(
            tmp_path, interfaces=(("ipsec3", "eth0"),), listen=(ip_address("192.0.2.1"),), override_mtu=1280
        )
        running.serve(conversation, keep_guard=False)
        assert "ipsec3" not in sh("ip link")

    namespace(work)


def test_the_guard_over_a_restart(namespace: Namespace, tmp_path: Path) -> None:
    def standing() -> tuple[bool, bool, bool]:
        return (
            "10.2.0.0/24" in sh("nft list ruleset"),
            "10.2.0.0/24 dev ipsec0" in sh("ip route show table 50"),
            "blackhole 10.2.0.0/24" in sh("ip route show table 50"),
        )

    async def in_force(running: Running) -> None:
        await running.until(lambda: standing() == (True, True, True))

    def work() -> None:
        network()
        Running(tmp_path).serve(in_force, keep_guard=True)
        assert standing()[0], "a restart opens a gap"
        Running(tmp_path).serve(in_force, keep_guard=False)
        assert standing() == (False, False, False)
        Running(tmp_path).serve(nothing, keep_guard=True)
        # What ipsec.conf no longer has is given up by the next daemon at once.
        Running(tmp_path, conf="version 2.0\n").serve(nothing, keep_guard=True)
        assert not standing()[0]
        Running(tmp_path).serve(nothing, keep_guard=False)

    namespace(work)


def test_what_a_killed_daemon_left_goes_when_the_operator_says_so(namespace: Namespace, tmp_path: Path) -> None:
    def standing() -> tuple[bool, bool]:
        return "10.2.0.0/24" in sh("nft list ruleset"), "10.2.0.0/24" in sh("ip route show table 50")

    async def routed(running: Running) -> None:
        await running.until(lambda: standing() == (True, True))

    async def shown(running: Running) -> str:
        lines = [text for _, text in await running.ask(encode_request("status"))]
        (guard,) = (text.partition("leak guard: ")[2].partition(";")[0] for text in lines if "leak guard: " in text)
        return guard

    async def unrouted(running: Running) -> None:
        assert standing() == (True, True), "the daemon that came after gave up what it had not been told to"
        assert await running.ask(encode_request("unroute", name="y")) == [(21, 'no connection named "y"')]
        assert standing() == (True, True)
        assert await shown(running) == "in place"
        assert await running.ask(encode_request("unroute", name="x")) == []
        assert standing() == (False, False)
        assert await shown(running) == "not in place"

    def work() -> None:
        network()
        Running(tmp_path).serve(routed, keep_guard=True)
        # A killed daemon leaves its routes too: put back what the orderly end took away.
        sh("ip route add blackhole 10.2.0.0/24 table 50 proto static metric 2147483647")
        Running(tmp_path, conf=CONF.replace("auto=route", "auto=add")).serve(unrouted, keep_guard=False)

    namespace(work)


def test_what_stands_in_the_way_is_one_error(namespace: Namespace, tmp_path: Path) -> None:
    def work() -> None:
        network()
        sh("ip link add ipsec0 type veth peer name other")
        try:
            Running(tmp_path).serve(nothing, keep_guard=False)
        except HostError as why:
            assert "cannot take over interface ipsec0" in str(why)
        else:
            raise AssertionError("it started")

    namespace(work)
