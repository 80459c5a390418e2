# SPDX-License-Identifier: GPL-2.0-or-later
"""Against a stock Linux kernel keyed by `ip xfrm`: every ESP algorithm, both families in both, ESN, replay windows.

The whole cross product is `make soak-xfrm`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.netns.capture import Capture
from tests.netns.conns import INNER
from tests.netns.lab import Lab
from tests.netns.xfrm import Case, KernelPeer, sample

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600), pytest.mark.xdist_group("kernelpeer")]


@pytest.fixture(scope="module")
def peer() -> Iterator[KernelPeer]:
    with Lab("vm") as lab:
        yield KernelPeer(lab)


@pytest.mark.parametrize("case", list(sample()), ids=str)
def test_esp_tunnels(peer: KernelPeer, case: Case) -> None:
    peer.install(case)
    try:
        with Capture(peer.lab.west, "tap0") as wire:
            peer.prove(case)
            wire.close()
            # The orders to the guest are TCP between the outer addresses; nothing else may be seen.
            orders = [s for s in wire.leaks(INNER) if s.kind == "tcp" and {s.src, s.dst} == {"192.0.2.1", "192.0.2.2"}]
            assert len(orders) == len(wire.leaks(INNER)), wire.leaks(INNER)
            assert wire.count()["esp"] > 20
    except BaseException:
        print(peer.state(), peer.west.log(), sep="\n")
        raise
