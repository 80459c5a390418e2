# SPDX-License-Identifier: GPL-2.0-or-later
"""A sample of the faults and healthy set-ups that `make soak-diagnose` goes through."""

from __future__ import annotations

import pytest

from tests.netns.diagnosing import Fault, inject
from tests.netns.faults import FAULTS
from tests.netns.healthy import HEALTHY, look
from tests.netns.keys import Authority

SAMPLE = (
    "different secrets, seen by who refuses",
    "port 500 is taken",
    "masquerading of what the tunnel carries",
    "our INPUT drops port 500",
    "the peer's daemon does not run",
)
QUIET = ("a careful firewall",)


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
