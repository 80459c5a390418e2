# SPDX-License-Identifier: GPL-2.0-or-later
"""Against a stock Linux kernel keyed by `ip xfrm`: every ESP algorithm, both families in both, ESN, replay windows.

The whole cross product is `make soak-xfrm`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.netns.capture import Capture, Seen
from tests.netns.conns import INNER
from tests.netns.lab import Lab
from tests.netns.xfrm import Case, KernelPeer, bundles, sample

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600), pytest.mark.xdist_group("kernelpeer")]


def is_order(seen: Seen) -> bool:
    """Is it TCP from or to port 7 of the guest?"""
    return seen.kind == "tcp" and {seen.src, seen.dst} == {"192.0.2.1", "192.0.2.2"} and b"\0\7" in seen.data[34:38]


@pytest.fixture(scope="module")
def peer() -> Iterator[KernelPeer]:
    with Lab("vm") as lab:
        yield KernelPeer(lab)


@pytest.mark.parametrize("case", [*sample(), *bundles()], ids=str)
def test_traffic(peer: KernelPeer, case: Case) -> None:
    peer.install(case)
    try:
        with Capture(peer.lab.west, "tap0") as wire:
            peer.prove(case)
            wire.close()
            # The orders to the guest are TCP between the outer addresses; nothing else may be seen.
            alone = {"tcp", "icmp", "udp"} if case.kind == "comp" else set()
            hidden = {"proto-51", "proto-108", *alone, *({"proto-4", "proto-41"} if alone and case.tunnel else ())}
            seen = [s for s in wire.leaks(INNER) if s.kind not in hidden and not is_order(s)]
            assert not seen, seen
            kinds = wire.count()
            assert kinds["esp"] + kinds["proto-51"] + kinds["proto-108"] > (20 if case.kind != "comp" else 8), kinds
    except BaseException:
        print(peer.state(), peer.west.log(), sep="\n")
        raise
