# SPDX-License-Identifier: GPL-2.0-or-later
"""Events are plain frozen data."""

from __future__ import annotations

import dataclasses
import typing

import pytest

from openswan.engine.events import EngineEvent, Interface


@pytest.mark.parametrize("kind", typing.get_args(EngineEvent), ids=lambda kind: kind.__name__)
def test_events_are_frozen_and_explained(kind: type) -> None:
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert kind.__doc__ and not kind.__doc__.startswith(kind.__name__ + "(")


def test_an_interface_is_up_unless_said_otherwise() -> None:
    assert Interface("eth0", "", ()).up and Interface("eth0", "", ()).mtu == 1500
