# SPDX-License-Identifier: GPL-2.0-or-later
"""A sample of the faults and healthy set-ups that `make soak-diagnose` goes through."""

from __future__ import annotations

import json

import pytest

from tests.netns.conns import NET4, conn
from tests.netns.diagnosing import Fault, World, diagnose, inject
from tests.netns.faults import FAULTS
from tests.netns.healthy import HEALTHY, look
from tests.netns.keys import Authority

SAMPLE = (
    "different secrets, seen by who refuses",
    "port 500 is taken",
    "masquerading of what the tunnel carries",
    "our INPUT drops port 500",
    "the peer's daemon does not run",
    "the DNS advertises a dead host",
    "the DNS advertises another key than the peer has",
)
QUIET = ("a careful firewall", "the DNS advertises a host that answers")


def test_there_are_enough_of_them() -> None:
    assert len(FAULTS) >= 80 and len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert len(HEALTHY) >= 50 and len({one.name for one in HEALTHY}) == len(HEALTHY)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.name in SAMPLE], ids=lambda fault: fault.name)
def test_the_cause_and_its_remedy_come_first(fault: Fault, rsa_authority: Authority) -> None:
    outcome = inject(fault, lambda: rsa_authority)
    assert outcome.right_remedy, outcome.text
    assert outcome.status == {"config": 10, "keys": 11, "machine": 13, "peer": 15}[outcome.first["kind"]]


@pytest.mark.parametrize("one", [one for one in HEALTHY if one.name in QUIET], ids=lambda one: one.name)
def test_nothing_is_said_where_nothing_is_wrong(one: Fault, rsa_authority: Authority) -> None:
    assert list(look(one, lambda: rsa_authority)) == []


def test_it_ends_whoever_does_not_answer(rsa_authority: Authority) -> None:
    """A name server and a peer that are silent, and a tool that hangs: what was not seen is said."""
    named = Fault(
        "silence all round",
        "dead-resolver",
        "",
        west={"right": "east.example.net"},
        more=conn("other", NET4, rightsubnet="10.7.0.0/24", auto="add"),
        resolv="nameserver 192.0.2.2\n",
        target="",
    )
    with World(named, lambda: rsa_authority) as world:
        world.iptables("east", "-A", "INPUT", "-p", "udp", "-j", "DROP")
        tool = world.west.dir / "bin/nft"
        tool.parent.mkdir()
        tool.write_text("#!/bin/sh\nexec sleep 60\n")
        tool.chmod(0o755)
        world.west.env["PATH"] = f"{tool.parent}:{world.west.env['PATH']}"
        outcome = diagnose(world.west, "", named)
    unseen, codes = set(json.loads(outcome.text)["unseen"]), {one["code"] for one in outcome.findings}
    assert "nft" in unseen and "peer-silent" in codes, outcome.text
    # A machine that is too busy to ask the name server in time says that instead.
    assert ("dead-resolver" in codes) != ("the peer east.example.net" in unseen), outcome.text
    assert outcome.seconds < 20.0
