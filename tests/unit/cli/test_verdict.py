# SPDX-License-Identifier: GPL-2.0-or-later
"""How checks of `ipsec verify` are shown."""

from __future__ import annotations

import pytest

from openswan.cli.verdict import Finding, Scene, report
from tests.unit.cli.cardboard import Cardboard


def test_the_layout() -> None:
    assert Finding("Checking rp_filter", "OK").line() == "Checking rp_filter" + " " * 32 + "\t[OK]"
    assert Finding("x", "FAILED").line(True).endswith("\t\033[31m[FAILED]\033[0m")
    assert Finding("x", "N/A").line(True).endswith("\t[N/A]")


@pytest.mark.parametrize(("verdict", "well"), [("OK", True), ("WARNING", True), ("FAILED", False)])
def test_a_report(verdict: str, well: bool, capsys: pytest.CaptureFixture[str]) -> None:
    scene = Scene(Cardboard(), "gw.example.org", None, False)
    assert report([("A heading", lambda scene: iter([Finding("x", verdict, ("do this",))]))], scene) is well
    heading, line, hint = capsys.readouterr().out.splitlines()
    assert (heading, hint) == ("A heading", "    do this") and line.endswith(f"[{verdict}]")
