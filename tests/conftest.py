# SPDX-License-Identifier: GPL-2.0-or-later
"""What all tests need of the place they run in."""

from __future__ import annotations

import pytest

from tests.shareddata import DATA


def pytest_configure() -> None:
    """One line instead of a hundred failures when the vectors and captures nobody here wrote are not there."""
    if not DATA.is_dir():
        raise pytest.UsageError(f"the test data is missing: it belongs into {DATA}, beside this tree")
