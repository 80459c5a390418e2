# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of commands."""

from __future__ import annotations

import contextlib
from importlib import import_module

import pytest

from openswan.cli.commands import COMMANDS, listed


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
