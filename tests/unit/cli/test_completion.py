# SPDX-License-Identifier: GPL-2.0-or-later
"""Bash completion is of today and works; every option stands in the command's page and in its --help."""

from __future__ import annotations

import ast
import re
import subprocess
from importlib import import_module
from pathlib import Path

import pytest

from openswan.cli import whack
from openswan.cli.commands import COMMANDS, listed
from openswan.cli.completion import OPTION, help_of, options_of, script, words_of

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "initscripts/bash-completion/ipsec"
OWN = [name for name in COMMANDS if not COMMANDS[name].option and not name.startswith("_updown")]
LITERAL = re.compile(r"--[a-z][a-z0-9-]+")
ELSEWHERE = {
    "pluto": "its options are a table of their own in openswan.daemon.options",
    "setup": "it takes words, and words with two hyphens before them for old scripts",
    "barf": "most are options of commands it runs",
}


def bash(*words: str) -> list[str]:
    """What is offered behind these words."""
    line = " ".join(f"'{word}'" for word in words)
    test = (
        f"source {FILE}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _ipsec; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    return subprocess.run(["bash", "-c", test], capture_output=True, text=True, check=True).stdout.split()


def test_the_file_is_of_today() -> None:
    assert FILE.read_text() == script(), "make man writes it"


def test_it_completes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ipsec.conf").write_text("conn %default\nconn net-net\n\tleft=x\nconn other\n")
    monkeypatch.setenv("IPSEC_CONFS", str(tmp_path))
    assert bash("ipsec", "diag") == ["diagnose"]
    assert bash("ipsec", "up", "ne") == ["net-net"]
    assert bash("ipsec", "setup", "re") == ["restart", "reload"]
    assert "--add" in bash("ipsec", "auto", "--") and "--add" not in bash("ipsec", "up", "--")


def test_words() -> None:
    assert words_of("algparse")[1] is False and words_of("status")[1] is True
    assert set(options_of("checkconfig")) == set(options_of("addconn")) - {"--checkconfig"}
    assert not [name for name in listed() if not help_of(name).strip()]


@pytest.mark.parametrize("name", OWN)
def test_every_option_of_the_help_is_in_the_page(name: str) -> None:
    text = (ROOT / f"man/ipsec_{name}.8").read_text().replace("\\-", "-").replace("\\&", "")
    missing = [option for option in options_of(name) if option not in text and option != "--help"]
    assert not missing


@pytest.mark.parametrize("name", [name for name in OWN if name not in ELSEWHERE])
def test_every_option_of_the_source_is_in_the_help(name: str) -> None:
    module = import_module(COMMANDS[name].module)
    tree = ast.parse(Path(str(module.__file__)).read_text())
    literals = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    known = {one for one in literals if LITERAL.fullmatch(one)} - {"--help", "--version"}
    # One module may serve several commands.
    served = "".join(help_of(each) for each in COMMANDS if COMMANDS[each].module == COMMANDS[name].module)
    assert not known - set(OPTION.findall(served))


def test_every_action_of_whack_is_in_its_help() -> None:
    shown = set(OPTION.findall(help_of("whack")))
    classic = {"--rereadcerts", "--rereadaacerts", "--rereadocspcerts", "--rereadacerts", "--utc",
               "--listaacerts", "--listacerts", "--listgroups", "--xauthuser"}  # fmt: skip
    actions = {f"--{name}" for name in (*whack.ACTIONS, *whack.WITH_VALUE, *whack.FLAGS)}
    assert actions - shown <= classic, "old spellings alone need not be shown"
