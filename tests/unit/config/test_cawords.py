# SPDX-License-Identifier: GPL-2.0-or-later
"""Keywords of ca sections."""

from openswan.config.cawords import ROWS
from openswan.config.keyword import Section
from openswan.config.keywords import find


def test_all_rows_are_of_ca_sections() -> None:
    assert {row.section for row in ROWS} == {Section.CA}


def test_strongswans_spellings() -> None:
    for written, name in (("crluri1", "crluri"), ("ocspuri1", "ocspuri"), ("OCSPURI2", "ocspuri2")):
        found = find(Section.CA, written)
        assert found is not None and found[0].name == name


def test_route_means_add() -> None:
    auto = next(row for row in ROWS if row.name == "auto")
    assert [auto.canonical(word) for word in ("add", "start", "route", "ignore")] == ["add", "add", "add", "ignore"]
