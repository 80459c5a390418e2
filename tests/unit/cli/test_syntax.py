# SPDX-License-Identifier: GPL-2.0-or-later
"""A command's description, and the command line that is read by it."""

from __future__ import annotations

import pytest

from openswan.cli.syntax import Misuse, Option, Syntax, run

SYNTAX = Syntax(
    "sample",
    "do nothing",
    (Option("--json", "print JSON"), Option("--wait", "seconds", "S"), Option("--ip", "an address", "A", many=True)),
    "[NAME]",
    most=1,
)


def test_options_and_operands() -> None:
    given = SYNTAX.parse(["--wait", "3", "net", "--ip=1", "--ip", "2", "--json"])
    assert given.operands == ["net"] and "--json" in given
    assert given.number("--wait", 1, 0, 9) == 3 and given.values["--ip"] == ["1", "2"]
    assert given.value("--none", "x") == "x"
    assert SYNTAX.parse(["--", "--json"]).operands == ["--json"]


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (["--frob"], "`--frob'"),
        (["--json=1"], "`--json=1'"),
        (["--wait"], "`--wait'"),
        (["--json", "--json"], "`--json' stands twice"),
        (["a", "b"], "`b'"),
    ],
)
def test_the_offending_word_is_named(argv: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(SYNTAX, argv, lambda given: 0) == 2
    err = capsys.readouterr().err
    assert word in err and "Usage: ipsec sample [--json] [--wait S] [--ip A]... [NAME]" in err


def test_numbers_have_bounds() -> None:
    for text in ("-1", "x", "10", "1" * 30, ""):
        with pytest.raises(Misuse, match="--wait"):
            SYNTAX.parse([f"--wait={text}"]).number("--wait", 1, 0, 9)


def test_a_missing_operand_is_named() -> None:
    with pytest.raises(Misuse, match="HOST is missing"):
        Syntax("x", "y", operands="HOST", least=1, most=1).parse([])


def test_help_and_version_win(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(SYNTAX, ["--frob", "--help"], lambda given: 1) == 0
    out = capsys.readouterr().out
    assert "Do nothing." in out and "  --wait S  seconds" in out
    assert run(SYNTAX, ["--version"], lambda given: 1) == 0
    assert capsys.readouterr().out.startswith("ipsec sample Openswan ")
