# SPDX-License-Identifier: GPL-2.0-or-later
"""Both versions' machines are what whoever drives them expects."""

from __future__ import annotations

from typing import get_type_hints

from openswan.ike.machine import Machine, Modest
from openswan.ike.v1.sa import IsakmpSa
from openswan.ike.v2.sa import IkeSaV2
from tests.unit.ike.pair import Pair
from tests.unit.ike.v1.pair import Pair as V1Pair


def test_an_ikev2_machine_has_it_all() -> None:
    machine: Machine = Pair().up().a.sa
    wanted = {name for name in vars(Machine) if not name.startswith("_")} | set(get_type_hints(Machine))
    assert all(hasattr(machine, name) for name in wanted)
    assert isinstance(machine, IkeSaV2)
    assert not machine.ended
    assert machine.encap() is None


def test_an_ikev1_machine_has_it_all() -> None:
    machine: Machine = V1Pair().tunnel().a.sa
    wanted = {name for name in vars(Machine) if not name.startswith("_")} | set(get_type_hints(Machine))
    assert all(hasattr(machine, name) for name in wanted)
    assert isinstance(machine, IsakmpSa)
    assert not machine.ended and not machine.busy
    assert (machine.my_spi, machine.spi_r) == (machine.cookie_i, machine.cookie_r)
    assert machine.encap() is None


def test_a_modest_machine_claims_nothing_that_only_ikev2_can() -> None:
    modest = Modest()
    claims = {name: getattr(modest, name) for name in vars(Modest) if not name.startswith("_") and name.islower()}
    assert not any(value for value in claims.values() if not callable(value))
