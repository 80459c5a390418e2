# SPDX-License-Identifier: GPL-2.0-or-later
"""Effects are plain frozen data."""

from __future__ import annotations

import dataclasses
import typing

import pytest

from openswan.engine.effects import Effect, KlipsCommand, Log, SetGuard


@pytest.mark.parametrize("kind", typing.get_args(Effect), ids=lambda kind: kind.__name__)
def test_effects_are_frozen_and_explained(kind: type) -> None:
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert kind.__doc__ and not kind.__doc__.startswith(kind.__name__ + "(")


def test_defaults_are_the_harmless_ones() -> None:
    assert not Log("x").serious
    assert SetGuard("x", ()).block_families == ()
    assert KlipsCommand.__dataclass_fields__["token"].default == 0
