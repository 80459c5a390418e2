# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/RFC7296.md, docs/CVE.md and docs/INTEROP.md name only what exists: modules, functions and tests."""

from __future__ import annotations

import ast
import importlib
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "RFC7296.md").read_text()
ROWS = [line.strip("|").split("|") for line in TEXT.splitlines() if re.match(r"\| [0-9].*`.*`", line)]
FLAWS = re.findall(r"`([\w/]+\.py(?:::\w+)?)`", (ROOT / "docs" / "CVE.md").read_text())
INTEROP = (ROOT / "docs" / "INTEROP.md").read_text()
SCENARIO = re.compile(r"^\|.*\| `([\w/]+\.py::\w+)` \|", re.MULTILINE)
SCENARIOS = SCENARIO.findall(INTEROP)
DONE = [(row[0].strip(), row[3].strip().strip("`"), row[4].strip().strip("`")) for row in ROWS]


@lru_cache
def names_in(path: Path) -> frozenset[str]:
    return frozenset(node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef))


def find(name: str) -> Any:
    """The module, or what is in it."""
    parts = ["openswan", *name.split(".")]
    for count in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[count:]:
            found = getattr(found, attribute)
        return found
    raise AssertionError(name)


def test_there_are_rows_for_every_chapter() -> None:
    assert len(DONE) > 150
    assert {row[0].split(".")[0] for row in DONE} >= {"1", "2", "3", "4", "5"}


def test_each_scenario_with_other_software_stands_once() -> None:
    assert len(SCENARIOS) >= 60
    assert len(SCENARIOS) == len(set(SCENARIOS))


def test_the_scenarios_of_ikev1_are_counted_and_none_is_left_out() -> None:
    sections = dict(part.split("\n", 1) for part in INTEROP.split("\n## ")[1:])
    strongswan, libreswan = (SCENARIO.findall(sections[f"{peer}, IKEv1"]) for peer in ("strongSwan", "libreswan"))
    said = f"{len(strongswan)} scenarios with strongSwan and {len(libreswan)} with libreswan"
    assert said in " ".join(INTEROP.split())
    for name in ("strongswan_ikev1", "strongswan_xauth", "nat_ikev1", "libreswan_ikev1"):
        path = f"netns/test_{name}.py"
        tests = {f"{path}::{one}" for one in names_in(ROOT / "tests" / path) if one.startswith("test_")}
        assert tests <= {*strongswan, *libreswan}, "each with somebody else's software stands in the table"


@pytest.mark.parametrize("where", sorted({row[1] for row in DONE}))
def test_what_does_it_exists(where: str) -> None:
    find(where)


@pytest.mark.parametrize("test", sorted({row[2] for row in DONE} | set(FLAWS) | set(SCENARIOS)))
def test_what_shows_it_exists(test: str) -> None:
    path, _, name = test.partition("::")
    assert not name or name in names_in(ROOT / "tests" / path)
    assert (ROOT / "tests" / path).exists()
