# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets and their numbers."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from openswan.base.numbers import IpProtocol
from openswan.base.said import Said, Shunt
from openswan.klips.shunt import action_of, target_of

SAID = Said(IpProtocol.ESP, 0x1000, ip_address("192.0.2.1"))


def test_there_and_back() -> None:
    for target in (*Shunt, SAID):
        assert target_of(action_of(target), SAID if target is SAID else None) == target
    assert {action_of(shunt) for shunt in Shunt} == {256, 257, 258, 259, 260} and action_of(SAID) == 0


def test_an_sa_needs_its_name() -> None:
    with pytest.raises(ValueError):
        target_of(0, None)
