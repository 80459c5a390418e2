# SPDX-License-Identifier: GPL-2.0-or-later
"""The printed script is proper shell; tests/netns/test_routes.py sees that it does what the daemon does."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from openswan.cli.updown_script import script
from openswan.host.updown import VERBS

SHELLS = [shell for shell in ("dash", "busybox", "bash") if shutil.which(shell)]


@pytest.mark.parametrize("shell", SHELLS)
def test_it_parses_and_keeps_the_classic_statuses(shell: str) -> None:
    argv = [shell, "sh"] if shell == "busybox" else [shell]
    assert subprocess.run([*argv, "-n"], input=script(), text=True, check=False).returncode == 0
    for env, words, status, said in (
        ({}, [], 2, "PLUTO_VERSION is not set"),
        ({"PLUTO_VERSION": "1.1"}, [], 2, "obsolete interface version"),
        ({"PLUTO_VERSION": "2.0", "PLUTO_VERB": "dance-host"}, [], 1, "unknown verb"),
        ({"PLUTO_VERSION": "2.0", "PLUTO_VERB": "up-host"}, ["sideways"], 2, "unknown parameters"),
        ({"PLUTO_VERSION": "2.0", "PLUTO_VERB": "up-host-v6"}, ["custom", "--route", "yes"], 0, ""),
    ):
        done = subprocess.run(
            [*argv, "-s", "--", *words], input=script(), text=True, capture_output=True, env=env, check=False
        )
        assert done.returncode == status and said in done.stderr


def test_shellcheck_has_nothing_to_say() -> None:
    if shutil.which("shellcheck"):
        done = subprocess.run(["shellcheck", "-"], input=script(), text=True, capture_output=True, check=False)
        assert done.stdout == "" and done.returncode == 0
    assert "@" not in script().split("skeleton()")[0].replace("$@", "")


def test_every_verb_has_its_case() -> None:
    text = script()
    for verb in VERBS:
        for kind in ("host", "client", "host-v6", "client-v6"):
            assert any(f"{verb}-{kind}" in line.replace("|", " ").split(")")[0].split() for line in text.splitlines())
