# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway that serves inside a namespace, and what its tests ask of it."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from openswan.config.load import load
from openswan.daemon.gateway import Gateway
from openswan.daemon.wanted import Places, Wanted
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
        loaded = load(directory / "ipsec.conf")
        wanted = Wanted(places, connections=loaded.connections, unusable=loaded.unusable, groups=loaded.groups, **more)
        self.gateway = Gateway(wanted, lambda line, *_: self.lines.append(line))

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
