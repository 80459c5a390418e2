# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands use the daemon's bits of the mark."""

from __future__ import annotations

from pathlib import Path

import pytest

from openswan.base.marks import DEFAULT_MARKS
from openswan.cli.ourmarks import configured
from openswan.cli.updown_script import script


def test_from_ipsec_conf_or_the_daemons_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPSEC_CONFS", str(tmp_path))
    assert configured() == DEFAULT_MARKS, "there is no ipsec.conf"
    (tmp_path / "ipsec.conf").write_text("version 2\nconfig setup\n    fwmark-mask=0x0f000000\n")
    assert configured().mask == 0x0F000000
    monkeypatch.setenv("PLUTO_FWMARK_MASK", "0x000000f0")
    assert configured().mask == 0xF0
    monkeypatch.setenv("PLUTO_FWMARK_MASK", "0x3")
    assert configured() == DEFAULT_MARKS, "which the daemon takes too"


def test_the_script_in_print_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUTO_FWMARK_MASK", "0x0f000000")
    text = script(configured())
    assert "not fwmark 0x1000000/0x1000000 lookup" in text and "meta mark & 0x3000000 == 0x1000000" in text
    assert "0x1000/" not in text and "0x3000 " not in text
