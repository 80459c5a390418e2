# SPDX-License-Identifier: GPL-2.0-or-later
"""The parts hang together."""

from openswan.base.entropy import SeededRng
from openswan.engine.brain import Brain
from openswan.engine.pluto import epoch
from openswan.engine.settings import Settings


def test_every_part_works_on_the_same_core() -> None:
    brain = Brain(SeededRng(1), Settings(), epoch)
    parts = [part for part in vars(brain).values() if hasattr(part, "core")]
    assert len(parts) >= 26
    assert all(part.core is brain.core for part in parts)
    assert brain.answers.keyring is brain.keyring


def test_two_brains_share_nothing() -> None:
    one, two = Brain(SeededRng(1), Settings(), epoch), Brain(SeededRng(1), Settings(), epoch)
    one.core.names["x"] = ()
    one.keyring.cache[("x", None, None, False)] = None  # type: ignore[assignment]
    assert two.core.names == {} and two.keyring.cache == {}
