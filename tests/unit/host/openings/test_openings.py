# SPDX-License-Identifier: GPL-2.0-or-later
"""What is kept open, and what is said about it; tests/netns/test_firewall.py sees packets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from openswan.base.errors import HostError
from openswan.host.openings import openings as module
from openswan.host.openings.model import Opening
from openswan.host.openings.openings import Openings
from tests.unit.host.openings.samples import opening


class Filter:
    """A place that remembers."""

    def __init__(self) -> None:
        self.open: tuple[Opening, ...] = ()
        self.refuses = ""

    def __str__(self) -> str:
        return "a filter"

    def check(self, openings: Sequence[Opening]) -> bool:
        return self.open == tuple(openings)

    def load(self, openings: Sequence[Opening]) -> None:
        if self.refuses:
            raise HostError(self.refuses)
        self.open = tuple(openings)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Filter]:
    one = Filter()
    monkeypatch.setattr(module, "places", lambda: iter([one]))
    yield one


def test_two_tunnels_that_open_the_same_go_one_by_one(place: Filter, tmp_path: Path) -> None:
    daemon, script = Openings(tmp_path), Openings(tmp_path)
    one, other, moved = opening("a"), opening("b"), opening("a", "192.0.2.9")
    for each in (one, other, one, moved):
        assert daemon.open(each) == ()
    assert set(place.open) == {one, other, moved}
    # Whatever is to be closed is known by whose it is, not by what was open.
    script.close(opening("a", forward=False))
    assert set(place.open) == {other, moved} == set(daemon.held())
    script.close(opening("nobody"))
    daemon.sweep()
    assert place.open == () and (tmp_path / "openings").read_text() == ""
    place.refuses = "it belongs to another process"
    assert daemon.sweep() == ("a filter may still be open: it belongs to another process",)


def test_what_is_missing_is_put_back_and_what_cannot_be_is_said_once(place: Filter) -> None:
    lines: list[str] = []
    it = Openings(log=lambda line, serious: lines.append(line))
    it.open(opening())
    assert it.check() and not it.restore()
    place.open = ()
    assert not it.check() and it.restore() and it.check()
    place.open, place.refuses = (), "it belongs to another process"
    assert not it.restore() and not it.restore()
    assert lines == ["leftfirewall=yes has no effect in a filter: it belongs to another process"]
    assert it.open(opening("b")) == tuple(lines)
