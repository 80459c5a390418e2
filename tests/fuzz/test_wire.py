# SPDX-License-Identifier: GPL-2.0-or-later
"""A bounded turn of the wire fuzzer; `python -m tests.fuzz.wire` runs longer ones."""

from __future__ import annotations

import pytest

from tests.fuzz.wire import main, run


@pytest.mark.parametrize("seed", range(4))
def test_only_wire_errors_leave_the_parsers(seed: int) -> None:
    results = list(run(seed, lambda index: index >= 4000))
    parsed = sum(results)
    # Both outcomes must be frequent, or the damage is too small or too great to tell anything.
    assert 0.1 < parsed / len(results) < 0.9


def test_the_long_form_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["0.2", "1"]) == 0
    assert "no other error than WireError" in capsys.readouterr().out
