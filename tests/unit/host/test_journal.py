# SPDX-License-Identifier: GPL-2.0-or-later
"""The latest lines, bounded, and the counts of all."""

from openswan.host import journal
from openswan.host.journal import Journal


def test_lines_and_counts() -> None:
    kept = Journal(lambda: 1700000000.25)
    kept.note("hello\nworld", False)
    for number in range(journal.MOST + 5):
        kept.note(f"no {number}", True, "failed")
    rows = kept.rows()
    assert rows["counts"] == {"failed": journal.MOST + 5} and len(rows["lines"]) == journal.MOST
    assert rows["lines"][-1] == {"time": 1700000000.25, "event": "failed", "serious": True,
                                 "text": f"no {journal.MOST + 4}"}  # fmt: skip
    assert kept.text().splitlines()[0] == "1700000000.250 failed no 5"


def test_a_line_is_one_line() -> None:
    kept = Journal(lambda: 0.0)
    kept.note("a\nb", False)
    kept.note("| those of debugging would push out all others", False, "debug")
    assert kept.text() == "0.000 - a\\012b"
