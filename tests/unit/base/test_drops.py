# SPDX-License-Identifier: GPL-2.0-or-later
"""Drop reasons have distinct, dense numbers: _fast indexes an array with them."""

import re
from pathlib import Path

from openswan.base.drops import Drop


def test_numbers_are_dense_and_distinct():
    assert sorted(Drop) == list(range(len(Drop)))


def test_zero_means_not_dropped():
    assert Drop(0) is Drop.NONE


def test_every_reason_is_met_by_the_engine_and_by_a_test():
    root = Path(__file__).resolve().parents[3]
    engine = "".join(path.read_text() for path in (root / "_fast").glob("*.pyx"))
    tests = "".join(path.read_text() for path in (root / "tests").rglob("*.py"))
    for reason in Drop:
        if reason is not Drop.NONE:
            assert re.search(rf"\bDROP_{reason.name}\b", engine) and re.search(rf"\bDrop\.{reason.name}\b", tests), (
                reason
            )
