# SPDX-License-Identifier: GPL-2.0-or-later
"""Replays what the coverage-guided fuzzers kept, in a process of its own and on the engine as it is installed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.fuzz import build, corpus, seeds
from tests.fuzz.guided import TARGETS


@pytest.fixture(scope="module")
def folder() -> str:
    return str(build.plain())


def replay(folder: str, target: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([folder, str(build.ROOT)])}
    argv = [sys.executable, "-m", "tests.fuzz.replay", target]
    return subprocess.run(
        argv, cwd=build.ROOT, env=environment, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.xdist_group("fuzz")
def test_what_was_found_once_is_not_found_again(folder: str, target: str) -> None:
    done = replay(folder, target)
    assert done.returncode == 0, f"{target}: {done.stdout}{done.stderr}"
    kept, found = corpus.load(target)
    assert kept, f"{target} has no corpus: `make fuzz FUZZ_KEEP=keep` writes one"
    assert f"{len(kept) + len(found) + len(seeds.seeds(target))} inputs" in done.stdout


@pytest.mark.xdist_group("fuzz")
def test_every_target_is_known_to_the_fuzzer(folder: str) -> None:
    done = replay(folder, "")
    assert set(done.stdout.split()) == set(TARGETS)
