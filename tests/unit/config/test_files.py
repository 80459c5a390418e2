# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading files and finding those that include names."""

from pathlib import Path

import pytest

from openswan.base.errors import ConfigError
from openswan.config import files
from openswan.config.files import disk_reader, matching, read_text, unfold_braces


@pytest.mark.parametrize(
    ("pattern", "want"),
    [
        ("a", ["a"]),
        ("a{b,c}d", ["abd", "acd"]),
        ("{a,b}{1,2}", ["a1", "a2", "b1", "b2"]),
        ("x{a,b{1,2}}", ["xa", "xb1", "xb2"]),
        ("{alone}", ["{alone}"]),
        ("{a,", ["{a,"]),
    ],
)
def test_braces(pattern: str, want: list[str]) -> None:
    assert sorted(unfold_braces(pattern)) == sorted(want)


def test_braces_are_bounded() -> None:
    with pytest.raises(ConfigError, match="stands for more than 1024 names"):
        unfold_braces("{a,b}" * 11)


def test_matching_is_sorted_and_relative(tmp_path: Path) -> None:
    for name in ("b.conf", "a.conf", "c.txt"):
        (tmp_path / name).write_text(name)
    here = str(tmp_path)
    assert matching("*.conf", here) == [f"{here}/a.conf", f"{here}/b.conf"]
    assert matching("{b,a}.conf", here) == [f"{here}/b.conf", f"{here}/a.conf"]
    assert matching("[ab].conf", here) == [f"{here}/a.conf", f"{here}/b.conf"]
    assert matching("none.conf", here) == [f"{here}/none.conf"]
    assert matching("none*", here) == []
    assert matching(f"{here}/c.txt", "/elsewhere") == [f"{here}/c.txt"]
    assert matching("/c.txt", "/elsewhere", here) == [f"{here}/c.txt"]


def test_wildcards_of_the_directory_do_not_count(tmp_path: Path) -> None:
    odd = tmp_path / "a*b"
    odd.mkdir()
    (odd / "x.conf").write_text("x")
    assert matching("*.conf", str(odd)) == [f"{odd}/x.conf"]


def test_reader_skips_directories(tmp_path: Path) -> None:
    (tmp_path / "d.conf").mkdir()
    (tmp_path / "e.conf").write_text("text")
    assert disk_reader()("*.conf", str(tmp_path)) == [(f"{tmp_path}/e.conf", "text")]


def test_what_goes_between_its_name_and_its_text_takes_no_other_file_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "c"):
        (tmp_path / f"{name}.conf").write_text(f"conn {name}\n")
    # Still in the directory when it was listed.
    (tmp_path / "b.conf").symlink_to(tmp_path / "gone")
    monkeypatch.setattr(files.glob, "glob", lambda pattern: [str(tmp_path / f"{name}.conf") for name in "abc"])
    found = disk_reader()("*.conf", str(tmp_path))
    assert [text for _, text in found] == ["conn a\n", "conn c\n"]
    with pytest.raises(ConfigError, match="No such file"):
        disk_reader()("b.conf", str(tmp_path))


def test_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"cannot read '.*none': No such file or directory"):
        read_text(str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="Is a directory"):
        read_text(str(tmp_path))
    with pytest.raises(ConfigError, match="not a file name"):
        read_text("a\0b")
    with pytest.raises(ConfigError, match="file name holds a NUL"):
        matching("a\0b", "/")
    monkeypatch.setattr(files, "MOST_OCTETS", 3)
    (tmp_path / "long").write_text("four")
    with pytest.raises(ConfigError, match="larger than"):
        read_text(str(tmp_path / "long"))
    with pytest.raises(ConfigError, match="larger than"):
        read_text("/dev/zero")


def test_octets_that_are_not_utf8_survive(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"a\xffb")
    assert read_text(str(tmp_path / "f")).encode("utf-8", "surrogateescape") == b"a\xffb"
