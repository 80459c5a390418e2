# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages say what --help says, are up to date, lead nowhere that does not exist, and render."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from openswan import RELEASED
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


PAGES = sorted(MAN.iterdir())
each_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)


JUDGES = {
    "man": ("--warnings", "-E", "UTF-8", "-l", "-Tutf8"),
    "mandoc": ("-Tlint", "-Wwarning"),
}
"""Programs that read pages, and how they are asked to be strict."""


@pytest.mark.parametrize("judge", [name for name in JUDGES if name == "man" or shutil.which(name)])
@each_page
def test_it_renders_without_a_warning(path: Path, judge: str) -> None:
    done = subprocess.run(
        (judge, *JUDGES[judge], str(path)),
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "MANWIDTH": "80", "MANROFFOPT": "", "LC_ALL": "C.UTF-8"},
    )
    said = done.stdout.replace("\u2010", "-")
    assert done.returncode == 0 and not done.stderr and (path.stem in said if judge == "man" else not said), said


def test_pages_are_of_the_day_of_the_release() -> None:
    changelog = (MAN.parent / "debian/changelog").read_text()
    (when,) = re.findall(r"^ -- .*  (.*)$", changelog, re.MULTILINE)[:1]
    assert datetime.strptime(when, "%a, %d %b %Y %H:%M:%S %z").date().isoformat() == RELEASED
    for path in PAGES:
        assert re.search(rf'^\.TH \S+ [58] "{RELEASED}" ', path.read_text(), re.MULTILINE), path


def test_words_of_roff_stay_words() -> None:
    assert escaped(".TH a-b \\") == "\\&.TH a\\-b \\e" and escaped("'quoted'") == "\\&'quoted'"


@each_page
def test_whatis_finds_every_page_by_its_name(path: Path) -> None:
    lines = path.read_text().splitlines()
    entry = lines[lines.index(".SH NAME") + 1]
    assert entry.startswith(f"{path.stem} \\- "), entry
