# SPDX-License-Identifier: GPL-2.0-or-later
"""ipsec.conf lines: good, bad, included, random."""

import os
import random
from pathlib import Path

import pytest

from openswan.base.errors import ConfigError
from openswan.config.files import disk_reader
from openswan.config.lexer import Kind, Token, tokens


def nothing(pattern: str, directory: str) -> list[tuple[str, str]]:
    return []


def lex(text: str) -> list[Token]:
    return list(tokens(text, "f", nothing))


def only(text: str) -> Token:
    [token] = lex(text)
    return token


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("\tleft=1.2.3.4", "left", "1.2.3.4"),
        ("  left = 1.2.3.4  ", "left", "1.2.3.4"),
        ("\tleft\t=\t1.2.3.4 # where", "left", "1.2.3.4"),
        ('\tplutodebug="control parsing"  # both', "plutodebug", "control parsing"),
        ("\tleftsubnets={10.0.0.0/8 10.1.0.0/16}", "leftsubnets", "10.0.0.0/8 10.1.0.0/16"),
        ('\tx="a # b"', "x", "a # b"),
        ("\tleftid=@#0a0b", "leftid", "@#0a0b"),
        ("\tkey=0sAQ==", "key", "0sAQ=="),
        ("\tkey=a=b=c", "key", "a=b=c"),
        ("\tempty=", "empty", ""),
        ('\tempty=""', "empty", ""),
        ("\tempty= # nothing", "empty", ""),
        ("\tvalue=#7", "value", "#7"),
        ("\tauto=add\r", "auto", "add"),
        ("\tx=é", "x", "é"),
    ],
)
def test_parameters(line: str, name: str, value: str) -> None:
    token = only(line)
    assert (token.kind, token.name, token.value, token.where) == (Kind.PARAMETER, name, value, "f:1")


@pytest.mark.parametrize(
    ("line", "kind", "name", "value"),
    [
        ("version 2.0", Kind.VERSION, "", "2.0"),
        ("version\t2\t# second", Kind.VERSION, "", "2"),
        ("config setup", Kind.SECTION, "config", "setup"),
        ("conn office", Kind.SECTION, "conn", "office"),
        ("conn    office # the one", Kind.SECTION, "conn", "office"),
        ("CONN %default", Kind.SECTION, "conn", "%default"),
        ('conn "office"', Kind.SECTION, "conn", "office"),
    ],
)
def test_headers(line: str, kind: Kind, name: str, value: str) -> None:
    token = only(line)
    assert (token.kind, token.name, token.value) == (kind, name, value)


def test_lines_that_say_nothing() -> None:
    assert lex("\n# all\n   # of\n\t\n \t \n\t\t# this\n\r\n") == []


@pytest.mark.parametrize(
    ("line", "why", "ends"),
    [
        ("\tleft", "'left' is not a parameter: keyword=value is wanted", False),
        ("\t[...]", "'[...]' is not a parameter", False),
        ("\t=x", "'=x' is not a parameter", False),
        ("\tconn x", "'conn' must begin in the first column", False),
        ("\tinclude x", "'include' must begin in the first column", False),
        ("\tx=a b", "x=: 'b' follows the value; quote a value that has blanks", False),
        ('\tx="a', 'x=: " without the closing "', False),
        ("\tx={a", "x=: { without the closing }", False),
        ('\tx="a"b', 'x=: something follows the closing " without a blank', False),
        ('\tx=a"b"', 'x=: a " inside a value', False),
        ("left=1.2.3.4", "parameter 'left=1.2.3.4' must be indented", False),
        ("rightsubnet 10.0.0.0/8", "is no section header: config setup, conn NAME or include FILE", False),
        ("konn x", "'konn x' is no section header", True),
        ("conn", "'conn NAME' is wanted, with one name", True),
        ("conn a b", "'conn NAME' is wanted, with one name", True),
        ("config", "'config setup' is wanted, with one name", True),
        ('conn "a', '" without the closing "', True),
        ("include", "include wants one file name or pattern", False),
        ("include a b", "include wants one file name or pattern", False),
        ("\tx=a\0b", "control or invisible character U+0000", False),
        ("\tx=a\u00a0b", "control or invisible character U+00A0", False),
        ("\ufeffversion 2", "control or invisible character U+FEFF", False),
        ("\tx=\udcff", "octet 0xff is not UTF-8 text", False),
    ],
)
def test_bad_lines(line: str, why: str, ends: bool) -> None:
    token = only(line)
    assert token.kind is Kind.BAD and token.complaint is not None
    assert str(token.complaint).startswith("f:1: ") and why in str(token.complaint)
    assert token.ends_section is ends


def test_line_numbers_count_every_line() -> None:
    assert [token.where for token in lex("\n# x\nconn a\n\n\tleft=1\n")] == ["f:3", "f:5"]


def test_long_lines() -> None:
    assert only("\tleftsubnets={" + "10.0.0.0/8 " * 10_000 + "}").kind is Kind.PARAMETER
    for line in ("x" * 100_000, "\t" + "x" * 100_000, "\t" + "x=" + "y z" * 33_000, "conn " + "x " * 50_000):
        token = only(line)
        assert token.kind is Kind.BAD and len(str(token.complaint)) < 300


def disk(path: Path) -> list[Token]:
    return list(tokens(path.read_text(), str(path), disk_reader()))


def test_includes(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    main = tmp_path / "main"
    main.write_text("include sub/*.conf\nconn last\n")
    (tmp_path / "sub/b.conf").write_text("conn b\n")
    (tmp_path / "sub/a.conf").write_text('conn a\ninclude "inner"\n\tleft=1\n')
    (tmp_path / "sub/inner").write_text("\tauto=add\nversion 2\n")
    found = disk(main)
    assert [(token.kind.value, token.name, token.value) for token in found] == [
        ("section", "conn", "a"),
        ("parameter", "auto", "add"),
        ("version", "", "2"),
        ("parameter", "left", "1"),
        ("section", "conn", "b"),
        ("section", "conn", "last"),
    ]
    assert found[1].where == f"{tmp_path}/sub/inner:1"


def test_include_that_finds_nothing_is_a_warning(tmp_path: Path) -> None:
    main = tmp_path / "main"
    main.write_text("include none*\ninclude none\n")
    first, second = disk(main)
    assert first.kind is second.kind is Kind.NOTE
    assert first.complaint is not None and second.complaint is not None
    assert str(first.complaint) == f"{main}:1: warning: include 'none*' matches no file"
    assert f"cannot read '{tmp_path}/none': No such file or directory" in str(second.complaint)
    assert not first.complaint.fatal and not second.complaint.fatal


def test_include_that_cannot_be_read_is_an_error() -> None:
    def locked(pattern: str, directory: str) -> list[tuple[str, str]]:
        raise ConfigError("cannot read 'x': " + os.strerror(13))

    [token] = tokens("include x", "f", locked)
    assert token.complaint is not None and token.complaint.fatal


def test_include_loops(tmp_path: Path) -> None:
    main, other = tmp_path / "main", tmp_path / "other"
    main.write_text("include main\ninclude other\nconn x\n")
    other.write_text("include main\n")
    found = disk(main)
    assert [str(token.complaint) for token in found if token.complaint] == [
        f"{main}:1: '{main}' includes itself",
        f"{other}:1: '{main}' includes itself",
    ]
    assert found[-1].value == "x"


def test_include_nesting_and_fan_out(tmp_path: Path) -> None:
    for level in range(12):
        (tmp_path / f"n{level}").write_text(f"include n{level + 1}\nconn c{level}\n")
    found = disk(tmp_path / "n0")
    assert sum(token.kind is Kind.SECTION for token in found) == 11
    [bad] = [token for token in found if token.kind is Kind.BAD]
    assert "include 'n11' is nested deeper than 10 files" in str(bad.complaint)
    for level in range(10):
        (tmp_path / f"w{level}").write_text(f"include w{level + 1}\n" * 8)
    (tmp_path / "w10").write_text("")
    wide = disk(tmp_path / "w0")
    assert any("more than 20000 files are included" in str(token.complaint) for token in wide)


def test_random_text_never_raises() -> None:
    dice = random.Random(7)
    pieces = ["conn", "config", "setup", "version", "2.0", "include", "x", "left", "=", "\n", "\n\t", '"', "{", "}",
              "#", " ", "\t", "\0", "é", "\udcfe", "%default", "also", ",", "\r", "\x0b", "\x85", "\u2028"]  # fmt: skip
    for _ in range(4000):
        text = "".join(dice.choices(pieces, k=dice.randrange(1, 40)))
        for token in lex(text):
            assert (token.complaint is not None) == (token.kind in (Kind.BAD, Kind.NOTE))
            assert token.complaint is None or "\n" not in str(token.complaint)
