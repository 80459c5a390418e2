# SPDX-License-Identifier: GPL-2.0-or-later
"""What the documents for users say is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from openswan.cli.commands import COMMANDS, RETIRED
from openswan.config.keyword import Status
from openswan.config.keywords import TABLE
from openswan.config.manual import shown

ROOT = Path(__file__).resolve().parents[1]
USERS = ("QUICKSTART", "FLEET", "FAQ", "MIGRATING", "IPV6", "EVENTS", "STATUS")


def text(name: str) -> str:
    return (ROOT / f"docs/{name}.md").read_text()


def tables() -> dict[str, dict[str, str]]:
    """The tables of MIGRATING.md by their titles: what is no more, and what to do instead."""
    return {
        "Commands that are no more": RETIRED,
        "Keywords that are refused": {shown(row): row.reason for row in TABLE if row.status is Status.REFUSED},
        "Keywords that are not acted on": {shown(row): row.reason for row in TABLE if row.status is Status.HARMLESS},
        "Keywords that could change nothing": {shown(row): row.reason for row in TABLE if row.status is Status.MOOT},
        "Keywords that are obsolete": {shown(row): row.sentence for row in TABLE if row.status is Status.OBSOLETE},
    }


def migrating() -> str:
    """MIGRATING.md with its tables as they are to be."""
    document = text("MIGRATING")
    for title, rows in tables().items():
        lines = "".join(f"| `{name}` | {what} |\n" for name, what in rows.items())
        pattern = rf"(## {title}\n.*?\n\|---\|---\|\n)(?:\|[^\n]*\n)*"
        document = re.sub(pattern, lambda found, lines=lines: found[1] + lines, document, flags=re.DOTALL)
    return document


def test_migrating_has_every_command_and_keyword_that_is_no_more() -> None:
    assert text("MIGRATING") == migrating(), "make man writes it"


@pytest.mark.parametrize("name", USERS)
def test_commands_and_files_that_are_named_exist(name: str) -> None:
    document = text(name)
    words = set(re.findall(r"`ipsec ([a-z_][a-z_-]*)", document))
    assert not words - set(COMMANDS), "no such command"
    for path in re.findall(r"`(tests/[a-z_/]+\.py)`|\]\(([A-Z0-9]+\.md)\)", document):
        assert (ROOT / path[0]).exists() and (ROOT / "docs" / path[1]).exists()


def test_codes_of_the_questions_are_those_of_the_diagnosis() -> None:
    source = "".join(path.read_text() for path in sorted((ROOT / "openswan/diagnosis").glob("*.py")))
    codes = {
        code for group in re.findall(r"\[(`[^\]]*)\]", text("FAQ")) for code in re.findall(r"`([a-z0-9-]+)`", group)
    }
    assert len(codes) > 25
    assert not {code for code in codes if f'"{code}"' not in source and not code.startswith("firewall-in-")}


if __name__ == "__main__":
    (ROOT / "docs/MIGRATING.md").write_text(migrating())
