# SPDX-License-Identifier: GPL-2.0-or-later
"""A descriptor that is not read at once does not keep the loop turning."""

from __future__ import annotations

import asyncio
import socket

from openswan.host.readable import readable


def test_it_tells_of_what_is_there_and_of_the_end_of_its_patience() -> None:
    async def work() -> None:
        here, there = socket.socketpair()
        with here, there:
            assert not await readable(here.fileno(), 0.01)
            asyncio.get_running_loop().call_later(0.01, there.send, b"x")
            assert await readable(here.fileno()) and await readable(here.fileno(), 5.0)

    asyncio.run(work())


def test_the_loop_rests_until_it_is_read() -> None:
    async def work() -> int:
        loop, here, there, turns = asyncio.get_running_loop(), *socket.socketpair(), 0

        def turn() -> None:
            nonlocal turns
            turns += 1

        look = loop._selector.select  # type: ignore[attr-defined]

        def counted(timeout: float | None) -> object:
            turn()
            return look(timeout)

        loop._selector.select = counted  # type: ignore[attr-defined]
        with here, there:
            there.send(b"x")
            assert await readable(here.fileno())
            turns = 0
            await asyncio.sleep(0.1)
        return turns

    assert asyncio.run(work()) < 5
