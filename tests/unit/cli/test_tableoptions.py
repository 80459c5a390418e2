# SPDX-License-Identifier: GPL-2.0-or-later
"""What the table commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from openswan.base.errors import ConfigError
from openswan.cli.tableoptions import LARGEST_FILE, MOST_FILES, expand, family, give, number, protocol, said_of
from openswan.plane.orders import ClearSas, Debug


def test_options_from_files(tmp_path: Path) -> None:
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    inner.write_text("--enckey 0x1234 # the key\n")
    outer.write_text(f"--esp 'aes sha1' --optionsfrom {inner}\n")
    assert expand(["a", "--optionsfrom", str(outer), "b"]) == ["a", "--esp", "aes sha1", "--enckey", "0x1234", "b"]
    assert expand([f"--optionsfrom={inner}", "+", str(inner)]) == ["--enckey", "0x1234"] * 2


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file"),
        (b"'x", "quotes that do not close"),
        (b"\xff", "quotes that do not close"),
        (b"x" * (LARGEST_FILE + 1), "longer than"),
        ("--optionsfrom {}", f"more than {MOST_FILES} deep"),
    ],
)
def test_files_that_will_not_do(tmp_path: Path, content: Any, why: str) -> None:
    path = tmp_path / "options"
    if isinstance(content, str):
        path.write_text(content.format(path))
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=why):
        expand(["--optionsfrom", str(path)])


def test_an_option_without_its_file() -> None:
    with pytest.raises(ConfigError, match="wants a file"):
        expand(["+"])


def test_words() -> None:
    assert number("0x1f", "SPI") == 31 and number("31", "SPI") == 31
    assert family("inet6") == 6 and protocol("tun") == 4
    assert str(said_of("inet", "192.0.2.2", "0x200", "esp")) == "esp.200@192.0.2.2"
    for call in (
        lambda: number("-1", "SPI"),
        lambda: number("0xg", "SPI"),
        lambda: number("70000", "port", 65535),
        lambda: family("ipx"),
        lambda: protocol("int"),
        lambda: said_of("inet6", "192.0.2.2", "0x200", "esp"),
        lambda: said_of("", "192.0.2.2", "", "esp"),
    ):
        with pytest.raises(ConfigError):
            call()


def test_an_order_is_given(pluto: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pluto.answers["klips"] = []
    assert give("spi", ClearSas()) == 0
    assert pluto.asked == [{"verb": "klips", "do": "spi-clear"}]
    pluto.answers["klips"] = ["001 device or resource busy"]
    assert give("spi", ClearSas(), "mine") == 1
    assert capsys.readouterr().err == "mine ipsec spi: device or resource busy\n"
    assert give("spi", Debug(("x",)), status=7) == 7


def test_without_daemon(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert give("spi", ClearSas()) == 1
    assert "ipsec spi: whack: Pluto is not running" in capsys.readouterr().err
