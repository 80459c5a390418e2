# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec klipsdebug`."""

from __future__ import annotations

from typing import Any

import pytest

from openswan.cli import klipsdebug
from openswan.plane.orders import FLAGS


def test_the_table(pluto: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pluto.answers["klipsdebug"] = ["000 debug_tunnel=00000001."]
    assert klipsdebug.main([]) == 0
    assert capsys.readouterr().out == "debug_tunnel=00000001.\n"


@pytest.mark.parametrize(
    ("words", "order"),
    [
        (["--all"], {"flags": list(FLAGS)}),
        (["--none"], {"cleared": list(FLAGS)}),
        (["--set", "tunnel-xmit"], {"flags": ["tunnel-xmit"]}),
        (["--clear", "esp"], {"cleared": ["esp"]}),
    ],
)
def test_orders(pluto: Any, words: list[str], order: dict[str, Any]) -> None:
    assert klipsdebug.main(words) == 0
    assert pluto.asked == [{"verb": "klips", "do": "klipsdebug", **order}]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--set", "esp", "--all"], "one of --all"),
        (["--set", "foo"], "unknown flag 'foo': there are tunnel"),
        (["--label", "x"], "x ipsec klipsdebug: one of --all"),
        (["--foo"], "--foo"),
        (["+"], "wants a file"),
    ],
)
def test_what_makes_no_sense(pluto: Any, capsys: pytest.CaptureFixture[str], words: list[str], why: str) -> None:
    assert klipsdebug.main(words) == 1
    assert why in capsys.readouterr().err and not pluto.asked
