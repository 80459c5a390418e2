# SPDX-License-Identifier: GPL-2.0-or-later
"""Keywords of conns."""

import pytest

from openswan.config.connwords import ROWS
from openswan.config.keyword import Section
from openswan.config.keywords import find


def test_all_rows_are_of_conns() -> None:
    assert {row.section for row in ROWS} == {Section.CONN}


def test_the_words_of_the_ends_come_before_ike_and_esp() -> None:
    names = [row.name for row in ROWS]
    assert names[0] == "" and names.index("subnet") < names.index("also") < names.index("pfs") < names.index("ike")


@pytest.mark.parametrize(
    ("name", "text", "canonical"),
    [
        ("ikev2", "yes", "insist"),
        ("auto", "up", "start"),
        ("type", "pass", "passthrough"),
        ("phase2", "ah+esp", "ah-esp"),
    ],
)
def test_values(name: str, text: str, canonical: str) -> None:
    found = find(Section.CONN, name)
    assert found is not None and found[0].canonical(text) == canonical
