# SPDX-License-Identifier: GPL-2.0-or-later
"""Two of our gateways, west and east, from one configuration."""

from __future__ import annotations

from dataclasses import dataclass

from tests.netns.conns import SECRETS
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, wait_for


@dataclass(frozen=True)
class Pair:
    """Both gateways, started."""

    west: Gateway
    east: Gateway

    def up(self, *conns: str) -> None:
        """West initiates; afterwards both sides have the tunnels."""
        for name in conns:
            self.west.up(name)
        self.settle(len(conns))

    def settle(self, count: int = 1) -> None:
        """Wait until both have at least that many tunnels."""
        self.west.wait_tunnels(count)
        self.east.wait_tunnels(count)

    def logs(self) -> str:
        """Both logs' ends."""
        return self.west.log() + self.east.log()


def pair(lab: Lab, conf: str, east_conf: str = "", secrets: str = SECRETS, east_secrets: str = "") -> Pair:
    """Configure and start west and east; east uses west's texts unless it has its own."""
    both = Pair(
        Gateway(lab.west, conf, secrets),
        Gateway(lab.east, east_conf or conf, east_secrets or secrets),
    )
    both.east.start()
    both.west.start()
    return both


def loaded(gateway: Gateway, conn: str) -> None:
    """Wait until a conn shows in the status."""
    wait_for(f"conn {conn} on {gateway.host.name}", lambda: f'"{conn}"' in gateway.status(), 5)
