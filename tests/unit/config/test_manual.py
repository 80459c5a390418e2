# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual page has every keyword and is the one in the tree."""

from pathlib import Path

from openswan.config.keyword import Halves, Status
from openswan.config.keywords import TABLE
from openswan.config.manual import keyword_part, manual, shown

MACROS = {'.\\"', *".TH .SH .B .BR .BI .I .IB .IR .RB .PP .nf .fi .TP .br".split()}
PAGE = Path(__file__).parents[3] / "man/ipsec.conf.5"


def test_every_keyword_is_in_it() -> None:
    text = keyword_part().replace("\\-", "-")
    for row in TABLE:
        assert f".B {shown(row)}\n" in text, row.name
        for reason in (row.reason, *row.refused.values()):
            assert row.status in (Status.HARMLESS, Status.MOOT) or reason in text


def test_halves() -> None:
    row = next(one for one in TABLE if one.name == "subnet")
    assert row.halves is Halves.YES and shown(row) == "leftsubnet, rightsubnet"


def test_no_line_is_mistaken_for_a_macro() -> None:
    for line in manual().splitlines():
        if line[:1] in (".", "'"):
            assert line.split()[0] in MACROS, line


def test_the_page_in_the_tree_is_this_one() -> None:
    assert PAGE.read_text() == manual(), "run: make man"
