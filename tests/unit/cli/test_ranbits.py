# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec ranbits`: how many, in which form."""

from __future__ import annotations

import re

import pytest

from openswan.cli import ranbits


@pytest.mark.parametrize(
    ("argv", "shape"),
    [
        (["8"], r"0x[0-9a-f]{2}"),
        (["9"], r"0x[0-9a-f]{4}"),
        (["64"], r"0x[0-9a-f]{8}_[0-9a-f]{8}"),
        (["--quick", "72"], r"0x[0-9a-f]{8}_[0-9a-f]{8}_[0-9a-f]{2}"),
        (["--continuous", "128"], r"0x[0-9a-f]{32}"),
        (["--bytes", "5"], r"0x[0-9a-f]{8}_[0-9a-f]{2}"),
        (["--bytes", "65536", "--continuous"], r"0x[0-9a-f]{131072}"),
    ],
)
def test_shapes(argv: list[str], shape: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ranbits.main(argv) == 0
    assert re.fullmatch(shape + "\n", capsys.readouterr().out)


def test_they_differ(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(5):
        ranbits.main(["128"])
    assert len(set(capsys.readouterr().out.splitlines())) == 5


@pytest.mark.parametrize("argv", [[], ["0"], ["-8"], ["x"], ["8", "8"], ["--bytes", "65537"], ["--nonsense", "8"]])
def test_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert ranbits.main(argv) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("ipsec ranbits: ") and "Usage: ipsec ranbits" in err
    assert not argv or any(word in err for word in argv)


def test_help() -> None:
    assert ranbits.main(["--help"]) == 0
