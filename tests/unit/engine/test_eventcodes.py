# SPDX-License-Identifier: GPL-2.0-or-later
"""Each code stands in the table and in docs/EVENTS.md, and each of the table is used."""

import re
from pathlib import Path

import pytest

from openswan.base.log import Rc
from openswan.engine.eventcodes import BY_REPLY, EVENTS, of_reply

ROOT = Path(__file__).resolve().parents[3]
USED = re.compile(r'\bevent="([a-z0-9-]+)"')
LOGGED = re.compile(r'\b(?:True|False|serious), "([a-z-]+)"\s*\)')
"""What core.log and Log are given as their third."""


def test_the_table_is_what_the_source_uses() -> None:
    used = {code for path in (ROOT / "openswan").rglob("*.py") for code in USED.findall(path.read_text())}
    used |= {code for path in (ROOT / "openswan/engine").rglob("*.py") for code in LOGGED.findall(path.read_text())}
    assert used | {*BY_REPLY.values(), "notification", "ike"} == set(EVENTS)


def test_the_documentation_lists_each() -> None:
    lines = (ROOT / "docs/EVENTS.md").read_text().splitlines()
    listed = dict(row.strip("| ").split(" | ", 1) for row in lines if row.startswith("| `"))
    assert listed == {f"`{code}`": text for code, text in EVENTS.items()}


@pytest.mark.parametrize(
    ("code", "event"), [(Rc.LOG, ""), (Rc.RETRANSMISSION, "retransmission"), (31, "no-answer"), (224, "notification")]
)
def test_lines_that_name_none(code: int, event: str) -> None:
    assert of_reply(code) == event
