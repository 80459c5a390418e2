# SPDX-License-Identifier: GPL-2.0-or-later
"""The rig with a tunnel in it, as a fixture."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fast.rig import Rig
from tests.unit.conftest import namespace as namespace


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def tunnel(rig: Rig) -> Rig:
    rig.tunnel()
    return rig
