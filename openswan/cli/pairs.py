# SPDX-License-Identifier: GPL-2.0-or-later
"""The pairs of leftsubnets= and rightsubnets= that run, and what takes their place: all of a conn's, or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from openswan.base.log import Rc
from openswan.cli.talk import request
from openswan.policy.pairnames import Clients, base_of

PATIENCE = 60.0
"""Seconds for one answer."""
Plain = dict[str, Any]


def running() -> dict[str, Clients]:
    """What each pair that pluto knows protects, by name; HostError when there is no pluto to ask."""
    answer = "".join(text for _, text in request("pairs", timeout=PATIENCE))
    return {name: (left, right) for name, (left, right) in json.loads(answer or "{}").items()}


def refusals(plains: Iterable[Plain]) -> Iterator[tuple[int, str]]:
    """Code and text of what pluto would not take; nothing is changed by asking."""
    for plain in plains:
        for code, text in request("add", timeout=PATIENCE, connection=plain, check=True):
            if code not in (Rc.COMMENT, Rc.LOG):
                yield code, text


def prunings(names: Iterable[str], known: Iterable[str]) -> Iterator[Plain]:
    """Arguments of the requests that take away what the conns of `names` make no more."""
    wanted = sorted(names)
    for base in sorted({base_of(name) for name in wanted}):
        mine = [name for name in wanted if base_of(name) == base]
        yield {"name": base, "names": mine, "fresh": [name for name in mine if name not in set(known)]}


def replace(plains: list[Plain], known: Iterable[str], send: Callable[[str, Plain], int]) -> tuple[int, str]:
    """Have pluto follow the pairs of one conn; `send` sends a request and answers with its exit status.

    The answer is the exit status, and why nothing has been touched. What says what it said goes on undisturbed.
    """
    for code, text in refusals(plains):
        return code, text
    for plain in plains:
        if status := send("add", {"connection": plain, "renew": True}):
            return status, ""
    for arguments in prunings((plain["name"] for plain in plains), known):
        if status := send("prune", arguments):
            return status, ""
    return 0, ""
