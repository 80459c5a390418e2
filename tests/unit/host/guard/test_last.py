# SPDX-License-Identifier: GPL-2.0-or-later
"""Which devices the last guard stands on; tests/netns/test_lastguard.py has it stop packets."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

from openswan.host.guard.guard import Guard
from openswan.host.guard.last import hooked, in_force, physical, supported

Namespace = Callable[[Callable[[], Any]], Any]


def ip(*words: str) -> None:
    subprocess.run(["ip", "link", *words], check=True, capture_output=True)


def test_chains_name_their_devices() -> None:
    assert hooked(("last", "last4", "dev-eth0", "dev-dev-1")) == {"eth0", "dev-1"}


def test_a_kernel_can_be_asked_and_nothing_is_left(namespace: Namespace) -> None:
    def work() -> None:
        assert supported() == ""
        assert subprocess.run(["nft", "list", "tables"], capture_output=True, check=True).stdout == b""
        assert in_force() == frozenset()

    namespace(work)


def test_devices_that_lead_out_have_it_and_no_others(namespace: Namespace) -> None:
    def work() -> None:
        for name, peer in (("wan", "wan.far"), ("port", "ipsec7"), ("ipsec0", "mast1")):
            ip("add", name, "type", "veth", "peer", "name", peer)
        ip("add", "br0", "type", "bridge")
        ip("set", "port", "master", "br0")
        assert physical() == {"wan", "wan.far", "br0"}
        guard = Guard.open()
        assert in_force() == physical() and guard.check()
        ip("del", "wan")
        ip("add", "eth0.7", "type", "veth", "peer", "name", "ipsec1")
        ip("set", "port", "nomaster")
        guard.follow_devices()
        assert in_force() == physical() == {"br0", "eth0.7", "port"} and guard.check()
        guard.close(keep=True)
        assert in_force() == physical()
        Guard.open().close(keep=False)
        assert in_force() == frozenset()

    namespace(work)
