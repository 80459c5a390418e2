# SPDX-License-Identifier: GPL-2.0-or-later
"""The printed script is proper shell; tests/netns/test_routes.py sees that it does what the daemon does."""

from __future__ import annotations

import os
import shutil
import subprocess
from ipaddress import ip_address
from pathlib import Path

import pytest

from openswan.cli.updown_script import script
from openswan.host.resolvedit import ResolvEdit
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


@pytest.mark.parametrize("shell", SHELLS)
def test_it_does_with_resolv_conf_what_the_daemon_does(shell: str, tmp_path: Path) -> None:
    argv = [shell, "sh"] if shell == "busybox" else [shell]
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    env = {
        "PLUTO_VERSION": "2.0",
        "PLUTO_CISCO_DNS_INFO": "10.2.0.53 10.2.0.54",
        "PLUTO_CISCO_DOMAIN_INFO": "a.example",
        "IPSEC_RUNDIR": str(tmp_path / "run"),
        "PATH": os.environ["PATH"],
    }

    def call(verb: str, **more: str) -> None:
        text = script().replace("=/etc/resolv.conf", f"={theirs}")
        told = env | {"PLUTO_VERB": f"{verb}-client"} | more
        subprocess.run([*argv, "-s"], input=text, text=True, env=told, check=True)

    before = "search b.example\noptions edns0\nnameserver 192.0.2.53\n"
    theirs.write_text(before)
    ours.write_text(before)
    call("updateresolvconf", PLUTO_NM_CONFIGURED="1")
    assert theirs.read_text() == before
    call("updateresolvconf")
    edit = ResolvEdit(tmp_path / "run", ours)
    (tmp_path / "run").mkdir()
    edit.update("x", (ip_address("10.2.0.53"), ip_address("10.2.0.54")), ("a.example",))
    assert theirs.read_text().split() == ours.read_text().split()
    # Each can undo what the other has done.
    ResolvEdit(tmp_path / "run", theirs).sweep()
    assert theirs.read_text() == before
    call("updateresolvconf")
    call("updateresolvconf")
    call("restoreresolvconf")
    assert theirs.read_text() == before and {each.name for each in tmp_path.iterdir()} == {"theirs", "ours", "run"}


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
