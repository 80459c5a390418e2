# SPDX-License-Identifier: GPL-2.0-or-later
"""The drops of the last guard are told apart from those of the first one."""

from __future__ import annotations

import pytest

from openswan.engine.events import GuardSeen
from openswan.engine.leakguard import LeakGuard

DROPPED = {"out4": 1, "out6": 0, "in4": 2, "in6": 0}
LAST = {"last4": 4, "last6": 1}


def test_nothing_is_said_before_the_host_tells() -> None:
    assert list(LeakGuard().lines()) == [] and LeakGuard().facts() is None


@pytest.mark.parametrize(
    ("devices", "where"), [(("lan", "wan"), "lan, wan"), ((), "no device")], ids=["somewhere", "nowhere"]
)
def test_where_it_stands_and_what_it_dropped(devices: tuple[str, ...], where: str) -> None:
    guard = LeakGuard()
    guard.seen(GuardSeen("nft", DROPPED, devices, LAST))
    assert list(guard.lines()) == [
        "leak guard: nft, 3 packets dropped",
        f"last leak guard: on {where}, 5 packets dropped",
    ]
    assert guard.facts() == {"how": "nft", "dropped": DROPPED, "last": {"devices": list(devices), "dropped": LAST}}


def test_a_kernel_without_the_hook() -> None:
    guard = LeakGuard()
    guard.seen(GuardSeen("iptables", DROPPED, None, {}))
    assert list(guard.lines()) == ["leak guard: iptables, 3 packets dropped"]
    assert guard.facts() == {"how": "iptables", "dropped": DROPPED, "last": None}
