# SPDX-License-Identifier: GPL-2.0-or-later
"""Waiting until a descriptor can be read, for those who let it be for a while before they do."""

from __future__ import annotations

import asyncio


async def readable(fd: int, patience: float | None = None) -> bool:
    """Wait until `fd` can be read; False: it could not within `patience` seconds.

    The loop looks at it no longer than that. A reader that stayed would be called in every turn until somebody reads,
    so that the loop would never rest.
    """
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(fd, _tell, ready)
    try:
        async with asyncio.timeout(patience):
            await ready
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(fd)
    return True


def _tell(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
