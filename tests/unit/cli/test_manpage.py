# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages say what --help says, are up to date, lead nowhere that does not exist, and render."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from openswan.cli.manpage import escaped, file_of, page, syntaxes
from openswan.cli.syntax import Syntax

MAN = Path(__file__).parents[3] / "man"


@pytest.mark.parametrize("syntax", tuple(syntaxes()), ids=lambda each: each.name)
def test_the_page_is_there_complete_and_of_today(syntax: Syntax) -> None:
    text = page(syntax)
    assert (MAN / file_of(syntax)).read_text() == text, "make man writes it"
    for option in syntax.options:
        assert escaped(option.name) in text and option.name in syntax.help()
    for other in syntax.see:
        name, _, section = other.partition("(")
        assert (MAN / f"{name}.{section.rstrip(')')}").exists(), other


@pytest.mark.parametrize("syntax", tuple(syntaxes()), ids=lambda each: each.name)
def test_it_renders_without_a_warning(syntax: Syntax) -> None:
    done = subprocess.run(
        ("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", str(MAN / file_of(syntax))),
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "MANWIDTH": "80", "MANROFFOPT": "", "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0 and not done.stderr and syntax.summary.split()[0] in done.stdout


def test_words_of_roff_stay_words() -> None:
    assert escaped(".TH a-b \\") == "\\&.TH a\\-b \\e" and escaped("'quoted'") == "\\&'quoted'"


@pytest.mark.parametrize("path", sorted(MAN.iterdir()), ids=lambda path: path.name)
def test_whatis_finds_every_page_by_its_name(path: Path) -> None:
    lines = path.read_text().splitlines()
    entry = lines[lines.index(".SH NAME") + 1]
    assert entry.startswith(f"{path.stem} \\- "), entry
