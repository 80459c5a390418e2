# SPDX-License-Identifier: GPL-2.0-or-later
"""Many openings in few loads, and the same in the end as by one after the other."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from openswan.base.errors import HostError
from openswan.host.openings import openings as module
from openswan.host.openings.model import Opening
from openswan.host.openings.openings import Openings
from openswan.host.openings.together import Together
from tests.unit.host.openings.samples import opening


class Filter:
    """A place that counts."""

    def __init__(self) -> None:
        self.loads: list[tuple[Opening, ...]] = []
        self.refuses = ""

    def __str__(self) -> str:
        return "a filter"

    def check(self, openings: Sequence[Opening]) -> bool:
        return True

    def load(self, openings: Sequence[Opening]) -> None:
        if self.refuses:
            raise HostError(self.refuses)
        self.loads.append(tuple(openings))


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Filter]:
    one = Filter()
    monkeypatch.setattr(module, "places", lambda: iter([one]))
    yield one


def together(path: Path) -> Together:
    return Together(path, lambda line, serious: None)


async def call(it: Together, act: Callable[[Opening], tuple[str, ...]], what: Opening) -> tuple[str, ...]:
    """As an updown command is carried out."""
    said, settled = act(what), it.settled()
    return said if settled is None else (*said, *await settled)


async def all_of(calls: Sequence[Coroutine[Any, Any, tuple[str, ...]]]) -> list[tuple[str, ...]]:
    return list(await asyncio.gather(*calls))


def test_what_comes_at_once_is_one_load(place: Filter, tmp_path: Path) -> None:
    it, those = together(tmp_path), [opening(f"net{number}") for number in range(100)]
    asyncio.run(all_of([call(it, it.open, each) for each in those]))
    assert place.loads == [tuple(those)] and it.held() == tuple(those)
    asyncio.run(all_of([call(it, it.close, each) for each in those[1:]]))
    assert place.loads[1:] == [(those[0],)]


def test_who_has_nothing_open_waits_for_nobody(place: Filter, tmp_path: Path) -> None:
    it = together(tmp_path)

    async def first() -> None:
        assert await call(it, it.close, opening()) == () and it.settled() is None
        waiting = asyncio.ensure_future(call(it, it.open, opening()))
        await asyncio.sleep(0)
        assert it.settled() is None and not waiting.done(), "another command, which has opened nothing"
        await waiting

    asyncio.run(first())
    assert len(place.loads) == 1


def test_what_has_no_effect_is_told_to_all_of_a_turn(place: Filter, tmp_path: Path) -> None:
    it, place.refuses = together(tmp_path), "it belongs to another process"
    found = asyncio.run(all_of([call(it, it.open, opening(name)) for name in ("a", "b")]))
    assert found == [("leftfirewall=yes has no effect in a filter: it belongs to another process",)] * 2


def test_at_the_end_nothing_is_opened_any_more(place: Filter, tmp_path: Path) -> None:
    it = together(tmp_path)

    async def ends() -> None:
        waiting = asyncio.ensure_future(call(it, it.open, opening()))
        await asyncio.sleep(0)
        it.stop()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(ends())
    assert place.loads[-1] == () == it.held()


@pytest.mark.parametrize("seed", range(10))
def test_in_the_end_it_is_as_if_each_had_been_made_by_itself(place: Filter, tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    it, plain = together(tmp_path), Openings()
    for _ in range(5):
        calls = []
        for _ in range(dice.randrange(1, 8)):
            what = opening(
                dice.choice("abc"), dice.choice(("192.0.2.2", "192.0.2.3")), *dice.choices((False, True), k=2)
            )
            act = dice.choice(("open", "close"))
            getattr(plain, act)(what)
            calls.append(call(it, getattr(it, act), what))
        asyncio.run(all_of(calls))
        assert it.held() == plain.held()
