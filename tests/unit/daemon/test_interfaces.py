# SPDX-License-Identifier: GPL-2.0-or-later
"""ipsecN inside one namespace: sizes, addresses that come and go, devices that are deleted."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from pathlib import Path

from openswan.plane.orders import Wire, Wiring, order_to_plain
from openswan.wire.whack import encode_request
from tests.unit.daemon.running import Namespace, Running, network, sh


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


def test_a_deleted_ipsec0_is_made_anew_with_its_routes(namespace: Namespace, tmp_path: Path) -> None:
    def number() -> str:
        return sh("ip -o link show ipsec0").partition(":")[0]

    def whole() -> bool:
        links = sh("ip -o link show")
        return "ipsec0:" in links and "10.2.0.0/24 dev ipsec0" in sh("ip route show table 50")

    async def conversation(running: Running) -> None:
        await running.until(whole)
        for _ in range(2):
            before = number()
            sh("ip link del ipsec0")
            assert "blackhole 10.2.0.0/24" in sh("ip route show table 50")
            await running.until(whole)
            assert number() != before
            await running.until(lambda: "mtu 1400" in sh("ip link show ipsec0"))
            await running.until(lambda: "LOWER_UP" in sh("ip link show ipsec0"))
        assert sum("ipsec0 is gone: it is made anew" in line for line in running.lines) == 2

    def work() -> None:
        network()
        Running(tmp_path).serve(conversation, keep_guard=False)
        assert "ipsec0" not in sh("ip link")

    namespace(work)


def test_somebody_elses_device_in_the_place_is_not_taken(namespace: Namespace, tmp_path: Path) -> None:
    async def conversation(running: Running) -> None:
        await running.until(lambda: "10.2.0.0/24 dev ipsec0" in sh("ip route show table 50"))
        sh("ip link del ipsec0; ip link add ipsec0 type veth peer name other")
        await running.until(lambda: any("cannot take over interface ipsec0" in line for line in running.lines))
        assert "10.2.0.0/24 dev ipsec0" not in sh("ip route show table 50")
        sh("ip link del ipsec0")
        await running.until(lambda: "10.2.0.0/24 dev ipsec0" in sh("ip route show table 50"))

    def work() -> None:
        network()
        Running(tmp_path).serve(conversation, keep_guard=False)

    namespace(work)


def test_a_physical_interface_that_goes_and_comes_back_is_stood_on_again(namespace: Namespace, tmp_path: Path) -> None:
    async def on(running: Running, name: str) -> str:
        return next(row["physical"] for row in await running.table("tncfg") if row["name"] == name)

    async def until(running: Running, name: str, physical: str) -> None:
        for _ in range(300):
            if await on(running, name) == physical:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(await running.table("tncfg"))

    async def conversation(running: Running) -> None:
        order = Wire(Wiring.ATTACH, "ipsec5", "eth5")
        assert await running.ask(encode_request("klips", **order_to_plain(order))) == []
        await until(running, "ipsec5", "eth5")
        sh("ip link del eth5; ip link del eth0")
        await until(running, "ipsec5", "")
        await until(running, "ipsec0", "")
        assert "192.0.2.1:500" not in sh("ss -uan")
        network()
        fifth()
        await until(running, "ipsec5", "eth5")
        await until(running, "ipsec0", "eth0")
        await running.until(lambda: "192.0.2.1:500" in sh("ss -uan") and "203.0.113.1:500" in sh("ss -uan"))
        assert "mtu 1400" in sh("ip link show ipsec0") and "mtu 1350" in sh("ip link show ipsec5")

    def fifth() -> None:
        sh("ip link add eth5 mtu 1350 type veth peer name far5; ip addr add 203.0.113.1/24 dev eth5")
        sh("ip link set eth5 up; ip link set far5 up")

    def work() -> None:
        network()
        fifth()
        Running(tmp_path, interfaces=(("ipsec0", "eth0"),)).serve(conversation, keep_guard=False)

    namespace(work)
