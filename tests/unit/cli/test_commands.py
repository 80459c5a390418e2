# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of commands."""

from __future__ import annotations

import contextlib
from importlib import import_module

import pytest

from openswan.cli import ipsec
from openswan.cli.commands import COMMANDS, RETIRED, listed


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_exists_and_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = COMMANDS[name]
    status = 0
    with contextlib.suppress(SystemExit):
        status = import_module(command.module).main([*command.prefix, "--help"])
    assert status == 0
    assert "usage" in capsys.readouterr().out.lower()


def test_listing() -> None:
    assert "auto" in listed() and "_updown" not in listed()
    assert listed() == sorted(listed())


def test_a_modern_spelling_says_what_it_stands_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert ipsec.run(["up", "--help"]) == 0
    assert capsys.readouterr().out.startswith(
        "ipsec up ARGUMENT... does the same as ipsec auto --up ARGUMENT...\nUsage"
    )


@pytest.mark.parametrize("name", sorted(RETIRED))
def test_a_retired_command_says_in_one_line_what_replaced_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert name not in COMMANDS and name not in listed()
    assert ipsec.run([name, "--up", "x"]) == 1
    out, err = capsys.readouterr()
    assert not out and err.startswith(f"ipsec {name} is no more: ") and err.count("\n") == 1
    assert ipsec.run([name, "--help"]) == 0
