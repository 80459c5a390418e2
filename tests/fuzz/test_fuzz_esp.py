# SPDX-License-Identifier: GPL-2.0-or-later
"""A bounded turn of the engine's fuzzer; `python -m tests.fuzz.fuzz_esp` runs longer ones."""

from __future__ import annotations

import pytest

from tests.fuzz.fuzz_esp import main, run


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("provider", ["auto", "evp"])
def test_the_engine_survives(seed: int, provider: str) -> None:
    assert run(seed, lambda inputs: inputs >= 2000, provider) > 300


def test_the_long_form_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["0.5", "7"]) == 0
    assert "engine alive" in capsys.readouterr().out
