# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine for checks that is not there."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Any

from openswan.base.address import Address
from openswan.host.machine import Bound, LastLine, Machine


class Cardboard(Machine):
    """A machine in good order, but for what a test changes."""

    def __init__(self, **wrong: Any) -> None:
        super().__init__(Path("/nonexistent"))
        self.wrong = wrong

    def interfaces(self) -> list[str]:
        return list(self.wrong.get("interfaces", ["eth0", "eth1"]))

    def number(self, path: str) -> int | None:
        return int(self.wrong.get(path, "forward" in path))

    def device(self, path: str) -> str:
        return str(self.wrong.get("tun", ""))

    def last_guard(self) -> LastLine:
        there = frozenset(self.wrong.get("guarded", ("eth0", "eth1")))
        return LastLine(self.wrong.get("egress", ""), there, frozenset(("eth0", "eth1")))

    def queueing(self) -> str:
        return str(self.wrong.get("queue", ""))

    def bound(self) -> list[Bound]:
        return list(self.wrong.get("bound", []))

    def owner(self, inode: int) -> tuple[int, str]:
        return 77, "charon"

    def tool(self, name: str) -> str:
        return "" if name in self.wrong.get("tools", ()) else f"/sbin/{name}"

    def output(self, *argv: str, timeout: float = 10.0) -> tuple[int, str]:
        return 0, str(self.wrong.get("rules", ""))

    def addresses(self) -> list[tuple[Address, str]]:
        return [(ip_address(each), "eth0") for each in self.wrong.get("addresses", ["10.0.0.1"])]
