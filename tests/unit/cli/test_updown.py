# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec _updown` without a network to change."""

from __future__ import annotations

import pytest

from openswan.cli.updown import main
from openswan.cli.updown_script import script

ENV = {
    "PLUTO_VERSION": "2.0",
    "PLUTO_INTERFACE": "ipsec0",
    "PLUTO_MY_CLIENT": "10.1.0.0/24",
    "PLUTO_PEER_CLIENT": "10.2.0.0/24",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PLUTO_VERB", raising=False)


def test_print_shows_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--print"]) == 0 and capsys.readouterr().out == script()


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0 and capsys.readouterr().out.startswith("Usage: ipsec _updown")


def test_elements(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUTO_VERB", "guard-client")
    assert main(["--elements"]) == 0 and capsys.readouterr().out == "rl4 10.2.0.0/24 . 10.1.0.0/24\n"


def test_verbs_that_change_nothing_succeed(monkeypatch: pytest.MonkeyPatch) -> None:
    for verb in ("up-client", "down-host", "prepare-client-v6"):
        monkeypatch.setenv("PLUTO_VERB", verb)
        assert main(["custom"]) == 0


@pytest.mark.parametrize(
    ("verb", "words", "status", "said"),
    [
        ("sing-host", [], 1, "unknown verb `sing-host'"),
        ("up-host", ["--fast"], 2, "unknown parameters `--fast'"),
    ],
)
def test_mistakes(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    words: list[str],
    status: int,
    said: str,
) -> None:
    monkeypatch.setenv("PLUTO_VERB", verb)
    assert main(words) == status and said in capsys.readouterr().err
