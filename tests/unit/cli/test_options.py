# SPDX-License-Identifier: GPL-2.0-or-later
"""Every option of every command stands in its page and in its --help. Those of a Syntax: test_manpage."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from openswan.cli import addconn, algparse, auto, readwriteconf, setup, whack
from openswan.cli.commands import COMMANDS
from openswan.cli.ipsec import run
from openswan.cli.manpage import escaped, syntaxes
from openswan.daemon import options as daemon

MAN = Path(__file__).parents[3] / "man"


def dashed(*words: str) -> set[str]:
    return {f"--{word}" for word in words}


TABLES = {
    "algparse": {f"{word}=" for word in algparse.KINDS if word != "phase2"},
    "addconn": {*addconn.FLAGS, *addconn.VALUES},
    "auto": dashed(*auto.NAMED, *auto.UNNAMED, *auto.LOADING, *auto.FLAGS, "config"),
    "look": {"--json"},
    "pluto": dashed(*daemon.FLAGS, *daemon.VALUES, *daemon.IDLE_FLAGS, *daemon.IDLE_VALUES),
    "readwriteconf": {*readwriteconf.FLAGS, *readwriteconf.VALUES},
    "setup": set(setup.VERBS),
    "status": {"--json"},
    "whack": dashed(*whack.ACTIONS, *whack.WITH_VALUE, *whack.FLAGS),
}
"""Of those that read their words themselves."""
OWN = sorted({one.classic if one.classic in COMMANDS else name for name, one in COMMANDS.items()})
OTHERS = [name for name in OWN if name not in {syntax.name for syntax in syntaxes()} and not name.startswith("_")]


class Caught(BaseException):
    """A parser, before it reads anything."""


def options_of(name: str, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    if name in TABLES:
        return TABLES[name]

    def caught(parser: argparse.ArgumentParser, *_: object) -> None:
        raise Caught(parser)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", caught)
    with pytest.raises(Caught) as found:
        run([name, "x"])
    (parser,) = found.value.args
    return {option for action in parser._actions for option in action.option_strings if option.startswith("--")}


@pytest.mark.parametrize("name", OTHERS)
def test_every_option_is_explained(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([name, "--help"]) == 0
    helped = capsys.readouterr().out
    page = (MAN / f"ipsec_{name}.8").read_text()
    options = options_of(name, monkeypatch) - {"--help"}
    assert options
    assert sorted(option for option in options if option not in helped) == []
    assert sorted(option for option in options if escaped(option) not in page) == []


def test_every_command_has_a_page() -> None:
    assert [name for name in OWN if not (MAN / f"ipsec_{name}.8").is_file()] == []
