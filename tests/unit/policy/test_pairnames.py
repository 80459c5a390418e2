# SPDX-License-Identifier: GPL-2.0-or-later
"""What pairs of subnets are called when the lists they come from change."""

from __future__ import annotations

from openswan.policy.pairnames import base_of, clients_of, renumber
from tests.unit.config.conn import load


def names(body: str, known: dict[str, tuple[str, str]]) -> dict[str, str]:
    """Name -> left subnet === right subnet."""
    return {each.name: "===".join(clients_of(each)) for each in renumber(load(body).connections, known)}


def running(body: str) -> dict[str, tuple[str, str]]:
    return {each.name: clients_of(each) for each in load(body).connections}


THREE = "leftsubnets={10.1.0.0/24 10.2.0.0/24 10.3.0.0/24};rightsubnet=10.9.0.0/24"


def test_what_stays_keeps_its_name_when_another_goes() -> None:
    made = names("leftsubnets={10.3.0.0/24 10.2.0.0/24};rightsubnet=10.9.0.0/24", running(THREE))
    assert made == {"x/3x0": "10.3.0.0/24===10.9.0.0/24", "x/2x0": "10.2.0.0/24===10.9.0.0/24"}


def test_what_is_new_has_its_position_or_the_lowest_number_nobody_had() -> None:
    made = names("leftsubnets={10.2.0.0/24 10.3.0.0/24 10.4.0.0/24};rightsubnet=10.9.0.0/24", running(THREE))
    assert made["x/4x0"] == "10.4.0.0/24===10.9.0.0/24" and {"x/2x0", "x/3x0"} < made.keys()
    made = names("leftsubnets={10.7.0.0/24 10.2.0.0/24 10.3.0.0/24};rightsubnet=10.9.0.0/24", running(THREE))
    assert made["x/1x0"] == "10.7.0.0/24===10.9.0.0/24", "in the place of the one that has gone"


def test_numbers_are_those_of_either_list() -> None:
    body = "leftsubnets={10.1.0.0/24 10.2.0.0/24};rightsubnets={10.8.0.0/24 10.9.0.0/24}"
    made = names("leftsubnets={10.2.0.0/24};rightsubnets={10.9.0.0/24 10.7.0.0/24}", running(body))
    assert made == {"x/2x2": "10.2.0.0/24===10.9.0.0/24", "x/2x3": "10.2.0.0/24===10.7.0.0/24"}


def test_without_anything_running_positions_count() -> None:
    assert names(THREE, {}).keys() == {"x/1x0", "x/2x0", "x/3x0"}
    assert names("leftsubnet=10.1.0.0/24;rightsubnet=10.9.0.0/24", {"x/1x0": ("10.1.0.0/24", "")}).keys() == {"x"}


def test_a_subnet_that_is_listed_twice_keeps_both_positions() -> None:
    twice = "leftsubnets={10.1.0.0/24 10.1.0.0/24};rightsubnet=10.9.0.0/24"
    assert names(twice, running(THREE)).keys() == {"x/1x0", "x/2x0"}


def test_the_conn_a_pair_belongs_to() -> None:
    assert [base_of(name) for name in ("net", "net/1x22", "a/b", "a/1x2/3x4", "/1x1")] == [
        "net",
        "net",
        "a/b",
        "a/1x2",
        "/1x1",
    ]
