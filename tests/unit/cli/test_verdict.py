# SPDX-License-Identifier: GPL-2.0-or-later
"""The line of a check."""

from __future__ import annotations

from openswan.cli.verdict import Finding


def test_the_layout() -> None:
    assert Finding("Checking rp_filter", "OK").line() == "Checking rp_filter" + " " * 32 + "\t[OK]"
    assert Finding("x", "FAILED").line(True).endswith("\t\033[31m[FAILED]\033[0m")
    assert Finding("x", "N/A").line(True).endswith("\t[N/A]")
