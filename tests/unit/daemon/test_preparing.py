# SPDX-License-Identifier: GPL-2.0-or-later
"""What config setup has done round a start of pluto."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from openswan.base.errors import ConfigError, HostError
from openswan.config.setup import Setup
from openswan.daemon.options import parse
from openswan.daemon.preparing import allow_core, run_after, run_before, with_opts


def setup(**values: str) -> Setup:
    return Setup(values=tuple(values.items()))


def test_plutoopts_stand_behind_the_command_line() -> None:
    options = with_opts(parse(["--autostart", "--ikeport", "1500"]), setup(plutoopts="--ikeport 600 --nocrsend"))
    assert "autostart" in options and "nocrsend" in options
    assert options.number("ikeport", 500, 65535) == 1500
    assert with_opts(options, setup()) is options


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("--nofork", "--nofork counts on the command line alone"),
        ("--ctlbase /x", "--ctlbase counts on the command line alone"),
        ("--frob", "unrecognized option `--frob'"),
        ("'", "No closing quotation"),
    ],
)
def test_plutoopts_that_make_no_sense(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=f"plutoopts=: {why}"):
        with_opts(parse([]), setup(plutoopts=text))


def test_a_prepluto_that_fails_tells_what_it_wrote(tmp_path: Path) -> None:
    run_before(setup())
    run_before(setup(prepluto=f"touch {tmp_path}/been"))
    assert (tmp_path / "been").exists()
    with pytest.raises(HostError, match=r"prepluto=`echo no disk >&2; exit 4' failed with status 4\nno disk"):
        run_before(setup(prepluto="echo no disk >&2; exit 4"))


def test_postpluto_runs_beside_and_its_failure_is_in_the_log() -> None:
    told: list[str] = []
    run_after(setup(postpluto="echo gone wrong; exit 3"), lambda text, serious, event="": told.append(text))
    deadline = time.monotonic() + 10
    while len(told) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert told == ["postpluto=`echo gone wrong; exit 3' failed with status 3", "gone wrong"]


@pytest.fixture
def limits() -> Iterator[None]:
    before, here = resource.getrlimit(resource.RLIMIT_CORE), Path.cwd()
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)
    os.chdir(here)


def test_core_dumps_go_where_dumpdir_says_or_there_are_none(limits: None, tmp_path: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    assert allow_core("") == "" and resource.getrlimit(resource.RLIMIT_CORE) == (0, hard)
    said = allow_core(str(tmp_path))
    assert Path.cwd() == tmp_path and resource.getrlimit(resource.RLIMIT_CORE) == (hard, hard)
    assert (said == "") == (hard != 0)
    assert allow_core(f"{tmp_path}/absent") == f"dumpdir={tmp_path}/absent: No such file or directory"
