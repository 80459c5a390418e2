# SPDX-License-Identifier: GPL-2.0-or-later
"""One engine with a device and a socket, for tests of its Python face."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fast.rig import Rig


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()
