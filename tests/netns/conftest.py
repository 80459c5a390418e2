# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the network tests, and what they need of the machine."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.netns.conns import SECRETS
from tests.netns.gateway import Gateway
from tests.netns.keys import Authority
from tests.netns.lab import Lab
from tests.netns.libreswan import HEAD, Libreswan, Peers

HERE = Path(__file__).parent


ONE_IN = {"matrix": 4, "long": 2}
"""How many combinations of a test that is marked as a matrix, and how many tests that are marked as long, there are for
one that every run takes."""


def _sampled(items: list[pytest.Item], mark: str, seed: str) -> list[pytest.Item]:
    """Without those of what has this mark that are not in the sample."""
    families: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker(mark):
            families.setdefault(item.nodeid.partition("[")[0] if mark == "matrix" else "", []).append(item)
    left_out: set[pytest.Item] = set()
    for name, members in families.items():
        taken = random.Random(f"{seed} {name}").sample(members, -(-len(members) // ONE_IN[mark]))
        left_out |= set(members) - set(taken)
    return [item for item in items if item not in left_out]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Every test below this directory is a netns test; of large ones a sample is run, the same for the same SAMPLE."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.netns)
    seed = os.environ.get("SAMPLE", "1")
    if seed == "all":
        return
    left = items
    for mark in ONE_IN:
        left = _sampled(left, mark, seed)
    taken = set(left)
    config.hook.pytest_deselected(items=[item for item in items if item not in taken])
    items[:] = left


@pytest.fixture(scope="session", autouse=True)
def _machine() -> None:
    """Say in one line what is missing, instead of failing in a hundred places."""
    missing = [tool for tool in ("ip", "ping", "iptables", "nft", "tcpdump", "iperf3", "ss") if not shutil.which(tool)]
    assert os.geteuid() == 0, "the network tests need root: sudo make test"
    assert Path("/dev/net/tun").exists(), "the network tests need /dev/net/tun: modprobe tun"
    assert not missing, f"the network tests need {', '.join(missing)}: sudo make build installs them"


@pytest.fixture
def lab() -> Iterator[Lab]:
    """sunset - west = east - sunrise."""
    with Lab() as made:
        yield made


@pytest.fixture
def nat_lab() -> Iterator[Lab]:
    """West and a road warrior behind a masquerading router."""
    with Lab("nat") as made:
        yield made


@pytest.fixture
def vm_lab() -> Iterator[Lab]:
    """East is a virtual machine."""
    with Lab("vm") as made:
        yield made


@pytest.fixture(scope="session", params=["rsa", "ecdsa"])
def authority(request: pytest.FixtureRequest) -> Authority:
    """A CA with RSA and one with ECDSA keys."""
    return Authority(request.param)


@pytest.fixture(scope="session")
def rsa_authority() -> Authority:
    """A CA with RSA keys."""
    return Authority("rsa")


@pytest.fixture(scope="session")
def kernelpeer() -> Iterator[Peers]:
    """libreswan in its machine, without conns, and a gateway of ours: for tests that load and delete each its own."""
    with Lab("vm") as made:
        east = Libreswan(made.west, HEAD, f"{SECRETS}\n")
        west = Gateway(made.west, "", SECRETS)
        west.start()
        yield Peers(made, west, east)


@pytest.fixture(scope="session")
def known_authorities(kernelpeer: Peers) -> dict[str, Authority]:
    """Authorities by their kinds, of each of which that libreswan has a certificate."""
    authorities = {kind: Authority(kind, f"Lab CA {kind}") for kind in ("rsa", "ecdsa")}
    kernelpeer.east.certify(authorities)
    return authorities
