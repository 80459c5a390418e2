# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests about the pairs of a conn: what runs, what would be refused, what goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from openswan.base.errors import HostError
from openswan.cli import pairs


def test_what_runs_is_told_by_name(pluto: Any) -> None:
    pluto.answers["pairs"] = ["000 " + json.dumps({"net/1x0": ["10.1.0.0/24", ""]})]
    assert pairs.running() == {"net/1x0": ("10.1.0.0/24", "")}


def test_nobody_to_ask(places: Path) -> None:
    with pytest.raises(HostError):
        pairs.running()


def test_each_conn_is_pruned_by_itself() -> None:
    assert list(pairs.prunings(["b/2x1", "a/1x1", "b/1x1"], ["b/1x1"])) == [
        {"name": "a", "names": ["a/1x1"], "fresh": ["a/1x1"]},
        {"name": "b", "names": ["b/1x1", "b/2x1"], "fresh": ["b/2x1"]},
    ]


def test_nothing_is_pruned_when_a_pair_could_not_be_loaded(pluto: Any) -> None:
    sent: list[str] = []

    def send(verb: str, _arguments: dict[str, Any]) -> int:
        sent.append(verb)
        return 37

    assert pairs.replace([{"name": "a/1x1"}, {"name": "a/2x1"}], (), send) == (37, "")
    assert sent == ["add"] and [each["check"] for each in pluto.asked] == [True, True]


def test_the_first_refusal_is_enough(pluto: Any) -> None:
    pluto.answers["add"] = ["000 a comment", "028 no key"]
    assert pairs.replace([{"name": "a/1x1"}, {"name": "a/2x1"}], (), lambda *_: 1) == (28, "no key")
    assert len(pluto.asked) == 1
