# SPDX-License-Identifier: GPL-2.0-or-later
"""The groups of RFC 5114: digits, vectors, and values that would give a private exponent away."""

from __future__ import annotations

import re
from typing import Any

import pytest

from openswan.base.entropy import SeededRng
from openswan.base.errors import CryptoError
from openswan.crypto import dh
from openswan.crypto.subgroup import SUBGROUPS
from tests.shareddata import DATA, strongswan
from tests.unit.crypto.test_dh import Drawn

SECTIONS = {"dh23": ("2.2.", "2.3."), "dh24": ("2.3.", "2.4.")}
METHODS = {"MODP_2048_224": "dh23", "MODP_2048_256": "dh24"}
CASES = [case for case in strongswan("modpsub") if case["method"] in METHODS]


@pytest.mark.parametrize("name", SUBGROUPS)
def test_they_are_those_printed_in_the_rfc(name: str) -> None:
    text = (DATA / "rfc/rfc5114.txt").read_text(errors="replace")
    first, last = (text.rindex(f"\n{number}  ") for number in SECTIONS[name])
    section = re.sub(r"\n+\S.*\[Page \d+\]\n\f\nRFC 5114.*\n", "\n", text[first:last])
    digits = {key: re.search(rf"\b{key} = ([0-9A-F\s]+)", section) for key in "pgq"}
    printed = [int(re.sub(r"\s", "", found[1]), 16) for found in digits.values() if found is not None]
    group = SUBGROUPS[name]
    assert printed == [group.prime, group.generator, group.order]
    assert group.holds(group.generator) and (group.prime - 1) % group.order == 0


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_vectors(case: dict[str, Any]) -> None:
    """The seeds are both private values, one after the other."""
    half = len(case["seed"]) // 2
    for private, own, other in (
        (case["seed"][:half], "pub_i", "pub_r"),
        (case["seed"][half:], "pub_r", "pub_i"),
    ):
        pair = dh.generate_ikev1(METHODS[case["method"]], Drawn(private))
        assert pair.public == case[own]
        assert pair.shared(case[other]) == case["shared"]


@pytest.mark.parametrize("name", SUBGROUPS)
def test_values_outside_the_subgroup_and_the_group(name: str) -> None:
    """RFC 6989 2.2."""
    group, pair = SUBGROUPS[name], dh.generate_ikev1(name, SeededRng(1))
    small = pow(3, (group.prime - 1) // 2, group.prime)
    for value in (0, 1, group.prime - 1, group.prime, small, group.generator * (group.prime - 1) % group.prime, 3):
        with pytest.raises(CryptoError, match=r"not in (the subgroup|2\.\.p-2)"):
            pair.shared(value.to_bytes(256, "big"))
    assert len(CASES) == len(SUBGROUPS)


@pytest.mark.parametrize("name", SUBGROUPS)
def test_ikev2_has_none_of_them(name: str) -> None:
    with pytest.raises(CryptoError, match="nobody has told where its prime comes from; use x25519"):
        dh.generate(name, SeededRng(1))
