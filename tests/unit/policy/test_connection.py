# SPDX-License-Identifier: GPL-2.0-or-later
"""A connection is plain data: frozen, hashable, and nothing weak by default."""

from dataclasses import FrozenInstanceError, replace
from ipaddress import ip_address

import pytest

from openswan.policy.connection import (
    Auth,
    Connection,
    DpdAction,
    End,
    Host,
    HostKind,
    SendCert,
    ShuntPolicy,
    Startup,
)

HERE = End(Host(HostKind.ADDRESS, ip_address("192.0.2.1")))
THERE = End(Host(HostKind.ANY))


def test_frozen_and_hashable() -> None:
    made = Connection("x", HERE, THERE)
    with pytest.raises(FrozenInstanceError):
        made.name = "y"  # type: ignore[misc]
    assert {made, replace(made), replace(made, name="y")} == {made, Connection("y", HERE, THERE)}


def test_nothing_weak_by_default() -> None:
    made = Connection("x", HERE, THERE)
    assert made.ike_version == 2 and made.pfs and made.leak_guard and made.arrival_check
    assert not made.auth & (Auth.NULL | Auth.NEVER) and not made.other_family_clear
    assert made.failure_shunt is ShuntPolicy.NONE and made.prospective is ShuntPolicy.TRAP
    assert made.replay_window > 0 and made.startup is Startup.IGNORE


def test_words_of_the_configuration_are_the_values() -> None:
    assert [one.value for one in Startup] == ["ignore", "add", "route", "start"]
    assert [one.value for one in SendCert] == ["always", "ifasked", "never"]
    assert ShuntPolicy("passthrough") is ShuntPolicy.PASS and DpdAction("restart_by_peer")
    assert {one.value for one in HostKind if one.value.startswith("%")} >= {"%any", "%defaultroute", "%opportunistic"}
