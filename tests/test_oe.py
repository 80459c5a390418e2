# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/OE.md prints the table that is in force, and names only files that exist."""

from __future__ import annotations

import re

from openswan.engine.oestates import Event, State
from tests.oedoc import PAGE, printed, table


def test_the_table_in_print_is_the_one_in_force() -> None:
    assert printed(PAGE.read_text()) == table(), "run: python -m tests.oedoc"


def test_it_has_every_state_and_event() -> None:
    rows = printed(PAGE.read_text()).splitlines()
    for event in Event:
        assert any(row.startswith(f"| **{event.name}** ") and row.count("|") == len(State) + 2 for row in rows)


def test_the_files_it_names_exist() -> None:
    root = PAGE.parent.parent
    named = set(re.findall(r"`((?:\w+/)+\w+\.py)`", PAGE.read_text()))
    assert len(named) > 8
    for name in named:
        assert (root / "openswan" / name).exists() or (root / name).exists(), name


def test_the_tests_that_promises_name_exist() -> None:
    root = PAGE.parent.parent
    page = (root / "docs/OE-TESTS.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    assert len(named) > 80
    missing = [f"{name}::{test}" for name, test in named if f"def {test}(" not in (root / name).read_text()]
    assert not missing
    rows = [
        line for line in page.splitlines() if line.startswith("| ") and not line.startswith(("| promise", "| then"))
    ]
    assert all("::test_" in row for row in rows), "a promise without a test belongs into the last section"
