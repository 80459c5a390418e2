# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec _include`."""

from __future__ import annotations

from pathlib import Path

import pytest

from openswan.cli.include import main


def test_includes_are_expanded_and_marked(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conf, part = places / "ipsec.conf", places / "part.conf"
    conf.write_text("version 2.0\ninclude part.conf\nconn b\n\tinclude=x\n")
    part.write_text("conn a\n")
    assert main([]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"#< {conf} 1",
        "version 2.0",
        f"#< {part} 1",
        "conn a",
        f"#> {conf} 3",
        "conn b",
        "\tinclude=x",
    ]


def test_what_cannot_be_included_is_said(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conf = places / "ipsec.conf"
    conf.write_text(f"include {conf}\ninclude none.conf\ninclude 'x\n")
    assert main(["--inband"]) == 1
    out = capsys.readouterr().out
    assert "#:" in out and "includes itself" in out and "No such file" in out and "No closing quotation" in out
    assert main([]) == 1
    assert "ipsec _include: " in capsys.readouterr().err
